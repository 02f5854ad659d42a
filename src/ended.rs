//! Which groups have ended of late.
//!
//! A dissolution leaves its members' entries in the index: removing them would cost O(members).
//! Such an entry is *stale*. The endings tell stale entries from live ones. One is remembered until
//! a whole round of the sweep has begun and ended after it: then its entries are all removed.

use crate::id::{Id, Stint};
use crate::timed::{Due, Timed};

/// The most endings that one command forgets. Commands that may end a group forget none; but each
/// group was created by a command that forgets two, so this keeps up.
const FORGOTTEN: usize = 2;

/// The end of a group. If a group of this id ended more than once, the last end.
#[derive(Debug, Clone)]
struct Ending {
    /// The stint that would have begun next. No stint is used twice, so the memberships of a group
    /// that was created anew under this id are not before it.
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

/// A place in the order of endings: an ending's number, and the group.
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

    /// Notes that `group` has ended, and that the stint `before` begins next. O(log endings).
    pub(crate) fn note(&mut self, group: G, before: Stint) {
        let ending = Ending { before, turn: self.next };
        self.next = self.next.saturating_add(1);
        self.groups.put(self.groups.find(&group), group, ending, &());
    }

    /// Whether the membership `stint` of `group` was ended with the group. O(log endings).
    pub(crate) fn has(&self, group: &G, stint: Stint) -> bool {
        self.groups.get(group).is_some_and(|ending| stint < ending.before)
    }

    /// The number of the last ending of `group`, if it is remembered. O(log endings).
    pub(crate) fn turn(&self, group: &G) -> Option<u64> {
        self.groups.get(group).map(|ending| ending.turn)
    }

    /// The number of the next ending. O(1).
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The endings since one of them, the earliest first, or all. O(log endings) to take.
    pub(crate) fn since(&self, last: Option<&Turn<G>>) -> impl Iterator<Item = &Turn<G>> {
        self.groups.due_after(last)
    }

    /// The last ending, if it is not forgotten. O(log endings).
    pub(crate) fn last(&self) -> Option<&Turn<G>> {
        self.groups.last_due()
    }

    /// Forgets a few of the endings before number `before`, the earliest first. O(log endings).
    pub(crate) fn forget(&mut self, before: u64) {
        self.groups.clean(FORGOTTEN, |turn| turn < before);
    }

    /// Whether its parts agree. O(endings · log of them).
    pub(crate) fn is_sound(&self) -> bool {
        self.groups.is_sound(&()) && self.groups.iter().all(|(_, ending)| ending.turn < self.next)
    }
}
