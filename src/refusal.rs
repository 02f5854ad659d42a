//! Why a command was turned down: data, not prose.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::GroupId;
use crate::limits::Limit;
use crate::time::Timestamp;

/// Why a command was turned down.
///
/// A refused command emits nothing and changes nothing that a host can see of groups, memberships,
/// logs, bans and mutes; it costs its charge against the rate limit, and one refused as too fast costs nothing
/// at all.
///
/// Where several apply, the one that comes first in this order is the answer: too fast (429); no such
/// group (404); the one who acts is no member (400); no such entry (404); they have no right (403);
/// the one acted upon is no member (400); a conflict (409); a limit (413).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Refusal<U, G = GroupId> {
    /// 429: the same user repeats the same operation on the same group too fast.
    #[error("too fast: come again at {retry_at}")]
    TooFast {
        /// When the command is admitted, if nothing else is sent for the same user, group and
        /// operation until then, and the group neither comes nor goes meanwhile.
        retry_at: Timestamp,
    },
    /// 404: there is no such group, and nothing is remembered of one.
    #[error("no such group")]
    NoSuchGroup,
    /// 404: the group was dissolved. Former members get this answer too: nobody knows any more who
    /// they were.
    #[error("the group was dissolved by {by:?} at {at}")]
    Dissolved {
        /// Its owner at the time.
        by: U,
        /// When.
        at: Timestamp,
        /// What the owner said, if they said anything.
        note: Option<Arc<str>>,
        /// The group to go to, if the owner named one.
        successor: Option<G>,
    },
    /// 400: the user who acts is no member of the group.
    #[error("not a member: {0}")]
    NotMember(Absence<U>),
    /// 403: only the owner may do this.
    #[error("only the owner may do this")]
    NotOwner,
    /// 403: the one acted upon is no lower in rank than the one who acts.
    #[error("the one acted upon is of no lower rank")]
    Outranked,
    /// 400: the user acted upon is no member of the group.
    #[error("the one acted upon is not a member: {0}")]
    TargetNotMember(Absence<U>),
    /// 409: a group with this id is alive.
    #[error("the group exists already")]
    GroupExists,
    /// 409: the id belonged to a group that was dissolved not long ago.
    #[error("the id is reserved until {until}")]
    IdReserved {
        /// From when on it is free.
        until: Timestamp,
    },
    /// 409: the user is a member already.
    #[error("already a member")]
    AlreadyMember,
    /// 403: only the owner and admins may do this.
    #[error("only the owner and admins may do this")]
    NotAdmin,
    /// 403: the user is barred from the group.
    #[error("banned by {by:?}{}", until_when(*until))]
    Banned {
        /// By whom.
        by: U,
        /// Until when; `None` for until the ban is lifted.
        until: Option<Timestamp>,
    },
    /// 409: this group's owner can't leave it. Transfer it first, or dissolve it.
    #[error("the owner can't leave: transfer the group first, or dissolve it")]
    OwnerMustStay,
    /// 409: the one to be made the owner is the owner.
    #[error("already the owner")]
    AlreadyOwner,
    /// 409: the member has that rank.
    #[error("already of that rank")]
    AlreadyRanked,
    /// 409: the user is not banned, or no longer.
    #[error("not banned")]
    NotBanned,
    /// 409: a ban or a mute that ends before it begins.
    #[error("it would be over already")]
    AlreadyExpired,
    /// 413: one more would be too many.
    #[error("over the limit of {max} for {}", limit.name())]
    OverLimit {
        /// Of what.
        limit: Limit,
        /// How many there may be.
        max: u64,
    },
    /// 403: the group is closed. Users become members by [`add`](crate::Engine::add) alone.
    #[error("the group is closed: somebody who may add members has to add you")]
    Closed,
    /// 409: the user to be added is barred from the group. The ban must be lifted first.
    #[error("the one to be added is banned by {by:?}{}", until_when(*until))]
    TargetBanned {
        /// By whom.
        by: U,
        /// Until when; `None` for until the ban is lifted.
        until: Option<Timestamp>,
    },
    /// 403: the user may not post or edit in this group.
    #[error("muted by {by:?}{}", until_when(*until))]
    Muted {
        /// By whom.
        by: U,
        /// Until when; `None` for until the mute is lifted.
        until: Option<Timestamp>,
    },
    /// 409: the user is not muted, or no longer.
    #[error("not muted")]
    NotMuted,
    /// 404: the group's log has no entry with this number, or none that the user may read.
    #[error("no such entry")]
    NoSuchEntry,
    /// 403: the message is another user's.
    #[error("the message is not yours")]
    NotAuthor,
    /// 409: the message was erased before.
    #[error("already erased")]
    AlreadyErased,
}

fn until_when(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" until {until}"))
}

/// Why a user is no member of a group, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Absence<U> {
    /// The membership that was named is over; the user is a member, but under a newer stint.
    #[error("that stint is over, and a newer one has begun")]
    StintOver,
    /// They left.
    #[error("left at {at}")]
    Left {
        /// When.
        at: Timestamp,
    },
    /// They were kicked.
    #[error("kicked by {by:?} at {at}")]
    Kicked {
        /// By whom.
        by: U,
        /// When.
        at: Timestamp,
    },
    /// They never were a member, or it was too many departures ago.
    #[error("no record of a membership")]
    NoRecord,
}

impl<U, G> Refusal<U, G> {
    /// The HTTP-like status: 400, 403, 404, 409, 413 or 429.
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

    /// What to tell a stranger who must not learn whether the group exists or existed:
    /// `NotMember(NoRecord)` and `Dissolved` become `NoSuchGroup`, all else stays.
    ///
    /// A host that must hide it fully limits strangers itself: a group that exists has a rate cell
    /// of its own, so how soon a stranger is refused as too fast still tells it apart.
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

/// Why a batch was turned down: all of it, on account of one command. The engine is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[error("command {index} of the batch: {refusal}")]
pub struct BatchRefusal<U, G = GroupId> {
    /// Which command, counted from 0.
    pub index: usize,
    /// Why.
    pub refusal: Refusal<U, G>,
}
