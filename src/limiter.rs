//! The rate limiter: the generic cell rate algorithm (GCRA, ITU-T I.371) in exact integer arithmetic.
//!
//! A *cell* is the state of one rate limit. It is one number: the time at which its allowance is full
//! again, multiplied by the quota's `cells` so that nothing is rounded. With `n` commands every `p`
//! milliseconds and a burst of `b`, one command costs `p`, and an allowance holds `b·p`. It refills in
//! `b·p / n` milliseconds, its *window*; the function `window` returns it multiplied by `n`. `n` and
//! `b` are below 2^32, `p` and times are below 2^64, so no sum here reaches 2^99, and the saturating
//! operations never saturate.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::map::Map;
use crate::quota::{Operation, Quotas, Rate};
use crate::time::Timestamp;
use crate::timed::{Due, Timed};
use crate::tree::Spot;

/// The most cells that one charge evicts. A charge adds at most one, so two keep up.
const EVICTIONS: usize = 2;

/// The key of a cell: one user, one operation, one group. Groups that do not exist share the cell
/// `None`, so that invented ids cannot fill the memory. `leave_all` has no group, so its cell is
/// `None` too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CellKey<U, G> {
    pub(crate) user: U,
    pub(crate) group: Option<G>,
    pub(crate) operation: Operation,
}

