//! One group: who owns it, who is in it, who was, and what they said.
//!
//! It admits and removes and hands out facts. It knows no other group, no rights and no signals.

use std::sync::Arc;

use crate::id::{Id, Seq, Stint};
use crate::log::{History, Log, Page};
use crate::options::GroupOptions;
use crate::persistent::Map;
use crate::refusal::Absence;
use crate::time::Timestamp;

/// A group as it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Group<U: Id> {
    owner: U,
    options: GroupOptions,
    version: u64,
    members: Map<U, Stint>,
    log: Log<U>,
    /// The last departures, one per user, the oldest first. A short array: a map of 64 of them
    /// took 4 kB a group, ten times what eight members take.
    departures: Vec<PastMember<U>>,
}

/// A departure that a group remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMember<U> {
    /// Who is gone.
    pub user: U,
    /// When they went.
    pub at: Timestamp,
    /// Who kicked them; `None` if they left.
    pub kicked_by: Option<U>,
}

impl<U: Id> Group<U> {
    pub(crate) fn new(owner: U, stint: Stint, options: GroupOptions) -> Self {
        let mut members = Map::new();
        members.insert(owner.clone(), stint);
        Group { owner, options, version: stint.0, members, log: Log::new(), departures: Vec::new() }
    }

    /// The owner: always a member, and there is exactly one.
    #[must_use]
    pub fn owner(&self) -> &U {
        &self.owner
    }

    /// What was chosen at the group's creation.
    #[must_use]
    pub fn options(&self) -> &GroupOptions {
        &self.options
    }

    /// The version of the last signal, or the owner's first stint before any: a client that reads
    /// the group and then follows the signals after this version has missed nothing.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many members there are, the owner among them. O(1).
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a group has an owner: it is never empty")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether `user` is a member. O(log n).
    #[must_use]
    pub fn contains(&self, user: &U) -> bool {
        self.members.contains(user)
    }

    /// The stint of `user`, if they are a member. O(log n).
    #[must_use]
    pub fn stint(&self, user: &U) -> Option<Stint> {
        self.members.get(user).copied()
    }

    /// The members with their stints, by ascending id.
    pub fn members(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&U, Stint)> + ExactSizeIterator + Clone {
        self.members.iter().map(|(user, stint)| (user, *stint))
    }

    /// How many entries the log has. O(1).
    #[must_use]
    pub fn log_len(&self) -> u64 {
        self.log.len()
    }

    /// The number that the next entry will get. O(1).
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.log.next()
    }

    /// The departures that are remembered, the oldest first: one per user, as many as
    /// [`Config::departures`](crate::Config) says. That some of them are members again is no
    /// contradiction.
    #[must_use]
    pub fn departures(&self) -> &[PastMember<U>] {
        &self.departures
    }

    /// The stint of a member who may have named it; or why there is none (rules 5 and 8).
    pub(crate) fn membership(&self, user: &U, named: Option<Stint>) -> Result<Stint, Absence<U>> {
        match self.stint(user) {
            Some(stint) if named.is_none_or(|named| named == stint) => Ok(stint),
            Some(_) => Err(Absence::StintOver),
            None => Err(self.absence(user)),
        }
    }

    fn absence(&self, user: &U) -> Absence<U> {
        match self.departures.iter().find(|past| past.user == *user) {
            None => Absence::NoRecord,
            Some(PastMember { at, kicked_by: None, .. }) => Absence::Left { at: *at },
            Some(PastMember { at, kicked_by: Some(by), .. }) => {
                Absence::Kicked { by: by.clone(), at: *at }
            }
        }
    }

    /// What `stint` may read. See [`Log::since`] for the cost.
    pub(crate) fn history(&self, stint: Stint, page: Page) -> History<'_, U> {
        self.log.since(stint, page)
    }

    /// The whole log, for who has the group to archive.
    pub(crate) fn log(&self) -> &Log<U> {
        &self.log
    }

    /// The members, to be shared. O(1).
    pub(crate) fn share_members(&self) -> Map<U, Stint> {
        self.members.clone()
    }

    /// Takes in a user who is no member. O(log n).
    pub(crate) fn admit(&mut self, user: U, stint: Stint) {
        self.members.insert(user, stint);
    }

    /// Ends a membership and remembers it as one of the last `kept`. O(log n + kept).
    pub(crate) fn remove(&mut self, past: PastMember<U>, kept: u8) {
        self.members.remove(&past.user);
        if kept == 0 {
            return;
        }
        let known = self.departures.iter().position(|other| other.user == past.user);
        if let Some(at) = known.or((self.departures.len() >= usize::from(kept)).then_some(0)) {
            self.departures.remove(at);
        }
        self.departures.push(past);
    }

    /// Appends to the log. `before` is the stint that would begin next. O(log n).
    pub(crate) fn post(
        &mut self,
        author: U,
        message: Arc<str>,
        before: Stint,
        now: Timestamp,
    ) -> (Seq, Timestamp) {
        self.log.append(author, message, before, now)
    }

    /// Counts one more signal, and returns the version it carries.
    pub(crate) fn advance(&mut self) -> u64 {
        self.version = self.version.saturating_add(1);
        self.version
    }
}

/// A summary: a group may have a million members.
impl<U: Id> std::fmt::Debug for Group<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("owner", &self.owner)
            .field("version", &self.version)
            .field("members", &self.len())
            .field("entries", &self.log_len())
            .finish_non_exhaustive()
    }
}
