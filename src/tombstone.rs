//! Tombstones: what the engine remembers of a dissolved group for a while.

use std::borrow::Borrow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::farewell::Farewell;
use crate::id::Id;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::timed::{Due, Timed, TimedIter};

/// The most tombstones that one command cleans. Each group was created by a command that cleans two,
/// so this keeps up, also after a `leave_all` that dissolves many groups.
const CLEANED: usize = 2;

/// Who dissolved a group, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tombstone<U, G> {
    /// The owner, who dissolved it.
    pub(crate) by: U,
    pub(crate) at: Timestamp,
    /// `None` if there is no note and no successor. That is usual, so it is a pointer.
    pub(crate) farewell: Option<Arc<Farewell<G>>>,
}

impl<U: Clone, G: Clone> Tombstone<U, G> {
    pub(crate) fn new(by: U, at: Timestamp, farewell: Farewell<G>) -> Self {
        let is_empty = farewell.note.is_none() && farewell.successor.is_none();
        Tombstone { by, at, farewell: (!is_empty).then(|| Arc::new(farewell)) }
    }

    /// The refusal of later commands on the group.
    fn refusal(&self) -> Refusal<U, G> {
        let Farewell { note, successor } = self.farewell.as_deref().cloned().unwrap_or_default();
        Refusal::Dissolved { by: self.by.clone(), at: self.at, note, successor }
    }
}

impl<U, G> Due<G> for Tombstone<U, G> {
    type At = Timestamp;
    type Terms = ();

    /// The oldest first, since all are kept for the same time.
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

    /// Builds them from a snapshot, in strictly ascending order of groups. O(n log n).
    pub(crate) fn from_ascending(tombstones: Vec<(G, Tombstone<U, G>)>) -> Self {
        Tombstones { of: Timed::from_ascending(tombstones, &()) }
    }

    /// The tombstone of `group`, if it has not expired, and when it expires. O(log t).
    pub(crate) fn standing<Q: Ord + ?Sized>(
        &self,
        group: &Q,
        now: Timestamp,
        ttl_ms: u64,
    ) -> Option<(&Tombstone<U, G>, Timestamp)>
    where
        G: Borrow<Q>,
    {
        let tombstone = self.of.get(group)?;
        let stands = now.is_before(tombstone.at, ttl_ms);
        stands.then(|| (tombstone, tombstone.at.after(ttl_ms)))
    }

    /// The refusal of a command on a group that does not exist. O(log t).
    pub(crate) fn missing<Q: Ord + ?Sized>(
        &self,
        group: &Q,
        now: Timestamp,
        ttl_ms: u64,
    ) -> Refusal<U, G>
    where
        G: Borrow<Q>,
    {
        match self.standing(group, now, ttl_ms) {
            Some((tombstone, _)) => tombstone.refusal(),
            None => Refusal::NoSuchGroup,
        }
    }

    /// Adds the tombstone of a group that was dissolved. O(log t).
    pub(crate) fn add(&mut self, group: G, tombstone: Tombstone<U, G>) {
        self.of.put(self.of.find(&group), group, tombstone, &());
    }

    /// Removes the tombstone of a group whose id is used again. O(log t).
    pub(crate) fn clear(&mut self, group: &G) {
        self.of.remove(group, &());
    }

    /// Removes a few that have expired, the oldest first. O(log t).
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

    /// Whether the order of cleaning matches the tombstones. O(n log n).
    pub(crate) fn is_sound(&self) -> bool {
        self.of.is_sound(&())
    }
}
