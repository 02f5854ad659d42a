//! Ids that count how often they are compared and cloned, and a function that counts the
//! comparisons, clones and allocations of one call. The counts are the same on every machine.

#![allow(unreachable_pub, dead_code, reason = "each test uses a part of this")]

use std::cell::Cell;
use std::cmp::Ordering;

use allocation_counter::measure;

thread_local! {
    static USERS_COMPARED: Cell<u64> = const { Cell::new(0) };
    static GROUPS_COMPARED: Cell<u64> = const { Cell::new(0) };
    static CLONED: Cell<u64> = const { Cell::new(0) };
}

/// Defines an id type that counts its clones and its comparisons of any kind.
macro_rules! counted_id {
    ($name:ident, $compared:ident) => {
        #[derive(Debug)]
        pub struct $name(pub u64);

        impl Clone for $name {
            fn clone(&self) -> Self {
                CLONED.set(CLONED.get() + 1);
                $name(self.0)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $compared.set($compared.get() + 1);
                self.0 == other.0
            }
        }

        impl Eq for $name {}

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                $compared.set($compared.get() + 1);
                self.0.cmp(&other.0)
            }
        }

        /// `<`, `<=`, `>` and `>=` call this, so each of them counts once.
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

counted_id!(User, USERS_COMPARED);
counted_id!(Group, GROUPS_COMPARED);

/// The counts of one call, in the order of [`COLUMNS`].
pub type Counts = [u64; 6];

pub const COLUMNS: [&str; 6] = [
    "user ids compared",
    "group ids compared",
    "ids cloned",
    "allocations",
    "bytes allocated",
    "allocations freed",
];

/// Calls `run` and counts what the call does. Dropping the returned value is not counted.
pub fn count<T>(run: impl FnOnce() -> T) -> (T, Counts) {
    let before = [USERS_COMPARED.get(), GROUPS_COMPARED.get(), CLONED.get()];
    let mut result = None;
    let memory = measure(|| result = Some(run()));
    let after = [USERS_COMPARED.get(), GROUPS_COMPARED.get(), CLONED.get()];
    let [users, groups, cloned] = [0, 1, 2].map(|column| after[column] - before[column]);
    let freed = memory.count_total.checked_add_signed(-memory.count_current).unwrap();
    let counts = [users, groups, cloned, memory.count_total, memory.bytes_total, freed];
    (result.unwrap(), counts)
}

/// The larger of the two counts in each column.
pub fn larger(one: Counts, other: Counts) -> Counts {
    std::array::from_fn(|column| one[column].max(other[column]))
}
