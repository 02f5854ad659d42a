//! The engine: every command and every look at the state, in one place.

use std::fmt;
use std::sync::Arc;

use crate::command::Command;
use crate::config::Config;
use crate::group::Group;
use crate::id::{GroupId, Id, Seq, Stint, UserId};
use crate::limiter::{CellKey, Limiter};
use crate::log::{History, Page};
use crate::options::GroupOptions;
use crate::outcome::{CommandResult, Departure, Reply};
use crate::quota::Operation;
use crate::refusal::Refusal;
use crate::state::State;
use crate::stats::Stats;
use crate::time::Timestamp;

/// All groups, their members and logs, and the commands on them.
///
/// Commands take `&mut self`, who acts, the group, what else, and the time; they return an
/// [`Outcome`](crate::Outcome) with the signals to deliver, or a [`Refusal`]. Everything else takes
/// `&self`. A command that was refused has changed nothing that can be seen here.
///
/// - commands: [`create`](Self::create), [`join`](Self::join), [`leave`](Self::leave),
///   [`leave_stint`](Self::leave_stint), [`kick`](Self::kick), [`post`](Self::post), and
///   [`apply`](Self::apply), which takes any of them as data
/// - reads: [`history`](Self::history), [`group`](Self::group), [`groups`](Self::groups),
///   [`groups_of`](Self::groups_of), [`config`](Self::config), [`stats`](Self::stats)
/// - upkeep: [`sweep`](Self::sweep), [`check`](Self::check)
///
/// Cloning is O(1) and allocates nothing: a clone is a snapshot, to read, to keep, or to go on from
/// on another thread. What the two have in common they share; while a clone lives, a command copies
/// the few nodes on the path to what it changes.
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
    pub fn create_with(
        &mut self,
        owner: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Create, &owner, &group, now)?;
        self.state.create(owner, group, options, now)
    }

    /// Makes `user` a member. Returns their stint. O(log N).
    ///
    /// Signals: `MemberJoin` from `user`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 409 [`AlreadyMember`](Refusal::AlreadyMember)
    pub fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Join, &user, &group, now)?;
        self.state.join(user, group, now)
    }

    /// Ends the membership of `user`. If `user` owns the group, it is dissolved: the group, every
    /// membership and the whole log are gone at once, and the result owns them. O(log N), in either
    /// case, however large the group; as the sole owner of the state, with a number of allocations
    /// that does not depend on the group.
    ///
    /// Signals, if the group goes on: `MemberLeave` from `user`, to the members who remain. If it is
    /// dissolved: `MemberKick` from and by `user`, then `HistoryPurge`, both to every other member;
    /// both come, to nobody, if there is none.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    pub fn leave(
        &mut self,
        user: U,
        group: G,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        self.charge(Operation::Leave, &user, &group, now)?;
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
        self.charge(Operation::Leave, &user, &group, now)?;
        self.state.leave(user, group, Some(stint), now)
    }

    /// Ends the membership of `user`, by the owner's will. Returns the stint that ended. O(log N).
    ///
    /// Signals: `MemberKick` from `user`, to the members who remain and `user`.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember), of `by`
    /// - 403 [`NotOwner`](Refusal::NotOwner); [`Outranked`](Refusal::Outranked) if the owner means
    ///   themselves
    /// - 400 [`TargetNotMember`](Refusal::TargetNotMember), of `user`
    pub fn kick(&mut self, by: U, group: G, user: U, now: Timestamp) -> CommandResult<Stint, U, G> {
        self.charge(Operation::Kick, &by, &group, now)?;
        self.state.kick(by, group, user, now)
    }

    /// Appends a message to the log. Returns its number there. Its time is `now`, or its
    /// predecessor's if that is later. An empty message is a message. O(log N).
    ///
    /// Signals: `MessagePost` from `author`, to the other members.
    ///
    /// # Errors
    /// - 429 [`TooFast`](Refusal::TooFast)
    /// - 404 [`NoSuchGroup`](Refusal::NoSuchGroup), [`Dissolved`](Refusal::Dissolved)
    /// - 400 [`NotMember`](Refusal::NotMember)
    pub fn post(
        &mut self,
        author: U,
        group: G,
        message: impl Into<Arc<str>>,
        now: Timestamp,
    ) -> CommandResult<Seq, U, G> {
        self.charge(Operation::Post, &author, &group, now)?;
        self.state.post(author, group, message.into(), now)
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
    ) -> CommandResult<Reply<U>, U, G> {
        self.charge(command.kind(), command.actor(), command.group(), now)?;
        self.state.execute(command, now)
    }

    /// What comes before every command: the rate limit (rule 10), and a bounded share of the
    /// cleaning, paid for by the charge (rules 12 and 20).
    fn charge(
        &mut self,
        operation: Operation,
        user: &U,
        group: &G,
        now: Timestamp,
    ) -> Result<(), Refusal<U>> {
        if let Some(rate) = self.state.config.quotas.of(operation).rate() {
            let group = self.state.groups.contains(group).then(|| group.clone());
            let key = CellKey { user: user.clone(), group, operation };
            self.limiter
                .charge(key, &rate, now)
                .map_err(|retry_at| Refusal::TooFast { retry_at })?;
        }
        self.state.tidy(now);
        Ok(())
    }

    /// The page of a group's history, newest first: what was posted since `reader` joined.
    ///
    /// O(log n) and the entries walked; O(log² n) where the page reaches back past the entry that
    /// the reader joined at. It is not rate-limited: reading changes nothing.
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
        let group = self.state.group(group, now)?;
        let stint = group.membership(reader, None).map_err(Refusal::NotMember)?;
        Ok(group.history(stint, page))
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
        self.state.groups_of(user)
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
        self.state.sweep(budget);
    }

    pub(crate) const fn parts(&self) -> (&State<U, G>, &Limiter<U, G>) {
        (&self.state, &self.limiter)
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
