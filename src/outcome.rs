//! The results of commands.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::group::Group;
use crate::id::{Id, Seq, Stint};
use crate::log::{History, Page};
use crate::refusal::{BatchRefusal, Refusal};
use crate::signal::Signal;

/// What every command returns: its outcome, or why it was refused.
pub type CommandResult<T, U, G> = Result<Outcome<T, U, G>, Refusal<U, G>>;

/// What a batch returns: the reply to each command and the signals of all, or which command was
/// refused and why.
pub type BatchResult<U, G> = Result<Outcome<Vec<Reply<U, G>>, U, G>, BatchRefusal<U, G>>;

/// The result of a command that was carried out, and the signals to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "T: Deserialize<'de>, U: Deserialize<'de>, G: Deserialize<'de>")
)]
#[must_use = "the signals must be delivered; `ignore_signals` drops them"]
pub struct Outcome<T, U: Id, G> {
    /// The result.
    pub value: T,
    /// The signals, in the order in which to deliver them.
    pub signals: Vec<Signal<U, G>>,
}

impl<T, U: Id, G> Outcome<T, U, G> {
    /// Every signal with every recipient: signal by signal, recipients in ascending order. It copies
    /// nothing. O(1) to begin; a step is O(1), amortised.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// engine.join(bob, group, now)?.ignore_signals();
    ///
    /// let posted = engine.post(alice, group, "hello", now)?;
    /// for (recipient, signal) in posted.deliveries() {
    ///     assert_eq!((*recipient, signal.event.name()), (bob, "message"));
    ///     // queue the signal for the recipient's connections
    /// }
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    pub fn deliveries(&self) -> impl Iterator<Item = (&U, &Signal<U, G>)> {
        self.signals
            .iter()
            .flat_map(|signal| signal.audience.iter().map(move |user| (user, signal)))
    }

    /// Drops the signals and returns the value: for tests, and for setting up groups of which no
    /// client knows yet.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// let stint = engine.create(alice, group, now)?.ignore_signals();
    /// assert_eq!(engine.group(&group).unwrap().stint(&alice), Some(stint));
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    pub fn ignore_signals(self) -> T {
        self.value
    }

    /// The same signals with another value.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let created = engine.create(UserId(1), GroupId(7), Timestamp(1_000))?;
    /// assert_eq!(created.map(u64::from).value, 1);
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    pub fn map<V>(self, change: impl FnOnce(T) -> V) -> Outcome<V, U, G> {
        Outcome { value: change(self.value), signals: self.signals }
    }
}

/// The result of a [`Command`](crate::Command), one variant for each command.
///
/// A dissolved group is serialised as its [`Summary`], so what deserialises is a
/// `Reply<U, G, Summary>`. [`Engine::apply`](crate::Engine::apply) has an example.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Reply<U: Id, G, D = Dissolved<U>> {
    /// A group was created: its owner's stint.
    Created(Stint),
    /// A user joined: their stint.
    Joined(Stint),
    /// A user left: what happened to the group.
    Departed(Departure<U, D>),
    /// A user was kicked: the stint that ended.
    Kicked(Stint),
    /// A message was posted: the number of its entry.
    Posted(Seq),
    /// A group was dissolved: the group.
    Dissolved(D),
    /// A group has another owner.
    Transferred,
    /// A member has another rank.
    Ranked,
    /// A group has other options.
    Configured,
    /// A user was banned: the stint that ended, if they were a member.
    Banned(Option<Stint>),
    /// A ban was lifted.
    Unbanned,
    /// A user left every group: what happened to each group, in the order of joining.
    LeftAll(Vec<(G, Departure<U, D>)>),
    /// A user was added: their stint.
    Added(Stint),
    /// A user was muted.
    Muted,
    /// A mute was lifted.
    Unmuted,
    /// A message has another text.
    Edited,
    /// A message was erased.
    Erased,
}

