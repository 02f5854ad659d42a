//! Audiences: the users that a signal is for.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::FusedIterator;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{Id, Stint};
use crate::map::Map;
use crate::map::MapIter;

/// The users that a signal is for. Usually these are the members at that moment; for some signals of a
/// [quiet](crate::Announce::Staff) group, the owner and the admins. One of them may be left out (who
/// acted), and one other user may be included (who was kicked).
///
/// An audience shares the members with the group. So making or cloning one is O(1) for a group of
/// any size, and clones at most three ids. Later changes of the group do not change it. While an
/// audience is alive, the next change of the group's members copies O(log n) of them.
///
/// [`Signal`](crate::Signal) and [`Outcome::deliveries`](crate::Outcome::deliveries) have examples.
#[derive(Clone)]
pub struct Audience<U> {
    members: Map<U, Stint>,
    less: Option<U>,
    plus: Option<U>,
}

impl<U: Id> Audience<U> {
    /// All of `members`.
    pub(crate) const fn all(members: Map<U, Stint>) -> Self {
        Audience { members, less: None, plus: None }
    }

    /// The same without `user`, who must be one of the members.
    pub(crate) fn without(self, user: U) -> Self {
        Audience { less: Some(user), ..self }
    }

    /// The same with `user`, who must not be one of the members.
    pub(crate) fn with(self, user: U) -> Self {
        Audience { plus: Some(user), ..self }
    }

    /// How many users there are. O(1). [`contains`](Self::contains) has an example.
    #[must_use]
    pub fn len(&self) -> usize {
        let left = self.members.len().saturating_sub(usize::from(self.less.is_some()));
        left.saturating_add(usize::from(self.plus.is_some()))
    }

    /// Whether there are no users. O(1). [`contains`](Self::contains) has an example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the audience contains `user`. O(log n).
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, Timestamp};
    ///
    /// let mut engine = Engine::<String, u32>::default();
    /// let now = Timestamp(0);
    /// engine.create("alice".into(), 7, now)?.ignore_signals();
    /// let joined = engine.join("bob".into(), 7, now)?;
    ///
    /// let audience = &joined.signals[0].audience;
    /// assert!(audience.contains("alice") && !audience.contains("bob"));
    /// assert_eq!((audience.len(), audience.is_empty()), (1, false));
    /// # Ok::<(), disband::Refusal<String, u32>>(())
    /// ```
    #[must_use]
    pub fn contains<Q: Ord + ?Sized>(&self, user: &Q) -> bool
    where
        U: Borrow<Q>,
    {
        let is = |one: &Option<U>| one.as_ref().is_some_and(|one| one.borrow() == user);
        is(&self.plus) || (!is(&self.less) && self.members.contains(user))
    }

    /// The users, in ascending order. O(1) to begin; a step is O(1), amortised.
    /// [`Signal`](crate::Signal) has an example.
    #[must_use]
    pub fn iter(&self) -> Recipients<'_, U> {
        Recipients {
            members: self.members.iter(),
            less: self.less.as_ref(),
            plus: self.plus.as_ref(),
            front: None,
            back: None,
            left: self.len(),
        }
    }

    /// The users whose id is larger than `last`, in ascending order; all of them for `None`. `last`
    /// need not be in the audience. So a program can walk a large audience in pages, and hold no borrow
    /// between them. O(log n) to begin; a step is O(1), amortised.
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, GroupId, Timestamp, UserId};
    ///
    /// let mut engine = Engine::default();
    /// let (group, now) = (GroupId(7), Timestamp(1_000));
    /// engine.create(UserId(1), group, now)?.ignore_signals();
    /// for id in 2..=5 {
    ///     engine.join(UserId(id), group, now)?.ignore_signals();
    /// }
    ///
    /// let posted = engine.post(UserId(3), group, "hello", now)?;
    /// let audience = &posted.signals[0].audience;
    /// let first: Vec<_> = audience.iter_after(None).take(2).collect();
    /// assert_eq!(first, [&UserId(1), &UserId(2)]);
    /// assert!(audience.iter_after(first.last().copied()).eq([&UserId(4), &UserId(5)]));
    /// # Ok::<(), disband::Refusal<UserId>>(())
    /// ```
    pub fn iter_after(&self, last: Option<&U>) -> impl Iterator<Item = &U> {
        let less = self.less.as_ref();
        let mut plus = self.plus.as_ref().filter(|plus| last.is_none_or(|last| *plus > last));
        let members = self.members.iter_after(last).map(|(user, _)| user);
        let mut members = members.filter(move |user| less != Some(*user)).peekable();
        std::iter::from_fn(move || match plus {
            Some(user) if members.peek().is_none_or(|member| user < *member) => plus.take(),
            _ => members.next(),
        })
    }
}

