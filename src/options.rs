//! What is chosen for each group apart.

use serde::{Deserialize, Serialize};

/// Choices that hold for one group: made at its creation, and changed by its owner. In JSON, those
/// left out are the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
