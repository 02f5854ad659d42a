//! The engine: every command and every look at the state, in one place.

use std::fmt;
use std::sync::Arc;

use crate::command::Command;
use crate::config::{Config, ConfigError};
use crate::directory::Share;
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
use crate::state::State;
use crate::stats::Stats;
use crate::time::Timestamp;

/// All groups, their members and logs, and the commands on them.
///
/// Commands take `&mut self`, who acts, the group, what else, and the time; they return an
/// [`Outcome`](crate::Outcome) with the signals to deliver, or a [`Refusal`]. Reads take `&self`. A
/// command that was refused has changed nothing that can be seen of groups, memberships, logs, bans
/// and mutes.
///
/// - commands: [`create`](Self::create), [`join`](Self::join), [`leave`](Self::leave),
///   [`leave_stint`](Self::leave_stint), [`leave_all`](Self::leave_all), [`post`](Self::post),
///   [`edit`](Self::edit), [`erase`](Self::erase); by admins, [`add`](Self::add),
///   [`kick`](Self::kick), [`ban`](Self::ban), [`unban`](Self::unban), [`mute`](Self::mute),
///   [`unmute`](Self::unmute); by the owner, [`set_rank`](Self::set_rank),
///   [`set_options`](Self::set_options), [`transfer`](Self::transfer),
///   [`dissolve`](Self::dissolve)
/// - commands as data: [`apply`](Self::apply), [`apply_all`](Self::apply_all),
///   [`preview`](Self::preview)
/// - reads: [`history`](Self::history), [`group`](Self::group), [`groups`](Self::groups),
///   [`groups_of`](Self::groups_of), [`owned_by`](Self::owned_by), [`config`](Self::config),
///   [`stats`](Self::stats)
/// - for the host alone: [`set_config`](Self::set_config), [`charge`](Self::charge),
///   [`sweep`](Self::sweep), [`check`](Self::check)
///
/// Cloning is O(1) and, with ids that clone without allocating (numbers, `Uuid`, `Arc<str>`),
/// allocates nothing: a clone is a snapshot, to read, to keep, or to go on from on another thread.
/// What the two have in common they share; while a clone lives, a command copies the few nodes on the
/// path to what it changes.
///
/// Two engines are equal if they are the same to every future command: the same configuration,
/// groups, tombstones, rate cells and counters. What waits for the sweep does not count.
///
/// Costs below are in n, the members of the group or the entries in its log, and N, all memberships
/// and rate cells in the engine. With `String` ids a comparison costs what theirs does.
#[derive(Clone)]
pub struct Engine<U: Id = UserId, G: Id = GroupId> {
    state: State<U, G>,
    limiter: Limiter<U, G>,
}

