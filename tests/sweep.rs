//! How many index entries of dissolved groups may wait for the sweep.
//!
//! The index lists the groups of each user. When a group is dissolved, the index entries of its
//! members stay and are stale. The sweep removes stale entries: each command looks at a bounded
//! number of entries.
//!
//! Each test sends a script of commands and notes P, the largest number of memberships that existed at
//! once. `directory.rs` proves that at most 3·P + 195 entries are stale. These scripts stay below a
//! stricter bound: at most P entries are stale, and the whole index has at most 2·P.

use std::collections::BTreeMap;
use std::env;
use std::ops::Bound;

use disband::{Config, Engine, Farewell, Group, Quotas, Timestamp};

const NOW: Timestamp = Timestamp(1_000);

/// The members of a group that stays. The sweep looks at their entries in each round and removes
/// none.
const STAYING: u64 = 400;

/// The members of a group that is filled and dissolved again and again. They are many, so that
/// nearly every command adds an entry.
const PASSING: u64 = 150;

/// How far a new id is below the lowest id or above the highest.
const STEP: u64 = 1 << 40;

/// Adding this again and again, wrapping around, gives distinct ids spread over all 64-bit numbers.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many commands each script sends. `SWEEP=2000000` sends two million instead of 300,000.
fn commands() -> u64 {
    env::var("SWEEP").map_or(300_000, |number| number.parse().unwrap())
}

/// The sweep goes through the users in ascending order, from a cursor. Each user who joins here
/// gets an id just past the cursor. The next command looks at their entry, which is not stale, and
/// moves the cursor past it. Soon after, the group is dissolved. The entry is stale now, but it is
/// behind the cursor.
#[test]
fn entries_made_just_ahead_of_the_cursor_are_swept() {
    let most = [2, 3, 4, 6].map(|looks| {
        let ids = SweepModel { looks, ..SweepModel::default() };
        (format!("ids ahead of the cursor, if a command looks at {looks} entries"), run(ids))
    });
    assert_bounded(&most);
}

#[test]
fn entries_of_users_with_ascending_ids_are_swept() {
    let mut ids = 0..;
    assert_bounded(&[("ascending ids".into(), run(move || ids.next().unwrap()))]);
}

#[test]
fn entries_of_users_with_descending_ids_are_swept() {
    let mut ids = (0..u64::MAX).rev();
    assert_bounded(&[("descending ids".into(), run(move || ids.next().unwrap()))]);
}

#[test]
fn entries_of_users_with_scattered_ids_are_swept() {
    let mut nth = 0_u64;
    let ids = move || {
        nth += 1;
        nth.wrapping_mul(SPREAD)
    };
    assert_bounded(&[("scattered ids".into(), run(ids))]);
}

/// Chooses the ids of the users who join.
trait Ids {
    /// An id that was not used before.
    fn next(&mut self) -> u64;
    /// Called before each command.
    fn before_command(&mut self) {}
    /// Called after a group was dissolved.
    fn after_dissolution(&mut self) {}
}

impl<F: FnMut() -> u64> Ids for F {
    fn next(&mut self) -> u64 {
        self()
    }
}

/// The largest numbers that a script reached at any time.
struct Most {
    unswept: u64,
    memberships: u64,
    /// The size of the index: unswept entries and memberships together. If all groups were
    /// dissolved at that moment, this many entries would be unswept.
    entries: u64,
    /// How many commands came before the one that made `unswept` exceed `memberships`.
    exceeded_after: Option<u64>,
}

