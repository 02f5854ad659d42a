//! Whom a signal is for.

use std::fmt;
use std::iter::FusedIterator;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{Id, Stint};
use crate::roster::{self, Roster};

/// The users a signal is for: a group's members as they stood, less at most one.
///
/// It shares the members with the group, so taking or cloning it is O(1) however many there are (one
/// id is cloned at most), and nothing that happens later changes it. While it lives, the next change
/// to the group's members copies O(log n) of them.
#[derive(Clone)]
pub struct Audience<U> {
    members: Roster<U>,
    except: Option<U>,
}

impl<U: Id> Audience<U> {
    /// The members, without the one who is `except`.
    pub(crate) const fn new(members: Roster<U>, except: Option<U>) -> Self {
        Audience { members, except }
    }

    /// How many users. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len().saturating_sub(usize::from(self.except.is_some()))
    }

    /// Whether there is nobody. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `user` is one of them. O(log n).
    #[must_use]
    pub fn contains(&self, user: &U) -> bool {
        self.except.as_ref() != Some(user) && self.members.contains(user)
    }

    /// The users, in ascending order. O(1) to begin; a step is O(1), amortised.
    #[must_use]
    pub fn iter(&self) -> Recipients<'_, U> {
        Recipients { members: self.members.iter(), except: self.except.as_ref(), left: self.len() }
    }
}

impl<'a, U: Id> IntoIterator for &'a Audience<U> {
    type Item = &'a U;
    type IntoIter = Recipients<'a, U>;

    fn into_iter(self) -> Recipients<'a, U> {
        self.iter()
    }
}

/// Two audiences are equal if they are the same users.
impl<U: Id> PartialEq for Audience<U> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<U: Id> Eq for Audience<U> {}

impl<U: Id> fmt::Debug for Audience<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

/// The users, in ascending order.
impl<U: Id + Serialize> Serialize for Audience<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// It stands by itself: the stints of its users are not among what was written.
impl<'de, U: Id + Deserialize<'de>> Deserialize<'de> for Audience<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let users = Vec::<U>::deserialize(deserializer)?;
        if !users.is_sorted_by(|one, next| one < next) {
            return Err(de::Error::custom("the users of an audience are not strictly ascending"));
        }
        let members: Vec<_> = users.into_iter().map(|user| (user, Stint(0))).collect();
        Ok(Audience::new(Roster::from_ascending(&members), None))
    }
}

/// The users of an [`Audience`], in ascending order.
pub struct Recipients<'a, U> {
    members: roster::Iter<'a, U>,
    except: Option<&'a U>,
    left: usize,
}

impl<'a, U: PartialEq> Iterator for Recipients<'a, U> {
    type Item = &'a U;

    fn next(&mut self) -> Option<&'a U> {
        let user = self.members.by_ref().map(|(user, _)| user).find(|u| self.except != Some(*u))?;
        self.left = self.left.saturating_sub(1);
        Some(user)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// What `for_each` and `sum` use: leaf by leaf.
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, start: B, with: F) -> B {
        let Recipients { members, except, .. } = self;
        members.map(|(user, _)| user).filter(|user| except != Some(*user)).fold(start, with)
    }
}

impl<U: PartialEq> DoubleEndedIterator for Recipients<'_, U> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let mut users = self.members.by_ref().map(|(user, _)| user);
        let user = users.rfind(|user| self.except != Some(*user))?;
        self.left = self.left.saturating_sub(1);
        Some(user)
    }
}

impl<U: PartialEq> ExactSizeIterator for Recipients<'_, U> {}
impl<U: PartialEq> FusedIterator for Recipients<'_, U> {}

impl<U> Clone for Recipients<'_, U> {
    fn clone(&self) -> Self {
        Recipients { members: self.members.clone(), ..*self }
    }
}

impl<U> fmt::Debug for Recipients<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipients").field("left", &self.left).finish_non_exhaustive()
    }
}
