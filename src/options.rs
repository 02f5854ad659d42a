//! The options of one group.

use serde::{Deserialize, Serialize};

use crate::rank::Rank;

/// The options of one group. They are set when the group is created, and the owner can change them.
/// In JSON, an option that is left out has its default.
///
/// # Examples
/// A private group that keeps 10,000 messages and continues with an admin when its owner leaves:
/// ```
/// use disband::{Admission, GroupOptions, OwnerExit};
///
/// let options = GroupOptions {
///     admission: Admission::Closed,
///     keep_entries: Some(10_000),
///     owner_exit: OwnerExit::Succeed,
///     ..GroupOptions::default()
/// };
/// # assert_ne!(options, GroupOptions::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupOptions {
    /// What happens to the group when its owner leaves.
    pub owner_exit: OwnerExit,
    /// How far back a member may read.
    pub history: HistoryAccess,
    /// How many entries the log keeps. Older ones cannot be read, and each post drops a few of them.
    /// `None`, the default, keeps all; 0 keeps none.
    pub keep_entries: Option<u64>,
    /// For how many milliseconds the log keeps an entry. `None`, the default, is for ever; 0 keeps
    /// none. If the clock goes back to before the post, the entry is kept.
    pub keep_ms: Option<u64>,
    /// Who may join.
    pub admission: Admission,
    /// The lowest rank that may add a user. Default [`Rank::Admin`].
    pub add: Rank,
    /// The lowest rank that may post. Default [`Rank::Member`].
    pub post: Rank,
    /// Who gets the signals that plain members joined, left or were kicked.
    pub announce: Announce,
}

impl Default for GroupOptions {
    fn default() -> Self {
        GroupOptions {
            owner_exit: OwnerExit::default(),
            history: HistoryAccess::default(),
            keep_entries: None,
            keep_ms: None,
            admission: Admission::default(),
            add: Rank::Admin,
            post: Rank::Member,
            announce: Announce::default(),
        }
    }
}

/// What happens to a group when its owner leaves. If the owner is the only member, the group is
/// always dissolved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OwnerExit {
    /// The group is dissolved.
    #[default]
    Dissolve,
    /// The owner cannot leave. They must transfer the group or dissolve it.
    /// [`leave_all`](crate::Engine::leave_all) is not refused: it acts as with `Succeed`.
    Refuse,
    /// The admin with the longest unbroken membership becomes the owner. If there is no admin, the
    /// group is dissolved.
    Succeed,
}

/// How far back a member may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryAccess {
    /// Entries posted since the member joined. A member who left and came back reads only entries since
    /// they last joined.
    #[default]
    FromJoin,
    /// The whole log.
    Full,
}

/// Who may join a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Admission {
    /// Every user who is not banned.
    #[default]
    Open,
    /// No user may join. Users become members only by [`add`](crate::Engine::add).
    Closed,
}

/// Who gets the signals that a plain member joined, left or was kicked.
///
/// In a group of a million, such a signal to every member takes a million deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Announce {
    /// Every member.
    #[default]
    Everyone,
    /// Only the owner and the admins, who are the group's *staff*. The group is called *quiet*.
    ///
    /// These signals carry the group's present version and do not increase it. So a client that
    /// missed one cannot notice it by the version, and a plain member's copy of the list of members
    /// becomes outdated.
    Staff,
}