impl<U: Id, G: Id> Engine<U, G> {
    /// An engine without groups.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Engine { state: State::new(config), limiter: Limiter::new() }
    }

    /// Creates a group with the default options; see [`create_with`](Self::create_with).
    ///
    /// # Errors
    /// Those of [`create_with`](Self::create_with).
    pub fn create(&mut self, owner: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.create_with(owner, group, GroupOptions::default(), now)
    }

    /// Creates a group; `owner` is its first member. Returns their stint. O(log N).
    ///
    /// No signal.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 409 [`GroupExists`](Refusal::GroupExists); [`IdReserved`](Refusal::IdReserved) while the
    ///   tombstone of a group with this id stands
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

    /// Makes `user` a member. Returns their stint. O(log N).
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
    pub fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Join, &user, Some(&group), now)?;
        self.state.join(user, group, now)
    }

    /// `by` makes `user` a member, in open and closed groups alike. `by` needs at least the rank
    /// [`GroupOptions::add`](crate::GroupOptions::add). Returns the stint of `user`. O(log N).
    ///
    /// Invitations and requests that wait for an answer are the host's: it adds whoever has accepted.
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
    /// let _ = engine.create_with(alice, group, options, now)?;
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

    /// Ends the membership of `user`. If `user` owns the group, what follows is the group's choice,
    /// its [`OwnerExit`](crate::OwnerExit): it is dissolved, or the senior admin owns it, or the leave
    /// is refused. Dissolved, the group, every membership and the whole log are gone at once, and the
    /// result owns them. O(log N), in any case, however large the group; as the sole owner of the
    /// state, with a number of allocations that does not depend on the group.
    ///
    /// Signals, if the group goes on: `MemberLeave` from `user`, and, if an admin succeeds them,
    /// `OwnerChange` from that admin; both to the members who remain. In a
    /// [quiet](crate::Announce::Staff) group, a plain member's `MemberLeave` goes to the owner and
    /// the admins alone. If the group is dissolved: `MemberKick` from and by `user`, then
    /// `HistoryPurge`, both to every other member; both come, to nobody, if there is none.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 409 [`OwnerMustStay`](Refusal::OwnerMustStay)
    pub fn leave(
        &mut self,
        user: U,
        group: G,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        self.charge(Operation::Leave, &user, Some(&group), now)?;
        self.state.leave(user, group, None, now)
    }

    /// [`leave`](Self::leave), if `stint` is the membership that goes on. A request that was delayed
    /// or repeated never ends a membership that began after it was made.
    ///
    /// Signals: as for [`leave`](Self::leave).
    ///
    /// # Errors
    /// Those of [`leave`](Self::leave); [`NotMember`](Refusal::NotMember) with
    /// [`StintOver`](crate::Absence::StintOver) if `user` is a member under another stint.
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

    /// Ends the membership of `user`, by the will of somebody of higher rank. Returns the stint that
    /// ended. O(log N).
    ///
    /// Signals: `MemberKick` from `user`, to the members who remain and `user`; in a
    /// [quiet](crate::Announce::Staff) group, if `user` was a plain member, to the owner, the admins
    /// and `user`.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` is of no
    ///   lower rank, or is `by`
    /// - 400 [`TargetNotMember`](Refusal::TargetNotMember), of `user`
    pub fn kick(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Kick, &by, Some(&group), now)?;
        self.state.kick(by, group, user, now)
    }

    /// Appends a message to the log, and drops up to four entries past the group's retention.
    /// Returns its number there. Its time is `now`, or its predecessor's if that is later. An empty
    /// message is a message. O(log N + log² n).
    ///
    /// Signals: `MessagePost` from `author`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotAdmin`](Refusal::NotAdmin), [`NotOwner`](Refusal::NotOwner) for a rank below
    ///   [`GroupOptions::post`](crate::GroupOptions::post); [`Muted`](Refusal::Muted)
    /// - 413 [`OverLimit`](Refusal::OverLimit): message bytes, entries per group, message bytes in
    ///   total
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

    /// Gives a message another text. Only its author does, and only while they may read it. The entry
    /// keeps its number, its time and its author; [`Entry::edited`](crate::Entry::edited) is the
    /// later of `now` and the entry's time. The old text is freed with the last signal or clone of
    /// the engine that holds it. O(log N + log² n); while a clone of the engine lives, a block of 32
    /// entries is copied.
    ///
    /// Signals: `MessageEdit` from `author`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 404 [`NoSuchEntry`](Refusal::NoSuchEntry) for an entry that `author` may not read, or that
    ///   does not exist
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
    /// let _ = engine.create(alice, group, now)?;
    /// let seq = engine.post(alice, group, "helo", now)?.value;
    /// let _ = engine.edit(alice, group, seq, "hello", now.after(5))?;
    ///
    /// let (_, entry) = engine.history(&alice, &group, Page::newest(1), now)?.next().unwrap();
    /// assert_eq!((&*entry.message, entry.edited()), ("hello", Some(now.after(5))));
    ///
    /// let _ = engine.erase(alice, group, seq, now.after(9))?;
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

    /// Removes the text of a message. Its author does, or a member of strictly higher rank than the
    /// author has now (an author who is no member any more has none, so any admin does). The entry
    /// keeps its number, its time and its author; [`Entry::erased_by`](crate::Entry::erased_by) says
    /// who erased it. The engine holds the text no longer; a signal that was not delivered yet or a
    /// clone of the engine may. O(log N + log² n); while a clone of the engine lives, a block of 32
    /// entries is copied. [`edit`](Self::edit) has an example.
    ///
    /// Signals: `MessageErase` from `by`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 404 [`NoSuchEntry`](Refusal::NoSuchEntry) for an entry that `by` may not read, or that does
    ///   not exist
    /// - 403 [`NotAuthor`](Refusal::NotAuthor) for a plain member; [`Outranked`](Refusal::Outranked)
    ///   if the author is of no lower rank
    /// - 409 [`AlreadyErased`](Refusal::AlreadyErased)
    pub fn erase(&mut self, by: U, group: G, seq: Seq, now: Timestamp) -> CommandResult<(), U, G> {
        self.charge(Operation::Erase, &by, Some(&group), now)?;
        self.state.erase(by, group, seq, now)
    }

    /// Dissolves a group, whatever its [`OwnerExit`](crate::OwnerExit). Returns all that was in it.
    /// O(log N), however large it is.
    ///
    /// `farewell` is what the owner says to the members, and to whoever asks for the group while it
    /// is remembered.
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
    /// let _ = engine.create(alice, group, now)?;
    /// let farewell = Farewell { note: Some("we have moved".into()), successor: Some(GroupId(8)) };
    /// let _ = engine.dissolve(alice, group, farewell, now)?;
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

    /// Makes `user` the owner; who was becomes an admin. O(log N).
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

    /// Makes a member an admin, or an admin a member. Only the owner does. O(log N).
    ///
    /// Signals: `RankChange` from `user`, to every member.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner); [`Outranked`](Refusal::Outranked) if `user` is the
    ///   owner, or `rank` is [`Rank::Owner`]: that is what [`transfer`](Self::transfer) is for
    /// - 400 [`TargetNotMember`](Refusal::TargetNotMember)
    /// - 409 [`AlreadyRanked`](Refusal::AlreadyRanked)
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

    /// Changes all options of a group. Entries past their old retention can't be read any more,
    /// whatever the new one says; their memory is freed a few blocks at a time, here and with each
    /// post. O(log N + log² n).
    ///
    /// No signal.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner)
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

    /// Bars `user` from the group until `until`, or until the ban is lifted; kicks them first, if
    /// they are a member. A ban they were under is replaced. Returns the stint that ended, if one
    /// did. O(log N).
    ///
    /// Signals: if `user` was a member, `MemberKick` as for [`kick`](Self::kick).
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` is of no
    ///   lower rank, or is `by`
    /// - 409 [`AlreadyExpired`](Refusal::AlreadyExpired) if `until` is not after `now`
    /// - 413 [`OverLimit`](Refusal::OverLimit): bans per group
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

    /// Lifts a ban. O(log N).
    ///
    /// No signal.
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

    /// Forbids `user` to post and to edit, until `until`, or until the mute is lifted. `user` need not
    /// be a member: a mute outlives leaving and coming back, and every change of rank. An owner who
    /// was muted before stays muted, and nobody outranks them to lift it. A mute they were under is
    /// replaced. Up to two mutes that are over are forgotten. O(log N).
    ///
    /// Signals: `Mute` from `user`, to every member, if `user` is one.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` is of no
    ///   lower rank, or is `by`
    /// - 409 [`AlreadyExpired`](Refusal::AlreadyExpired) if `until` is not after `now`
    /// - 413 [`OverLimit`](Refusal::OverLimit): mutes per group
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// let _ = engine.create(alice, group, now)?;
    /// let _ = engine.join(bob, group, now)?;
    ///
    /// let until = Some(now.after(60_000));
    /// let _ = engine.mute(alice, group, bob, until, now)?;
    /// assert_eq!(engine.post(bob, group, "hi", now), Err(Refusal::Muted { by: alice, until }));
    /// assert_eq!(engine.group(&group).unwrap().mutes(now).count(), 1);
    ///
    /// let _ = engine.unmute(alice, group, bob, now)?;
    /// let _ = engine.post(bob, group, "hi", now)?;
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

    /// Lifts a mute. It takes the same rank as muting, so nobody lifts their own. Up to two mutes
    /// that are over are forgotten. O(log N). [`mute`](Self::mute) has an example.
    ///
    /// Signals: `Unmute` from `user`, to every member, if `user` is one.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotAdmin`](Refusal::NotAdmin); [`Outranked`](Refusal::Outranked) if `user` is of no
    ///   lower rank, or is `by`
    /// - 409 [`NotMuted`](Refusal::NotMuted)
    pub fn unmute(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<(), U, G> {
        self.charge(Operation::Unmute, &by, Some(&group), now)?;
        self.state.unmute(by, group, user, now)
    }

    /// Ends every membership of `user`: their account goes. Each group goes through what
    /// [`leave`](Self::leave) does; but where an owner's leaving would be refused, the senior admin
    /// succeeds them, or else the group is dissolved, for an account that goes cannot stay. Returns
    /// what came of each group, in the order of joining. O(log N) for each group and each index
    /// entry of `user` that waits for the sweep, however large the groups are.
    ///
    /// Signals: those of each leave, group by group.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast). There is one rate cell per user.
    pub fn leave_all(
        &mut self,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Vec<(G, Departure<U>)>, U, G> {
        self.charge(Operation::LeaveAll, &user, None, now)?;
        self.state.leave_all(user, now)
    }

    /// Carries out a command that comes as data: the very same as calling its method.
    ///
    /// It is total: every command gets a result, and none panics. The same commands with the same
    /// times give the same results, signals and state on any machine.
    ///
    /// # Errors
    /// Those of the command's method.
    pub fn apply(
        &mut self,
        command: Command<U, G>,
        now: Timestamp,
    ) -> CommandResult<Reply<U, G>, U, G> {
        self.charge(command.kind(), command.actor(), command.group(), now)?;
        self.execute(command, now)
    }

    /// Carries out all of the commands, or none. Returns the reply to each, and all their signals in
    /// order. Rate limits are neither checked nor charged: a batch is the host's own. What it costs
    /// is what its commands cost, and undoing them O(1).
    ///
    /// # Errors
    /// The refusal of the first command that is refused, and which it was. The engine is then as if
    /// the batch had never come.
    pub fn apply_all(
        &mut self,
        commands: impl IntoIterator<Item = Command<U, G>>,
        now: Timestamp,
    ) -> BatchResult<U, G> {
        let mut next = self.clone();
        let mut all = Outcome { value: Vec::new(), signals: Vec::new() };
        for (index, command) in commands.into_iter().enumerate() {
            next.state.tidy(share(command.kind()), now);
            let one =
                next.execute(command, now).map_err(|refusal| BatchRefusal { index, refusal })?;
            all.value.push(one.value);
            all.signals.extend(one.signals);
        }
        *self = next;
        Ok(all)
    }

    /// What [`apply`](Self::apply) would do, without doing it. O(1) more than the command, which
    /// copies the path to what it changes.
    ///
    /// # Errors
    /// Those of the command's method.
    pub fn preview(
        &self,
        command: Command<U, G>,
        now: Timestamp,
    ) -> CommandResult<Reply<U, G>, U, G> {
        self.clone().apply(command, now)
    }

    /// A command that has passed the rate limit, or has none.
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

    /// What every command does first, by itself: the rate limit, and a bounded share of the cleaning,
    /// paid for by the charge. O(log N).
    ///
    /// For a host that replicates commands and knows that one will be refused: charging for it leaves
    /// the engine as the refused command would, so its text need not be kept. `group` is
    /// [`Command::group`], and `None` for [`Operation::LeaveAll`].
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
            let group = group.filter(|group| self.state.groups.contains(group)).cloned();
            self.limiter
                .charge(operation, (user.clone(), group), &rate, now)
                .map_err(|retry_at| Refusal::TooFast { retry_at })?;
        }
        self.state.tidy(share(operation), now);
        Ok(())
    }

    /// Changes the configuration, all of it. It is the host's command, not a user's: there is no rate
    /// limit, no time and no signal. Replicas carry it out at the same place in their order.
    ///
    /// What exists may stand above a limit that was lowered: it stays, and only stops growing. Where
    /// [`Config::departures`] was lowered, a group forgets what is too many at its next departure.
    /// Where the quota of an operation changed, all allowances of it are full again: its rate cells
    /// are forgotten, and returned to be freed where the caller likes.
    ///
    /// O(1): it depends on nothing that the engine holds.
    ///
    /// # Errors
    /// [`ConfigError::Instance`] if the instance number is another. Nothing has changed then.
    ///
    /// # Examples
    /// ```
    /// use disband::{Config, Engine, GroupId, Limits, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// let _ = engine.create(alice, group, now).unwrap();
    ///
    /// let limits = Limits { message_bytes: Some(2), ..engine.config().limits };
    /// let forgotten = engine.set_config(Config { limits, ..*engine.config() })?;
    /// assert!(forgotten.is_empty(), "no quota has changed");
    /// assert_eq!(engine.post(alice, group, "long", now).unwrap_err().code(), 413);
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

    /// The page of a group's history, newest first: what is within its retention, and, unless the
    /// group's [`HistoryAccess`](crate::HistoryAccess) is full, was posted since `reader` joined.
    ///
    /// O(log n) and the entries walked; O(log² n) where the page reaches back past the first entry
    /// that the reader may see. It is not rate-limited: reading changes nothing.
    ///
    /// # Errors
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    pub fn history(
        &self,
        reader: &U,
        group: &G,
        page: Page,
        now: Timestamp,
    ) -> Result<History<'_, U>, Refusal<U, G>> {
        self.state.history(reader, group, page, now)
    }

    /// A living group. O(log N).
    #[must_use]
    pub fn group(&self, group: &G) -> Option<&Group<U>> {
        self.state.groups.get(group).map(Arc::as_ref)
    }

    /// All living groups, by ascending id.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = (&G, &Group<U>)> + ExactSizeIterator {
        self.state.groups.iter().map(|(id, group)| (id, &**group))
    }

    /// The groups that `user` is in, with their stint in each, in the order of joining. Always
    /// exact. O(log N) for each index entry of theirs, those of dissolved groups that still wait for
    /// the sweep among them.
    pub fn groups_of(&self, user: &U) -> impl DoubleEndedIterator<Item = (&G, Stint)> {
        self.state.directory.of(user)
    }

    /// The groups that `user` owns, in the order of joining. The cost of
    /// [`groups_of`](Self::groups_of).
    pub fn owned_by(&self, user: &U) -> impl DoubleEndedIterator<Item = (&G, &Group<U>)> {
        self.groups_of(user)
            .filter_map(|(id, _)| Some((id, self.group(id)?)))
            .filter(move |(_, group)| group.owner() == user)
    }

    /// The configuration: the one that the engine was made with, or the last one that was set.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.state.config
    }

    /// How much there is of everything. O(1).
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

    /// Looks at up to `budget` index entries and removes those of dissolved groups. Every command
    /// does a little of this; a host with time on its hands can do more. It changes nothing that
    /// can be seen but [`Stats::unswept`]. O(budget · log N), and O(1) if nothing waits.
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

/// What a command pays for in the sweep of the index.
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

/// A summary: the numbers of [`Engine::stats`].
impl<U: Id, G: Id> fmt::Debug for Engine<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("config", self.config())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
