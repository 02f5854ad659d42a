//! Commands as data: to log, to route, to replicate.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Stint;
use crate::options::GroupOptions;
use crate::quota::Operation;

/// A command, without its time. [`Engine::apply`](crate::Engine::apply) carries it out.
///
/// As JSON, `{"leave":{"user":"808080","group":"6228482","stint":null}}`. Fields that may be null
/// may be left out there; unknown fields are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command<U, G> {
    /// [`Engine::create_with`](crate::Engine::create_with)
    Create {
        /// Who creates it, and owns it.
        owner: U,
        /// The new group's id.
        group: G,
        /// Null for the defaults.
        options: Option<GroupOptions>,
    },
    /// [`Engine::join`](crate::Engine::join)
    Join {
        /// Who joins.
        user: U,
        /// Which group.
        group: G,
    },
    /// [`Engine::leave`](crate::Engine::leave), or, if it names a stint,
    /// [`Engine::leave_stint`](crate::Engine::leave_stint)
    Leave {
        /// Who leaves.
        user: U,
        /// Which group.
        group: G,
        /// The membership that is meant; null for whichever there is.
        stint: Option<Stint>,
    },
    /// [`Engine::kick`](crate::Engine::kick)
    Kick {
        /// Who kicks.
        by: U,
        /// From which group.
        group: G,
        /// Who is kicked.
        user: U,
    },
    /// [`Engine::post`](crate::Engine::post)
    Post {
        /// Who writes.
        author: U,
        /// In which group.
        group: G,
        /// The text.
        message: Arc<str>,
    },
}

impl<U, G> Command<U, G> {
    /// Who acts.
    #[must_use]
    pub const fn actor(&self) -> &U {
        match self {
            Command::Create { owner: actor, .. }
            | Command::Join { user: actor, .. }
            | Command::Leave { user: actor, .. }
            | Command::Kick { by: actor, .. }
            | Command::Post { author: actor, .. } => actor,
        }
    }

    /// On which group.
    #[must_use]
    pub const fn group(&self) -> &G {
        match self {
            Command::Create { group, .. }
            | Command::Join { group, .. }
            | Command::Leave { group, .. }
            | Command::Kick { group, .. }
            | Command::Post { group, .. } => group,
        }
    }

    /// What kind of command it is.
    #[must_use]
    pub const fn kind(&self) -> Operation {
        match self {
            Command::Create { .. } => Operation::Create,
            Command::Join { .. } => Operation::Join,
            Command::Leave { .. } => Operation::Leave,
            Command::Kick { .. } => Operation::Kick,
            Command::Post { .. } => Operation::Post,
        }
    }
}

/// One line for a log: who does what to which group. Messages are left out, but for their length.
impl<U: fmt::Display, G: fmt::Display> fmt::Display for Command<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} group={} by={}", self.kind().name(), self.group(), self.actor())?;
        match self {
            Command::Leave { stint: Some(stint), .. } => write!(f, " stint={stint}"),
            Command::Kick { user, .. } => write!(f, " user={user}"),
            Command::Post { message, .. } => write!(f, " bytes={}", message.len()),
            _ => Ok(()),
        }
    }
}