impl<'a, U: Id> IntoIterator for &'a Audience<U> {
    type Item = &'a U;
    type IntoIter = Recipients<'a, U>;

    fn into_iter(self) -> Recipients<'a, U> {
        self.iter()
    }
}

/// Two audiences are equal if they have the same users. O(n).
impl<U: Id> PartialEq for Audience<U> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<U: Id> Eq for Audience<U> {}

/// Hashes every user. O(n).
impl<U: Id + Hash> Hash for Audience<U> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|user| user.hash(state));
    }
}

impl<U: Id> fmt::Debug for Audience<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

/// Writes the users in ascending order.
impl<U: Id + Serialize> Serialize for Audience<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// Reads users in strictly ascending order. The members' stints were not written, so they are 0.
impl<'de, U: Id + Deserialize<'de>> Deserialize<'de> for Audience<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let users = Vec::<U>::deserialize(deserializer)?;
        if !users.is_sorted_by(|one, next| one < next) {
            return Err(de::Error::custom("the users of an audience are not strictly ascending"));
        }
        let members = users.into_iter().map(|user| (user, Stint(0)));
        Ok(Audience::all(Map::from_ascending(members)))
    }
}

/// The users of an [`Audience`], in ascending order.
pub struct Recipients<'a, U> {
    members: MapIter<'a, U, Stint>,
    less: Option<&'a U>,
    /// The user who is not a member, until they are returned.
    plus: Option<&'a U>,
    /// A member already taken from `members`, to be returned after `plus`.
    front: Option<&'a U>,
    /// The same at the other end: a member to be returned after `plus` when walking backwards.
    back: Option<&'a U>,
    left: usize,
}

impl<'a, U: Ord> Iterator for Recipients<'a, U> {
    type Item = &'a U;

    #[inline]
    fn next(&mut self) -> Option<&'a U> {
        self.left = self.left.checked_sub(1)?;
        let member = self.front.take().or_else(|| {
            let less = self.less;
            self.members.by_ref().map(|(user, _)| user).find(|user| less != Some(*user))
        });
        let member = member.or_else(|| self.back.take());
        match self.plus {
            Some(plus) if member.is_none_or(|member| plus < member) => {
                (self.plus, self.front) = (None, member);
                Some(plus)
            }
            _ => member,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// `for_each` and `sum` use this. It walks leaf by leaf, which is faster than `next`.
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, start: B, mut with: F) -> B {
        let Recipients { members, less, plus, front, back, .. } = self;
        let members = members.map(|(user, _)| user).filter(|user| less != Some(*user));
        let Some(plus) = plus else {
            let folded = front.into_iter().fold(start, &mut with);
            let folded = members.fold(folded, &mut with);
            return back.into_iter().fold(folded, with);
        };
        let mut waits = true;
        let folded = front.into_iter().chain(members).chain(back).fold(start, |folded, user| {
            if waits && plus < user {
                waits = false;
                let folded = with(folded, plus);
                return with(folded, user);
            }
            with(folded, user)
        });
        if waits { with(folded, plus) } else { folded }
    }
}

impl<U: Ord> DoubleEndedIterator for Recipients<'_, U> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let member = self.back.take().or_else(|| {
            let less = self.less;
            self.members.by_ref().map(|(user, _)| user).rfind(|user| less != Some(*user))
        });
        let member = member.or_else(|| self.front.take());
        match self.plus {
            Some(plus) if member.is_none_or(|member| plus > member) => {
                (self.plus, self.back) = (None, member);
                Some(plus)
            }
            _ => member,
        }
    }
}

impl<U: Ord> ExactSizeIterator for Recipients<'_, U> {}
impl<U: Ord> FusedIterator for Recipients<'_, U> {}

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
