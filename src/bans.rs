//! Who is barred from a group, and until when.

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::time::Timestamp;
use crate::timed::{Due, Timed, TimedIter};

/// Bans cleaned per change of the bans, at most. A change makes at most one.
const CLEANED: usize = 2;

/// A user who is barred from a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ban<U> {
    /// By whom.
    pub by: U,
    /// Until when; `None` for until it is lifted.
    pub until: Option<Timestamp>,
}

impl<U> Ban<U> {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl<U> Due<U> for Ban<U> {
    type At = Timestamp;
    type Terms = ();

    fn due(&self, _: &U, (): &()) -> Option<Timestamp> {
        self.until
    }
}

/// Most groups have no bans: what has any lies behind a pointer of its own.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bans<U: Id>(Option<Box<Timed<U, Ban<U>>>>);

impl<U: Id> Bans<U> {
    pub(crate) const fn new() -> Self {
        Bans(None)
    }

    /// Of the bans of a snapshot, in strictly ascending order of their users. O(b log b).
    pub(crate) fn from_ascending(bans: Vec<(U, Ban<U>)>) -> Self {
        Bans((!bans.is_empty()).then(|| Box::new(Timed::from_ascending(bans, &()))))
    }

    /// The ban that bars `user`, if there is one. O(log b).
    pub(crate) fn holding(&self, user: &U, now: Timestamp) -> Option<&Ban<U>> {
        self.0.as_ref()?.get(user).filter(|ban| ban.holds(now))
    }

    /// All bans that hold.
    pub(crate) fn iter(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (&U, &Ban<U>)> {
        self.all().filter(move |(_, ban)| ban.holds(now))
    }

    /// All bans, those that are over but not cleaned included.
    pub(crate) fn all(&self) -> TimedIter<'_, U, Ban<U>> {
        self.0.as_ref().map_or_else(|| TimedIter::of_array(&[]), |bans| bans.iter())
    }

    /// How many there will be when `user` is banned, less one that is over, if any. O(log b).
    pub(crate) fn len_with(&self, user: &U, now: Timestamp) -> usize {
        let Some(bans) = &self.0 else { return 1 };
        let replaced = bans.get(user).is_some();
        let cleaned = !replaced && bans.next_due().is_some_and(|until| until <= now);
        bans.len().saturating_sub(usize::from(replaced || cleaned)).saturating_add(1)
    }

    /// Bans `user`, whatever ban they were under. O(log b).
    pub(crate) fn put(&mut self, user: U, ban: Ban<U>, now: Timestamp) {
        self.lift(&user, now);
        let bans = self.0.get_or_insert_with(|| Box::new(Timed::new()));
        bans.put(bans.find(&user), user, ban, &());
    }

    /// Forgets the ban of `user`, if any, and a few that are over. O(log b).
    pub(crate) fn lift(&mut self, user: &U, now: Timestamp) {
        let Some(bans) = &mut self.0 else { return };
        bans.remove(user, &());
        bans.clean(CLEANED, |until| until <= now);
        if bans.len() == 0 {
            self.0 = None;
        }
    }

    /// Whether the order of their cleaning is that of the bans, and none is of somebody for whom
    /// `is_member` holds. O(b log b).
    pub(crate) fn is_sound(&self, is_member: impl Fn(&U) -> bool) -> bool {
        self.0.as_ref().is_none_or(|bans| bans.is_sound(&()) && bans.len() > 0)
            && !self.all().any(|(user, _)| is_member(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_of_a_member_is_unsound() {
        let ban = Ban { by: 1, until: Some(Timestamp(5)) };
        let bans = Bans::from_ascending(vec![(2, ban.clone()), (3, ban)]);
        assert!(bans.is_sound(|_| false));
        assert!(!bans.is_sound(|user| *user == 3));
    }

    #[test]
    fn where_the_last_ban_is_lifted_nothing_is_left() {
        let mut bans = Bans::new();
        bans.put(2, Ban { by: 1, until: Some(Timestamp(5)) }, Timestamp(1));
        bans.lift(&3, Timestamp(4));
        assert!(bans.holding(&2, Timestamp(4)).is_some());
        bans.lift(&3, Timestamp(5));
        assert!(bans == Bans::new());
    }
}
