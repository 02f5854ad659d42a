//! Answers to commands, as data.

use disband::{Departure, Reply, Seq, SignalKey, Stint, Timestamp};
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::types::{Refusal, Signal};

/// The answer to a command: what it did, or why it was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The machine's time when it carried out the command.
    pub(crate) at: Timestamp,
    pub(crate) result: Result<Done, Refusal>,
}

/// How many groups or signals an answer that is kept may list. Only `leave_all` can have more.
const BRIEF: usize = 100;

impl Answer {
    /// The answer as it is kept for its key: a list that is too long is left out.
    pub(crate) fn brief(mut self) -> Self {
        if let Ok(done) = &mut self.result {
            if matches!(&done.value, Value::Groups(groups) if groups.len() > BRIEF) {
                done.value = Value::Nothing;
            }
            if done.caused.len() > BRIEF {
                done.caused = Vec::new();
            }
        }
        self
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) value: Value,
    /// The signals that the command caused, in order.
    pub(crate) caused: Vec<Caused>,
}

/// What the reply to a command tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    Nothing,
    /// The membership that began or ended.
    Stint(Stint),
    /// The number of a message.
    Seq(Seq),
    /// What happened to each group that the user left.
    Groups(Vec<(Name, Fate)>),
}

/// What happened to a group that a user left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Left,
    Succeeded,
    Dissolved,
}

/// A signal that a command caused, without its content: with it, a client that also hears its own
/// signals recognises them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Caused {
    pub(crate) key: SignalKey,
    pub(crate) group: Name,
    pub(crate) version: u64,
    /// The number of the message, if the signal is about one.
    pub(crate) seq: Option<Seq>,
}

impl From<&Signal> for Caused {
    fn from(signal: &Signal) -> Self {
        use disband::Event::{MessageEdit, MessageErase, MessagePost};
        let seq = match &signal.event {
            MessagePost { seq, .. } | MessageEdit { seq, .. } | MessageErase { seq } => Some(*seq),
            _ => None,
        };
        Caused { key: signal.key, group: signal.group.clone(), version: signal.version, seq }
    }
}

impl From<&Departure<Name>> for Fate {
    fn from(departure: &Departure<Name>) -> Self {
        match departure {
            Departure::Dissolved(_) => Fate::Dissolved,
            Departure::Succeeded { .. } => Fate::Succeeded,
            _ => Fate::Left,
        }
    }
}

impl From<&Reply<Name, Name>> for Value {
    fn from(reply: &Reply<Name, Name>) -> Self {
        match reply {
            Reply::Created(stint)
            | Reply::Joined(stint)
            | Reply::Added(stint)
            | Reply::Kicked(stint)
            | Reply::Banned(Some(stint)) => Value::Stint(*stint),
            Reply::Posted(seq) => Value::Seq(*seq),
            Reply::LeftAll(groups) => {
                let fate = |(group, departure): &(Name, _)| (group.clone(), Fate::from(departure));
                Value::Groups(groups.iter().map(fate).collect())
            }
            _ => Value::Nothing,
        }
    }
}
