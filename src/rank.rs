//! Who stands above whom in a group.

use serde::{Deserialize, Serialize};

/// A member's rank, the lowest first. It ends with the stint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// Reads and posts.
    Member,
    /// Kicks and bans members too.
    Admin,
    /// All of that to admins, and decides on ranks, options and the group's end. Exactly one.
    Owner,
}

impl Rank {
    /// The name, as the wire has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rank::Member => "member",
            Rank::Admin => "admin",
            Rank::Owner => "owner",
        }
    }
}
