//! Why a command was refused, as data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::GroupId;
use crate::limits::Limit;
use crate::time::Timestamp;

/// Why a command was refused.
///
/// A refused command emits no signal and changes nothing that a host can see of groups, memberships,
/// logs, bans and mutes. It is charged against the rate limit, unless it was refused as too fast.
///
/// If several refusals apply, the result is the first of them in this order:
/// 1. too fast (429)
/// 2. no such group (404)
/// 3. the user who acts is not a member (400)
/// 4. no such entry (404)
/// 5. the user who acts has no right to (403)
/// 6. the user acted upon is not a member (400)
/// 7. a conflict (409)
/// 8. a limit (413)
///
/// `Display` gives a text for logs and developers: times in it are [`Timestamp`]s, in milliseconds, and
/// ids need `Display`. For users, make a text of your own from the data.
///
/// # Examples
/// ```
/// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
///
/// let mut engine = Engine::default();
/// let (alice, bob, group, now) = (UserId(1), UserId(2), GroupId(7), Timestamp(1_000));
/// engine.create(alice, group, now)?.ignore_signals();
/// engine.ban(alice, group, bob, None, now)?.ignore_signals();
///
/// let refusal = engine.join(bob, group, now).unwrap_err();
/// assert_eq!(refusal, Refusal::Banned { by: alice, until: None });
/// assert_eq!(refusal.code(), 403);
/// assert_eq!(refusal.to_string(), "banned by 1");
/// # Ok::<(), Refusal<UserId>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Refusal<U, G = GroupId> {
    /// 429: the user repeats the operation too fast. A user has one allowance for each operation and
    /// group. All ids without a group share one allowance, so [`create`](crate::Engine::create) has a
    /// single one for all new groups.
    #[error("too fast: try again at {retry_at}")]
    TooFast {
        /// From this time on the command is admitted, unless before then another command is charged
        /// to the same allowance, the group is created or dissolved, or the host changes the quota.
        retry_at: Timestamp,
    },
    /// 404: there is no such group, and none is remembered.
    #[error("no such group")]
    NoSuchGroup,
    /// 404: the group was dissolved. Former members get this refusal too: the engine no longer knows
    /// who they were.
    #[error("the group was dissolved by {by} at {at}")]
    Dissolved {
        /// Its last owner.
        by: U,
        /// When it was dissolved.
        at: Timestamp,
        /// The owner's text, if there is one.
        note: Option<Arc<str>>,
        /// The group that replaces this one, if the owner named one.
        successor: Option<G>,
    },
    /// 400: the user who acts is not a member of the group.
    #[error("not a member: {0}")]
    NotMember(Absence<U>),
    /// 403: only the owner may do this.
    #[error("only the owner may do this")]
    NotOwner,
    /// 403: the user acted upon has the same or a higher rank than the user who acts.
    #[error("the other user has the same or a higher rank")]
    Outranked,
    /// 400: the user acted upon is not a member of the group.
    #[error("the other user is not a member: {0}")]
    TargetNotMember(Absence<U>),
    /// 409: there is a group with this id.
    #[error("the group already exists")]
    GroupExists,
    /// 409: a group with this id was dissolved, and is still remembered.
    #[error("the group id is reserved until {until}")]
    IdReserved {
        /// When the id becomes free.
        until: Timestamp,
    },
    /// 409: the user is already a member.
    #[error("already a member")]
    AlreadyMember,
    /// 403: only the owner and admins may do this.
    #[error("only the owner and admins may do this")]
    NotAdmin,
    /// 403: the user is banned from the group.
    #[error("banned by {by}{}", until_when(*until))]
    Banned {
        /// Who banned them.
        by: U,
        /// When the ban ends; `None` if it only ends when it is lifted.
        until: Option<Timestamp>,
    },
    /// 409: this group's owner cannot leave it. They must transfer or dissolve it.
    #[error("the owner cannot leave: transfer or dissolve the group first")]
    OwnerMustStay,
    /// 409: the user to become the owner is the owner.
    #[error("already the owner")]
    AlreadyOwner,
    /// 409: the member already has that rank.
    #[error("the member already has that rank")]
    AlreadyRanked,
    /// 409: the user is not banned.
    #[error("not banned")]
    NotBanned,
    /// 409: the ban or mute would end at or before the present time.
    #[error("the given end is not in the future")]
    AlreadyExpired,
    /// 413: a limit would be exceeded.
    #[error("over the limit of {max} for {limit}")]
    OverLimit {
        /// Which limit.
        limit: Limit,
        /// The limit's value.
        max: u64,
    },
    /// 403: the group is closed. Users become members only by [`add`](crate::Engine::add).
    #[error("the group is closed: a member must add you")]
    Closed,
    /// 409: the user to be added is banned from the group. The ban must be lifted first.
    #[error("the other user is banned by {by}{}", until_when(*until))]
    TargetBanned {
        /// Who banned them.
        by: U,
        /// When the ban ends; `None` if it only ends when it is lifted.
        until: Option<Timestamp>,
    },
    /// 403: the user may not post or edit in this group.
    #[error("muted by {by}{}", until_when(*until))]
    Muted {
        /// Who muted them.
        by: U,
        /// When the mute ends; `None` if it only ends when it is lifted.
        until: Option<Timestamp>,
    },
    /// 409: the user is not muted.
    #[error("not muted")]
    NotMuted,
    /// 404: the group's log has no entry with this number, or none that the user may read.
    #[error("no such entry")]
    NoSuchEntry,
    /// 403: another user wrote the message.
    #[error("another user wrote the message")]
    NotAuthor,
    /// 409: the message is already erased.
    #[error("the message is already erased")]
    AlreadyErased,
}

