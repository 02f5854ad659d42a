//! What is remembered of dissolved groups, for a while.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::farewell::Farewell;
use crate::id::Id;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::timed::{Due, Timed, TimedIter};

/// Tombstones cleaned per command, at most. A command makes at most one.
const CLEANED: usize = 2;

/// The end of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tombstone<U, G> {
    /// Its owner, who ended it.
    pub(crate) by: U,
    pub(crate) at: Timestamp,
    /// `None` if they said nothing, as most do: a pointer is small.
    pub(crate) farewell: Option<Arc<Farewell<G>>>,
}

impl<U: Clone, G: Clone> Tombstone<U, G> {
    pub(crate) fn new(by: U, at: Timestamp, farewell: Farewell<G>) -> Self {
        let says_nothing = farewell.note.is_none() && farewell.successor.is_none();
        Tombstone { by, at, farewell: (!says_nothing).then(|| Arc::new(farewell)) }
    }

    /// What whoever asks for the group is told.
    fn refusal(&self) -> Refusal<U, G> {
        let Farewell { note, successor } = self.farewell.as_deref().cloned().unwrap_or_default();
        Refusal::Dissolved { by: self.by.clone(), at: self.at, note, successor }
    }
}

impl<U, G> Due<G> for Tombstone<U, G> {
    type At = Timestamp;
    type Terms = ();

    /// The oldest first: how long each stands is the same for all.
    fn due(&self, _: &G, (): &()) -> Option<Timestamp> {
        Some(self.at)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tombstones<U: Id, G: Id> {
    of: Timed<G, Tombstone<U, G>>,
}

impl<U: Id, G: Id> Tombstones<U, G> {
    pub(crate) const fn new() -> Self {
        Tombstones { of: Timed::new() }
    }

    /// Of the tombstones of a snapshot, in strictly ascending order of their groups. O(n log n).
    pub(crate) fn from_ascending(tombstones: Vec<(G, Tombstone<U, G>)>) -> Self {
        Tombstones { of: Timed::from_ascending(tombstones, &()) }
    }

    /// The tombstone of `group`, if it still stands, and until when. O(log t).
    pub(crate) fn standing(
        &self,
        group: &G,
        now: Timestamp,
        ttl_ms: u64,
    ) -> Option<(&Tombstone<U, G>, Timestamp)> {
        let tombstone = self.of.get(group)?;
        let stands = now.is_before(tombstone.at, ttl_ms);
        stands.then(|| (tombstone, tombstone.at.after(ttl_ms)))
    }

    /// Why there is no such group. O(log t).
    pub(crate) fn missing(&self, group: &G, now: Timestamp, ttl_ms: u64) -> Refusal<U, G> {
        match self.standing(group, now, ttl_ms) {
            Some((tombstone, _)) => tombstone.refusal(),
            None => Refusal::NoSuchGroup,
        }
    }

    /// O(log t).
    pub(crate) fn raise(&mut self, group: G, tombstone: Tombstone<U, G>) {
        self.of.put(self.of.find(&group), group, tombstone, &());
    }

    /// Forgets the tombstone of a group whose id is used again. O(log t).
    pub(crate) fn clear(&mut self, group: &G) {
        self.of.remove(group, &());
    }

    /// Forgets a few of those that no longer stand, the oldest first. O(log t).
    pub(crate) fn clean(&mut self, now: Timestamp, ttl_ms: u64) {
        self.of.clean(CLEANED, |at| !now.is_before(at, ttl_ms));
    }

    pub(crate) fn iter(&self) -> TimedIter<'_, G, Tombstone<U, G>> {
        self.of.iter()
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    pub(crate) fn contains(&self, group: &G) -> bool {
        self.of.get(group).is_some()
    }

    /// Whether the order of their cleaning is that of the tombstones. O(n log n).
    pub(crate) fn is_sound(&self) -> bool {
        self.of.is_sound(&())
    }
}
