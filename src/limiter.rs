//! The rate limiter: the generic cell rate algorithm (ITU-T I.371) in exact integer arithmetic.
//!
//! A cell is one number: the time at which its allowance is full again, scaled by the quota's
//! `cells` so that nothing is ever rounded. With `n` cells each `p` milliseconds and a burst of
//! `b`, one command is worth `p`, and an allowance holds `b·p` (its *window*, which takes `b·p / n`
//! milliseconds to refill). All of it fits: `n` and `b` are below 2^32, `p` and times below 2^64,
//! so no sum here reaches 2^99 and the saturating operations never saturate.

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::persistent::{Iter, Map};
use crate::quota::{Operation, Quotas, Rate};
use crate::time::Timestamp;

/// Cells evicted per charged command, at most. One would do: a command adds at most one.
const EVICTIONS: usize = 2;

/// What is limited apart: a user's one kind of operation in one group. Groups that do not exist
/// share the cell `None`, so that made-up ids can't fill the memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CellKey<U, G> {
    pub(crate) user: U,
    pub(crate) group: Option<G>,
    pub(crate) operation: Operation,
}

impl Rate {
    fn scaled(&self, now: Timestamp) -> u128 {
        u128::from(now.0).saturating_mul(u128::from(self.cells.get()))
    }

    fn price(&self) -> u128 {
        u128::from(self.per_ms.get())
    }

    fn window(&self) -> u128 {
        u128::from(self.burst.get()).saturating_mul(self.price())
    }

    /// What a cell holds after one more command, or when to come again.
    fn charge(&self, cell: Option<u128>, now: Timestamp) -> Result<u128, Timestamp> {
        let (at, window) = (self.scaled(now), self.window());
        let owed = match cell.unwrap_or(at).saturating_sub(at) {
            // A cell is never charged more than a window ahead of its time. One that is two windows
            // ahead was charged before the clock went back by more than a window: that future is
            // void, or whoever acted in it would be shut out until it comes. So the longest wait
            // that a clock can cause is a window, and the `p / n` that anybody may have to wait.
            owed if owed > window.saturating_mul(2) => 0,
            owed => owed,
        };
        let owes = owed.saturating_add(self.price());
        match owes.checked_sub(window) {
            None | Some(0) => Ok(at.saturating_add(owes)),
            Some(excess) => {
                let wait = excess.div_ceil(u128::from(self.cells.get()));
                Err(now.after(u64::try_from(wait).unwrap_or(u64::MAX)))
            }
        }
    }

    /// When a cell may be forgotten: a window after its allowance was full again, so that even a
    /// clock that then goes back by a window finds nothing forgotten too early.
    fn expiry(&self, cell: u128) -> Timestamp {
        let scaled = cell.saturating_add(self.window());
        let ms = scaled.div_ceil(u128::from(self.cells.get()));
        Timestamp(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}

/// Equal if the cells are.
impl<U: Id, G: Id> PartialEq for Limiter<U, G> {
    fn eq(&self, other: &Self) -> bool {
        self.cells == other.cells
    }
}

/// All cells, and the order in which they may be forgotten.
#[derive(Debug, Clone)]
pub(crate) struct Limiter<U: Id, G: Id> {
    cells: Map<CellKey<U, G>, u128>,
    /// Derived from `cells`: one entry each.
    expiries: Map<(Timestamp, CellKey<U, G>), ()>,
}

impl<U: Id, G: Id> Limiter<U, G> {
    pub(crate) const fn new() -> Self {
        Limiter { cells: Map::new(), expiries: Map::new() }
    }

    /// Charges `key` for one command, or answers when to come again and touches nothing.
    /// O(log cells).
    pub(crate) fn charge(
        &mut self,
        key: CellKey<U, G>,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let charged = rate.charge(self.cells.get(&key).copied(), now)?;
        self.evict(now);
        if let Some(old) = self.cells.insert(key.clone(), charged) {
            self.expiries.remove(&(rate.expiry(old), key.clone()));
        }
        self.expiries.insert((rate.expiry(charged), key), ());
        Ok(())
    }

    fn evict(&mut self, now: Timestamp) {
        for _ in 0..EVICTIONS {
            match self.expiries.first() {
                // `MAX` stands for every time past it: such a cell has not expired even then.
                Some((due, _)) if due.0 <= now && due.0 < Timestamp::MAX => {
                    let due = due.clone();
                    self.cells.remove(&due.1);
                    self.expiries.remove(&due);
                }
                _ => return,
            }
        }
    }

    pub(crate) fn iter(&self) -> Iter<'_, CellKey<U, G>, u128> {
        self.cells.iter()
    }

    /// Puts back a cell that there is none of yet. O(log cells).
    pub(crate) fn restore(&mut self, key: CellKey<U, G>, cell: u128, rate: &Rate) {
        self.expiries.insert((rate.expiry(cell), key.clone()), ());
        self.cells.insert(key, cell);
    }

    /// How many cells there are. O(1).
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether every cell waits for its eviction, and nothing else does. Walks the cells.
    pub(crate) fn is_consistent(&self, quotas: &Quotas) -> bool {
        self.cells.len() == self.expiries.len()
            && self.cells.iter().all(|(key, cell)| {
                quotas
                    .of(key.operation)
                    .rate()
                    .is_some_and(|rate| self.expiries.contains(&(rate.expiry(*cell), key.clone())))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_and_its_expiry_stand_in_both_maps_or_neither() {
        let quotas = Quotas::default();
        let rate = quotas.of(Operation::Join).rate().unwrap();
        let key = CellKey { user: 1, group: Some(7), operation: Operation::Join };
        let mut limiter = Limiter::new();
        limiter.restore(key, 5_000, &rate);
        assert!(limiter.is_consistent(&quotas));
        assert!(!limiter.is_consistent(&Quotas::UNLIMITED), "a cell of what is not limited");
        let broken = |change: fn(&mut Limiter<u8, u8>)| {
            let mut limiter = limiter.clone();
            change(&mut limiter);
            !limiter.is_consistent(&quotas)
        };
        assert!(broken(|limiter| limiter.cells = Map::new()));
        assert!(broken(|limiter| limiter.expiries = Map::new()));
        assert!(broken(|limiter| {
            let (_, key) = limiter.expiries.first().unwrap().0.clone();
            limiter.expiries = Map::new();
            limiter.expiries.insert((Timestamp(0), key), ());
        }));
    }

    /// A clock may go back by a window, and lets nobody through for that.
    #[test]
    fn a_cell_two_windows_ahead_is_the_last_that_is_believed() {
        let quotas = Quotas::default();
        let rate = quotas.of(Operation::Join).rate().unwrap();
        let ahead = rate.scaled(Timestamp(1_000)) + 2 * rate.window();
        assert!(rate.charge(Some(ahead), Timestamp(1_000)).is_err());
        assert!(rate.charge(Some(ahead + 1), Timestamp(1_000)).is_ok());
    }
}
