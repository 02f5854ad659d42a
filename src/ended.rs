//! Which groups were dissolved recently.
//!
//! A dissolution leaves the entries of its members in the index from users to groups, since removing
//! them would cost O(members). Such an entry is *stale*. Later commands remove stale entries: the
//! *sweep* checks all entries, one *round* after another. An *ending* is the record of a dissolution,
//! which tells stale entries from live ones. It is removed after a whole round of the sweep that
//! began after the dissolution.

use crate::id::{Id, Stint};
use crate::timed::{Due, Timed};

/// The most endings that one command removes. Commands that may dissolve a group remove none, but
/// each group was created by a command that removes two, so this keeps up.
const FORGOTTEN: usize = 2;

/// The ending of a group id. If groups with this id ended more than once, the last one.
#[derive(Debug, Clone)]
struct Ending {
    /// The next stint at the time. Stints are never reused, so memberships of a later group with this
    /// id have this stint or a higher one.
    before: Stint,
    turn: u64,
}

impl<G> Due<G> for Ending {
    type At = u64;
    type Terms = ();

    fn due(&self, _: &G, (): &()) -> Option<u64> {
        Some(self.turn)
    }
}

/// The number of an ending, and the group: the place of the ending in their order.
pub(crate) type Turn<G> = (u64, G);

#[derive(Debug, Clone)]
pub(crate) struct Ended<G: Id> {
    groups: Timed<G, Ending>,
    /// The number of the next ending.
    next: u64,
}

impl<G: Id> Ended<G> {
    pub(crate) const fn new() -> Self {
        Ended { groups: Timed::new(), next: 0 }
    }

    /// Records that `group` ended, and that the next stint is `before`. O(log endings).
    pub(crate) fn note(&mut self, group: G, before: Stint) {
        let ending = Ending { before, turn: self.next };
        self.next = self.next.saturating_add(1);
        self.groups.put(self.groups.find(&group), group, ending, &());
    }

    /// Whether the membership `stint` ended with the end of `group`. O(log endings).
    pub(crate) fn has(&self, group: &G, stint: Stint) -> bool {
        self.groups.get(group).is_some_and(|ending| stint < ending.before)
    }

    /// The number of the last ending of `group`, if it is recorded. O(log endings).
    pub(crate) fn turn(&self, group: &G) -> Option<u64> {
        self.groups.get(group).map(|ending| ending.turn)
    }

    /// The number of the next ending. O(1).
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The endings after `last`, or all, the earliest first. O(log endings) to begin.
    pub(crate) fn since(&self, last: Option<&Turn<G>>) -> impl Iterator<Item = &Turn<G>> {
        self.groups.due_after(last)
    }

    /// The last ending, if it is recorded. O(log endings).
    pub(crate) fn last(&self) -> Option<&Turn<G>> {
        self.groups.last_due()
    }

    /// Removes a few of the endings before number `before`, the earliest first. O(log endings).
    pub(crate) fn forget(&mut self, before: u64) {
        self.groups.clean(FORGOTTEN, |turn| turn < before);
    }

    /// Whether its parts are consistent. O(n log n) for n endings.
    pub(crate) fn is_sound(&self) -> bool {
        self.groups.is_sound(&()) && self.groups.iter().all(|(_, ending)| ending.turn < self.next)
    }
}
