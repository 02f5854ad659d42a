//! How many index entries of dissolved groups may wait for the sweep.
//!
//! A dissolution leaves the index entries of its members behind. Such an entry is stale. Each command
//! looks at a bounded number of entries and removes the stale ones (rule 20). For the memory to be
//! bounded by what is in use, the stale entries in these scripts must never outnumber the most
//! memberships that were alive at once, and the whole index must stay below twice that number.

use std::collections::BTreeMap;
use std::env;
use std::ops::Bound;

use disband::{Config, Engine, Farewell, Group, Quotas, Timestamp};

const NOW: Timestamp = Timestamp(1_000);

/// The members of a group that stays. The sweep looks at their entries in each round, in vain.
const STAYING: u64 = 400;

/// The members of a group that is filled and dissolved, over and over. Many, so that nearly every
/// command is one that adds an entry.
const PASSING: u64 = 150;

/// Between ids below the first one or above the last one.
const STEP: u64 = 1 << 40;

/// Steps through all numbers of 64 bits, far from one another.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Commands of each script. `SWEEP=2000000` sends more of them.
fn commands() -> u64 {
    env::var("SWEEP").map_or(300_000, |number| number.parse().unwrap())
}

/// The sweep goes through the users in ascending order, from a cursor. Each user who joins here gets
/// an id just past the cursor, so the next command looks at that entry, which is live, and goes past
/// it. Soon after, the group is dissolved, and the entry is stale, but behind the cursor.
#[test]
fn joins_just_ahead_of_the_cursor_do_not_keep_the_sweep_from_its_work() {
    let most = [2, 3, 4, 6].map(|looks| {
        let ids = SweepModel { looks, ..SweepModel::default() };
        (format!("a guess of {looks} looks for each command"), run(ids))
    });
    assert_bounded(&most);
}

#[test]
fn joins_of_users_with_ever_higher_ids_are_swept() {
    let mut ids = 0..;
    assert_bounded(&[("ascending ids".into(), run(move || ids.next().unwrap()))]);
}

#[test]
fn joins_of_users_with_ever_lower_ids_are_swept() {
    let mut ids = (0..u64::MAX).rev();
    assert_bounded(&[("descending ids".into(), run(move || ids.next().unwrap()))]);
}

#[test]
fn joins_of_users_with_scattered_ids_are_swept() {
    let mut nth = 0_u64;
    let ids = move || {
        nth += 1;
        nth.wrapping_mul(GOLDEN)
    };
    assert_bounded(&[("scattered ids".into(), run(ids))]);
}

/// Chooses the ids of the users who join.
trait Ids {
    /// A user who has not been used.
    fn next(&mut self) -> u64;
    /// A command is about to be sent.
    fn before_command(&mut self) {}
    /// The group that was filled last was dissolved.
    fn after_dissolution(&mut self) {}
}

impl<F: FnMut() -> u64> Ids for F {
    fn next(&mut self) -> u64 {
        self()
    }
}

/// The most that were counted at once in the course of a script.
struct Most {
    unswept: u64,
    memberships: u64,
    /// Of both together: the size of the index. Were all groups dissolved at that moment, so many
    /// entries would wait.
    entries: u64,
    /// The commands sent when `unswept` went past `memberships` for the first time.
    exceeded_after: Option<u64>,
}

/// Fills a group that stays, and then fills and dissolves another, over and over.
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
            let _ = engine.dissolve(owner, group, Farewell::NONE, NOW).unwrap();
            ids.after_dissolution();
        } else if members == 0 {
            owner = ids.next();
            let _ = engine.create(owner, group, NOW).unwrap();
        } else {
            let _ = engine.join(ids.next(), group, NOW).unwrap();
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
            "{script}: at most {unswept} entries waited and {memberships} memberships were alive, \
             {entries} entries were in the index; exceeded after {exceeded_after:?} of {} commands",
            commands(),
        )
    });
    let report = lines.collect::<Vec<_>>().join("\n");
    println!("{report}");
    let bounded =
        |most: &Most| most.unswept <= most.memberships && most.entries <= 2 * most.memberships;
    assert!(most.iter().all(|(_, most)| bounded(most)), "\n{report}");
}

/// Where the cursor of the sweep is, as far as a user who knows the code can tell.
#[derive(Default)]
struct SweepModel {
    looks: u32,
    /// Under each user whether their entry is stale.
    entries: BTreeMap<u64, bool>,
    cursor: Option<u64>,
    stale: u64,
    /// The members of both groups, those of the group that stays first.
    live: Vec<u64>,
    /// The last of the ids that were taken at no particular place.
    scattered: u64,
}

impl SweepModel {
    /// The entry that the sweep looks at next, if the round is not at its end.
    fn ahead(&self) -> Option<(u64, bool)> {
        let from = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((from, Bound::Unbounded)).next().map(|(user, stale)| (*user, *stale))
    }

    /// The middle of the first gap past the cursor.
    fn just_ahead(&self) -> u64 {
        let mut low = self.cursor.unwrap_or(0);
        let above = (Bound::Excluded(low), Bound::Unbounded);
        let mut next = self.entries.range(above).map(|(user, _)| *user).chain([u64::MAX]);
        loop {
            let high = next.next().expect("there is room for another id");
            if high - low > 1 {
                // Steps leave room for more below the first id and above the last.
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
            self.scattered = self.scattered.wrapping_add(GOLDEN);
            (1 << 62) + self.scattered / 2
        };
        assert_eq!(self.entries.insert(user, false), None);
        self.live.push(user);
        user
    }

    /// What the command sweeps.
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
