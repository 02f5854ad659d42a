//! The rate limiter: the generic cell rate algorithm (ITU-T I.371) in exact integer arithmetic.
//!
//! A cell is one number: the time at which its allowance is full again, scaled by the quota's
//! `cells` so that nothing is ever rounded. With `n` cells each `p` milliseconds and a burst of
//! `b`, one command is worth `p`, and an allowance holds `b·p` (its *window*, which takes `b·p / n`
//! milliseconds to refill). All of it fits: `n` and `b` are below 2^32, `p` and times below 2^64,
//! so no sum here reaches 2^99 and the saturating operations never saturate.

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::quota::{Operation, Quotas, Rate};
use crate::time::Timestamp;
use crate::timed::{Due, Timed, TimedIter};

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

    /// The latest that any clock leaves a cell at: a window past the end of time.
    fn latest(&self) -> u128 {
        self.scaled(Timestamp::MAX).saturating_add(self.window())
    }
}

/// What a user's allowance of one operation in one group has come to: the time at which it is full
/// again, scaled by the quota's `cells`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cell(u128);

impl<U, G> Due<CellKey<U, G>> for Cell {
    type At = Timestamp;
    type Terms = Quotas;

    /// `Timestamp::MAX` stands for every time past it: such a cell has not expired even then.
    fn due(&self, key: &CellKey<U, G>, quotas: &Quotas) -> Option<Timestamp> {
        let expiry = quotas.of(key.operation).rate()?.expiry(self.0);
        (expiry < Timestamp::MAX).then_some(expiry)
    }

    fn glance(&self) -> u64 {
        self.0 as u64
    }
}

/// Why a cell of a snapshot can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Its operation has no limit.
    Unlimited,
    /// No clock could have led to it, and none could end it.
    Unreachable,
}

/// All cells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limiter<U: Id, G: Id> {
    cells: Timed<CellKey<U, G>, Cell>,
}

impl<U: Id, G: Id> Limiter<U, G> {
    pub(crate) const fn new() -> Self {
        Limiter { cells: Timed::new() }
    }

    /// Of the cells of a snapshot, in strictly ascending order of their keys. O(n log n).
    pub(crate) fn from_ascending(
        cells: Vec<(CellKey<U, G>, Cell)>,
        quotas: &Quotas,
    ) -> Result<Self, Misfit> {
        for (key, Cell(cell)) in &cells {
            let rate = quotas.of(key.operation).rate().ok_or(Misfit::Unlimited)?;
            if *cell > rate.latest() {
                return Err(Misfit::Unreachable);
            }
        }
        Ok(Limiter { cells: Timed::from_ascending(cells, quotas) })
    }

    /// Charges `key` for one command at `rate`, its quota; or answers when to come again, and
    /// touches nothing. A charge pays for the eviction of a few cells. O(log cells).
    pub(crate) fn charge(
        &mut self,
        key: CellKey<U, G>,
        rate: &Rate,
        quotas: &Quotas,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let is_over = |expiry: Timestamp| expiry <= now;
        let found = self.cells.find(&key);
        let cell = found.ok().and_then(|spot| self.cells.at(&spot));
        let charged = Cell(rate.charge(cell.map(|cell| cell.0), now)?);
        if cell.and_then(|cell| cell.due(&key, quotas)).is_some_and(is_over) {
            // The charged cell itself is due, so the cleaning may remove it: clean first, then find
            // its place again.
            self.cells.clean(EVICTIONS, is_over);
            self.cells.put(self.cells.find(&key), key, charged, quotas);
        } else {
            self.cells.put(found, key, charged, quotas);
            self.cells.clean(EVICTIONS, is_over);
        }
        Ok(())
    }

    pub(crate) fn iter(&self) -> TimedIter<'_, CellKey<U, G>, Cell> {
        self.cells.iter()
    }

    /// How many cells there are. O(1).
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether every cell has a limit and waits for its eviction, and nothing else does. O(n log n).
    pub(crate) fn is_sound(&self, quotas: &Quotas) -> bool {
        let is_limited = |key: &CellKey<U, G>| quotas.of(key.operation).rate().is_some();
        self.cells.iter().all(|(key, _)| is_limited(key)) && self.cells.is_sound(quotas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_an_operation_without_a_limit_is_unsound() {
        let quotas = Quotas::default();
        let key = CellKey { user: 1, group: Some(7), operation: Operation::Join };
        let limiter = Limiter::from_ascending(vec![(key, Cell(5_000))], &quotas).unwrap();
        assert!(limiter.is_sound(&quotas));
        assert!(!limiter.is_sound(&Quotas::UNLIMITED));
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

    /// The last clock there is charges until it refuses, and no cell lies past what it left.
    #[test]
    fn the_latest_cell_is_the_one_that_the_last_clock_leaves() {
        let rate = Quotas::default().of(Operation::Join).rate().unwrap();
        let mut cell = None;
        while let Ok(charged) = rate.charge(cell, Timestamp::MAX) {
            cell = Some(charged);
        }
        assert_eq!(cell, Some(rate.latest()));
    }
}
