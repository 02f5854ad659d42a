//! How much there is of everything.

use serde::{Deserialize, Serialize};

/// How much there is of everything in an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Living groups.
    pub groups: u64,
    /// Memberships in them.
    pub memberships: u64,
    /// Entries in their logs, those past their retention but not yet dropped among them.
    pub entries: u64,
    /// Bytes of the messages of those entries.
    pub message_bytes: u64,
    /// Dissolved groups that are remembered, those no longer standing but not yet cleaned included.
    pub tombstones: u64,
    /// Rate-limit cells.
    pub cells: u64,
    /// Index entries of dissolved groups that wait for the sweep.
    pub unswept: u64,
}
