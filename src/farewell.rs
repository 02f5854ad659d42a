//! The note and the successor that an owner gives when they dissolve a group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A note and a successor for [`Engine::dissolve`](crate::Engine::dissolve), which has an example. The
/// members get both with the `HistoryPurge` signal. Users who later send a command to the group get
/// both with the refusal, while the group is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Farewell<G> {
    /// A text of the owner. Its length is limited by
    /// [`Limits::note_bytes`](crate::Limits::note_bytes).
    pub note: Option<Arc<str>>,
    /// The group that replaces this one. The engine does not check that it exists.
    pub successor: Option<G>,
}

impl<G> Farewell<G> {
    /// No note and no successor.
    pub const NONE: Farewell<G> = Farewell { note: None, successor: None };
}

impl<G> Default for Farewell<G> {
    fn default() -> Self {
        Farewell::NONE
    }
}
