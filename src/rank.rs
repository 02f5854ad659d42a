//! The ranks of a group's members.

use serde::{Deserialize, Serialize};

use crate::name::named;

/// A member's rank, the lowest first. It ends with the membership.
///
/// # Examples
/// ```
/// use disband::Rank;
///
/// assert!(Rank::Member < Rank::Admin && Rank::Admin < Rank::Owner);
/// assert_eq!("admin".parse(), Ok::<_, disband::ParseNameError>(Rank::Admin));
/// assert_eq!((Rank::Admin.name(), Rank::Admin.to_string().as_str()), ("admin", "admin"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rank {
    /// May read, and by default post.
    Member,
    /// May also kick, ban and mute users of lower rank, erase their messages, and by default add users.
    Admin,
    /// May also act on admins, set ranks and options, transfer the group and dissolve it. Every group
    /// has exactly one owner.
    Owner,
}

named!(Rank { Member => "member", Admin => "admin", Owner => "owner" });
