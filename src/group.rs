//! One group: who owns it, who is in it, who was, and what they said.
//!
//! It admits and removes and hands out facts. It knows no other group, no rights and no signals.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Id, Seq, Stint};
use crate::log::{Change, Dropped, Entry, History, Log, Page, Retention};
use crate::map::Map;
use crate::options::{Announce, GroupOptions, HistoryAccess};
use crate::rank::Rank;
use crate::refusal::Absence;
use crate::sanctions::{Ban, Mute, Sanctions};
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
    /// The owner and the admins, as an audience needs them.
    staff: Map<U, Stint>,
    bans: Sanctions<U>,
    mutes: Sanctions<U>,
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
    Mutes = Vec<(U, Mute<U>)>,
    Departures = Vec<PastMember<U>>,
    Entries = Vec<Entry<U>>,
> {
    pub(crate) owner: U,
    pub(crate) options: GroupOptions,
    pub(crate) version: u64,
    /// Ascending, as are the admins, the bans and the mutes.
    pub(crate) members: Members,
    pub(crate) admins: Admins,
    pub(crate) bans: Bans,
    #[serde(default)]
    pub(crate) mutes: Mutes,
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
    /// The entries that went.
    pub(crate) dropped: Dropped,
}

impl<U: Id> Group<U> {
    pub(crate) fn new(owner: U, stint: Stint, options: GroupOptions) -> Self {
        Group {
            members: Map::from_ascending([(owner.clone(), stint)]),
            staff: Map::from_ascending([(owner.clone(), stint)]),
            owner,
            options,
            version: stint.0,
            admins: Map::new(),
            bans: Sanctions::new(),
            mutes: Sanctions::new(),
            log: Log::new(),
            departures: Vec::new(),
        }
    }

