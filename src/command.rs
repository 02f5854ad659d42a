//! Commands as data: to log, to route, to replicate.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Seq, Stint};
use crate::options::GroupOptions;
use crate::quota::Operation;
use crate::rank::Rank;
use crate::time::Timestamp;

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
    /// [`Engine::dissolve`](crate::Engine::dissolve)
    Dissolve {
        /// The owner.
        owner: U,
        /// Which group.
        group: G,
        /// What they say to the members; null for nothing.
        note: Option<Arc<str>>,
        /// The group to go to; null for none.
        successor: Option<G>,
    },
    /// [`Engine::transfer`](crate::Engine::transfer)
    Transfer {
        /// Who owns it so far.
        owner: U,
        /// Which group.
        group: G,
        /// Who is to own it.
        user: U,
    },
    /// [`Engine::set_rank`](crate::Engine::set_rank)
    SetRank {
        /// Who decides.
        by: U,
        /// In which group.
        group: G,
        /// Whose rank.
        user: U,
        /// Which.
        rank: Rank,
    },
    /// [`Engine::set_options`](crate::Engine::set_options)
    SetOptions {
        /// Who decides.
        by: U,
        /// Of which group.
        group: G,
        /// All of its options from now on.
        options: GroupOptions,
    },
    /// [`Engine::ban`](crate::Engine::ban)
    Ban {
        /// Who bans.
        by: U,
        /// From which group.
        group: G,
        /// Who is banned.
        user: U,
        /// Until when; null for until the ban is lifted.
        until: Option<Timestamp>,
    },
    /// [`Engine::unban`](crate::Engine::unban)
    Unban {
        /// Who lifts the ban.
        by: U,
        /// In which group.
        group: G,
        /// Whose ban.
        user: U,
    },
    /// [`Engine::leave_all`](crate::Engine::leave_all)
    LeaveAll {
        /// Whose account goes.
        user: U,
    },
    /// [`Engine::add`](crate::Engine::add)
    Add {
        /// Who adds.
        by: U,
        /// To which group.
        group: G,
        /// Who is added.
        user: U,
    },
    /// [`Engine::mute`](crate::Engine::mute)
    Mute {
        /// Who mutes.
        by: U,
        /// In which group.
        group: G,
        /// Who is muted.
        user: U,
        /// Until when; null for until the mute is lifted.
        until: Option<Timestamp>,
    },
    /// [`Engine::unmute`](crate::Engine::unmute)
    Unmute {
        /// Who lifts the mute.
        by: U,
        /// In which group.
        group: G,
        /// Whose mute.
        user: U,
    },
    /// [`Engine::edit`](crate::Engine::edit)
    Edit {
        /// Who wrote the message.
        author: U,
        /// In which group.
        group: G,
        /// The number of the entry.
        seq: Seq,
        /// The new text.
        message: Arc<str>,
    },
    /// [`Engine::erase`](crate::Engine::erase)
    Erase {
        /// Who erases.
        by: U,
        /// In which group.
        group: G,
        /// The number of the entry.
        seq: Seq,
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
            | Command::Post { author: actor, .. }
            | Command::Dissolve { owner: actor, .. }
            | Command::Transfer { owner: actor, .. }
            | Command::SetRank { by: actor, .. }
            | Command::SetOptions { by: actor, .. }
            | Command::Ban { by: actor, .. }
            | Command::Unban { by: actor, .. }
            | Command::LeaveAll { user: actor }
            | Command::Add { by: actor, .. }
            | Command::Mute { by: actor, .. }
            | Command::Unmute { by: actor, .. }
            | Command::Edit { author: actor, .. }
            | Command::Erase { by: actor, .. } => actor,
        }
    }

    /// On which group; `None` for `LeaveAll`, which is on all of them.
    #[must_use]
    pub const fn group(&self) -> Option<&G> {
        match self {
            Command::Create { group, .. }
            | Command::Join { group, .. }
            | Command::Leave { group, .. }
            | Command::Kick { group, .. }
            | Command::Post { group, .. }
            | Command::Dissolve { group, .. }
            | Command::Transfer { group, .. }
            | Command::SetRank { group, .. }
            | Command::SetOptions { group, .. }
            | Command::Ban { group, .. }
            | Command::Unban { group, .. }
            | Command::Add { group, .. }
            | Command::Mute { group, .. }
            | Command::Unmute { group, .. }
            | Command::Edit { group, .. }
            | Command::Erase { group, .. } => Some(group),
            Command::LeaveAll { .. } => None,
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
            Command::Dissolve { .. } => Operation::Dissolve,
            Command::Transfer { .. } => Operation::Transfer,
            Command::SetRank { .. } => Operation::SetRank,
            Command::SetOptions { .. } => Operation::SetOptions,
            Command::Ban { .. } => Operation::Ban,
            Command::Unban { .. } => Operation::Unban,
            Command::LeaveAll { .. } => Operation::LeaveAll,
            Command::Add { .. } => Operation::Add,
            Command::Mute { .. } => Operation::Mute,
            Command::Unmute { .. } => Operation::Unmute,
            Command::Edit { .. } => Operation::Edit,
            Command::Erase { .. } => Operation::Erase,
        }
    }
}

/// One line for a log: who does what to which group. Of messages and notes only the length is shown.
impl<U: fmt::Display, G: fmt::Display> fmt::Display for Command<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by={}", self.kind().name(), self.actor())?;
        if let Some(group) = self.group() {
            write!(f, " group={group}")?;
        }
        match self {
            Command::Leave { stint: Some(stint), .. } => write!(f, " stint={stint}"),
            Command::Kick { user, .. }
            | Command::Transfer { user, .. }
            | Command::Ban { user, until: None, .. }
            | Command::Unban { user, .. }
            | Command::Add { user, .. }
            | Command::Mute { user, until: None, .. }
            | Command::Unmute { user, .. } => write!(f, " user={user}"),
            Command::Ban { user, until: Some(until), .. }
            | Command::Mute { user, until: Some(until), .. } => {
                write!(f, " user={user} until={until}")
            }
            Command::Edit { seq, message, .. } => write!(f, " seq={seq} bytes={}", message.len()),
            Command::Erase { seq, .. } => write!(f, " seq={seq}"),
            Command::Dissolve { note, successor, .. } => {
                if let Some(note) = note {
                    write!(f, " note_bytes={}", note.len())?;
                }
                successor.as_ref().map_or(Ok(()), |successor| write!(f, " successor={successor}"))
            }
            Command::SetRank { user, rank, .. } => write!(f, " user={user} rank={}", rank.name()),
            Command::Post { message, .. } => write!(f, " bytes={}", message.len()),
            _ => Ok(()),
        }
    }
}
