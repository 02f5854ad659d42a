//! One group: its owner, its members and ranks, its bans and mutes, its former members, its log.
//!
//! A group changes itself, and says which members get the signal of a change. It does not check who
//! may make the change, does not make signals, and does not know other groups.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::FusedIterator;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Id, Seq, Stint};
use crate::log::{Change, Dropped, Entry, History, Log, Page, Retention};
use crate::map::{Map, MapIter, MapWalk};
use crate::options::{Announce, GroupOptions, HistoryAccess};
use crate::rank::Rank;
use crate::refusal::Absence;
use crate::sanctions::{Ban, Mute, Sanctions};
use crate::time::Timestamp;
use crate::tree::Spot;

/// The most entries past their retention that a post drops. A post adds one, so four keep up.
const DROPPED: u64 = 4;

/// A group. [`Engine::group`](crate::Engine::group) returns it.
///
/// # Examples
/// ```
/// use disband::{Engine, Rank, Timestamp};
///
/// let mut engine = Engine::<String, String>::default();
/// let (alice, bob, now) = (|| "alice".to_owned(), || "bob".to_owned(), Timestamp(0));
/// engine.create(alice(), "general".into(), now)?.ignore_signals();
/// engine.join(bob(), "general".into(), now)?.ignore_signals();
/// engine.set_rank(alice(), "general".into(), bob(), Rank::Admin, now)?.ignore_signals();
///
/// let group = engine.group("general").unwrap();
/// assert_eq!((group.owner().as_str(), group.len()), ("alice", 2));
/// assert_eq!(group.rank("bob"), Some(Rank::Admin));
/// assert!(group.contains("bob") && group.stint("carol").is_none());
/// assert!(group.admins().map(|(user, _)| user).eq(["bob"]));
/// assert_eq!((group.log_len(), group.next_seq().0), (0, 0));
/// assert_eq!(group.options().owner_exit, disband::OwnerExit::Dissolve);
/// # Ok::<(), disband::Refusal<String, String>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Group<U: Id> {
    owner: U,
    options: GroupOptions,
    version: u64,
    members: Map<U, Stint>,
    /// By stint, so that the admin with the longest membership is the first.
    admins: Map<Stint, U>,
    /// The owner and the admins, by user, for audiences.
    staff: Map<U, Stint>,
    bans: Sanctions<U>,
    mutes: Sanctions<U>,
    log: Log<U>,
    /// The last departures (memberships that ended), one per user, the oldest first. There are at most
    /// 255, so a list is small enough to search.
    departures: Vec<PastMember<U>>,
}

/// A membership that ended, which a group remembers. [`Group::departures`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastMember<U> {
    /// The former member.
    pub user: U,
    /// When the membership ended.
    pub at: Timestamp,
    /// Who kicked them; `None` if they left.
    pub kicked_by: Option<U>,
}

/// The fields of a group in a snapshot, for writing and for reading. When writing, the sequences are
/// iterators over the group; when reading, they are lists.
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
    /// In ascending order, like the admins, the bans and the mutes.
    pub(crate) members: Members,
    pub(crate) admins: Admins,
    pub(crate) bans: Bans,
    #[serde(default)]
    pub(crate) mutes: Mutes,
    /// The oldest first, like the entries.
    pub(crate) departures: Departures,
    /// The number of the first entry.
    pub(crate) first: Seq,
    /// The time of the last entry, even if it was dropped.
    pub(crate) last_at: Timestamp,
    pub(crate) entries: Entries,
}

/// A member. A command looks each member up once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) stint: Stint,
    pub(crate) rank: Rank,
    /// The position in the map of members. It is valid until a member is added or removed.
    spot: Spot,
}

/// The result of a post.
pub(crate) struct Posted {
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    /// The entries that were dropped.
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

    /// Builds a group from a snapshot. It is not verified yet: [`Engine::check`](crate::Engine::check)
    /// does that.
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

    /// The owner. Every group has exactly one, who is always a member. [`Group`] has an example.
    #[must_use]
    pub fn owner(&self) -> &U {
        &self.owner
    }

    /// The options. [`Group`] has an example.
    #[must_use]
    pub fn options(&self) -> &GroupOptions {
        &self.options
    }

    /// The version of the last signal. Before the first signal it is the stint that the creator of the
    /// group got from `create`.
    ///
    /// A client that reads the members, their ranks and the owner, and then follows the signals after
    /// this version, misses no change of them. These changes do not increase the version: messages;
    /// options; unbans; bans, mutes and unmutes of users who are not members; and, in a
    /// [quiet](crate::Announce::Staff) group, plain members who join, leave or are kicked.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// let before = engine.group(&group).unwrap().version();
    /// let joined = engine.join(UserId(2), group, now)?;
    /// assert_eq!(joined.signals[0].version, before + 1);
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many members there are, including the owner. O(1). [`Group`] has an example.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a group has an owner, so it is never empty")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether `user` is a member. O(log n). [`Group`] has an example.
    #[must_use]
    pub fn contains<Q: Ord + ?Sized>(&self, user: &Q) -> bool
    where
        U: Borrow<Q>,
    {
        self.members.contains(user)
    }

