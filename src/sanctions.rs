//! Bans and mutes of users in a group, and when each ends.

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::Timestamp;
use crate::timed::{Due, Timed, TimedIter};

/// Sanctions cleaned per change of them, at most. A change adds at most one.
const CLEANED: usize = 2;

/// A ban or a mute of one user in one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sanction<U> {
    /// By whom.
    pub by: U,
    /// Until when; `None` for until it is lifted.
    pub until: Option<Timestamp>,
}

/// A user may not join.
pub type Ban<U> = Sanction<U>;

/// A user may not post or edit.
pub type Mute<U> = Sanction<U>;

impl<U> Sanction<U> {
    /// Whether it still holds.
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

/// The bans of a group, or its mutes.
///
/// Most groups have none, so they lie behind a pointer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sanctions<U: Id>(Option<Box<Timed<U, Sanction<U>>>>);

impl<U: Id> Sanctions<U> {
    pub(crate) const fn new() -> Self {
        Sanctions(None)
    }

    /// Of the sanctions of a snapshot, in strictly ascending order of their users. O(s log s).
    pub(crate) fn from_ascending(sanctions: Vec<(U, Sanction<U>)>) -> Self {
        let has_any = !sanctions.is_empty();
        Sanctions(has_any.then(|| Box::new(Timed::from_ascending(sanctions, &()))))
    }

    /// The sanction that `user` is under, if any. O(log s).
    pub(crate) fn holding(&self, user: &U, now: Timestamp) -> Option<&Sanction<U>> {
        self.0.as_ref()?.get(user).filter(|sanction| sanction.holds(now))
    }

    /// All that hold.
    pub(crate) fn iter(
        &self,
        now: Timestamp,
    ) -> impl DoubleEndedIterator<Item = (&U, &Sanction<U>)> {
        self.all().filter(move |(_, sanction)| sanction.holds(now))
    }

    /// All, those that are over but not cleaned included.
    pub(crate) fn all(&self) -> TimedIter<'_, U, Sanction<U>> {
        self.0.as_ref().map_or_else(|| TimedIter::of_array(&[]), |sanctions| sanctions.iter())
    }

    /// How many there are, those that are over but not cleaned included. O(1).
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |sanctions| sanctions.len())
    }

    /// How many there will be with one of `user`, less one that is over, if any. O(log s).
    pub(crate) fn len_with(&self, user: &U, now: Timestamp) -> usize {
        let Some(sanctions) = &self.0 else { return 1 };
        let replaced = sanctions.get(user).is_some();
        let cleaned = !replaced && sanctions.next_due().is_some_and(|until| until <= now);
        sanctions.len().saturating_sub(usize::from(replaced || cleaned)).saturating_add(1)
    }

    /// Puts a sanction on `user`, in place of an older one. O(log s).
    pub(crate) fn put(&mut self, user: U, sanction: Sanction<U>, now: Timestamp) {
        self.lift(&user, now);
        let sanctions = self.0.get_or_insert_with(|| Box::new(Timed::new()));
        sanctions.put(sanctions.find(&user), user, sanction, &());
    }

    /// Forgets the sanction on `user`, if any, and a few that are over. O(log s).
    pub(crate) fn lift(&mut self, user: &U, now: Timestamp) {
        let Some(sanctions) = &mut self.0 else { return };
        sanctions.remove(user, &());
        sanctions.clean(CLEANED, |until| until <= now);
        if sanctions.len() == 0 {
            self.0 = None;
        }
    }

    /// Whether the order of their cleaning is that of the sanctions. O(s log s).
    pub(crate) fn is_sound(&self) -> bool {
        self.0.as_ref().is_none_or(|sanctions| sanctions.is_sound(&()) && sanctions.len() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_last_sanction_is_lifted_nothing_is_left() {
        let mut mutes = Sanctions::new();
        mutes.put(2, Mute { by: 1, until: Some(Timestamp(5)) }, Timestamp(1));
        mutes.lift(&3, Timestamp(4));
        assert!(mutes.holding(&2, Timestamp(4)).is_some());
        mutes.lift(&3, Timestamp(5));
        assert!(mutes == Sanctions::new());
    }
}
