//! Signals: what happened in a group, and which users to deliver it to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::audience::Audience;
use crate::id::{GroupId, Id, Seq};
use crate::rank::Rank;
use crate::time::Timestamp;

/// The key of a signal: 128 bits, the same for all its recipients. One engine never uses a key twice,
/// so a client can use it to drop duplicates. A [`preview`](crate::Engine::preview) and a clone
/// continue from the same counter, so do not deliver signals of both.
///
/// The upper half is the engine's [instance number](crate::Config::instance), the lower half a
/// counter. In human-readable formats it is a string of 32 hexadecimal digits.
///
/// # Examples
/// ```
/// use disband::SignalKey;
///
/// let key = SignalKey(255);
/// assert_eq!(key.to_string(), "000000000000000000000000000000ff");
/// assert_eq!(key.to_string().parse(), Ok::<_, disband::ParseKeyError>(key));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalKey(pub u128);

impl SignalKey {
    pub(crate) const fn new(instance: u64, counter: u64) -> Self {
        SignalKey(((instance as u128) << 64) | counter as u128)
    }
}

impl fmt::Display for SignalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text is not a [`SignalKey`]: 32 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("expected 32 hexadecimal digits in lower case")]
pub struct ParseKeyError(());

impl FromStr for SignalKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(digits) {
            return Err(ParseKeyError(()));
        }
        u128::from_str_radix(text, 16).map(SignalKey).map_err(|_| ParseKeyError(()))
    }
}

impl Serialize for SignalKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u128(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for SignalKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(SignalKey)
        }
    }
}

/// Something that happened in a group, and the users to deliver it to.
///
/// # Examples
/// ```
/// use disband::{Engine, GroupId, Timestamp, UserId};
///
/// let mut engine = Engine::default();
/// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
/// engine.create(alice, group, now)?.ignore_signals();
/// let joined = engine.join(bob, group, now)?;
///
/// let signal = &joined.signals[0];
/// assert_eq!(signal.to_string(), "memberjoin of 2 in 7, version 2, for 1 user");
/// assert!(signal.audience.iter().eq([&alice]));
/// assert_eq!((signal.from, *signal.actor()), (bob, bob));
/// # Ok::<(), disband::Refusal<UserId>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal<U: Id, G> {
    /// The signal's key, the same for all its recipients.
    pub key: SignalKey,
    /// The group in which it happened.
    pub group: G,
    /// The user that the signal is about; see [`Event`].
    pub from: U,
    pub(crate) actor: U,
    /// The group's version. It starts at the stint that the creator got from `create`. Each signal increases it by one,
    /// except signals about messages and, in a quiet group, signals that a plain member joined, left
    /// or was kicked: those repeat the present version. A client that sees a gap has missed a signal.
    /// A group that is created again under an old id never repeats a version.
    pub version: u64,
    /// What happened.
    pub event: Event<U, G>,
    /// The users to deliver the signal to.
    pub audience: Audience<U>,
}

impl<U: Id, G> Signal<U, G> {
    /// The user whose command caused the signal. Most audiences leave this user out, since they have
    /// the command's result. The user's other devices do not have the result, so a host may deliver the
    /// signal to them too. [`Engine::add`](crate::Engine::add) has an example.
    #[must_use]
    pub fn actor(&self) -> &U {
        &self.actor
    }
}

/// For a log: `memberjoin of 2 in 7, version 2, for 1 user`. It leaves out the texts of messages.
impl<U: Id + fmt::Display, G: fmt::Display> fmt::Display for Signal<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, users) = (self.event.name(), self.audience.len());
        let plural = if users == 1 { "" } else { "s" };
        write!(
            f,
            "{name} of {} in {}, version {}, for {users} user{plural}",
            self.from, self.group, self.version
        )
    }
}

