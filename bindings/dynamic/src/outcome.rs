//! The result of a command or of a batch.

use std::fmt::Display;

use disband::{
    BatchResult, CommandResult, Departure, Dissolved, GroupId, Id, Refusal, Reply, Signal,
    Timestamp, UserId, wire,
};
use serde::{Serialize, Serializer};

use crate::audience::AnyAudience;
use crate::dissolved::AnyDissolved;
use crate::ids::{Text, each};
use crate::view::{Either, RefusedView, SignalView};

/// The result of a command or of a batch: what was carried out, with its signals; or why it was
/// refused.
///
/// It is serialised as `{"done":{"reply":…,"signals":[…]}}` or `{"refused":{…}}`. A batch has `replies`
/// in place of `reply`. Signals are [`SignalView`]s, replies are [`Reply`]s with a
/// [`Summary`](disband::Summary) for each dissolved group, and a refusal is a [`RefusedView`].
///
/// It shares the audiences of its signals and the dissolved groups. So dropping it may take long; see
/// [`AnyDissolved`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyOutcome {
    /// The ids are numbers.
    Numbers(Kept<UserId, GroupId>),
    /// The ids are text.
    Text(Kept<Text, Text>),
}

/// A result and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<U: Id, G> {
    /// The result.
    pub result: KeptResult<U, G>,
    /// The time of the command.
    pub now: Timestamp,
}

/// The result of a command or of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptResult<U: Id, G> {
    /// Of a command.
    One(CommandResult<Reply<U, G>, U, G>),
    /// Of a batch.
    Batch(BatchResult<U, G>),
}

impl<U: Id, G> Kept<U, G> {
    /// The result of a command.
    pub const fn one(result: CommandResult<Reply<U, G>, U, G>, now: Timestamp) -> Self {
        Kept { result: KeptResult::One(result), now }
    }

    /// The result of a batch.
    pub const fn batch(result: BatchResult<U, G>, now: Timestamp) -> Self {
        Kept { result: KeptResult::Batch(result), now }
    }

    /// The signals; none if it was refused.
    #[must_use]
    pub fn signals(&self) -> &[Signal<U, G>] {
        match &self.result {
            KeptResult::One(Ok(outcome)) => &outcome.signals,
            KeptResult::Batch(Ok(outcome)) => &outcome.signals,
            KeptResult::One(Err(_)) | KeptResult::Batch(Err(_)) => &[],
        }
    }

    /// The refusal, and in a batch the place of the command that was refused.
    #[must_use]
    pub fn refusal(&self) -> Option<(&Refusal<U, G>, Option<usize>)> {
        match &self.result {
            KeptResult::One(Ok(_)) | KeptResult::Batch(Ok(_)) => None,
            KeptResult::One(Err(refusal)) => Some((refusal, None)),
            KeptResult::Batch(Err(batch)) => Some((&batch.refusal, Some(batch.index))),
        }
    }

    /// The replies: one of a command, one for each command of a batch, none if it was refused.
    #[must_use]
    pub fn replies(&self) -> &[Reply<U, G>] {
        match &self.result {
            KeptResult::One(Ok(outcome)) => std::slice::from_ref(&outcome.value),
            KeptResult::Batch(Ok(outcome)) => &outcome.value,
            KeptResult::One(Err(_)) | KeptResult::Batch(Err(_)) => &[],
        }
    }

    /// The dissolved groups, in the order in which they stand in the replies.
    pub fn dissolved(&self) -> impl Iterator<Item = &Dissolved<U>> {
        fn of_departure<U: Id>(departure: &Departure<U>) -> Option<&Dissolved<U>> {
            match departure {
                Departure::Dissolved(group) => Some(group),
                _ => None,
            }
        }
        self.replies().iter().flat_map(|reply| {
            let (one, many) = match reply {
                Reply::Dissolved(group) => (Some(group), &[][..]),
                Reply::Departed(departure) => (of_departure(departure), &[][..]),
                Reply::LeftAll(groups) => (None, &groups[..]),
                _ => (None, &[][..]),
            };
            one.into_iter().chain(many.iter().filter_map(|(_, left)| of_departure(left)))
        })
    }

