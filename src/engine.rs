//! The engine: every command and every read, in one place.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::FusedIterator;
use std::sync::Arc;

use crate::command::Command;
use crate::config::{Config, ConfigError};
use crate::directory::{GroupsOf, Share};
use crate::farewell::Farewell;
use crate::group::Group;
use crate::id::{GroupId, Id, Seq, Stint, UserId};
use crate::limiter::{ForgottenCells, Limiter};
use crate::log::{History, Page};
use crate::options::GroupOptions;
use crate::outcome::{BatchResult, CommandResult, Departure, Dissolved, Outcome, Reply};
use crate::quota::Operation;
use crate::rank::Rank;
use crate::refusal::{BatchRefusal, Refusal};
use crate::state::{GroupsIter, State};
use crate::stats::Stats;
use crate::time::Timestamp;

/// All groups with their members and logs, and the commands on them.
///
/// A command takes the user who acts, the group, further arguments, and the time, in this order. It
/// returns an [`Outcome`](crate::Outcome) with the signals to deliver, or a [`Refusal`]. A refused
/// command changes nothing that a host can see of groups, memberships, logs, bans and mutes.
///
/// - commands of every user: [`create`](Self::create), [`join`](Self::join),
///   [`leave`](Self::leave), [`leave_stint`](Self::leave_stint), [`leave_all`](Self::leave_all),
///   [`post`](Self::post), [`edit`](Self::edit), [`erase`](Self::erase)
/// - commands of admins: [`add`](Self::add), [`kick`](Self::kick), [`ban`](Self::ban),
///   [`unban`](Self::unban), [`mute`](Self::mute), [`unmute`](Self::unmute)
/// - commands of the owner: [`set_rank`](Self::set_rank), [`set_options`](Self::set_options),
///   [`transfer`](Self::transfer), [`dissolve`](Self::dissolve)
/// - commands as data: [`apply`](Self::apply), [`apply_all`](Self::apply_all),
///   [`preview`](Self::preview)
/// - reads: [`history`](Self::history), [`group`](Self::group), [`groups`](Self::groups),
///   [`groups_after`](Self::groups_after), [`groups_of`](Self::groups_of), [`owned_by`](Self::owned_by), [`config`](Self::config),
///   [`stats`](Self::stats)
/// - for the host: [`set_config`](Self::set_config), [`charge`](Self::charge),
///   [`sweep`](Self::sweep), [`check`](Self::check)
///
/// # Cloning
/// A clone is a snapshot. It can be read or kept, and it accepts commands like the original, also on
/// another thread. Cloning is O(1). With ids that clone without allocating (numbers, `Uuid`,
/// `Arc<str>`) it allocates nothing. The clone and the original share what they have in common: while
/// both are alive, a command copies the few nodes on the path to what it changes.
///
/// # Equality
/// Two engines are equal if they have the same configuration, groups, tombstones (records of
/// dissolved groups), rate cells and counters. Equal engines give the same result for every future
/// command. The index from users to groups is derived from the groups and is not compared.
///
/// # Costs
/// n is the number of members of the group, or of entries in its log. N is the number of memberships,
/// rate cells, bans, mutes and remembered dissolved groups in the engine. Costs count comparisons of
/// ids.
#[derive(Clone)]
pub struct Engine<U: Id = UserId, G: Id = GroupId> {
    state: State<U, G>,
    limiter: Limiter<U, G>,
}

