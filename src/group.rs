//! One group: who owns it, who is in it, who was, and what they said.
//!
//! It admits and removes and hands out facts. It knows no other group, no rights and no signals.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bans::{Ban, Bans};
use crate::id::{Id, Seq, Stint};
use crate::log::{Entry, History, Log, Page, Retention};
use crate::map::Map;
use crate::options::{GroupOptions, HistoryAccess};
use crate::rank::Rank;
use crate::refusal::Absence;
use crate::time::Timestamp;
use crate::tree::Spot;

/// Entries past their retention that a post drops, at most. One would do: a post adds one.
const DROPPED: u64 = 4;

/// A group as it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct Group<U: Id> {
    owner: U,
    options: GroupOptions,
    version: u64,
    members: Map<U, Stint>,
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

/// All that a group is made of, as a snapshot has it: the one list of its fields, to be written and
/// to be read. Written, the sequences are walks over the group; read, they are lists.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "Group", deny_unknown_fields)]
pub(crate) struct GroupParts<
    U,
    Members = Vec<(U, Stint)>,
    Admins = Vec<(Stint, U)>,
    Bans = Vec<(U, Ban<U>)>,
    Departures = Vec<PastMember<U>>,
    Entries = Vec<Entry<U>>,
> {
    pub(crate) owner: U,
    pub(crate) options: GroupOptions,
    pub(crate) version: u64,
    /// Ascending, as are the admins and the bans.
    pub(crate) members: Members,
    pub(crate) admins: Admins,
    pub(crate) bans: Bans,
    /// The oldest first, as are the entries.
    pub(crate) departures: Departures,
    /// The number of the first entry.
    pub(crate) first: Seq,
    /// The time of the last entry there was.
    pub(crate) last_at: Timestamp,
    pub(crate) entries: Entries,
}

/// A member, looked up once for a whole command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) stint: Stint,
    pub(crate) rank: Rank,
    /// Their place among the members, until those change.
    spot: Spot,
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
            members: Map::from_ascending([(owner.clone(), stint)]),
            owner,
            options,
            version: stint.0,
            admins: Map::new(),
            bans: Bans::new(),
            log: Log::new(),
            departures: Vec::new(),
        }
    }

    /// A group of these parts, which [`Engine::check`](crate::Engine::check) has yet to verify.
    pub(crate) fn from_parts(parts: GroupParts<U>) -> Self {
        Group {
            owner: parts.owner,
            options: parts.options,
            version: parts.version,
            members: Map::from_ascending(parts.members),
            admins: Map::from_ascending(parts.admins),
            bans: Bans::from_ascending(parts.bans),
            log: Log::restore(parts.first, parts.last_at, parts.entries),
            departures: parts.departures,
        }
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
        self.members.get(user).copied()
    }

    /// The members with their stints, by ascending id.
    pub fn members(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&U, Stint)> + ExactSizeIterator + Clone {
        self.members.iter().map(|(user, stint)| (user, *stint))
    }

    /// The members after `user`, who need not be one, with their stints, by ascending id: how a
    /// page of members leads to the next. O(log n) to begin; a step is O(1), amortised.
    pub fn members_after(&self, user: &U) -> impl Iterator<Item = (&U, Stint)> {
        self.members.iter_after(user).map(|(user, stint)| (user, *stint))
    }

    /// The rank of `user`, if they are a member. O(log n).
    #[must_use]
    pub fn rank(&self, user: &U) -> Option<Rank> {
        self.member(user).ok().map(|member| member.rank)
    }

    /// The member `user`, or the spot where they would be one. O(log n).
    pub(crate) fn member(&self, user: &U) -> Result<Member, Spot> {
        let spot = self.members.find_by(user, |stint| *stint)?;
        let stint = *self.members.at(&spot).ok_or(spot)?;
        let rank = if self.owner == *user {
            Rank::Owner
        } else if self.admins.contains(&stint) {
            Rank::Admin
        } else {
            Rank::Member
        };
        Ok(Member { stint, rank, spot })
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

    /// The member `user`, who may have named their stint; or why they are none. O(log n).
    pub(crate) fn membership(&self, user: &U, named: Option<Stint>) -> Result<Member, Absence<U>> {
        match self.member(user) {
            Ok(member) if named.is_none_or(|named| named == member.stint) => Ok(member),
            Ok(_) => Err(Absence::StintOver),
            Err(_) => Err(self.absence(user)),
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
    pub(crate) fn share_members(&self) -> Map<U, Stint> {
        self.members.clone()
    }

    /// Who becomes owner if the owner goes: the admin with the longest unbroken membership. O(log n).
    pub(crate) fn heir(&self) -> Option<(&U, Stint)> {
        self.admins.first().map(|(stint, user)| (user, *stint))
    }

    /// Whether the members and admins are kept in order. O(n).
    pub(crate) fn is_in_order(&self) -> bool {
        self.members.is_sound() && self.admins.is_sound()
    }

    /// The bans, also those that are over.
    pub(crate) fn all_bans(&self) -> &Bans<U> {
        &self.bans
    }

    /// Takes in a user who is no member and not banned, at the spot where [`member`](Self::member)
    /// found that they belong. O(log n).
    pub(crate) fn admit(&mut self, spot: &Spot, user: U, stint: Stint, now: Timestamp) {
        self.unbar(&user, now);
        self.members.insert_at(spot, user, stint);
    }

    /// Ends a membership, and the rank with it, and remembers it as one of the last `kept`.
    /// O(log n + kept).
    pub(crate) fn remove(&mut self, member: &Member, past: PastMember<U>, kept: u8) {
        self.members.remove_at(&member.spot);
        if member.rank == Rank::Admin {
            self.admins.remove(&member.stint);
        }
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
        self.admins.remove(&stint);
    }

    /// Makes a member the owner. The old owner becomes a plain member. O(log n).
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

    /// Bans a user. If they are a member, the caller removes them next. O(log bans).
    pub(crate) fn bar(&mut self, user: U, ban: Ban<U>, now: Timestamp) {
        self.bans.put(user, ban, now);
    }

    /// Lets a user in again. O(log bans).
    pub(crate) fn unbar(&mut self, user: &U, now: Timestamp) {
        self.bans.lift(user, now);
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
