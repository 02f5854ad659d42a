//! What is chosen for each group apart.

use serde::{Deserialize, Serialize};

/// Choices that a group is created with. In JSON, those left out are the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupOptions {
    /// What comes of the group when its owner leaves.
    pub owner_exit: OwnerExit,
}

/// What comes of a group when its owner leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OwnerExit {
    /// It is dissolved.
    #[default]
    Dissolve,
}
