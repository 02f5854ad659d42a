//! One group: who owns it, who is in it, who was, and what they said.
//!
//! It admits and removes and hands out facts. It knows no other group, no rights and no signals.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bans::{Ban, Bans};
use crate::id::{Id, Seq, Stint};
use crate::log::{History, Log, Page, Retention};
use crate::options::{GroupOptions, HistoryAccess};
use crate::persistent::Map;
use crate::rank::Rank;
use crate::refusal::Absence;
use crate::roster::Roster;
use crate::time::Timestamp;

/// Entries past their retention that a post drops, at most. One would do: a post adds one.
const DROPPED: u64 = 4;

/// A group as it stands.
#[derive(Clone)]
pub struct Group<U: Id> {
    owner: U,
    options: GroupOptions,
    version: u64,
    /// The owner's first stint: whatever the index has of this id from before it is of a group that
    /// was dissolved. Nothing was before a snapshot is read, so it is not written.
    founded: Stint,
    members: Roster<U>,
    /// By stint, so that the senior one is the first, and a rank ends with its stint.
    admins: Map<Stint, U>,
    bans: Bans<U>,
    log: Log<U>,
    /// The last departures, one per user, the oldest first. A short array: a map of 64 of them
    /// took 4 kB a group, ten times what eight members take.
    departures: Vec<PastMember<U>>,
}

/// A departure that a group remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastMember<U> {
    /// Who is gone.
    pub user: U,
    /// When they went.
    pub at: Timestamp,
    /// Who kicked them; `None` if they left.
    pub kicked_by: Option<U>,
}

/// All that a group is made of, to be put together again.
pub(crate) struct GroupParts<U> {
    pub(crate) owner: U,
    pub(crate) options: GroupOptions,
    pub(crate) version: u64,
    pub(crate) members: Roster<U>,
    pub(crate) admins: Map<Stint, U>,
    pub(crate) bans: Vec<(U, Ban<U>)>,
    pub(crate) log: Log<U>,
    pub(crate) departures: Vec<PastMember<U>>,
}

/// What came of a post.
pub(crate) struct Posted {
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    /// How many older entries went.
    pub(crate) dropped: u64,
}

impl<U: Id> Group<U> {
    pub(crate) fn new(owner: U, stint: Stint, options: GroupOptions) -> Self {
        Group {
            members: Roster::new(owner.clone(), stint),
            owner,
            options,
            version: stint.0,
            founded: stint,
            admins: Map::new(),
            bans: Bans::new(),
            log: Log::new(),
            departures: Vec::new(),
        }
    }

    /// A group of these parts, which [`Engine::check`](crate::Engine::check) has yet to verify.
    pub(crate) fn from_parts(parts: GroupParts<U>) -> Self {
        let GroupParts { owner, options, version, members, admins, bans, log, departures } = parts;
        let bans = Bans::restore(bans);
        let founded = Stint(0);
        Group { owner, options, version, founded, members, admins, bans, log, departures }
    }

    /// The owner: always a member, and there is exactly one.
    #[must_use]
    pub fn owner(&self) -> &U {
        &self.owner
    }