/// What happened when a user left a group. [`Engine::leave`](crate::Engine::leave) has an example. Not
/// to be confused with [`Group::departures`], the memberships that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Departure<U: Id, D = Dissolved<U>> {
    /// The user left, and the group continues.
    Left {
        /// The stint that ended.
        stint: Stint,
    },
    /// The user owned the group, and it was dissolved.
    Dissolved(D),
    /// The user owned the group, and an admin is the owner now.
    Succeeded {
        /// The stint that ended.
        stint: Stint,
        /// The new owner.
        owner: U,
    },
}

impl<U: Id> Departure<U> {
    /// The user's membership that ended.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// let stint = engine.create(alice, group, now)?.ignore_signals();
    /// assert_eq!(engine.leave(alice, group, now)?.value.stint(), stint);
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn stint(&self) -> Stint {
        match self {
            Departure::Left { stint } | Departure::Succeeded { stint, .. } => *stint,
            Departure::Dissolved(dissolved) => dissolved.owner_stint(),
        }
    }
}

/// A dissolved group with all that was in it: its members, including the owner, and its log.
///
/// The engine no longer holds any of it. Archive it, or drop it where that delays nobody: freeing a
/// million members and messages takes many milliseconds. The audiences of the signals share the
/// members, and a clone of the engine may still hold the group. The memory is freed when the last of
/// them is dropped, so drop the signals elsewhere too.
///
/// It is serialised as its [`Summary`].
///
/// # Examples
/// ```
/// use disband::{Departure, Engine, GroupId, Timestamp, UserId};
///
/// let mut engine = Engine::default();
/// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
/// engine.create(alice, group, now)?.ignore_signals();
/// engine.join(bob, group, now)?.ignore_signals();
/// engine.post(bob, group, "hello", now)?.ignore_signals();
///
/// let Departure::Dissolved(dissolved) = engine.leave(alice, group, now)?.value else { panic!() };
/// assert_eq!((dissolved.summary().members, dissolved.summary().entries), (2, 1));
/// assert!(dissolved.group().contains(&bob));
/// let (_, entry) = dissolved.history().next().unwrap();
/// assert_eq!(&*entry.message, "hello");
/// std::thread::spawn(move || drop(dissolved));
/// # Ok::<(), disband::Refusal<UserId>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dissolved<U: Id> {
    group: Arc<Group<U>>,
}

impl<U: Id> Dissolved<U> {
    pub(crate) fn new(group: Arc<Group<U>>) -> Self {
        Dissolved { group }
    }

    /// The group at its end. [`Dissolved`] has an example.
    #[must_use]
    pub fn group(&self) -> &Group<U> {
        &self.group
    }

    /// How many members and entries it had. O(1). [`Dissolved`] has an example.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary { members: self.group.len() as u64, entries: self.group.log_len() }
    }

    /// The whole log, newest first; `rev()` begins at the oldest. It includes entries past their
    /// retention that were not dropped yet. [`Dissolved`] has an example.
    #[must_use]
    pub fn history(&self) -> History<'_, U> {
        self.group.log().all()
    }

    /// A page of the whole log, newest first, for a program that archives it in parts. O(log n).
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, Farewell, GroupId, Page, Seq, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    /// for text in ["one", "two", "three"] {
    ///     engine.post(alice, group, text, now)?.ignore_signals();
    /// }
    ///
    /// let dissolved = engine.dissolve(alice, group, Farewell::NONE, now)?.value;
    /// assert!(dissolved.page(Page::newest(2)).map(|(seq, _)| seq).eq([Seq(2), Seq(1)]));
    /// assert!(dissolved.page(Page::before(Seq(1), 2)).map(|(seq, _)| seq).eq([Seq(0)]));
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn page(&self, page: Page) -> History<'_, U> {
        let log = self.group.log();
        log.page(page, log.first(), None)
    }

    fn owner_stint(&self) -> Stint {
        // The owner is always a member.
        self.group.stint(self.group.owner()).unwrap_or(Stint(0))
    }
}

/// How many members and entries a dissolved group had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// How many members it had, including the owner.
    pub members: u64,
    /// How many entries its log had.
    pub entries: u64,
}

impl<U: Id> fmt::Debug for Dissolved<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dissolved").field(&self.group).finish()
    }
}

impl<U: Id> Serialize for Dissolved<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.summary().serialize(serializer)
    }
}