    /// The stint of `user`, if they are a member. O(log n). [`Group`] has an example.
    #[must_use]
    pub fn stint<Q: Ord + ?Sized>(&self, user: &Q) -> Option<Stint>
    where
        U: Borrow<Q>,
    {
        self.members.get(user).copied()
    }

    /// The members with their stints, in ascending order of ids. O(1) to begin; a step is O(1),
    /// amortised. [`members_after`](Self::members_after) has an example.
    #[must_use]
    pub fn members(&self) -> Members<'_, U> {
        Members(self.members.iter())
    }

    /// The members whose id is larger than `last`, with their stints, in ascending order of ids. With
    /// `None` it begins at the first member. `last` need not be a member: the last member of one page
    /// leads to the next page, even if they left meanwhile. O(log n) to begin; a step is O(1),
    /// amortised.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (group, now) = (GroupId(7), Timestamp(1_000));
    /// engine.create(UserId(1), group, now)?.ignore_signals();
    /// for id in 2..=5 {
    ///     engine.join(UserId(id), group, now)?.ignore_signals();
    /// }
    ///
    /// let group = engine.group(&group).unwrap();
    /// let first: Vec<_> = group.members_after(None).take(2).map(|(user, _)| *user).collect();
    /// assert_eq!(first, [UserId(1), UserId(2)]);
    /// let second: Vec<_> = group.members_after(first.last()).take(2).map(|(user, _)| *user).collect();
    /// assert_eq!(second, [UserId(3), UserId(4)]);
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn members_after(&self, last: Option<&U>) -> MembersAfter<'_, U> {
        MembersAfter(self.members.iter_after(last))
    }

    /// The rank of `user`, if they are a member. O(log n). [`Group`] has an example.
    #[must_use]
    pub fn rank<Q: Ord + ?Sized>(&self, user: &Q) -> Option<Rank>
    where
        U: Borrow<Q>,
    {
        self.member(user).ok().map(|member| member.rank)
    }

    /// The member `user`, or the spot where they belong. O(log n).
    pub(crate) fn member<Q: Ord + ?Sized>(&self, user: &Q) -> Result<Member, Spot>
    where
        U: Borrow<Q>,
    {
        let spot = self.members.find_by(user, |stint| *stint)?;
        let stint = *self.members.at(&spot).ok_or(spot)?;
        let rank = if self.owner.borrow() == user {
            Rank::Owner
        } else if self.admins.contains(&stint) {
            Rank::Admin
        } else {
            Rank::Member
        };
        Ok(Member { stint, rank, spot })
    }

    /// The admins with their stints, the longest membership first. O(1) to begin; a step is O(1),
    /// amortised. [`Group`] has an example.
    pub fn admins(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&U, Stint)> + ExactSizeIterator + Clone {
        self.admins.iter().map(|(stint, user)| (user, *stint))
    }

    /// The ban of `user` in force at `now`, if there is one. O(log bans). [`mute`](Self::mute) has an
    /// example.
    #[must_use]
    pub fn ban<Q: Ord + ?Sized>(&self, user: &Q, now: Timestamp) -> Option<&Ban<U>>
    where
        U: Borrow<Q>,
    {
        self.bans.holding(user, now)
    }

    /// The bans in force at `now`, in ascending order of user ids. O(1) to begin; a step is O(1),
    /// amortised, and one more for each ban that it skips because it ended. [`mute`](Self::mute) has an
    /// example.
    pub fn bans(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (&U, &Ban<U>)> {
        self.bans.iter(now)
    }

    /// The mute of `user` in force at `now`, if there is one. O(log mutes).
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Mute, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, carol) = (UserId(1), UserId(2), UserId(3));
    /// let (group, now) = (GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.mute(alice, group, bob, None, now)?.ignore_signals();
    /// engine.ban(alice, group, carol, Some(now.after(9)), now)?.ignore_signals();
    ///
    /// let group = engine.group(&group).unwrap();
    /// assert_eq!(group.mute(&bob, now), Some(&Mute { by: alice, until: None }));
    /// assert!(group.mutes(now).map(|(user, _)| user).eq([&bob]));
    /// assert!(group.ban(&carol, now).is_some() && group.ban(&carol, now.after(9)).is_none());
    /// assert!(group.bans(now).map(|(user, _)| user).eq([&carol]));
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn mute<Q: Ord + ?Sized>(&self, user: &Q, now: Timestamp) -> Option<&Mute<U>>
    where
        U: Borrow<Q>,
    {
        self.mutes.holding(user, now)
    }

    /// The mutes in force at `now`, in ascending order of user ids. O(1) to begin; a step is O(1),
    /// amortised, and one more for each mute that it skips because it ended. [`mute`](Self::mute) has an
    /// example.
    pub fn mutes(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (&U, &Mute<U>)> {
        self.mutes.iter(now)
    }

    /// How many entries the log has, including those past their retention that are not dropped yet.
    /// O(1). [`Group`] has an example.
    #[must_use]
    pub fn log_len(&self) -> u64 {
        self.log.len()
    }

    /// The number of the next entry. O(1). [`Group`] has an example.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.log.next()
    }

    /// The departures that are remembered, the oldest first, one per user. Some of these users may be
    /// members again. At most [`Config::departures`](crate::Config::departures) are kept; after that
    /// number is lowered, the list is shortened at the group's next departure.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    /// engine.kick(alice, group, bob, now)?.ignore_signals();
    ///
    /// let [past] = engine.group(&group).unwrap().departures() else { panic!() };
    /// assert_eq!((past.user, past.at, past.kicked_by), (bob, now, Some(alice)));
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn departures(&self) -> &[PastMember<U>] {
        &self.departures
    }

    /// The member `user`, or why they are not a member. If a stint is given, it must be the present
    /// one. O(log n).
    pub(crate) fn membership<Q: Ord + ?Sized>(
        &self,
        user: &Q,
        stint: Option<Stint>,
    ) -> Result<Member, Absence<U>>
    where
        U: Borrow<Q>,
    {
        match self.member(user) {
            Ok(member) if stint.is_none_or(|stint| stint == member.stint) => Ok(member),
            Ok(_) => Err(Absence::StintOver),
            Err(_) => Err(self.absence(user)),
        }
    }

    fn absence<Q: Ord + ?Sized>(&self, user: &Q) -> Absence<U>
    where
        U: Borrow<Q>,
    {
        match self.departures.iter().find(|past| past.user.borrow() == user) {
            None => Absence::NoRecord,
            Some(PastMember { at, kicked_by: None, .. }) => Absence::Left { at: *at },
            Some(PastMember { at, kicked_by: Some(by), .. }) => {
                Absence::Kicked { by: by.clone(), at: *at }
            }
        }
    }

    /// The page of what the member with this stint may read. [`Log::first_live`] and [`Log::page`]
    /// have the cost.
    pub(crate) fn history(&self, stint: Stint, page: Page, now: Timestamp) -> History<'_, U> {
        self.log.page(page, self.log.first_live(self.retention(), now), self.reads_since(stint))
    }

    /// The entry `seq`, if the member with this stint may read it. O(log n).
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

    /// The whole log.
    pub(crate) fn log(&self) -> &Log<U> {
        &self.log
    }

    /// A clone of the map of members. O(1).
    pub(crate) fn share_members(&self) -> Map<U, Stint> {
        self.members.clone()
    }

    /// The user who becomes the owner if the owner leaves: the admin with the longest membership.
    /// O(log n).
    pub(crate) fn heir(&self) -> Option<(&U, Stint)> {
        self.admins.first().map(|(stint, user)| (user, *stint))
    }

    /// Whether the maps of members, admins and staff are correct. O(n).
    pub(crate) fn is_in_order(&self) -> bool {
        self.members.is_sound() && self.admins.is_sound() && self.staff.is_sound()
    }

    /// Whether every admin is a member with that stint and not the owner, and the staff are the owner
    /// and the admins. O(admins · log n).
    pub(crate) fn has_its_staff(&self) -> bool {
        let is_staff = |user: &U, stint| {
            self.stint(user) == Some(stint) && self.staff.get(user) == Some(&stint)
        };
        self.staff.len() == self.admins.len().saturating_add(1)
            && self.admins().all(|(user, stint)| is_staff(user, stint) && *user != self.owner)
            && self.stint(&self.owner).is_some_and(|stint| is_staff(&self.owner, stint))
    }

    /// The bans, including those that ended.
    pub(crate) fn all_bans(&self) -> &Sanctions<U> {
        &self.bans
    }

    /// The mutes, including those that ended.
    pub(crate) fn all_mutes(&self) -> &Sanctions<U> {
        &self.mutes
    }

    /// Adds a user who is not a member and not banned, at the spot that [`member`](Self::member)
    /// returned. O(log n).
    pub(crate) fn admit(&mut self, spot: &Spot, user: U, stint: Stint, now: Timestamp) {
        // A ban of the user that ended may still be stored, and a member must have none.
        self.bans.lift(&user, now);
        self.members.insert_at(spot, user, stint);
    }

    /// Ends a membership, and its rank with it. Remembers the departure and keeps the last `kept`.
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

    /// Makes a member the owner. The previous owner loses their rank: in a transfer the caller then
    /// makes them an admin, and in a succession they have left already. O(log n).
    pub(crate) fn hand_to(&mut self, heir: U, stint: Stint) {
        self.admins.remove(&stint);
        self.staff.insert(heir.clone(), stint);
        let previous = std::mem::replace(&mut self.owner, heir);
        self.staff.remove(&previous);
    }

    /// Sets the options. Entries past the old retention are dropped first, so that a longer new
    /// retention does not bring them back. O(log² n).
    pub(crate) fn set_options(&mut self, options: GroupOptions, now: Timestamp) -> Dropped {
        let dropped = self.log.drop_expired(self.retention(), now, u64::MAX);
        self.options = options;
        dropped
    }

    /// Bans a user. If they are a member, the caller must remove them next. O(log bans).
    pub(crate) fn put_ban(&mut self, user: U, ban: Ban<U>, now: Timestamp) {
        self.bans.put(user, ban, now);
    }

    /// Lifts the ban of a user. O(log bans).
    pub(crate) fn lift_ban(&mut self, user: &U, now: Timestamp) {
        self.bans.lift(user, now);
    }

    /// Mutes a user, who need not be a member. O(log mutes).
    pub(crate) fn put_mute(&mut self, user: U, mute: Mute<U>, now: Timestamp) {
        self.mutes.put(user, mute, now);
    }

    /// Lifts the mute of a user. O(log mutes).
    pub(crate) fn lift_mute(&mut self, user: &U, now: Timestamp) {
        self.mutes.lift(user, now);
    }

    /// Appends an entry, and drops a few entries past their retention. `before` is the next stint.
    /// O(log² n).
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

    /// What [`post`](Self::post) would drop. It works on a clone, which copies the open block of the
    /// log. O(log² n).
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

    /// Replaces the text of an entry. O(log² n).
    pub(crate) fn rewrite(&mut self, seq: Seq, message: Arc<str>, change: Change<U>) {
        self.log.rewrite(seq, message, change);
    }

    /// Whether only the staff gets the signals that a member of this rank joined or left.
    pub(crate) fn is_quiet_about(&self, rank: Rank) -> bool {
        rank == Rank::Member && self.options.announce == Announce::Staff
    }

    /// The version and the audience of a signal that a member of this rank joined or left. Increases
    /// the version unless the group is quiet about that rank. O(1).
    pub(crate) fn announce_join_or_leave(&mut self, rank: Rank) -> (u64, Map<U, Stint>) {
        if self.is_quiet_about(rank) {
            (self.version, self.staff.clone())
        } else {
            (self.advance(), self.members.clone())
        }
    }

    /// Increases the version for one more signal, and returns it.
    pub(crate) fn advance(&mut self) -> u64 {
        self.version = self.version.saturating_add(1);
        self.version
    }
}

