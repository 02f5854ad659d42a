//! Commands as data.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Seq, Stint};
use crate::options::GroupOptions;
use crate::quota::Operation;
use crate::rank::Rank;
use crate::time::Timestamp;

/// A command as data: to log, to route or to replicate it. [`Engine::apply`](crate::Engine::apply)
/// carries it out. The time is not a part of it.
///
/// In JSON, fields that may be null may be left out, and unknown fields are errors.
///
/// # Examples
/// ```
/// use disband::{Command, GroupId, Operation, UserId};
///
/// let leave = Command::Leave { user: UserId(808080), group: GroupId(6228482), stint: None };
/// assert_eq!(leave.operation(), Operation::Leave);
/// assert_eq!((leave.actor(), leave.group()), (&UserId(808080), Some(&GroupId(6228482))));
/// assert_eq!(leave.to_string(), "leave by=808080 group=6228482");
///
/// let json = r#"{"leave":{"user":"808080","group":"6228482"}}"#;
/// assert_eq!(serde_json::from_str::<Command<UserId, GroupId>>(json)?, leave);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command<U, G> {
    /// [`Engine::create_with`](crate::Engine::create_with)
    Create {
        /// The new group's owner.
        owner: U,
        /// The new group's id.
        group: G,
        /// The group's options; null for the defaults.
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
        /// The membership to end; null for the present one.
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
        /// A text for the members, or null.
        note: Option<Arc<str>>,
        /// The group that replaces this one, or null.
        successor: Option<G>,
    },
    /// [`Engine::transfer`](crate::Engine::transfer)
    Transfer {
        /// The present owner.
        owner: U,
        /// Which group.
        group: G,
        /// The new owner.
        user: U,
    },
    /// [`Engine::set_rank`](crate::Engine::set_rank)
    SetRank {
        /// The owner.
        by: U,
        /// In which group.
        group: G,
        /// Whose rank to set.
        user: U,
        /// The new rank.
        rank: Rank,
    },
    /// [`Engine::set_options`](crate::Engine::set_options)
    SetOptions {
        /// The owner.
        by: U,
        /// Of which group.
        group: G,
        /// The new options, all of them.
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
        /// When the ban ends; null if it only ends when it is lifted.
        until: Option<Timestamp>,
    },
    /// [`Engine::unban`](crate::Engine::unban)
    Unban {
        /// Who lifts the ban.
        by: U,
        /// In which group.
        group: G,
        /// Whose ban to lift.
        user: U,
    },
    /// [`Engine::leave_all`](crate::Engine::leave_all)
    LeaveAll {
        /// Who leaves every group.
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
        /// When the mute ends; null if it only ends when it is lifted.
        until: Option<Timestamp>,
    },
    /// [`Engine::unmute`](crate::Engine::unmute)
    Unmute {
        /// Who lifts the mute.
        by: U,
        /// In which group.
        group: G,
        /// Whose mute to lift.
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
    /// The user who acts. [`Command`] has an example.
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

    /// The group that the command is for; `None` for `LeaveAll`. [`Command`] has an example.
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

    /// The same command with other ids: for a host whose own ids have another type. `user` converts
    /// the ids of users, and `group` those of groups.
    ///
    /// # Errors
    /// The first error of `user` or `group`.
    ///
    /// # Examples
    /// ```
    /// use disband::{Command, GroupId, ParseNumberError, UserId};
    ///
    /// let text = Command::Kick { by: "1", group: "7", user: "2" };
    /// let kick = text.try_map_ids(str::parse, str::parse)?;
    /// assert_eq!(kick, Command::Kick { by: UserId(1), group: GroupId(7), user: UserId(2) });
    ///
    /// let text = Command::Join { user: "alice", group: "7" };
    /// assert!(text.try_map_ids(str::parse::<UserId>, str::parse::<GroupId>).is_err());
    /// # Ok::<(), ParseNumberError>(())
    /// ```
    pub fn try_map_ids<V, H, E>(
        self,
        user: impl Fn(U) -> Result<V, E>,
        group: impl Fn(G) -> Result<H, E>,
    ) -> Result<Command<V, H>, E> {
        let (u, g) = (user, group);
        Ok(match self {
            Command::Create { owner, group, options } => {
                Command::Create { owner: u(owner)?, group: g(group)?, options }
            }
            Command::Join { user, group } => Command::Join { user: u(user)?, group: g(group)? },
            Command::Leave { user, group, stint } => {
                Command::Leave { user: u(user)?, group: g(group)?, stint }
            }
            Command::Kick { by, group, user } => {
                Command::Kick { by: u(by)?, group: g(group)?, user: u(user)? }
            }
            Command::Post { author, group, message } => {
                Command::Post { author: u(author)?, group: g(group)?, message }
            }
            Command::Dissolve { owner, group, note, successor } => Command::Dissolve {
                owner: u(owner)?,
                group: g(group)?,
                note,
                successor: successor.map(g).transpose()?,
            },
            Command::Transfer { owner, group, user } => {
                Command::Transfer { owner: u(owner)?, group: g(group)?, user: u(user)? }
            }
            Command::SetRank { by, group, user, rank } => {
                Command::SetRank { by: u(by)?, group: g(group)?, user: u(user)?, rank }
            }
            Command::SetOptions { by, group, options } => {
                Command::SetOptions { by: u(by)?, group: g(group)?, options }
            }
            Command::Ban { by, group, user, until } => {
                Command::Ban { by: u(by)?, group: g(group)?, user: u(user)?, until }
            }
            Command::Unban { by, group, user } => {
                Command::Unban { by: u(by)?, group: g(group)?, user: u(user)? }
            }
            Command::LeaveAll { user } => Command::LeaveAll { user: u(user)? },
            Command::Add { by, group, user } => {
                Command::Add { by: u(by)?, group: g(group)?, user: u(user)? }
            }
            Command::Mute { by, group, user, until } => {
                Command::Mute { by: u(by)?, group: g(group)?, user: u(user)?, until }
            }
            Command::Unmute { by, group, user } => {
                Command::Unmute { by: u(by)?, group: g(group)?, user: u(user)? }
            }
            Command::Edit { author, group, seq, message } => {
                Command::Edit { author: u(author)?, group: g(group)?, seq, message }
            }
            Command::Erase { by, group, seq } => {
                Command::Erase { by: u(by)?, group: g(group)?, seq }
            }
        })
    }

    /// Which operation the command is. [`Command`] has an example.
    #[must_use]
    pub const fn operation(&self) -> Operation {
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

/// One line for a log. Of messages and notes it has the length only, and it leaves out options.
impl<U: fmt::Display, G: fmt::Display> fmt::Display for Command<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by={}", self.operation(), self.actor())?;
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
            Command::SetRank { user, rank, .. } => write!(f, " user={user} rank={rank}"),
            Command::Post { message, .. } => write!(f, " bytes={}", message.len()),
            _ => Ok(()),
        }
    }
}
