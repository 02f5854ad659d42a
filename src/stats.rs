//! The sizes of an engine.

use serde::{Deserialize, Serialize};

/// The sizes of an engine. [`Engine::stats`](crate::Engine::stats) returns them and has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Groups.
    pub groups: u64,
    /// Memberships in all groups.
    pub memberships: u64,
    /// Entries in all logs, including those past their retention that are not dropped yet.
    pub entries: u64,
    /// Bytes of the messages of those entries.
    pub message_bytes: u64,
    /// Dissolved groups that are remembered, including those that expired and are not cleaned yet.
    pub tombstones: u64,
    /// Rate cells. A cell is the state of one rate limit of one user.
    pub cells: u64,
    /// Entries of dissolved groups in the index from users to groups, which the sweep has not removed
    /// yet.
    pub unswept: u64,
}
