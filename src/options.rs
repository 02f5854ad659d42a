//! What is chosen for each group apart.

use serde::{Deserialize, Serialize};

use crate::rank::Rank;

/// Choices that hold for one group: made at its creation, and changed by its owner. In JSON, those
/// left out are the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupOptions {
    /// What comes of the group when its owner leaves.
    pub owner_exit: OwnerExit,
    /// How far back a member may read.
    pub history: HistoryAccess,
    /// How many entries the log keeps: older ones can't be read, and are dropped a few with each
    /// post. `None`, the default, for all; 0 for none.
    pub keep_entries: Option<u64>,
    /// For how many milliseconds the log keeps an entry. `None`, the default, for ever; 0 for not
    /// at all.
    pub keep_ms: Option<u64>,
    /// Who may join.
    pub admission: Admission,
    /// The lowest rank that may add somebody. Default [`Rank::Admin`].
    pub add: Rank,
    /// The lowest rank that may post. Default [`Rank::Member`].
    pub post: Rank,
    /// Who hears of plain members' coming and going.
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

/// What comes of a group when its owner leaves. One who is alone in it always dissolves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OwnerExit {
    /// It is dissolved.
    #[default]
    Dissolve,
    /// The owner can't leave: they transfer the group first, or dissolve it.
    Refuse,
    /// The admin with the longest unbroken membership becomes the owner. With no admin, the group
    /// is dissolved.
    Succeed,
}

/// How far back a member may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryAccess {
    /// From the entry that they joined at.
    #[default]
    FromJoin,
    /// All there is.
    Full,
}

/// Who may join a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Admission {
    /// Anybody who is not banned.
    #[default]
    Open,
    /// Nobody. Users become members by [`add`](crate::Engine::add) alone.
    Closed,
}

/// Who hears that a plain member joined, left or was kicked.
///
/// In a group of a million members, each such signal to everyone is a million deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Announce {
    /// Every member.
    #[default]
    Everyone,
    /// The owner and the admins alone: the group is *quiet*, and these are its *staff*.
    ///
    /// Such signals repeat the group's present version, so a client can't see from it that it missed
    /// one. A plain member's copy of the list of members goes out of date.
    Staff,
}
