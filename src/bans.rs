//! Who is barred from a group, and until when.

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::persistent::{Iter, Map};
use crate::time::Timestamp;

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

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bans<U: Id> {
    of: Map<U, Ban<U>>,
    /// Derived from `of`: one entry for each ban that ends, the first to end first.
    by_end: Map<(Timestamp, U), ()>,
}

impl<U: Id> Bans<U> {
    pub(crate) const fn new() -> Self {
        Bans { of: Map::new(), by_end: Map::new() }
    }

    /// O(log b).
    pub(crate) fn holding(&self, user: &U, now: Timestamp) -> Option<&Ban<U>> {
        self.of.get(user).filter(|ban| ban.holds(now))
    }

    pub(crate) fn iter(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (&U, &Ban<U>)> {
        self.of.iter().filter(move |(_, ban)| ban.holds(now))
    }

    /// All of them, those that are over but not cleaned included.
    pub(crate) fn all(&self) -> Iter<'_, U, Ban<U>> {
        self.of.iter()
    }

    /// These bans, of one user each.
    pub(crate) fn restore(bans: Vec<(U, Ban<U>)>) -> Self {
        let mut restored = Bans::new();
        for (user, ban) in bans {
            restored.add(user, ban);
        }
        restored
    }

    fn add(&mut self, user: U, ban: Ban<U>) {
        if let Some(until) = ban.until {
            self.by_end.insert((until, user.clone()), ());
        }
        self.of.insert(user, ban);
    }

    /// How many there will be when `user` is banned, the cleaning that comes with it done. O(log b).
    pub(crate) fn len_with(&self, user: &U, now: Timestamp) -> usize {
        let replaced = self.of.contains(user);
        let cleaned = !replaced && self.over(now).is_some();
        let kept = self.of.len().saturating_sub(usize::from(replaced || cleaned));
        kept.saturating_add(1)
    }

    /// Bans `user`, whatever ban they were under. O(log b).
    pub(crate) fn put(&mut self, user: U, ban: Ban<U>, now: Timestamp) {
        self.lift(&user);
        self.clean(now);
        self.add(user, ban);
    }

    /// Forgets the ban of `user`, if any. O(log b).
    pub(crate) fn lift(&mut self, user: &U) {
        let Some(ban) = self.of.get(user) else {
            return;
        };
        if let Some(until) = ban.until {
            self.by_end.remove(&(until, user.clone()));
        }
        self.of.remove(user);
    }

    /// The user whose ban ended first, if one has ended.
    fn over(&self, now: Timestamp) -> Option<&U> {
        let ((until, user), ()) = self.by_end.first()?;
        (*until <= now).then_some(user)
    }

    /// Forgets a few that have ended, the first to end first. O(log b).
    pub(crate) fn clean(&mut self, now: Timestamp) {
        for _ in 0..CLEANED {
            let Some(user) = self.over(now).cloned() else {
                return;
            };
            self.lift(&user);
        }
    }

    /// Whether both maps speak of the same bans, and none is of somebody for whom `member` holds.
    /// Walks them.
    pub(crate) fn is_consistent(&self, member: impl Fn(&U) -> bool) -> bool {
        let ends = self.of.iter().filter_map(|(user, ban)| Some((ban.until?, user.clone())));
        let (mut count, mut all_known) = (0_usize, true);
        for end in ends {
            count = count.saturating_add(1);
            all_known &= self.by_end.contains(&end);
        }
        all_known && count == self.by_end.len() && !self.of.iter().any(|(user, _)| member(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_and_its_end_stand_in_both_maps_or_neither() {
        let ban = Ban { by: 1, until: Some(Timestamp(5)) };
        let bans = Bans::restore(vec![(2, ban.clone()), (3, ban)]);
        assert!(bans.is_consistent(|_| false));
        assert!(!bans.is_consistent(|user| *user == 3), "of a member");
        let broken = |change: fn(&mut Bans<u8>)| {
            let mut bans = bans.clone();
            change(&mut bans);
            !bans.is_consistent(|_| false)
        };
        assert!(broken(|bans| _ = bans.of.remove(&3)));
        assert!(broken(|bans| _ = bans.by_end.remove(&(Timestamp(5), 3))));
        assert!(broken(|bans| {
            bans.by_end.remove(&(Timestamp(5), 2));
            bans.by_end.insert((Timestamp(6), 2), ());
        }));
    }
}