    /// What was chosen for the group.
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
        self.members.get(user)
    }

    /// The members with their stints, by ascending id.
    pub fn members(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&U, Stint)> + ExactSizeIterator + Clone {
        self.members.iter()
    }

    /// The members after `user`, who need not be one, with their stints, by ascending id: how a
    /// page of members leads to the next. O(log n) to begin; a step is O(1), amortised.
    pub fn members_after(&self, user: &U) -> impl Iterator<Item = (&U, Stint)> {
        self.members.after(user)
    }

    /// The rank of `user`, if they are a member. O(log n).
    #[must_use]
    pub fn rank(&self, user: &U) -> Option<Rank> {
        if self.owner == *user {
            return Some(Rank::Owner);
        }
        let stint = self.members.get(user)?;
        Some(if self.admins.contains(&stint) { Rank::Admin } else { Rank::Member })
    }

    /// The admins with their stints, the senior one first.
    pub fn admins(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&U, Stint)> + ExactSizeIterator + Clone {
        self.admins.iter().map(|(stint, user)| (user, *stint))
    }

    /// The ban that bars `user`, if there is one. O(log bans).
    #[must_use]
    pub fn ban(&self, user: &U, now: Timestamp) -> Option<&Ban<U>> {
        self.bans.holding(user, now)
    }

    /// Who is barred from the group, by ascending id. A step walks over those whose ban is over but
    /// not yet cleaned.
    pub fn bans(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (&U, &Ban<U>)> {
        self.bans.iter(now)
    }

    /// How many entries the log has, those past their retention but not yet dropped among them.
    /// O(1).
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

    /// The stint of a member who may have named it; or why there is none.
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

    /// What `stint` may read. See [`Log::first_live`] and [`Log::page`] for the cost.
    pub(crate) fn history(&self, stint: Stint, page: Page, now: Timestamp) -> History<'_, U> {
        let since = match self.options.history {
            HistoryAccess::FromJoin => Some(stint),
            HistoryAccess::Full => None,
        };
        self.log.page(page, self.log.first_live(self.retention(), now), since)
    }

    /// How many entries will be within their retention with one more. O(log² n).
    pub(crate) fn entries_with_one_more(&self, now: Timestamp) -> u64 {
        let first = self.log.first_live(self.retention(), now);
        let one_more = self.log.next().0.saturating_sub(first.0).saturating_add(1);
        one_more.min(self.options.keep_entries.unwrap_or(u64::MAX))
    }

    fn retention(&self) -> Retention {
        Retention { entries: self.options.keep_entries, ms: self.options.keep_ms }
    }

    /// The whole log, for who has the group to archive.
    pub(crate) fn log(&self) -> &Log<U> {
        &self.log
    }

    /// The members, to be shared. O(1).
    pub(crate) fn share_members(&self) -> Roster<U> {
        self.members.clone()
    }

    /// Whether an index entry of this group's id with that stint is of this group, and not of one
    /// that was dissolved before it. O(1).
    pub(crate) fn knows(&self, stint: Stint) -> bool {
        stint >= self.founded
    }

    /// Who becomes owner if the owner goes: the admin with the longest unbroken membership. O(log n).
    pub(crate) fn heir(&self) -> Option<(&U, Stint)> {
        self.admins.first().map(|(stint, user)| (user, *stint))
    }

    /// The bans, also those that are over.
    pub(crate) fn all_bans(&self) -> &Bans<U> {
        &self.bans
    }

    /// Takes in a user who is no member and not banned. O(log n).
    pub(crate) fn admit(&mut self, user: U, stint: Stint, now: Timestamp) {
        self.unbar(&user, now);
        self.members.insert(user, stint);
    }

    /// Ends a membership, and the rank with it, and remembers it as one of the last `kept`.
    /// O(log n + kept).
    pub(crate) fn remove(&mut self, past: PastMember<U>, stint: Stint, kept: u8) {
        self.members.remove(&past.user);
        self.revoke(stint);
        if kept == 0 {
            return;
        }
        let known = self.departures.iter().position(|other| other.user == past.user);
        if let Some(at) = known.or((self.departures.len() >= usize::from(kept)).then_some(0)) {
            self.departures.remove(at);
        }
        self.departures.push(past);
    }

    /// Makes a member an admin. O(log n).
    pub(crate) fn appoint(&mut self, user: U, stint: Stint) {
        self.admins.insert(stint, user);
    }

    /// Makes an admin a member. O(log n).
    pub(crate) fn revoke(&mut self, stint: Stint) {
        if self.admins.contains(&stint) {
            self.admins.remove(&stint);
        }
    }

    /// Makes a member the owner. Whoever was keeps no rank by it. O(log n).
    pub(crate) fn hand_to(&mut self, heir: U, stint: Stint) {
        self.revoke(stint);
        self.owner = heir;
    }

    /// Changes the options. What was past its retention stays so, whatever the new one: it is
    /// dropped here, and how much is returned. O(log² n).
    pub(crate) fn set_options(&mut self, options: GroupOptions, now: Timestamp) -> u64 {
        let dropped = self.log.drop_expired(self.retention(), now, u64::MAX);
        self.options = options;
        dropped
    }

    /// Bars a user who is no member. O(log bans).
    pub(crate) fn bar(&mut self, user: U, ban: Ban<U>, now: Timestamp) {
        self.bans.put(user, ban, now);
    }

    /// Lets a user in again. O(log bans).
    pub(crate) fn unbar(&mut self, user: &U, now: Timestamp) {
        self.bans.lift(user);
        self.bans.clean(now);
    }

    /// Appends to the log, and drops a few entries past their retention. `before` is the stint that
    /// would begin next. O(log² n).
    pub(crate) fn post(
        &mut self,
        author: U,
        message: Arc<str>,
        before: Stint,
        now: Timestamp,
    ) -> Posted {
        let (seq, at) = self.log.append(author, message, before, now);
        Posted { seq, at, dropped: self.log.drop_expired(self.retention(), now, DROPPED) }
    }

    /// Counts one more signal, and returns the version it carries.
    pub(crate) fn advance(&mut self) -> u64 {
        self.version = self.version.saturating_add(1);
        self.version
    }
}

/// When it was founded is what the index goes by, and not part of the replicated state.
impl<U: Id> PartialEq for Group<U> {
    fn eq(&self, other: &Self) -> bool {
        let Group { owner, options, version, founded: _, members, admins, bans, log, departures } =
            self;
        *owner == other.owner
            && *options == other.options
            && *version == other.version
            && *members == other.members
            && *admins == other.admins
            && *bans == other.bans
            && *log == other.log
            && *departures == other.departures
    }
}

impl<U: Id> Eq for Group<U> {}

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