    fn code(&self) -> u16 {
        self.refusal().map_or(200, |(refusal, _)| refusal.code())
    }
}

#[derive(Serialize)]
struct Done<'a, U: Id, G> {
    reply: &'a Reply<U, G>,
    signals: Vec<SignalView<'a, U, G>>,
}

#[derive(Serialize)]
struct BatchDone<'a, U: Id, G> {
    replies: &'a [Reply<U, G>],
    signals: Vec<SignalView<'a, U, G>>,
}

impl<U: Id + Serialize + Display, G: Serialize> Serialize for Kept<U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((refusal, index)) = self.refusal() {
            let refused = RefusedView::new(refusal, index);
            return Either::<(), _>::Refused(refused).serialize(serializer);
        }
        let signals = self.signals().iter().map(SignalView::from).collect();
        match (&self.result, self.replies()) {
            (KeptResult::One(_), [reply]) => {
                Either::<_, ()>::Done(Done { reply, signals }).serialize(serializer)
            }
            (_, replies) => {
                Either::<_, ()>::Done(BatchDone { replies, signals }).serialize(serializer)
            }
        }
    }
}

impl Serialize for AnyOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        each!(self, AnyOutcome(kept) => kept.serialize(serializer))
    }
}

impl AnyOutcome {
    /// The HTTP status: 200, or [`Refusal::code`]. O(1).
    #[must_use]
    pub fn code(&self) -> u16 {
        each!(self, AnyOutcome(kept) => kept.code())
    }

    /// How many signals there are. O(1).
    #[must_use]
    pub fn signals(&self) -> usize {
        each!(self, AnyOutcome(kept) => kept.signals().len())
    }

    /// The audience of the signal at `index`. It may outlive the outcome. O(1).
    #[must_use]
    pub fn audience(&self, index: usize) -> Option<AnyAudience> {
        Some(match self {
            AnyOutcome::Numbers(kept) => {
                AnyAudience::Numbers(kept.signals().get(index)?.audience.clone())
            }
            AnyOutcome::Text(kept) => {
                AnyAudience::Text(kept.signals().get(index)?.audience.clone())
            }
        })
    }

    /// The dissolved groups, in the order in which they stand in the reply. They may outlive the
    /// outcome. O(1) for each reply.
    #[must_use]
    pub fn dissolved(&self) -> Vec<AnyDissolved> {
        match self {
            AnyOutcome::Numbers(kept) => {
                kept.dissolved().cloned().map(AnyDissolved::Numbers).collect()
            }
            AnyOutcome::Text(kept) => kept.dissolved().cloned().map(AnyDissolved::Text).collect(),
        }
    }

    /// The reply as JSON of the chat API, [`wire::reply`]. `None` for a batch, which comes from the
    /// host and not from a client.
    #[must_use]
    pub fn wire_reply(&self) -> Option<String> {
        fn json<U: Id + Display, G: Display>(kept: &Kept<U, G>) -> Option<String> {
            let KeptResult::One(result) = &kept.result else { return None };
            serde_json::to_string(&wire::reply(result, kept.now)).ok()
        }
        each!(self, AnyOutcome(kept) => json(kept))
    }

    /// The signal at `index` as JSON of the chat API, [`wire::Frame`]; with the group's version if
    /// `versioned`.
    #[must_use]
    pub fn wire_frame(&self, index: usize, versioned: bool) -> Option<String> {
        fn json<U: Id + Display, G: Display>(
            signal: &Signal<U, G>,
            versioned: bool,
        ) -> Option<String> {
            if versioned {
                serde_json::to_string(&wire::VersionedFrame::from(signal)).ok()
            } else {
                serde_json::to_string(&wire::Frame::from(signal)).ok()
            }
        }
        each!(self, AnyOutcome(kept) => json(kept.signals().get(index)?, versioned))
    }
}
