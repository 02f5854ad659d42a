//! Why a command has no answer of the engine.

use disband::Timestamp;

use crate::keys::KeyRefusal;
use crate::machine::NotDone;

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The command was certainly not carried out, and never will be.
    #[error("{0}")]
    NotDone(&'static str),
    /// It is not known whether the command is carried out.
    #[error("not known whether this is done: send it again with the same Idempotency-Key")]
    Unknown,
    /// The user has too many commands under way.
    #[error("at most {max} commands of one user may be under way")]
    Busy {
        /// How many may be.
        max: usize,
    },
    /// The key was used for another command.
    #[error("this Idempotency-Key was used for another command")]
    KeyReused,
    /// The key is too old to tell whether its command was carried out.
    #[error("too late to tell whether this was done: read the state")]
    KeyExpired,
    /// The time in the key is more than two minutes ahead.
    #[error("the time in this Idempotency-Key is ahead of the server's")]
    KeyAhead {
        /// The server's time.
        now: Timestamp,
    },
}

impl From<KeyRefusal> for Unanswered {
    fn from(refusal: KeyRefusal) -> Self {
        match refusal {
            KeyRefusal::Reused => Unanswered::KeyReused,
            KeyRefusal::Expired => Unanswered::KeyExpired,
            KeyRefusal::Ahead(now) => Unanswered::KeyAhead { now },
            KeyRefusal::Full => Unanswered::NotDone("no more answers can be kept for keys"),
        }
    }
}

impl From<NotDone> for Unanswered {
    fn from(why: NotDone) -> Self {
        match why {
            NotDone::TooOld => Unanswered::NotDone("the request is too old"),
            NotDone::Key(refusal) => refusal.into(),
        }
    }
}
