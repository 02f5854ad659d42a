//! The bans and mutes of a group, and when each of them ends.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::Timestamp;
use crate::timed::{Due, Timed, TimedIter};

/// The most sanctions that are cleaned with each change of them. A change adds at most one, so two
/// keep up.
const CLEANED: usize = 2;

/// A ban or a mute of one user in one group. [`Group::mute`](crate::Group::mute) has an example.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sanction<U> {
    /// Who banned or muted the user.
    pub by: U,
    /// When it ends; `None` if it only ends when it is lifted.
    pub until: Option<Timestamp>,
}

/// A ban: the user may not join.
pub type Ban<U> = Sanction<U>;

/// A mute: the user may not post or edit.
pub type Mute<U> = Sanction<U>;

impl<U> Sanction<U> {
    /// Whether it is in force at `now`. At the time `until` it is over.
    ///
    /// # Examples
    /// ```
    /// use disband::{Mute, Timestamp};
    ///
    /// let mute = Mute { by: 1, until: Some(Timestamp(5)) };
    /// assert!(mute.holds(Timestamp(4)) && !mute.holds(Timestamp(5)));
    /// ```
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl<U> Due<U> for Sanction<U> {
    type At = Timestamp;
    type Terms = ();

    fn due(&self, _: &U, (): &()) -> Option<Timestamp> {
        self.until
    }
}

/// The bans of a group, or its mutes. Most groups have none, so the map is behind a pointer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sanctions<U: Id>(Option<Box<Timed<U, Sanction<U>>>>);

impl<U: Id> Sanctions<U> {
    pub(crate) const fn new() -> Self {
        Sanctions(None)
    }

    /// Builds them from a snapshot, in strictly ascending order of users. O(s log s).
    pub(crate) fn from_ascending(sanctions: Vec<(U, Sanction<U>)>) -> Self {
        let has_any = !sanctions.is_empty();
        Sanctions(has_any.then(|| Box::new(Timed::from_ascending(sanctions, &()))))
    }

    /// The sanction in force against `user`, if there is one. O(log s).
    pub(crate) fn holding<Q: Ord + ?Sized>(&self, user: &Q, now: Timestamp) -> Option<&Sanction<U>>
    where
        U: Borrow<Q>,
    {
        self.0.as_ref()?.get(user).filter(|sanction| sanction.holds(now))
    }

    /// All sanctions in force.
    pub(crate) fn iter(
        &self,
        now: Timestamp,
    ) -> impl DoubleEndedIterator<Item = (&U, &Sanction<U>)> {
        self.all().filter(move |(_, sanction)| sanction.holds(now))
    }

    /// All sanctions, including those that ended and are not cleaned yet.
    pub(crate) fn all(&self) -> TimedIter<'_, U, Sanction<U>> {
        self.0.as_ref().map_or_else(|| TimedIter::of_array(&[]), |sanctions| sanctions.iter())
    }

    /// How many there are, including those that ended and are not cleaned yet. O(1).
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |sanctions| sanctions.len())
    }

    /// The most that there can be after a sanction on `user` is put: it replaces an older one of
    /// `user`, or one that ended and will be cleaned. O(log s).
    pub(crate) fn len_with(&self, user: &U, now: Timestamp) -> usize {
        let Some(sanctions) = &self.0 else { return 1 };
        let replaced = sanctions.get(user).is_some();
        let cleaned = !replaced && sanctions.next_due().is_some_and(|until| until <= now);
        sanctions.len().saturating_sub(usize::from(replaced || cleaned)).saturating_add(1)
    }

    /// Sets the sanction on `user`, replacing an older one. O(log s).
    pub(crate) fn put(&mut self, user: U, sanction: Sanction<U>, now: Timestamp) {
        self.lift(&user, now);
        let sanctions = self.0.get_or_insert_with(|| Box::new(Timed::new()));
        sanctions.put(sanctions.find(&user), user, sanction, &());
    }

    /// Removes the sanction on `user`, if there is one, and a few that ended. O(log s).
    pub(crate) fn lift(&mut self, user: &U, now: Timestamp) {
        let Some(sanctions) = &mut self.0 else { return };
        sanctions.remove(user, &());
        sanctions.clean(CLEANED, |until| until <= now);
        if sanctions.len() == 0 {
            self.0 = None;
        }
    }

    /// Whether the order of cleaning matches the sanctions. O(s log s).
    pub(crate) fn is_sound(&self) -> bool {
        self.0.as_ref().is_none_or(|sanctions| sanctions.is_sound(&()) && sanctions.len() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifting_the_last_sanction_frees_the_map() {
        let mut mutes = Sanctions::new();
        mutes.put(2, Mute { by: 1, until: Some(Timestamp(5)) }, Timestamp(1));
        mutes.lift(&3, Timestamp(4));
        assert!(mutes.holding(&2, Timestamp(4)).is_some());
        mutes.lift(&3, Timestamp(5));
        assert!(mutes == Sanctions::new());
    }
}
