//! The recipients of a signal, walked in pages.

use disband::{Audience, UserId};
use serde::{Serialize, Serializer};

use crate::format::{Format, FormatError};
use crate::ids::{Text, each};
use crate::query::size;

/// The users that a signal is for, [`Audience`]. It shares the members with the group: making and
/// cloning one is O(1), and later changes of the group do not change it.
///
/// The last of the values that share them frees the members. That takes many milliseconds for a
/// million members of a group that was dissolved, so drop it where that delays nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyAudience {
    /// The ids are numbers.
    Numbers(Audience<UserId>),
    /// The ids are text.
    Text(Audience<Text>),
}

/// A page of users in ascending order of ids. It is serialised as a list of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Users<'a> {
    /// The ids are numbers.
    Numbers(Vec<&'a UserId>),
    /// The ids are text.
    Text(Vec<&'a Text>),
}

impl Serialize for Users<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        each!(self, Users(users) => users.serialize(serializer))
    }
}

impl AnyAudience {
    /// How many users there are. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        each!(self, AnyAudience(users) => users.len())
    }

    /// Whether there are no users. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the audience contains `user`, an id in that format. O(log n).
    ///
    /// # Errors
    /// [`FormatError`] if `user` is no id of this engine's type.
    pub fn contains(&self, user: &[u8], format: Format) -> Result<bool, FormatError> {
        Ok(match self {
            AnyAudience::Numbers(users) => users.contains(&format.decode::<UserId>(user)?),
            AnyAudience::Text(users) => users.contains(&format.decode::<Text>(user)?),
        })
    }

    /// The first `limit` users whose id is larger than `after`, an id in that format; from the first
    /// user for `None`. O(log n + limit).
    ///
    /// # Errors
    /// [`FormatError`] if `after` is no id of this engine's type.
    pub fn page(
        &self,
        after: Option<&[u8]>,
        limit: u64,
        format: Format,
    ) -> Result<Users<'_>, FormatError> {
        let limit = size(limit);
        Ok(match self {
            AnyAudience::Numbers(users) => {
                let after: Option<UserId> = after.map(|id| format.decode(id)).transpose()?;
                Users::Numbers(users.iter_after(after.as_ref()).take(limit).collect())
            }
            AnyAudience::Text(users) => {
                let after: Option<Text> = after.map(|id| format.decode(id)).transpose()?;
                Users::Text(users.iter_after(after.as_ref()).take(limit).collect())
            }
        })
    }

    /// Writes the first users whose id is larger than `after` into `ids`, as many as there are or as
    /// fit, and returns how many. `None` if the ids are text. O(log n + ids).
    pub fn numbers_after(&self, after: Option<u64>, ids: &mut [u64]) -> Option<usize> {
        let AnyAudience::Numbers(users) = self else { return None };
        let after = after.map(UserId);
        let pairs = ids.iter_mut().zip(users.iter_after(after.as_ref()));
        Some(pairs.map(|(id, user)| *id = user.0).count())
    }
}