impl<U: Id, G: Id> Engine<U, G> {
    /// An engine without groups. `Engine::default()` has the default configuration. [`Limits`] has an
    /// example.
    ///
    /// [`Limits`]: crate::Limits
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Engine { state: State::new(config), limiter: Limiter::new() }
    }

    /// Creates a group with the default options; see [`create_with`](Self::create_with).
    ///
    /// # Errors
    /// Those of [`create_with`](Self::create_with).
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// assert_eq!(engine.group(&group).unwrap().owner(), &alice);
    /// assert_eq!(engine.create(alice, group, now), Err(Refusal::GroupExists));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn create(&mut self, owner: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.create_with(owner, group, GroupOptions::default(), now)
    }

    /// Creates a group. `owner` is its first member. Returns the [`Stint`] of `owner`: the number of
    /// this membership. O(log N).
    /// [`add`](Self::add) has an example.
    ///
    /// Signals: none.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 409 [`GroupExists`](Refusal::GroupExists); [`IdReserved`](Refusal::IdReserved) if a group with
    ///   this id was dissolved and is still remembered
    /// - 413 [`OverLimit`](Refusal::OverLimit): members per group, groups per user, memberships in
    ///   total
    pub fn create_with(
        &mut self,
        owner: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Create, &owner, Some(&group), now)?;
        self.state.create(owner, group, options, now)
    }

    /// Makes `user` a member. Returns the [`Stint`] of `user`: the number of this membership. O(log N).
    ///
    /// Signals: `MemberJoin` from `user`, to the other members; in a
    /// [quiet](crate::Announce::Staff) group, to the owner and the admins.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 403 [`Banned`](Refusal::Banned); [`Closed`](Refusal::Closed) if the group's
    ///   [`Admission`](crate::Admission) says so
    /// - 409 [`AlreadyMember`](Refusal::AlreadyMember)
    /// - 413 [`OverLimit`](Refusal::OverLimit): members per group, groups per user, memberships in
    ///   total
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    ///
    /// let joined = engine.join(bob, group, now)?;
    /// assert!(joined.signals[0].audience.iter().eq([&alice]));
    /// assert_eq!(engine.join(bob, group, now), Err(Refusal::AlreadyMember));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Join, &user, Some(&group), now)?;
        self.state.join(user, group, now)
    }

    /// `by` makes `user` a member, in open and closed groups alike. `by` needs at least the rank
    /// [`GroupOptions::add`](crate::GroupOptions::add). Returns the stint of `user`. O(log N).
    ///
    /// Invitations and requests to join are the host's. Once they are accepted, the host calls this.
    ///
    /// Signals: `MemberJoin` from `user`, to every member but `by`; in a
    /// [quiet](crate::Announce::Staff) group, to `user` and to the owner and the admins but `by`.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin), [`NotOwner`](Refusal::NotOwner)
    /// - 409 [`AlreadyMember`](Refusal::AlreadyMember), of `user`;
    ///   [`TargetBanned`](Refusal::TargetBanned) until the ban of `user` ends or is lifted
    /// - 413 [`OverLimit`](Refusal::OverLimit): members per group, groups per user (of `user`),
    ///   memberships in total
    ///
    /// # Examples
    /// ```
    /// use disband::{Admission, Engine, GroupId, GroupOptions, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// let options = GroupOptions { admission: Admission::Closed, ..GroupOptions::default() };
    /// engine.create_with(alice, group, options, now)?.ignore_signals();
    /// assert_eq!(engine.join(bob, group, now), Err(Refusal::Closed));
    ///
    /// let added = engine.add(alice, group, bob, now)?;
    /// assert_eq!(added.signals[0].audience.iter().collect::<Vec<_>>(), [&bob]);
    /// assert_eq!((&added.signals[0].from, added.signals[0].actor()), (&bob, &alice));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn add(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Add, &by, Some(&group), now)?;
        self.state.add(by, group, user, now)
    }

    /// Ends the membership of `user`. If `user` owns the group, its [`OwnerExit`](crate::OwnerExit)
    /// decides: the group is dissolved, or the admin with the longest membership becomes the owner, or
    /// the command is refused.
    ///
    /// If the group is dissolved, the result owns it, with all members and the whole log. The engine
    /// does not hold them any more. O(log N) for a group of any size. If no clone of the engine is
    /// alive, the number of allocations does not depend on the group.
    ///
    /// Signals, if the group continues: `MemberLeave` from `user`, and, if an admin becomes the owner,
    /// `OwnerChange` from that admin. Both go to the remaining members. In a
    /// [quiet](crate::Announce::Staff) group, the `MemberLeave` of a plain member goes only to the
    /// owner and the admins.
    ///
    /// Signals, if the group is dissolved: `MemberKick` from and by `user`, then `HistoryPurge`. Both
    /// go to every other member. If there is no other member, their audience is empty.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 409 [`OwnerMustStay`](Refusal::OwnerMustStay)
    ///
    /// # Examples
    /// ```
    /// use disband::{Departure, Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, carol, group, now) = (UserId(1), UserId(2), UserId(3), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    /// engine.join(carol, group, now)?.ignore_signals();
    ///
    /// let left = engine.leave(bob, group, now)?;
    /// assert!(matches!(left.value, Departure::Left { .. }));
    /// assert!(left.signals[0].audience.iter().eq([&alice, &carol]));
    ///
    /// // The owner leaves, so the group is dissolved.
    /// let left = engine.leave(alice, group, now)?;
    /// let Departure::Dissolved(dissolved) = left.value else { panic!() };
    /// assert_eq!(dissolved.summary().members, 2);
    /// let names: Vec<_> = left.signals.iter().map(|signal| signal.event.name()).collect();
    /// assert_eq!(names, ["memberkick", "historypurge"]);
    /// assert!(left.signals[0].audience.iter().eq([&carol]));
    /// assert!(engine.group(&group).is_none());
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn leave(
        &mut self,
        user: U,
        group: G,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        self.charge(Operation::Leave, &user, Some(&group), now)?;
        self.state.leave(user, group, None, now)
    }

    /// [`leave`](Self::leave), if `stint` is the user's present membership. So a request that is
    /// delayed or repeated cannot end a newer membership.
    ///
    /// Signals: as for [`leave`](Self::leave).
    ///
    /// # Errors
    /// Those of [`leave`](Self::leave); [`NotMember`](Refusal::NotMember) with
    /// [`StintOver`](crate::Absence::StintOver) if `user` is a member under another stint.
    ///
    /// # Examples
    /// ```
    /// use disband::{Absence, Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    ///
    /// let bob = UserId(2);
    /// let first = engine.join(bob, group, now)?.ignore_signals();
    /// engine.leave_stint(bob, group, first, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// // The same request comes again, late. It ends nothing.
    /// let again = engine.leave_stint(bob, group, first, now);
    /// assert_eq!(again, Err(Refusal::NotMember(Absence::StintOver)));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn leave_stint(
        &mut self,
        user: U,
        group: G,
        stint: Stint,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        self.charge(Operation::Leave, &user, Some(&group), now)?;
        self.state.leave(user, group, Some(stint), now)
    }

    /// Ends the membership of `user`, who must have a lower rank than `by`. Returns the stint that
    /// ended. O(log N).
    ///
    /// Signals: `MemberKick` from `user`, to the remaining members and `user`; in a
    /// [quiet](crate::Announce::Staff) group, if `user` was a plain member, to the owner, the admins
    /// and `user`.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` has the same
    ///   or a higher rank, or is `by`
    /// - 400 [`TargetNotMember`](Refusal::TargetNotMember), of `user`
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, Event, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let kicked = engine.kick(alice, group, bob, now)?;
    /// assert!(kicked.signals[0].audience.iter().eq([&alice, &bob]));
    /// assert_eq!(kicked.signals[0].event, Event::MemberKick { by: alice });
    /// assert_eq!(engine.kick(alice, group, alice, now), Err(Refusal::Outranked));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn kick(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Kick, &by, Some(&group), now)?;
        self.state.kick(by, group, user, now)
    }

    /// Appends a message to the log. Drops up to four entries past their *retention*: those that
    /// [`keep_entries`](crate::GroupOptions::keep_entries) or `keep_ms` no longer keeps.
    /// Returns the number of its entry. The time of the entry is the later of `now` and the time of
    /// the entry before it. An empty message is allowed. O(log N + log² n).
    ///
    /// Signals: `MessagePost` from `author`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotAdmin`](Refusal::NotAdmin), [`NotOwner`](Refusal::NotOwner) if the rank of `author`
    ///   is below [`GroupOptions::post`](crate::GroupOptions::post); [`Muted`](Refusal::Muted)
    /// - 413 [`OverLimit`](Refusal::OverLimit): message bytes, entries per group, message bytes in
    ///   total
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Seq, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let posted = engine.post(alice, group, "hello", now)?;
    /// assert_eq!(posted.value, Seq(0));
    /// assert!(posted.signals[0].audience.iter().eq([&bob]));
    /// assert_eq!(engine.post(UserId(9), group, "hello", now).unwrap_err().code(), 400);
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn post(
        &mut self,
        author: U,
        group: G,
        message: impl Into<Arc<str>>,
        now: Timestamp,
    ) -> CommandResult<Seq, U, G> {
        self.charge(Operation::Post, &author, Some(&group), now)?;
        self.state.post(author, group, message.into(), now)
    }

    /// Replaces the text of a message. Only its author may do this, and only while they may read the
    /// entry. The entry keeps its number, its time and its author.
    /// [`Entry::edited`](crate::Entry::edited) is then the later of `now` and the entry's time. The
    /// old text is freed when no signal and no clone of the engine holds it any more.
    /// O(log N + log² n); while a clone of the engine is alive, a block of 32 entries is copied.
    ///
    /// Signals: `MessageEdit` from `author`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 404 [`NoSuchEntry`](Refusal::NoSuchEntry) if the entry does not exist, or `author` may not
    ///   read it
    /// - 403 [`Muted`](Refusal::Muted); [`NotAuthor`](Refusal::NotAuthor)
    /// - 409 [`AlreadyErased`](Refusal::AlreadyErased)
    /// - 413 [`OverLimit`](Refusal::OverLimit): message bytes, message bytes in total
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Page, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// let seq = engine.post(alice, group, "helo", now)?.value;
    /// engine.edit(alice, group, seq, "hello", now.after(5))?.ignore_signals();
    ///
    /// let (_, entry) = engine.history(&alice, &group, Page::newest(1), now)?.next().unwrap();
    /// assert_eq!((&*entry.message, entry.edited()), ("hello", Some(now.after(5))));
    ///
    /// engine.erase(alice, group, seq, now.after(9))?.ignore_signals();
    /// let (_, entry) = engine.history(&alice, &group, Page::newest(1), now)?.next().unwrap();
    /// assert_eq!((&*entry.message, entry.erased_by()), ("", Some(&alice)));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn edit(
        &mut self,
        author: U,
        group: G,
        seq: Seq,
        message: impl Into<Arc<str>>,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        self.charge(Operation::Edit, &author, Some(&group), now)?;
        self.state.edit(author, group, seq, message.into(), now)
    }

    /// Removes the text of a message. Its author may do this, or a member whose rank is higher than
    /// the author's present rank. An author who is not a member any more has no rank, so any admin
    /// may. The entry keeps its number, its time and its author, and
    /// [`Entry::erased_by`](crate::Entry::erased_by) is then `by`. The engine does not hold the text
    /// any more, but signals that are not delivered yet and clones of the engine may.
    /// O(log N + log² n); while a clone of the engine is alive, a block of 32 entries is copied.
    /// [`edit`](Self::edit) has an example.
    ///
    /// Signals: `MessageErase` from `by`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 404 [`NoSuchEntry`](Refusal::NoSuchEntry) if the entry does not exist, or `by` may not read it
    /// - 403 [`NotAuthor`](Refusal::NotAuthor) if `by` is a plain member and not the author;
    ///   [`Outranked`](Refusal::Outranked) if the author has the same or a higher rank
    /// - 409 [`AlreadyErased`](Refusal::AlreadyErased)
    pub fn erase(&mut self, by: U, group: G, seq: Seq, now: Timestamp) -> CommandResult<(), U, G> {
        self.charge(Operation::Erase, &by, Some(&group), now)?;
        self.state.erase(by, group, seq, now)
    }

    /// Dissolves a group, also if its [`OwnerExit`](crate::OwnerExit) would not. Returns the group with
    /// all that was in it. O(log N) for a group of any size.
    ///
    /// `farewell` is a note and a successor for the members and for users who later send a command
    /// to the group; [`Farewell::NONE`] has neither.
    ///
    /// Signals: `MemberKick` from and by `owner`, then `HistoryPurge` with the farewell, both to
    /// every other member.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner)
    /// - 413 [`OverLimit`](Refusal::OverLimit): note bytes
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, Farewell, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// let farewell = Farewell { note: Some("we have moved".into()), successor: Some(GroupId(8)) };
    /// engine.dissolve(alice, group, farewell, now)?.ignore_signals();
    ///
    /// let Err(Refusal::Dissolved { successor, .. }) = engine.join(UserId(2), group, now) else {
    ///     panic!()
    /// };
    /// assert_eq!(successor, Some(GroupId(8)));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn dissolve(
        &mut self,
        owner: U,
        group: G,
        farewell: Farewell<G>,
        now: Timestamp,
    ) -> CommandResult<Dissolved<U>, U, G> {
        self.charge(Operation::Dissolve, &owner, Some(&group), now)?;
        self.state.dissolve(owner, group, farewell, now)
    }

    /// Makes `user` the owner. The previous owner becomes an admin. O(log N).
    ///
    /// Signals: `OwnerChange` from `user`, to every member.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner)
    /// - 400 [`TargetNotMember`](Refusal::TargetNotMember)
    /// - 409 [`AlreadyOwner`](Refusal::AlreadyOwner)
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Rank, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// engine.transfer(alice, group, bob, now)?.ignore_signals();
    /// let group = engine.group(&group).unwrap();
    /// assert_eq!((group.owner(), group.rank(&alice)), (&bob, Some(Rank::Admin)));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn transfer(
        &mut self,
        owner: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        self.charge(Operation::Transfer, &owner, Some(&group), now)?;
        self.state.transfer(owner, group, user, now)
    }

    /// Makes a member an admin, or an admin a plain member. Only the owner may do this. O(log N).
    ///
    /// Signals: `RankChange` from `user`, to every member.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner); [`Outranked`](Refusal::Outranked) if `user` is the
    ///   owner, or `rank` is [`Rank::Owner`] (use [`transfer`](Self::transfer))
    /// - 400 [`TargetNotMember`](Refusal::TargetNotMember)
    /// - 409 [`AlreadyRanked`](Refusal::AlreadyRanked)
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Rank, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let ranked = engine.set_rank(alice, group, bob, Rank::Admin, now)?;
    /// assert!(ranked.signals[0].audience.iter().eq([&alice, &bob]));
    /// assert_eq!(engine.group(&group).unwrap().rank(&bob), Some(Rank::Admin));
    /// let again = engine.set_rank(alice, group, bob, Rank::Admin, now);
    /// assert_eq!(again, Err(Refusal::AlreadyRanked));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn set_rank(
        &mut self,
        by: U,
        group: G,
        user: U,
        rank: Rank,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        self.charge(Operation::SetRank, &by, Some(&group), now)?;
        self.state.set_rank(by, group, user, rank, now)
    }

    /// Replaces all options of a group. Entries past the old retention stay unreadable, even if the
    /// new retention is longer. Their memory is freed a few blocks at a time, here and with each post.
    /// O(log N + log² n).
    ///
    /// Signals: none.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner)
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, GroupOptions, Rank, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let options = GroupOptions { post: Rank::Admin, ..*engine.group(&group).unwrap().options() };
    /// engine.set_options(alice, group, options, now)?.ignore_signals();
    /// assert_eq!(engine.post(bob, group, "hello", now), Err(Refusal::NotAdmin));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn set_options(
        &mut self,
        by: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        self.charge(Operation::SetOptions, &by, Some(&group), now)?;
        self.state.set_options(by, group, options, now)
    }

    /// Forbids `user` to join or to be added until `until`, or until the ban is lifted. If they are a
    /// member, they are kicked. It replaces an earlier ban of `user`. Up to two bans that ended are
    /// removed. Returns the stint that ended, if they were a member. O(log N).
    ///
    /// Signals: if `user` was a member, `MemberKick` as for [`kick`](Self::kick).
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` has the same
    ///   or a higher rank, or is `by`
    /// - 409 [`AlreadyExpired`](Refusal::AlreadyExpired) if `until` is not after `now`
    /// - 413 [`OverLimit`](Refusal::OverLimit): bans per group
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let until = Some(now.after(60_000));
    /// let banned = engine.ban(alice, group, bob, until, now)?;
    /// assert!(banned.value.is_some(), "bob was a member");
    /// assert_eq!(engine.join(bob, group, now), Err(Refusal::Banned { by: alice, until }));
    ///
    /// engine.unban(alice, group, bob, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn ban(
        &mut self,
        by: U,
        group: G,
        user: U,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> CommandResult<Option<Stint>, U, G> {
        self.charge(Operation::Ban, &by, Some(&group), now)?;
        self.state.ban(by, group, user, until, now)
    }

    /// Lifts a ban. Any admin may lift any ban. Up to two bans that ended are removed. O(log N).
    /// [`ban`](Self::ban) has an example.
    ///
    /// Signals: none.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotAdmin`](Refusal::NotAdmin)
    /// - 409 [`NotBanned`](Refusal::NotBanned)
    pub fn unban(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<(), U, G> {
        self.charge(Operation::Unban, &by, Some(&group), now)?;
        self.state.unban(by, group, user, now)
    }

    /// Forbids `user` to post and to edit until `until`, or until the mute is lifted. It replaces an
    /// earlier mute of `user`. Up to two mutes that ended are removed. O(log N).
    ///
    /// `user` need not be a member. A mute stays in force when they leave and come back, and when their
    /// rank changes. So a muted member who becomes the owner stays muted, and no one has the rank to
    /// unmute them.
    ///
    /// Signals: `Mute` from `user`, to every member, if `user` is one.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` has the same
    ///   or a higher rank, or is `by`
    /// - 409 [`AlreadyExpired`](Refusal::AlreadyExpired) if `until` is not after `now`
    /// - 413 [`OverLimit`](Refusal::OverLimit): mutes per group
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let until = Some(now.after(60_000));
    /// engine.mute(alice, group, bob, until, now)?.ignore_signals();
    /// assert_eq!(engine.post(bob, group, "hi", now), Err(Refusal::Muted { by: alice, until }));
    /// assert_eq!(engine.group(&group).unwrap().mutes(now).count(), 1);
    ///
    /// engine.unmute(alice, group, bob, now)?.ignore_signals();
    /// engine.post(bob, group, "hi", now)?.ignore_signals();
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn mute(
        &mut self,
        by: U,
        group: G,
        user: U,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        self.charge(Operation::Mute, &by, Some(&group), now)?;
        self.state.mute(by, group, user, until, now)
    }

    /// Lifts a mute. It needs the same rank as [`mute`](Self::mute), so nobody can lift their own. Up
    /// to two mutes that ended are removed. O(log N). [`mute`](Self::mute) has an example.
    ///
    /// Signals: `Unmute` from `user`, to every member, if `user` is one.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` has the same
    ///   or a higher rank, or is `by`
    /// - 409 [`NotMuted`](Refusal::NotMuted)
    pub fn unmute(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<(), U, G> {
        self.charge(Operation::Unmute, &by, Some(&group), now)?;
        self.state.unmute(by, group, user, now)
    }

    /// Ends every membership of `user`, for when their account is deleted. In each group it does what
    /// [`leave`](Self::leave) does. But where the owner's leaving would be refused, the admin with the
    /// longest membership becomes the owner, or without an admin the group is dissolved. Returns what
    /// happened to each group, in the order of joining. O(log N) for each group and each stale index
    /// entry of `user`, for groups of any size.
    ///
    /// Signals: those of each leave, group by group.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast): the rate limit is per user
    ///
    /// # Examples
    /// ```
    /// use disband::{Departure, Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let left = engine.leave_all(alice, now)?;
    /// assert!(matches!(left.value[..], [(GroupId(7), Departure::Dissolved(_))]));
    /// assert_eq!(engine.groups_of(&bob).count(), 0);
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn leave_all(
        &mut self,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Vec<(G, Departure<U>)>, U, G> {
        self.charge(Operation::LeaveAll, &user, None, now)?;
        self.state.leave_all(user, now)
    }

    /// Carries out a command that is given as data. It does the same as the command's method.
    ///
    /// Every command gets a result; none panics. The same commands with the same times give the same
    /// results, signals and state on every machine.
    ///
    /// # Errors
    /// Those of the command's method.
    ///
    /// # Examples
    /// ```
    /// use disband::{Command, Engine, GroupId, Reply, Stint, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let json = r#"{"create":{"owner":"1","group":"7"}}"#;
    /// let command: Command<UserId, GroupId> = serde_json::from_str(json)?;
    /// let created = engine.apply(command, Timestamp(1_000))?;
    /// assert_eq!(created.value, Reply::Created(Stint(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(
        &mut self,
        command: Command<U, G>,
        now: Timestamp,
    ) -> CommandResult<Reply<U, G>, U, G> {
        self.charge(command.operation(), command.actor(), command.group(), now)?;
        self.execute(command, now)
    }

    /// Carries out all of the commands or none of them. Returns the reply to each, and the signals of
    /// all. Rate limits do not apply, because a batch comes from the host, not from a user. So it also
    /// serves to import groups. The batch works on a clone: each command also copies the path to what it
    /// changes, as while a snapshot is alive. Undoing a batch is O(1).
    ///
    /// # Errors
    /// The refusal of the first command that is refused, and its place in the batch. The engine is
    /// then unchanged.
    ///
    /// # Examples
    /// The owner hands over the group and leaves, in one step:
    /// ```
    /// use disband::{Command, Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let batch = [
    ///     Command::Transfer { owner: alice, group, user: bob },
    ///     Command::Leave { user: alice, group, stint: None },
    /// ];
    /// let done = engine.apply_all(batch.clone(), now)?;
    /// assert_eq!((done.value.len(), done.signals.len()), (2, 2));
    ///
    /// let refused = engine.apply_all(batch, now).unwrap_err();
    /// assert_eq!((refused.index, refused.refusal.code()), (0, 400));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_all(
        &mut self,
        commands: impl IntoIterator<Item = Command<U, G>>,
        now: Timestamp,
    ) -> BatchResult<U, G> {
        let mut next = self.clone();
        let mut all = Outcome { value: Vec::new(), signals: Vec::new() };
        for (index, command) in commands.into_iter().enumerate() {
            next.state.tidy(share(command.operation()), now);
            let one =
                next.execute(command, now).map_err(|refusal| BatchRefusal { index, refusal })?;
            all.value.push(one.value);
            all.signals.extend(one.signals);
        }
        *self = next;
        Ok(all)
    }

    /// The result that [`apply`](Self::apply) would have; it changes nothing. It clones the engine, which
    /// is O(1), and runs the command on the clone. So it costs as much as the command while a snapshot
    /// is alive. Do not deliver the signals: later signals get the same keys.
    ///
    /// # Errors
    /// Those of the command's method.
    ///
    /// # Examples
    /// ```
    /// use disband::{Command, Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// // How many other users would lose their membership if Alice left?
    /// let leave = Command::Leave { user: alice, group, stint: None };
    /// let preview = engine.preview(leave, now)?;
    /// assert_eq!(preview.signals[0].audience.len(), 1);
    /// assert!(engine.group(&group).is_some());
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn preview(
        &self,
        command: Command<U, G>,
        now: Timestamp,
    ) -> CommandResult<Reply<U, G>, U, G> {
        self.clone().apply(command, now)
    }

    /// Carries out a command without its rate limit.
    fn execute(
        &mut self,
        command: Command<U, G>,
        now: Timestamp,
    ) -> CommandResult<Reply<U, G>, U, G> {
        let state = &mut self.state;
        Ok(match command {
            Command::Create { owner, group, options } => {
                state.create(owner, group, options.unwrap_or_default(), now)?.map(Reply::Created)
            }
            Command::Join { user, group } => state.join(user, group, now)?.map(Reply::Joined),
            Command::Leave { user, group, stint } => {
                state.leave(user, group, stint, now)?.map(Reply::Departed)
            }
            Command::Kick { by, group, user } => {
                state.kick(by, group, user, now)?.map(Reply::Kicked)
            }
            Command::Post { author, group, message } => {
                state.post(author, group, message, now)?.map(Reply::Posted)
            }
            Command::Dissolve { owner, group, note, successor } => {
                let farewell = Farewell { note, successor };
                state.dissolve(owner, group, farewell, now)?.map(Reply::Dissolved)
            }
            Command::Transfer { owner, group, user } => {
                state.transfer(owner, group, user, now)?.map(|()| Reply::Transferred)
            }
            Command::SetRank { by, group, user, rank } => {
                state.set_rank(by, group, user, rank, now)?.map(|()| Reply::Ranked)
            }
            Command::SetOptions { by, group, options } => {
                state.set_options(by, group, options, now)?.map(|()| Reply::Configured)
            }
            Command::Ban { by, group, user, until } => {
                state.ban(by, group, user, until, now)?.map(Reply::Banned)
            }
            Command::Unban { by, group, user } => {
                state.unban(by, group, user, now)?.map(|()| Reply::Unbanned)
            }
            Command::LeaveAll { user } => state.leave_all(user, now)?.map(Reply::LeftAll),
            Command::Add { by, group, user } => state.add(by, group, user, now)?.map(Reply::Added),
            Command::Mute { by, group, user, until } => {
                state.mute(by, group, user, until, now)?.map(|()| Reply::Muted)
            }
            Command::Unmute { by, group, user } => {
                state.unmute(by, group, user, now)?.map(|()| Reply::Unmuted)
            }
            Command::Edit { author, group, seq, message } => {
                state.edit(author, group, seq, message, now)?.map(|()| Reply::Edited)
            }
            Command::Erase { by, group, seq } => {
                state.erase(by, group, seq, now)?.map(|()| Reply::Erased)
            }
        })
    }

    /// The first step of every command, alone: charges its rate limit and cleans a bounded amount.
    /// O(log N).
    ///
    /// This is for hosts that replicate commands. If the host knows that a command will be refused, a
    /// charge leaves the engine in the same state as the refused command, so the host need not
    /// replicate the command's text. `group` is [`Command::group`], which is `None` for
    /// [`Operation::LeaveAll`].
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Operation, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// let mut replica = engine.clone();
    /// assert!(engine.post(alice, group, "a long text", now).is_err());
    /// replica.charge(Operation::Post, &alice, Some(&group), now)?;
    /// assert_eq!(engine, replica);
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    pub fn charge(
        &mut self,
        operation: Operation,
        user: &U,
        group: Option<&G>,
        now: Timestamp,
    ) -> Result<(), Refusal<U, G>> {
        if let Some(rate) = self.state.config.quotas.of(operation).rate() {
            self.limiter
                .charge(operation, self.place(user, group), &rate, now)
                .map_err(|retry_at| Refusal::TooFast { retry_at })?;
        }
        self.state.tidy(share(operation), now);
        Ok(())
    }

    /// What [`charge`](Self::charge) would return; it changes nothing. O(log N), without a clone.
    ///
    /// This too is for hosts that replicate commands. A command that is refused as too fast changes
    /// nothing, so the host need not replicate it.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Operation, Timestamp, UserId};
    ///
    /// let mut engine = Engine::<UserId, GroupId>::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// while engine.admits(Operation::Leave, &alice, Some(&group), now).is_ok() {
    ///     assert_eq!(engine.leave(alice, group, now).unwrap_err().code(), 404);
    /// }
    /// assert_eq!(engine.leave(alice, group, now).unwrap_err().code(), 429);
    /// ```
    pub fn admits(
        &self,
        operation: Operation,
        user: &U,
        group: Option<&G>,
        now: Timestamp,
    ) -> Result<(), Refusal<U, G>> {
        let Some(rate) = self.state.config.quotas.of(operation).rate() else { return Ok(()) };
        self.limiter
            .admits(operation, &self.place(user, group), &rate, now)
            .map_err(|retry_at| Refusal::TooFast { retry_at })
    }

    /// The allowance to charge: all ids without a group share one.
    fn place(&self, user: &U, group: Option<&G>) -> (U, Option<G>) {
        (user.clone(), group.filter(|group| self.state.groups.contains(group)).cloned())
    }

    /// Replaces the whole configuration. This comes from the host, not from a user, so it has no rate
    /// limit, no time and no signal. Replicas must do it at the same place in their order of commands.
    ///
    /// - What exists stays, also above a limit that was lowered, but it cannot grow.
    /// - [`Config::tombstone_ms`] also applies to groups that are dissolved already.
    /// - If [`Config::departures`] was lowered, each group shortens its list at its next departure.
    /// - If the quota of an operation changed, all users have its full allowance again. Its rate cells
    ///   are returned, so that the caller can free them elsewhere.
    ///
    /// O(1), for an engine of any size.
    ///
    /// # Errors
    /// [`ConfigError::Instance`] if the instance number differs. Nothing is changed then.
    ///
    /// # Examples
    /// ```
    /// use disband::{Config, Engine, GroupId, Limits, Quota, Quotas, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now).unwrap().ignore_signals();
    ///
    /// let limits = Limits { message_bytes: Some(2), ..engine.config().limits };
    /// let forgotten = engine.set_config(Config { limits, ..*engine.config() })?;
    /// assert_eq!((forgotten.is_empty(), forgotten.len()), (true, 0), "no quota has changed");
    /// assert_eq!(engine.post(alice, group, "long", now).unwrap_err().code(), 413);
    ///
    /// // Everybody may create groups without a limit now. Alice's rate cell is returned.
    /// let quotas = Quotas { create: Quota::Unlimited, ..engine.config().quotas };
    /// assert_eq!(engine.set_config(Config { quotas, ..*engine.config() })?.len(), 1);
    ///
    /// assert!(engine.set_config(Config { instance: 5, ..*engine.config() }).is_err());
    /// # Ok::<(), disband::ConfigError>(())
    /// ```
    pub fn set_config(&mut self, config: Config) -> Result<ForgottenCells<U, G>, ConfigError> {
        let old = self.state.config;
        if old.instance != config.instance {
            return Err(ConfigError::Instance { is: old.instance, asked: config.instance });
        }
        self.state.config = config;
        let is_kept = |operation| old.quotas.of(operation) == config.quotas.of(operation);
        Ok(self.limiter.keep(is_kept))
    }

    /// A page of a group's log, newest first. It has the entries that `reader` may read: those within
    /// the group's retention and, unless its [`HistoryAccess`](crate::HistoryAccess) is `Full`, posted
    /// since `reader` joined.
    ///
    /// O(log N). O(log N + log² n) if the page reaches back to when `reader` joined, or if the log still
    /// holds entries past [`keep_ms`](crate::GroupOptions::keep_ms). Each step of the iterator is O(1),
    /// and O(log n) once per 32 entries. Reads have no rate limit.
    ///
    /// # Errors
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Page, Refusal, Seq, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    ///
    /// for text in ["one", "two", "three"] {
    ///     engine.post(alice, group, text, now)?.ignore_signals();
    /// }
    ///
    /// let newest: Vec<_> = engine.history(&alice, &group, Page::newest(2), now)?.collect();
    /// assert_eq!((newest[0].0, &*newest[0].1.message), (Seq(2), "three"));
    /// let (last, _) = newest[1];
    /// let older = engine.history(&alice, &group, Page::before(last, 2), now)?;
    /// assert!(older.map(|(_, entry)| &*entry.message).eq(["one"]));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn history<Q: Ord + ?Sized, R: Ord + ?Sized>(
        &self,
        reader: &Q,
        group: &R,
        page: Page,
        now: Timestamp,
    ) -> Result<History<'_, U>, Refusal<U, G>>
    where
        U: Borrow<Q>,
        G: Borrow<R>,
    {
        self.state.history(reader, group, page, now)
    }

    /// A group. O(log N). [`Group`] has an example.
    #[must_use]
    pub fn group<Q: Ord + ?Sized>(&self, group: &Q) -> Option<&Group<U>>
    where
        G: Borrow<Q>,
    {
        self.state.groups.get(group).map(Arc::as_ref)
    }

    /// All groups, in ascending order of ids. O(1) to begin; a step is O(1), amortised.
    /// [`groups_of`](Self::groups_of) has an example.
    #[must_use]
    pub fn groups(&self) -> Groups<'_, U, G> {
        Groups(self.state.groups.iter())
    }

    /// The groups whose id is larger than `last`, in ascending order of ids; all of them for `None`.
    /// `last` need not exist: the last group of one page leads to the next page, even if it was
    /// dissolved meanwhile. O(log N) to begin; a step is O(1), amortised.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// for id in 1..=3 {
    ///     engine.create(UserId(1), GroupId(id), Timestamp(1_000))?.ignore_signals();
    /// }
    ///
    /// let page = engine.groups_after(Some(&GroupId(1))).take(10);
    /// assert!(page.map(|(id, _)| *id).eq([GroupId(2), GroupId(3)]));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn groups_after(&self, last: Option<&G>) -> impl Iterator<Item = (&G, &Group<U>)> {
        self.state.groups.iter_after(last).map(|(id, group)| (id, &**group))
    }

    /// The groups that `user` is a member of, with their stint in each, in the order of joining. It
    /// never returns a dissolved group. O(log N) for each entry of the user in the index from users to
    /// groups, including entries of dissolved groups that are not removed yet.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, Refusal, Timestamp};
    ///
    /// let mut engine = Engine::<String, String>::default();
    /// let (alice, bob, now) = (|| "alice".to_owned(), || "bob".to_owned(), Timestamp(0));
    /// engine.create(alice(), "rust".into(), now)?.ignore_signals();
    /// engine.create(alice(), "music".into(), now)?.ignore_signals();
    /// engine.join(bob(), "rust".into(), now)?.ignore_signals();
    ///
    /// assert!(engine.groups().map(|(id, _)| id).eq(["music", "rust"]));
    /// assert!(engine.groups_of("bob").map(|(id, _)| id).eq(["rust"]));
    /// assert!(engine.owned_by("alice").map(|(id, _)| id).eq(["rust", "music"]));
    /// # Ok::<(), Refusal<String, String>>(())
    /// ```
    #[must_use]
    pub fn groups_of<Q: Ord + ?Sized>(&self, user: &Q) -> GroupsOf<'_, G>
    where
        U: Borrow<Q>,
    {
        self.state.directory.of(user)
    }

    /// The groups that `user` owns, in the order of joining. It costs as much as
    /// [`groups_of`](Self::groups_of), which has an example.
    pub fn owned_by<'a, Q: Ord + ?Sized>(
        &'a self,
        user: &'a Q,
    ) -> impl DoubleEndedIterator<Item = (&'a G, &'a Group<U>)>
    where
        U: Borrow<Q>,
    {
        self.groups_of(user)
            .filter_map(|(id, _)| Some((id, self.group(id)?)))
            .filter(move |(_, group)| group.owner().borrow() == user)
    }

    /// The configuration. [`set_config`](Self::set_config) has an example.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.state.config
    }

    /// The sizes of the engine. O(1).
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// engine.post(bob, group, "hello", now)?.ignore_signals();
    /// let stats = engine.stats();
    /// assert_eq!((stats.groups, stats.memberships, stats.message_bytes), (1, 2, 5));
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let directory = &self.state.directory;
        Stats {
            groups: self.state.groups.len() as u64,
            memberships: directory.memberships(),
            entries: self.state.entries,
            message_bytes: self.state.message_bytes,
            tombstones: self.state.tombstones.len() as u64,
            cells: self.limiter.len() as u64,
            unswept: directory.stale(),
        }
    }

    /// Removes entries of dissolved groups from the index from users to groups. It checks up to
    /// `budget` entries. Every command that is not refused as too fast does a part of this, so it is
    /// optional: a host can use it when idle. It changes nothing that a host can see except
    /// [`Stats::unswept`]. O(budget · log N), and O(1) if there is nothing to remove.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// engine.leave(alice, group, now)?.ignore_signals();
    /// assert_eq!(engine.stats().unswept, 2);
    /// engine.sweep(100);
    /// assert_eq!(engine.stats().unswept, 0);
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    pub fn sweep(&mut self, budget: usize) {
        self.state.directory.sweep(budget);
    }

    pub(crate) const fn from_parts(state: State<U, G>, limiter: Limiter<U, G>) -> Self {
        Engine { state, limiter }
    }

    pub(crate) const fn parts(&self) -> (&State<U, G>, &Limiter<U, G>) {
        (&self.state, &self.limiter)
    }
}

