//! The engine: every command and every look at the state, in one place.

use std::fmt;
use std::sync::Arc;

use crate::command::Command;
use crate::config::Config;
use crate::directory::Share;
use crate::group::Group;
use crate::id::{GroupId, Id, Seq, Stint, UserId};
use crate::limiter::{CellKey, Limiter};
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
/// command that was refused has changed nothing that can be seen of groups, memberships, logs and
/// bans.
///
/// - commands: [`create`](Self::create), [`join`](Self::join), [`leave`](Self::leave),
///   [`leave_stint`](Self::leave_stint), [`leave_all`](Self::leave_all), [`post`](Self::post);
///   by admins, [`kick`](Self::kick), [`ban`](Self::ban), [`unban`](Self::unban); by the owner,
///   [`set_rank`](Self::set_rank), [`set_options`](Self::set_options),
///   [`transfer`](Self::transfer), [`dissolve`](Self::dissolve)
/// - commands as data: [`apply`](Self::apply), [`apply_all`](Self::apply_all),
///   [`preview`](Self::preview)
/// - reads: [`history`](Self::history), [`group`](Self::group), [`groups`](Self::groups),
///   [`groups_of`](Self::groups_of), [`owned_by`](Self::owned_by), [`config`](Self::config),
///   [`stats`](Self::stats)
/// - upkeep: [`sweep`](Self::sweep), [`check`](Self::check)
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
    /// - 413 [`OverLimit`](Refusal::OverLimit): members per group, groups per user
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
    /// Signals: `MemberJoin` from `user`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 403 [`Banned`](Refusal::Banned)
    /// - 409 [`AlreadyMember`](Refusal::AlreadyMember)
    /// - 413 [`OverLimit`](Refusal::OverLimit): members per group, groups per user
    pub fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Join, &user, Some(&group), now)?;
        self.state.join(user, group, now)
    }

    /// Ends the membership of `user`. If `user` owns the group, what follows is the group's choice,
    /// its [`OwnerExit`](crate::OwnerExit): it is dissolved, or the senior admin owns it, or the leave
    /// is refused. Dissolved, the group, every membership and the whole log are gone at once, and the
    /// result owns them. O(log N), in any case, however large the group; as the sole owner of the
    /// state, with a number of allocations that does not depend on the group.
    ///
    /// Signals, if the group goes on: `MemberLeave` from `user`, and, if an admin succeeds them,
    /// `OwnerChange` from that admin; both to the members who remain. If it is dissolved:
    /// `MemberKick` from and by `user`, then `HistoryPurge`, both to every other member; both come,
    /// to nobody, if there is none.
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
    /// Signals: `MemberKick` from `user`, to the members who remain and `user`.
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
    /// message is a message. O(log N), and O(log² n) with a retention by age.
    ///
    /// Signals: `MessagePost` from `author`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 413 [`OverLimit`](Refusal::OverLimit): message bytes, entries per group
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

    /// Dissolves a group, whatever its [`OwnerExit`](crate::OwnerExit). Returns all that was in it.
    /// O(log N), however large it is.
    ///
    /// Signals: `MemberKick` from and by `owner`, then `HistoryPurge`, both to every other member.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    /// - 403 [`NotOwner`](Refusal::NotOwner)
    pub fn dissolve(
        &mut self,
        owner: U,
        group: G,
        now: Timestamp,
    ) -> CommandResult<Dissolved<U>, U, G> {
        self.charge(Operation::Dissolve, &owner, Some(&group), now)?;
        self.state.dissolve(owner, group, now)
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
    /// Signals: `MemberKick` from `user`, to the members who remain and `user`, if they were one.
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
            Command::Dissolve { owner, group } => {
                state.dissolve(owner, group, now)?.map(Reply::Dissolved)
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
        })
    }

    /// What comes before every command: the rate limit, and a bounded share of the cleaning, paid for
    /// by the charge.
    fn charge(
        &mut self,
        operation: Operation,
        user: &U,
        group: Option<&G>,
        now: Timestamp,
    ) -> Result<(), Refusal<U>> {
        if let Some(rate) = self.state.config.quotas.of(operation).rate() {
            let group = group.filter(|group| self.state.groups.contains(group)).cloned();
            let key = CellKey { user: user.clone(), group, operation };
            self.limiter
                .charge(key, &rate, &self.state.config.quotas, now)
                .map_err(|retry_at| Refusal::TooFast { retry_at })?;
        }
        self.state.tidy(share(operation), now);
        Ok(())
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
    ) -> Result<History<'_, U>, Refusal<U>> {
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

    /// The configuration that the engine was made with.
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
            memberships: directory.len().saturating_sub(directory.stale()),
            entries: self.state.entries,
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
        Operation::Create | Operation::Join => Share::MayJoin,
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