/// A cell's key without its operation.
type Place<U, G> = (U, Option<G>);

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

    /// The value of a cell after one more command, or when the command will be admitted.
    fn charge(&self, cell: Option<u128>, now: Timestamp) -> Result<u128, Timestamp> {
        let (at, window) = (self.scaled(now), self.window());
        let owed = match cell.unwrap_or(at).saturating_sub(at) {
            // A charge sets a cell at most one window ahead of its time. If a cell is more than two
            // windows ahead, the clock went back by more than one window since. Then the allowance
            // counts as full; otherwise the user would be refused until the clock has caught up. So
            // the longest wait that a clock can cause is one window and the usual `p / n`.
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

    /// When a cell may be evicted: one window after its allowance is full. So a clock that then goes
    /// back by up to one window finds no cell evicted too early.
    fn expiry(&self, cell: u128) -> Timestamp {
        let scaled = cell.saturating_add(self.window());
        let ms = scaled.div_ceil(u128::from(self.cells.get()));
        Timestamp(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// The largest value of a cell that any time can lead to: one window past the largest time.
    fn latest(&self) -> u128 {
        self.scaled(Timestamp::MAX).saturating_add(self.window())
    }
}

/// The time at which the allowance is full again, multiplied by the quota's `cells`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cell(u128);

impl<K> Due<K> for Cell {
    type At = Timestamp;
    type Terms = Rate;

    /// `Timestamp::MAX` also stands for every later time, so such a cell never expires.
    fn due(&self, _: &K, rate: &Rate) -> Option<Timestamp> {
        let expiry = rate.expiry(self.0);
        (expiry < Timestamp::MAX).then_some(expiry)
    }

    fn glance(&self) -> u64 {
        self.0 as u64
    }
}

/// Why a cell in a snapshot is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidCell {
    /// Its operation has no limit.
    Unlimited,
    /// No time could have led to it, and it would never expire.
    Unreachable,
}

/// The cells of one operation. They are behind an `Arc`, so that a charge copies only cells of its own
/// operation while a clone of the engine is alive.
#[derive(Debug, Clone)]
struct Cells<U: Id, G: Id> {
    of: Arc<Timed<Place<U, G>, Cell>>,
    /// When the first of them may be evicted. Every charge reads this, so it is stored.
    next: Option<Timestamp>,
}

impl<U: Id, G: Id> Cells<U, G> {
    fn new(of: Timed<Place<U, G>, Cell>) -> Self {
        Cells { next: of.next_due(), of: Arc::new(of) }
    }

    fn change(&mut self, change: impl FnOnce(&mut Timed<Place<U, G>, Cell>)) {
        let of = Arc::make_mut(&mut self.of);
        change(of);
        self.next = of.next_due();
    }
}

/// All cells, by operation: if the quota of an operation changes, all of its cells are removed in
/// O(1).
#[derive(Debug, Clone)]
pub(crate) struct Limiter<U: Id, G: Id> {
    cells: Map<Operation, Cells<U, G>>,
}

impl<U: Id, G: Id> Limiter<U, G> {
    pub(crate) const fn new() -> Self {
        Limiter { cells: Map::new() }
    }

    /// Builds it from the cells of a snapshot, in strictly ascending order of operation, user and
    /// group. O(n log n).
    pub(crate) fn from_ascending(
        cells: Vec<(CellKey<U, G>, Cell)>,
        quotas: &Quotas,
    ) -> Result<Self, InvalidCell> {
        let mut limiter = Limiter::new();
        let mut cells = cells.into_iter().peekable();
        while let Some((CellKey { operation, .. }, _)) = cells.peek() {
            let operation = *operation;
            let rate = quotas.of(operation).rate().ok_or(InvalidCell::Unlimited)?;
            let mut of = Vec::new();
            while let Some((key, cell)) = cells.next_if(|(key, _)| key.operation == operation) {
                if cell.0 > rate.latest() {
                    return Err(InvalidCell::Unreachable);
                }
                of.push(((key.user, key.group), cell));
            }
            limiter.cells.insert(operation, Cells::new(Timed::from_ascending(of, &rate)));
        }
        Ok(limiter)
    }

    /// Charges a user for one operation in one group, and evicts a few expired cells. If the allowance
    /// is used up, returns when it will be admitted and changes nothing. O(log cells).
    pub(crate) fn charge(
        &mut self,
        operation: Operation,
        place: Place<U, G>,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let at = self.cells.find(&operation);
        let cells = at.ok().and_then(|at| self.cells.at(&at));
        let found = cells.map_or(Err(Spot::default()), |cells| cells.of.find(&place));
        let cell = cells.zip(found.ok()).and_then(|(cells, spot)| cells.of.at(&spot));
        let charged = Cell(rate.charge(cell.map(|cell| cell.0), now)?);
        let is_due = cell.and_then(|cell| cell.due(&place, rate)).is_some_and(|due| due <= now);

        if is_due {
            // The charged cell itself may be evicted, so evict first and search it again.
            self.evict(now);
        }
        let at = at.unwrap_or_else(|at| {
            self.cells.insert_at(&at, operation, Cells::new(Timed::new()));
            at
        });
        if let Some(cells) = self.cells.at_mut(&at) {
            let found = if is_due { cells.of.find(&place) } else { found };
            cells.change(|of| of.put(found, place, charged, rate));
        }
        if !is_due {
            self.evict(now);
        }
        Ok(())
    }

    /// What [`charge`](Self::charge) would return. Changes nothing. O(log cells).
    pub(crate) fn admits(
        &self,
        operation: Operation,
        place: &Place<U, G>,
        rate: &Rate,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let cell = self.cells.get(&operation).and_then(|cells| cells.of.get(place));
        rate.charge(cell.map(|cell| cell.0), now).map(|_| ())
    }

    /// Evicts a few expired cells: those that expired first, and of those the smallest by user, group
    /// and operation. O(log cells).
    fn evict(&mut self, now: Timestamp) {
        for _ in 0..EVICTIONS {
            let due = self.cells.iter().filter(|(_, cells)| cells.next.is_some_and(|at| at <= now));
            let first = due.min_by_key(|(operation, cells)| (cells.of.first_due(), **operation));
            let Some((operation, _)) = first else { return };
            let Ok(at) = self.cells.find(&{ *operation }) else { return };
            if let Some(cells) = self.cells.at_mut(&at) {
                cells.change(|of| of.clean(1, |expiry| expiry <= now));
            }
        }
    }

    /// Removes and returns the cells of each operation for which `is_kept` is false. O(1).
    pub(crate) fn keep(&mut self, is_kept: impl Fn(Operation) -> bool) -> ForgottenCells<U, G> {
        let all = std::mem::take(&mut self.cells);
        let all = all.iter().map(|(operation, cells)| (*operation, cells.clone()));
        let (kept, forgotten): (Vec<_>, Vec<_>) =
            all.partition(|(operation, _)| is_kept(*operation));
        self.cells = Map::from_ascending(kept);
        ForgottenCells { cells: Map::from_ascending(forgotten) }
    }

    /// All cells in ascending order of operation, user and group.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CellKey<&U, &G>, &Cell)> {
        self.cells.iter().flat_map(|(operation, cells)| {
            cells.of.iter().map(|((user, group), cell)| {
                (CellKey { user, group: group.as_ref(), operation: *operation }, cell)
            })
        })
    }

    /// How many cells there are. O(1).
    pub(crate) fn len(&self) -> usize {
        count(&self.cells)
    }

    /// Whether every cell has a limit, and the order of eviction matches the cells. O(n log n).
    pub(crate) fn is_sound(&self, quotas: &Quotas) -> bool {
        self.cells.iter().all(|(operation, cells)| match quotas.of(*operation).rate() {
            Some(rate) => cells.of.is_sound(&rate) && cells.next == cells.of.next_due(),
            None => cells.of.len() == 0,
        })
    }
}

fn count<U: Id, G: Id>(cells: &Map<Operation, Cells<U, G>>) -> usize {
    cells.iter().map(|(_, cells)| cells.of.len()).fold(0, usize::saturating_add)
}

/// Compares the cells.
impl<U: Id, G: Id> PartialEq for Limiter<U, G> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The rate cells that [`Engine::set_config`](crate::Engine::set_config) removed. That method has an
/// example.
///
/// Dropping this frees the cells, which takes many milliseconds for a million of them. Drop it where
/// that delays nobody, for example on another thread.
#[derive(Clone)]
#[must_use = "dropping it frees all of these cells: do so where that delays nobody"]
pub struct ForgottenCells<U: Id, G: Id> {
    cells: Map<Operation, Cells<U, G>>,
}

impl<U: Id, G: Id> ForgottenCells<U, G> {
    /// How many cells there are. O(1). [`Engine::set_config`](crate::Engine::set_config) has an
    /// example.
    #[must_use]
    pub fn len(&self) -> usize {
        count(&self.cells)
    }

    /// Whether no cell was removed. O(1). [`Engine::set_config`](crate::Engine::set_config) has an
    /// example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<U: Id, G: Id> fmt::Debug for ForgottenCells<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForgottenCells").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(cells: &[(u8, Operation, u128)]) -> Limiter<u8, u8> {
        let cells = cells.iter().map(|(user, operation, cell)| {
            let key = CellKey { user: *user, group: Some(7), operation: *operation };
            (key, Cell(*cell))
        });
        Limiter::from_ascending(cells.collect(), &Quotas::default()).unwrap()
    }

    #[test]
    fn a_cell_of_an_operation_without_a_limit_is_unsound() {
        let mut limiter = limiter(&[(1, Operation::Join, 5_000)]);
        assert!(limiter.is_sound(&Quotas::default()));
        assert!(!limiter.is_sound(&Quotas::UNLIMITED));
        let spot = limiter.cells.find(&Operation::Join).unwrap();
        limiter.cells.at_mut(&spot).unwrap().next = None;
        assert!(!limiter.is_sound(&Quotas::default()));
    }

    /// Across all operations: the first to expire, then the smallest by user.
    #[test]
    fn two_cells_are_evicted_in_order_of_expiry_across_operations() {
        let (join, leave, post) = (Operation::Join, Operation::Leave, Operation::Post);
        // The window of a join or a leave is 6 s, that of a post 5 s. The cell of user 4 expires at
        // 10 s, all others at 11 s.
        let cells = [(2, join, 5_000), (4, join, 4_000), (1, leave, 5_000), (3, post, 6_000)];
        let mut limiter = limiter(&cells);
        let mut left = || {
            limiter.evict(Timestamp(11_000));
            limiter.iter().map(|(key, _)| *key.user).collect::<Vec<_>>()
        };
        assert_eq!(left(), [2, 3]);
        assert_eq!(left(), [] as [u8; 0]);
        assert!(limiter.is_sound(&Quotas::default()) && limiter == Limiter::new());
    }

    #[test]
    fn keep_returns_the_cells_that_are_not_kept() {
        let mut limiter = limiter(&[(1, Operation::Join, 5_000), (2, Operation::Post, 5_000)]);
        let forgotten = limiter.keep(|operation| operation != Operation::Join);
        assert_eq!((forgotten.len(), forgotten.is_empty(), limiter.len()), (1, false, 1));
        assert!(limiter.keep(|_| true).is_empty());
    }

    #[test]
    fn a_cell_more_than_two_windows_ahead_gives_a_full_allowance() {
        let quotas = Quotas::default();
        let rate = quotas.of(Operation::Join).rate().unwrap();
        let ahead = rate.scaled(Timestamp(1_000)) + 2 * rate.window();
        assert!(rate.charge(Some(ahead), Timestamp(1_000)).is_err());
        assert!(rate.charge(Some(ahead + 1), Timestamp(1_000)).is_ok());
    }

    #[test]
    fn the_latest_cell_is_the_one_that_charges_at_the_largest_time_lead_to() {
        let rate = Quotas::default().of(Operation::Join).rate().unwrap();
        let mut cell = None;
        while let Ok(charged) = rate.charge(cell, Timestamp::MAX) {
            cell = Some(charged);
        }
        assert_eq!(cell, Some(rate.latest()));
    }
}
