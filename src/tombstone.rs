//! What is remembered of dissolved groups, for a while.

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::persistent::{Iter, Map};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Tombstones cleaned per command, at most. A command makes at most one.
const CLEANED: usize = 2;

/// The end of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tombstone<U> {
    /// Its owner, who ended it.
    pub(crate) by: U,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tombstones<U: Id, G: Id> {
    of: Map<G, Tombstone<U>>,
    /// Derived from `of`: one entry each, the oldest first.
    by_age: Map<(Timestamp, G), ()>,
}

impl<U: Id, G: Id> Tombstones<U, G> {
    pub(crate) const fn new() -> Self {
        Tombstones { of: Map::new(), by_age: Map::new() }
    }

    /// The tombstone of `group`, if it still stands, and until when. O(log t).
    pub(crate) fn standing(
        &self,
        group: &G,
        now: Timestamp,
        ttl_ms: u64,
    ) -> Option<(&Tombstone<U>, Timestamp)> {
        let tombstone = self.of.get(group)?;
        let stands = now.is_before(tombstone.at, ttl_ms);
        stands.then(|| (tombstone, tombstone.at.after(ttl_ms)))
    }

    /// Why there is no such group. O(log t).
    pub(crate) fn missing(&self, group: &G, now: Timestamp, ttl_ms: u64) -> Refusal<U> {
        match self.standing(group, now, ttl_ms) {
            Some((Tombstone { by, at }, _)) => Refusal::Dissolved { by: by.clone(), at: *at },
            None => Refusal::NoSuchGroup,
        }
    }

    /// O(log t).
    pub(crate) fn raise(&mut self, group: G, tombstone: Tombstone<U>) {
        self.by_age.insert((tombstone.at, group.clone()), ());
        self.of.insert(group, tombstone);
    }

    /// Forgets the tombstone of a group whose id is used again. O(log t).
    pub(crate) fn clear(&mut self, group: &G) {
        if let Some(Tombstone { at, .. }) = self.of.get(group) {
            self.by_age.remove(&(*at, group.clone()));
            self.of.remove(group);
        }
    }

    /// Forgets a few of those that no longer stand, the oldest first. O(log t).
    pub(crate) fn clean(&mut self, now: Timestamp, ttl_ms: u64) {
        for _ in 0..CLEANED {
            match self.by_age.first() {
                Some(((at, group), ())) if !now.is_before(*at, ttl_ms) => {
                    let group = group.clone();
                    self.clear(&group);
                }
                _ => return,
            }
        }
    }

    pub(crate) fn iter(&self) -> Iter<'_, G, Tombstone<U>> {
        self.of.iter()
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    pub(crate) fn contains(&self, group: &G) -> bool {
        self.of.contains(group)
    }

    /// Whether both maps speak of the same tombstones. Walks them.
    pub(crate) fn is_consistent(&self) -> bool {
        self.of.len() == self.by_age.len()
            && self.of.iter().all(|(group, stone)| self.by_age.contains(&(stone.at, group.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_and_its_age_stand_in_both_maps_or_neither() {
        let mut stones = Tombstones::new();
        stones.raise(7, Tombstone { by: 1, at: Timestamp(5) });
        assert!(stones.is_consistent());
        let broken = |change: fn(&mut Tombstones<u8, u8>)| {
            let mut stones = stones.clone();
            change(&mut stones);
            !stones.is_consistent()
        };
        assert!(broken(|stones| _ = stones.of.remove(&7)));
        assert!(broken(|stones| _ = stones.by_age.remove(&(Timestamp(5), 7))));
        assert!(broken(|stones| {
            stones.by_age.remove(&(Timestamp(5), 7));
            stones.by_age.insert((Timestamp(6), 7), ());
        }));
    }
}