    /// A group of these parts, which [`Engine::check`](crate::Engine::check) has yet to verify.
    pub(crate) fn from_parts(parts: GroupParts<U>) -> Self {
        let members = Map::from_ascending(parts.members);
        let admins = parts.admins.iter().map(|(_, user)| user);
        let mut staff: Vec<U> = admins.chain([&parts.owner]).cloned().collect();
        staff.sort_unstable();
        staff.dedup();
        let with_stint = |user: U| {
            let stint = members.get(&user).copied().unwrap_or(Stint(0));
            (user, stint)
        };
        Group {
            staff: Map::from_ascending(staff.into_iter().map(with_stint)),
            owner: parts.owner,
            options: parts.options,
            version: parts.version,
            admins: Map::from_ascending(parts.admins),
            bans: Sanctions::from_ascending(parts.bans),
            mutes: Sanctions::from_ascending(parts.mutes),
            log: Log::restore(parts.first, parts.last_at, parts.entries),
            departures: parts.departures,
            members,
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

    /// The version of the last signal, or the owner's first stint before any. A client that reads
    /// the group and then follows the signals after this version has missed nothing of it but what
    /// has no version of its own: messages and, in a [quiet](crate::Announce::Staff) group, the
    /// coming and going of plain members. Their signals repeat the present version.
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

    /// The mute that `user` is under, if there is one. O(log mutes).
    #[must_use]
    pub fn mute(&self, user: &U, now: Timestamp) -> Option<&Mute<U>> {
        self.mutes.holding(user, now)
    }

    /// Who may not post or edit, by ascending id. A step walks over those whose mute is over but not yet
    /// cleaned.
    pub fn mutes(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (&U, &Mute<U>)> {
        self.mutes.iter(now)
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
    /// [`Config::departures`](crate::Config) said at the last of them. That some of them are members
    /// again is no contradiction.
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
        self.log.page(page, self.log.first_live(self.retention(), now), self.reads_since(stint))
    }

    /// The entry `seq`, if `stint` may read it. O(log n).
    pub(crate) fn entry(&self, stint: Stint, seq: Seq, now: Timestamp) -> Option<&Entry<U>> {
        self.log.live(seq, self.retention(), self.reads_since(stint), now)
    }

    fn reads_since(&self, stint: Stint) -> Option<Stint> {
        match self.options.history {
            HistoryAccess::FromJoin => Some(stint),
            HistoryAccess::Full => None,
        }
    }

    /// How many entries are within their retention. O(log² n).
    pub(crate) fn live_entries(&self, now: Timestamp) -> u64 {
        let first = self.log.first_live(self.retention(), now);
        self.log.next().0.saturating_sub(first.0)
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

    /// Whether the members, the admins and the staff are kept in order. O(n).
    pub(crate) fn is_in_order(&self) -> bool {
        self.members.is_sound() && self.admins.is_sound() && self.staff.is_sound()
    }

    /// Whether every admin is a member under that stint and not the owner, and the staff are the
    /// admins and the owner. O(admins · log n).
    pub(crate) fn has_its_staff(&self) -> bool {
        let is_staff = |user: &U, stint| {
            self.stint(user) == Some(stint) && self.staff.get(user) == Some(&stint)
        };
        self.staff.len() == self.admins.len().saturating_add(1)
            && self.admins().all(|(user, stint)| is_staff(user, stint) && *user != self.owner)
            && self.stint(&self.owner).is_some_and(|stint| is_staff(&self.owner, stint))
    }

    /// The bans, also those that are over.
    pub(crate) fn all_bans(&self) -> &Sanctions<U> {
        &self.bans
    }

    /// The mutes, also those that are over.
    pub(crate) fn all_mutes(&self) -> &Sanctions<U> {
        &self.mutes
    }

    /// Takes in a user who is no member and not banned, at the spot where [`member`](Self::member)
    /// found that they belong. O(log n).
    pub(crate) fn admit(&mut self, spot: &Spot, user: U, stint: Stint, now: Timestamp) {
        self.bans.lift(&user, now);
        self.members.insert_at(spot, user, stint);
    }

    /// Ends a membership, and the rank with it, and remembers it as one of the last `kept`.
    /// O(log n + kept).
    pub(crate) fn remove(&mut self, member: &Member, past: PastMember<U>, kept: u8) {
        self.members.remove_at(&member.spot);
        if member.rank > Rank::Member {
            self.admins.remove(&member.stint);
            self.staff.remove(&past.user);
        }
        let kept = usize::from(kept);
        let known = self.departures.iter().position(|other| other.user == past.user);
        if let Some(at) = known {
            self.departures.remove(at);
        }
        let over = self.departures.len().saturating_add(1).saturating_sub(kept);
        self.departures.drain(..over.min(self.departures.len()));
        if kept > 0 {
            self.departures.push(past);
        }
    }

    /// Makes a member an admin. O(log n).
    pub(crate) fn appoint(&mut self, user: U, stint: Stint) {
        self.staff.insert(user.clone(), stint);
        self.admins.insert(stint, user);
    }

    /// Makes an admin a member. O(log n).
    pub(crate) fn revoke(&mut self, user: &U, stint: Stint) {
        self.staff.remove(user);
        self.admins.remove(&stint);
    }

    /// Makes a member the owner. The old owner becomes a plain member. O(log n).
    pub(crate) fn hand_to(&mut self, heir: U, stint: Stint) {
        self.admins.remove(&stint);
        self.staff.insert(heir.clone(), stint);
        let previous = std::mem::replace(&mut self.owner, heir);
        self.staff.remove(&previous);
    }

    /// Changes the options. What was past its retention stays so, whatever the new one: it is
    /// dropped here. O(log² n).
    pub(crate) fn set_options(&mut self, options: GroupOptions, now: Timestamp) -> Dropped {
        let dropped = self.log.drop_expired(self.retention(), now, u64::MAX);
        self.options = options;
        dropped
    }

    /// Bans a user. If they are a member, the caller removes them next. O(log bans).
    pub(crate) fn put_ban(&mut self, user: U, ban: Ban<U>, now: Timestamp) {
        self.bans.put(user, ban, now);
    }

    /// Lets a user in again. O(log bans).
    pub(crate) fn lift_ban(&mut self, user: &U, now: Timestamp) {
        self.bans.lift(user, now);
    }

    /// Mutes a user, member or not. O(log mutes).
    pub(crate) fn put_mute(&mut self, user: U, mute: Mute<U>, now: Timestamp) {
        self.mutes.put(user, mute, now);
    }

    /// Lets a user post again. O(log mutes).
    pub(crate) fn lift_mute(&mut self, user: &U, now: Timestamp) {
        self.mutes.lift(user, now);
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

    /// What [`post`](Self::post) would drop, without posting. It copies the open block of the log.
    /// O(log² n).
    pub(crate) fn dropped_by_post(
        &self,
        author: U,
        message: Arc<str>,
        before: Stint,
        now: Timestamp,
    ) -> Dropped {
        let mut log = self.log.clone();
        log.append(author, message, before, now);
        log.drop_expired(self.retention(), now, DROPPED)
    }

    /// Gives an entry another text. O(log² n).
    pub(crate) fn rewrite(&mut self, seq: Seq, message: Arc<str>, change: Change<U>) {
        self.log.rewrite(seq, message, change);
    }

    /// Whether only the staff hears of the coming and going of somebody of this rank.
    pub(crate) fn is_quiet_about(&self, rank: Rank) -> bool {
        rank == Rank::Member && self.options.announce == Announce::Staff
    }

    /// For a signal about the coming or going of somebody of this rank: the version that it carries,
    /// and who hears of it. O(1).
    pub(crate) fn hearers_of_move(&mut self, rank: Rank) -> (u64, Map<U, Stint>) {
        if self.is_quiet_about(rank) {
            (self.version, self.staff.clone())
        } else {
            (self.advance(), self.members.clone())
        }
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
