//! What an owner says when they dissolve a group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What [`Engine::dissolve`](crate::Engine::dissolve) may say to the members, and to whoever asks for
/// the group while it is remembered. By default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Farewell<G> {
    /// Why, or whatever else the owner wants to say: at most
    /// [`Limits::note_bytes`](crate::Limits::note_bytes).
    pub note: Option<Arc<str>>,
    /// The group to go to. The engine doesn't look at it: there need not be such a group.
    pub successor: Option<G>,
}

impl<G> Farewell<G> {
    /// Says nothing.
    pub const NONE: Farewell<G> = Farewell { note: None, successor: None };
}

impl<G> Default for Farewell<G> {
    fn default() -> Self {
        Farewell::NONE
    }
}