/// What happened. "`from`" is [`Signal::from`]; the *staff* of a group is its owner and its admins; a
/// group is *quiet* if its options say [`Announce::Staff`](crate::Announce::Staff).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event<U, G = GroupId> {
    /// `from` joined, or was added by `by`.
    ///
    /// Audience: if `from` joined, the other members; if `from` was added, every member except `by`. In
    /// a quiet group: the staff except `by`, and `from` if they were added.
    MemberJoin {
        /// Who added them; `None` if they joined.
        by: Option<U>,
    },
    /// `from` left.
    ///
    /// Audience: the remaining members. In a quiet group, if `from` was a plain member: the staff.
    MemberLeave,
    /// If `from` is `by`, the owner dissolved the group, and everyone in the audience lost their
    /// membership. Else `from` was kicked.
    ///
    /// Audience: in a dissolution, every member except the owner. Else the remaining members, and
    /// `from`; in a quiet group, if `from` was a plain member: the staff, and `from`.
    MemberKick {
        /// Who kicked them, or dissolved the group.
        by: U,
    },
    /// The group was dissolved by its owner, who is `from`, and its log is gone.
    ///
    /// Audience: every former member except the owner.
    HistoryPurge {
        /// The number that the next entry would have had. All entries below it are gone.
        before: Seq,
        /// The owner's text, if there is one.
        note: Option<Arc<str>>,
        /// The group that replaces this one, if the owner named one.
        successor: Option<G>,
    },
    /// `from` posted a message. Audience: the other members.
    MessagePost {
        /// The number of its entry in the log.
        seq: Seq,
        /// The time of its entry in the log.
        at: Timestamp,
        /// The text, shared with the log.
        message: Arc<str>,
    },
    /// `from` is the new owner. Audience: every member. After a transfer `previous` is an admin now; no
    /// `RankChange` says so. If the previous owner left, their `MemberLeave` came before, and
    /// `previous` is not a member any more.
    OwnerChange {
        /// The previous owner.
        previous: U,
    },
    /// `from` has another rank. Audience: every member.
    RankChange {
        /// The new rank.
        rank: Rank,
    },
    /// `from` changed the text of their own message. Audience: the other members, also those who joined
    /// after the post and may not read the entry in the log.
    MessageEdit {
        /// The number of its entry in the log.
        seq: Seq,
        /// The time of the edit.
        at: Timestamp,
        /// The new text, shared with the log.
        message: Arc<str>,
    },
    /// `from` erased a message. Audience: the other members.
    MessageErase {
        /// The number of its entry in the log.
        seq: Seq,
    },
    /// `from` may not post or edit any more. Audience: every member.
    Mute {
        /// Who muted them.
        by: U,
        /// When the mute ends; `None` if it only ends when it is lifted.
        until: Option<Timestamp>,
    },
    /// `from` may post and edit again. Audience: every member.
    Unmute {
        /// Who lifted the mute.
        by: U,
    },
}

impl<U, G> Event<U, G> {
    /// The name of the event, as the wire has it: `memberjoin`, `memberleave`, `memberkick`,
    /// `historypurge`, `message`, `messageedit`, `messageerase`, `ownerchange`, `rankchange`, `mute`
    /// or `unmute`.
    ///
    /// # Examples
    /// ```
    /// use disband::{Event, UserId};
    ///
    /// assert_eq!(Event::<UserId>::MemberLeave.name(), "memberleave");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Event::MemberJoin { .. } => "memberjoin",
            Event::MemberLeave => "memberleave",
            Event::MemberKick { .. } => "memberkick",
            Event::HistoryPurge { .. } => "historypurge",
            Event::MessagePost { .. } => "message",
            Event::OwnerChange { .. } => "ownerchange",
            Event::RankChange { .. } => "rankchange",
            Event::MessageEdit { .. } => "messageedit",
            Event::MessageErase { .. } => "messageerase",
            Event::Mute { .. } => "mute",
            Event::Unmute { .. } => "unmute",
        }
    }
}
