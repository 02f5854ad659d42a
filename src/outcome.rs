//! What a command gives back.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::group::Group;
use crate::id::{Id, Seq, Stint};
use crate::log::History;
use crate::refusal::{BatchRefusal, Refusal};
use crate::signal::Signal;

/// What every command returns: its outcome, or why it was turned down.
pub type CommandResult<T, U, G> = Result<Outcome<T, U, G>, Refusal<U, G>>;

/// What a batch returns: the reply to each of its commands and all their signals, or which command
/// was refused and why.
pub type BatchResult<U, G> = Result<Outcome<Vec<Reply<U, G>>, U, G>, BatchRefusal<U, G>>;

/// The result of a command that was carried out, and the signals to deliver, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "T: Deserialize<'de>, U: Deserialize<'de>, G: Deserialize<'de>")
)]
#[must_use = "the signals are to be delivered"]
pub struct Outcome<T, U: Id, G> {
    /// The result.
    pub value: T,
    /// What happened, in the order in which it is to be delivered.
    pub signals: Vec<Signal<U, G>>,
}

impl<T, U: Id, G> Outcome<T, U, G> {
    /// Every recipient with every signal for them: signal by signal, recipients in ascending order.
    /// Lazy: nothing is copied.
    pub fn deliveries(&self) -> impl Iterator<Item = (&U, &Signal<U, G>)> {
        self.signals
            .iter()
            .flat_map(|signal| signal.audience.iter().map(move |user| (user, signal)))
    }

    /// The same signals with another value.
    pub fn map<V>(self, change: impl FnOnce(T) -> V) -> Outcome<V, U, G> {
        Outcome { value: change(self.value), signals: self.signals }
    }
}

/// What came of a command that came as data: one variant for each.
///
/// Written, it says of a dissolved group only how much it was; so what is read back is a
/// `Reply<U, G, Summary>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Reply<U: Id, G, D = Dissolved<U>> {
    /// A group was created; its owner's stint.
    Created(Stint),
    /// A user joined; their stint.
    Joined(Stint),
    /// A user left.
    Departed(Departure<U, D>),
    /// A user was kicked; the stint that ended.
    Kicked(Stint),
    /// A message was posted; its place in the history.
    Posted(Seq),
    /// A group was dissolved; all there was in it.
    Dissolved(D),
    /// A group has another owner.
    Transferred,
    /// A member has another rank.
    Ranked,
    /// A group has other options.
    Configured,
    /// A user was banned; the stint that ended with it, if they were a member.
    Banned(Option<Stint>),
    /// A ban was lifted.
    Unbanned,
    /// A user left every group; what came of it in each, in the order of joining.
    LeftAll(Vec<(G, Departure<U, D>)>),
    /// A user was added; their stint.
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

/// What came of a user's leaving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Departure<U: Id, D = Dissolved<U>> {
    /// They left, and the group goes on.
    Left {
        /// The stint that ended.
        stint: Stint,
    },
    /// They owned the group, and it was dissolved.
    Dissolved(D),
    /// They owned the group, and an admin owns it now.
    Succeeded {
        /// The stint that ended.
        stint: Stint,
        /// The new owner.
        owner: U,
    },
}

/// A group that is no more, as it was: all members, the owner among them, and the whole log.
///
/// The engine has nothing of it any more. To archive, or to drop where it disturbs nobody: freeing
/// a million members and messages takes a while. If a clone of the engine still holds the group,
/// whoever goes last frees it.
///
/// It is written as its [`Summary`].
#[derive(Clone, PartialEq, Eq)]
pub struct Dissolved<U: Id> {
    group: Arc<Group<U>>,
}

impl<U: Id> Dissolved<U> {
    pub(crate) fn new(group: Arc<Group<U>>) -> Self {
        Dissolved { group }
    }

    /// The group as it stood: owner, members, departures.
    #[must_use]
    pub fn group(&self) -> &Group<U> {
        &self.group
    }

    /// How much it was. O(1).
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary { members: self.group.len() as u64, entries: self.group.log_len() }
    }

    /// The whole log, newest first; from the other end with `rev()`. Entries past their retention
    /// but not yet dropped are among them, for the host to drop or to archive.
    #[must_use]
    pub fn history(&self) -> History<'_, U> {
        self.group.log().all()
    }
}

/// How much a dissolved group was: what is written of it, and read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// How many members it had, the owner among them.
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