fn until_when(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" until {until}"))
}

/// Why a user is not a member of a group, as far as the engine knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Absence<U> {
    /// The given stint is not the user's present one: the user is a member under another stint.
    #[error("the given membership ended, and a newer one began")]
    StintOver,
    /// The user left.
    #[error("left at {at}")]
    Left {
        /// When they left.
        at: Timestamp,
    },
    /// The user was kicked.
    #[error("kicked by {by} at {at}")]
    Kicked {
        /// Who kicked them.
        by: U,
        /// When they were kicked.
        at: Timestamp,
    },
    /// The user never was a member, or their departure is no longer remembered. A group remembers its
    /// last [`Config::departures`](crate::Config::departures).
    #[error("no record of a membership")]
    NoRecord,
}

impl<U, G> Refusal<U, G> {
    /// The HTTP status: 400, 403, 404, 409, 413 or 429. [`Refusal`] has an example.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Refusal::TooFast { .. } => 429,
            Refusal::NoSuchGroup | Refusal::Dissolved { .. } | Refusal::NoSuchEntry => 404,
            Refusal::NotMember(_) | Refusal::TargetNotMember(_) => 400,
            Refusal::NotOwner
            | Refusal::Outranked
            | Refusal::NotAdmin
            | Refusal::Banned { .. }
            | Refusal::Closed
            | Refusal::Muted { .. }
            | Refusal::NotAuthor => 403,
            Refusal::GroupExists
            | Refusal::IdReserved { .. }
            | Refusal::AlreadyMember
            | Refusal::OwnerMustStay
            | Refusal::AlreadyOwner
            | Refusal::AlreadyRanked
            | Refusal::NotBanned
            | Refusal::AlreadyExpired
            | Refusal::TargetBanned { .. }
            | Refusal::NotMuted
            | Refusal::AlreadyErased => 409,
            Refusal::OverLimit { .. } => 413,
        }
    }

    /// Hides from strangers whether a group exists or existed: `NotMember(NoRecord)` and `Dissolved`
    /// become `NoSuchGroup`, all other refusals stay.
    ///
    /// It does not hide the group from a stranger who may send `join` or `create`: `Closed`, `Banned`,
    /// `GroupExists`, `IdReserved` and a success still show it. So does the rate limit, because a group
    /// that exists has an allowance of its own. A host that must hide groups does not pass these
    /// commands on, and limits strangers itself.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Refusal, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (alice, group, now) = (UserId(1), GroupId(7), Timestamp(1_000));
    /// engine.create(alice, group, now)?.ignore_signals();
    ///
    /// let refusal = engine.leave(UserId(2), group, now).unwrap_err();
    /// assert_eq!(refusal.to_string(), "not a member: no record of a membership");
    /// assert_eq!(refusal.masked(), Refusal::NoSuchGroup);
    /// # Ok::<(), Refusal<UserId>>(())
    /// ```
    #[must_use]
    pub fn masked(self) -> Self {
        match self {
            Refusal::NotMember(Absence::NoRecord) | Refusal::Dissolved { .. } => {
                Refusal::NoSuchGroup
            }
            other => other,
        }
    }
}

/// Why a batch was refused. One refused command refuses the whole batch, and the engine is
/// unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[error("command {index} of the batch: {refusal}")]
pub struct BatchRefusal<U, G = GroupId> {
    /// The place of the refused command in the batch, counted from 0.
    pub index: usize,
    /// Why it was refused.
    pub refusal: Refusal<U, G>,
}