/// Fills a group that stays. Then fills and dissolves another group, again and again.
fn run(mut ids: impl Ids) -> Most {
    let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
    let mut engine: Engine<u64, u64> = Engine::new(config);
    let mut most = Most { unswept: 0, memberships: 0, entries: 0, exceeded_after: None };
    let mut owner = 0;
    for nth in 0..commands() {
        let (group, size) = if nth < STAYING { (0, STAYING) } else { (1, PASSING) };
        let members = engine.group(&group).map_or(0, Group::len) as u64;
        ids.before_command();
        if members == size {
            engine.dissolve(owner, group, Farewell::NONE, NOW).unwrap().ignore_signals();
            ids.after_dissolution();
        } else if members == 0 {
            owner = ids.next();
            engine.create(owner, group, NOW).unwrap().ignore_signals();
        } else {
            engine.join(ids.next(), group, NOW).unwrap().ignore_signals();
        }
        let stats = engine.stats();
        most.memberships = most.memberships.max(stats.memberships);
        most.unswept = most.unswept.max(stats.unswept);
        most.entries = most.entries.max(stats.unswept + stats.memberships);
        if most.exceeded_after.is_none() && most.unswept > most.memberships {
            most.exceeded_after = Some(nth);
        }
    }
    assert_eq!(most.memberships, STAYING + PASSING);
    most
}

#[track_caller]
fn assert_bounded(most: &[(String, Most)]) {
    let lines = most.iter().map(|(script, most)| {
        let Most { unswept, memberships, entries, exceeded_after } = most;
        format!(
            "{script}: at most {unswept} unswept entries, {memberships} memberships, \
             {entries} entries in the index; exceeded after {exceeded_after:?} of {} commands",
            commands(),
        )
    });
    let report = lines.collect::<Vec<_>>().join("\n");
    println!("{report}");
    let bounded =
        |most: &Most| most.unswept <= most.memberships && most.entries <= 2 * most.memberships;
    assert!(most.iter().all(|(_, most)| bounded(most)), "\n{report}");
}

/// Where the cursor of the sweep is. An attacker who knows the code could compute this.
#[derive(Default)]
struct SweepModel {
    /// How many entries each command is assumed to look at.
    looks: u32,
    /// For each user whether their entry is stale.
    entries: BTreeMap<u64, bool>,
    cursor: Option<u64>,
    stale: u64,
    /// The members of both groups. Those of the group that stays come first.
    live: Vec<u64>,
    /// Counts up by [`SPREAD`], for ids that do not depend on the cursor.
    scattered: u64,
}

impl SweepModel {
    /// The entry that the sweep looks at next, or `None` at the end of a round.
    fn ahead(&self) -> Option<(u64, bool)> {
        let from = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((from, Bound::Unbounded)).next().map(|(user, stale)| (*user, *stale))
    }

    /// An unused id: the middle of the first gap past the cursor.
    fn just_ahead(&self) -> u64 {
        let mut low = self.cursor.unwrap_or(0);
        let above = (Bound::Excluded(low), Bound::Unbounded);
        let mut next = self.entries.range(above).map(|(user, _)| *user).chain([u64::MAX]);
        loop {
            let high = next.next().expect("no unused id is left past the cursor");
            if high - low > 1 {
                // Below the lowest id and above the highest, a step leaves room for more ids.
                return match (low, high) {
                    (0, _) => high - STEP.min(high / 2),
                    (_, u64::MAX) => low + STEP.min((high - low) / 2),
                    _ => low.midpoint(high),
                };
            }
            low = high;
        }
    }
}

impl Ids for SweepModel {
    fn next(&mut self) -> u64 {
        let user = if self.stale > 0 {
            self.just_ahead()
        } else {
            self.scattered = self.scattered.wrapping_add(SPREAD);
            (1 << 62) + self.scattered / 2
        };
        assert_eq!(self.entries.insert(user, false), None);
        self.live.push(user);
        user
    }

    /// Imitates what the sweep does during the next command.
    fn before_command(&mut self) {
        for _ in 0..self.looks {
            if self.stale > 0 {
                let ahead = self.ahead();
                self.cursor = ahead.map(|(user, _)| user);
                if let Some((user, true)) = ahead {
                    self.entries.remove(&user);
                    self.stale -= 1;
                }
            }
        }
        if self.stale == 0 {
            self.cursor = None;
        }
    }

    fn after_dissolution(&mut self) {
        for user in self.live.drain(STAYING as usize..) {
            self.entries.insert(user, true);
            self.stale += 1;
        }
    }
}
