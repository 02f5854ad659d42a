//! Allocations are counted, not timed: they are the same on every machine.

use allocation_counter::measure;
use disband::{Config, Engine, GroupId, Quotas, Timestamp, UserId};

const OWNER: UserId = UserId(0);
const GROUP: GroupId = GroupId(1);
const NOW: Timestamp = Timestamp(1_000);

fn engine(members: u64) -> Engine {
    let mut engine = Engine::new(Config { quotas: Quotas::UNLIMITED, ..Config::default() });
    let _ = engine.create(OWNER, GROUP, NOW).unwrap();
    for user in 1..members {
        let _ = engine.join(UserId(user), GROUP, NOW).unwrap();
    }
    for author in 0..members {
        let _ = engine.post(UserId(author), GROUP, "hello", NOW).unwrap();
    }
    engine
}

#[test]
fn a_dissolution_allocates_the_same_at_every_size() {
    let counts = [10, 1_000, 100_000].map(|members| {
        let mut engine = engine(members);
        let mut left = None;
        let counted = measure(|| left = Some(engine.leave(OWNER, GROUP, NOW).unwrap()));
        assert_eq!(left.unwrap().signals[0].audience.len() as u64, members - 1);
        (counted.count_total, counted.bytes_total)
    });
    // The signals' vector; a lone tombstone and an empty map of groups need none.
    assert_eq!(counts.map(|(count, _)| count), [1, 1, 1]);
    assert_eq!(counts.map(|(_, bytes)| bytes), [counts[0].1; 3]);
}

#[test]
fn a_dissolution_frees_nothing_of_the_group_inside_the_engine() {
    let mut engine = engine(100_000);
    let mut left = None;
    let counted = measure(|| left = Some(engine.leave(OWNER, GROUP, NOW).unwrap()));
    assert!(counted.bytes_current >= 0, "{} bytes", counted.bytes_current);
    let freed = measure(|| drop(left.take()));
    assert!(freed.bytes_current < -4_000_000, "the result owned it: {}", freed.bytes_current);
}

#[test]
fn a_snapshot_allocates_nothing() {
    for members in [1, 10, 1_000, 100_000] {
        let engine = engine(members);
        let mut snapshot = None;
        let counted = measure(|| snapshot = Some(engine.clone()));
        assert_eq!(counted.count_total, 0, "{members} members");
    }
}

#[test]
fn an_audience_is_taken_and_cloned_without_allocating() {
    let mut engine = engine(100_000);
    let outcome = engine.leave(OWNER, GROUP, NOW).unwrap();
    let counted = measure(|| drop(outcome.signals[0].audience.clone()));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_refusal_as_too_fast_allocates_nothing() {
    let mut engine: Engine = Engine::default();
    let mut refused = 0;
    let stranger = UserId(1);
    for _ in 0..100 {
        let _ = engine.leave(stranger, GROUP, NOW);
    }
    let counted = measure(|| refused += u32::from(engine.leave(stranger, GROUP, NOW).is_err()));
    assert_eq!((refused, counted.count_total), (1, 0));
}

#[test]
fn made_up_groups_share_a_cell_and_fill_no_memory() {
    let mut engine: Engine = Engine::default();
    let counted = measure(|| {
        for group in 0..10_000 {
            let at = Timestamp(group * 2_000);
            let _ = engine.leave(UserId(1), GroupId(group * 7_919), at);
        }
    });
    assert_eq!(engine.stats().cells, 1);
    assert!(counted.bytes_current < 1_000, "{} bytes", counted.bytes_current);
}