/// How much of the sweep of the index a command does.
const fn share(operation: Operation) -> Share {
    match operation {
        Operation::Create | Operation::Join | Operation::Add => Share::MayJoin,
        Operation::Leave | Operation::LeaveAll | Operation::Dissolve => Share::MayEnd,
        _ => Share::Neither,
    }
}

impl<U: Id, G: Id> Default for Engine<U, G> {
    fn default() -> Self {
        Engine::new(Config::default())
    }
}

impl<U: Id, G: Id> PartialEq for Engine<U, G> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state && self.limiter == other.limiter
    }
}

impl<U: Id, G: Id> Eq for Engine<U, G> {}

/// Hashes two counters only, so it is O(1).
impl<U: Id, G: Id> Hash for Engine<U, G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.state.next_stint, self.state.next_key).hash(state);
    }
}

/// The groups of an engine, in ascending order of ids. [`Engine::groups`] returns it.
#[derive(Clone)]
pub struct Groups<'a, U: Id, G: Id>(GroupsIter<'a, U, G>);

impl<'a, U: Id, G: Id> Iterator for Groups<'a, U, G> {
    type Item = (&'a G, &'a Group<U>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(id, group)| (id, &**group))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<U: Id, G: Id> DoubleEndedIterator for Groups<'_, U, G> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(id, group)| (id, &**group))
    }
}

impl<U: Id, G: Id> ExactSizeIterator for Groups<'_, U, G> {}
impl<U: Id, G: Id> FusedIterator for Groups<'_, U, G> {}

impl<U: Id, G: Id> fmt::Debug for Groups<'_, U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("left", &self.len()).finish_non_exhaustive()
    }
}

/// A summary: the numbers of [`Engine::stats`].
impl<U: Id, G: Id> fmt::Debug for Engine<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("config", self.config())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