/// Hashes a few fields only, so it is O(1).
impl<U: Id + Hash> Hash for Group<U> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.owner, self.version, self.len(), self.next_seq()).hash(state);
    }
}

/// The members of a group with their stints, in ascending order of ids. [`Group::members`] returns
/// it.
#[derive(Clone)]
pub struct Members<'a, U: Id>(MapIter<'a, U, Stint>);

impl<'a, U: Id> Iterator for Members<'a, U> {
    type Item = (&'a U, Stint);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(user, stint)| (user, *stint))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, start: B, mut with: F) -> B {
        self.0.fold(start, |so_far, (user, stint)| with(so_far, (user, *stint)))
    }
}

impl<U: Id> DoubleEndedIterator for Members<'_, U> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(user, stint)| (user, *stint))
    }
}

impl<U: Id> ExactSizeIterator for Members<'_, U> {}
impl<U: Id> FusedIterator for Members<'_, U> {}

impl<U: Id> fmt::Debug for Members<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("left", &self.len()).finish_non_exhaustive()
    }
}

/// The members of a group after one of them, with their stints, in ascending order of ids.
/// [`Group::members_after`] returns it.
#[derive(Clone)]
pub struct MembersAfter<'a, U: Id>(MapWalk<'a, U, Stint>);

impl<'a, U: Id> Iterator for MembersAfter<'a, U> {
    type Item = (&'a U, Stint);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(user, stint)| (user, *stint))
    }
}

impl<U: Id> FusedIterator for MembersAfter<'_, U> {}

impl<U: Id> fmt::Debug for MembersAfter<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembersAfter").finish_non_exhaustive()
    }
}

/// A summary, since a group may have a million members.
impl<U: Id> fmt::Debug for Group<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("owner", &self.owner)
            .field("version", &self.version)
            .field("members", &self.len())
            .field("entries", &self.log_len())
            .finish_non_exhaustive()
    }
}
