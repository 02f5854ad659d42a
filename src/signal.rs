//! What a command makes happen, and who is to hear of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::audience::Audience;
use crate::id::{GroupId, Id, Seq};
use crate::rank::Rank;
use crate::time::Timestamp;

/// What a signal is known by: 128 bits, the same for all its recipients and never used again, so
/// that a client can drop a duplicate.
///
/// The upper half is the engine's instance number, from its [`Config`](crate::Config), the lower
/// half a counter. 32 hexadecimal digits where people read it.
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

/// The text is not a signal's key: 32 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signal's key is 32 hexadecimal digits in lower case")]
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

/// Something that happened in a group, to be delivered to an audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal<U: Id, G> {
    /// One key per signal, the same for all its recipients.
    pub key: SignalKey,
    /// Where it happened.
    pub group: G,
    /// Whom it is about; see [`Event`].
    pub from: U,
    pub(crate) actor: U,
    /// The group's version with it. It starts at the owner's first stint and grows by one with
    /// every signal but those of messages (posted, edited, erased) and those that only a quiet
    /// group's staff hears: a client that sees a gap has missed something. No group that is created
    /// anew under an old id repeats a version.
    pub version: u64,
    /// What happened.
    pub event: Event<U, G>,
    /// Who is to hear of it.
    pub audience: Audience<U>,
}

impl<U: Id, G> Signal<U, G> {
    /// Who acted: whose command it was. Where the audience leaves them out, their other devices have
    /// not heard of it, so a host may want to send them the signal too.
    /// [`Engine::add`](crate::Engine::add) has an example.
    #[must_use]
    pub fn actor(&self) -> &U {
        &self.actor
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event<U, G = GroupId> {
    /// `from` joined: to the other members. Or a member added `from`: to every member but that one.
    ///
    /// In a [quiet](crate::Announce::Staff) group, to the staff (the owner and the admins) instead
    /// of the members; to `from` too if they were added.
    MemberJoin {
        /// Who added them; `None` if they joined by themselves.
        by: Option<U>,
    },
    /// `from` left. To the members who remain; in a quiet group, if `from` was a plain member, to
    /// the staff.
    MemberLeave,
    /// `from` was kicked: to the members who remain, and `from`; in a quiet group, if `from` was a
    /// plain member, to the staff, and `from`. Or, if `from` is `by`, the owner dissolved the group,
    /// and whoever hears this is a member no more: to all but the owner.
    MemberKick {
        /// Who did it.
        by: U,
    },
    /// The group was dissolved and its history is gone. To all who were members but the owner, who
    /// is `from`.
    HistoryPurge {
        /// The number that the next entry would have got: all below it are gone.
        before: Seq,
        /// What the owner said, if they said anything.
        note: Option<Arc<str>>,
        /// The group to go to, if the owner named one.
        successor: Option<G>,
    },
    /// `from` posted a message. To the other members.
    MessagePost {
        /// Its place in the group's history.
        seq: Seq,
        /// Its time there.
        at: Timestamp,
        /// The text, shared with the history.
        message: Arc<str>,
    },
    /// `from` owns the group now. To every member, or, if `previous` left, to those who remain.
    OwnerChange {
        /// Who owned it before.
        previous: U,
    },
    /// `from` has another rank. To every member.
    RankChange {
        /// Which.
        rank: Rank,
    },
    /// `from` changed the text of a message of their own. To the other members.
    MessageEdit {
        /// Its place in the group's history.
        seq: Seq,
        /// The time of the edit.
        at: Timestamp,
        /// The new text, shared with the history.
        message: Arc<str>,
    },
    /// `from` erased a message. To the other members.
    MessageErase {
        /// Its place in the group's history.
        seq: Seq,
    },
    /// `from` may not post or edit any more. To every member.
    Mute {
        /// Who did it.
        by: U,
        /// Until when; `None` for until the mute is lifted.
        until: Option<Timestamp>,
    },
    /// `from` may post and edit again. To every member.
    Unmute {
        /// Who did it.
        by: U,
    },
}
