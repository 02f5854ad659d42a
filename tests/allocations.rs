//! Counts allocations. Unlike times, the counts are the same on every machine. `counting.rs` counts
//! the allocations of each command.

use allocation_counter::measure;
use disband::{Config, Engine, GroupId, Limit, Limits, Quotas, Refusal, Timestamp, UserId};

const OWNER: UserId = UserId(0);
const GROUP: GroupId = GroupId(1);
const NOW: Timestamp = Timestamp(1_000);

fn engine(members: u64) -> Engine {
    engine_with(members, Limits::default())
}

fn engine_with(members: u64, limits: Limits) -> Engine {
    let config = Config { quotas: Quotas::UNLIMITED, limits, ..Config::default() };
    let mut engine = Engine::new(config);
    engine.create(OWNER, GROUP, NOW).unwrap().ignore_signals();
    for user in 1..members {
        engine.join(UserId(user), GROUP, NOW).unwrap().ignore_signals();
    }
    for author in 0..members {
        engine.post(UserId(author), GROUP, "hello", NOW).unwrap().ignore_signals();
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
    // The one allocation is the vector of signals. A single tombstone and an empty map of groups
    // need none.
    assert_eq!(counts.map(|(count, _)| count), [1, 1, 1]);
    assert_eq!(counts.map(|(_, bytes)| bytes), [counts[0].1; 3]);
}

#[test]
fn a_dissolution_leaves_freeing_the_group_to_the_caller() {
    let mut engine = engine(100_000);
    let mut left = None;
    let counted = measure(|| left = Some(engine.leave(OWNER, GROUP, NOW).unwrap()));
    assert!(
        counted.bytes_current >= 0,
        "the command changed memory by {} bytes",
        counted.bytes_current
    );
    let freed = measure(|| drop(left.take()));
    assert!(
        freed.bytes_current < -4_000_000,
        "the drop changed memory by {} bytes",
        freed.bytes_current
    );
}

#[test]
fn cloning_an_engine_allocates_nothing() {
    for members in [1, 10, 1_000, 100_000] {
        let engine = engine(members);
        let mut clone = None;
        let counted = measure(|| clone = Some(engine.clone()));
        assert_eq!(counted.count_total, 0, "{members} members");
    }
}

/// A refused command copies no data that a clone shares with the engine.
#[test]
fn a_refused_join_allocates_nothing_while_a_clone_of_the_engine_exists() {
    let (member, banned, stranger) = (UserId(5), UserId(100_000), UserId(100_001));
    let attempts = [
        (member, Limits::default(), Refusal::AlreadyMember),
        (banned, Limits::default(), Refusal::Banned { by: OWNER, until: None }),
        (
            stranger,
            Limits { members_per_group: Some(1_000), ..Limits::default() },
            Refusal::OverLimit { limit: Limit::MembersPerGroup, max: 1_000 },
        ),
        (
            stranger,
            Limits { groups_per_user: Some(1), ..Limits::default() },
            Refusal::OverLimit { limit: Limit::GroupsPerUser, max: 1 },
        ),
    ];
    for (user, limits, refusal) in attempts {
        let mut engine = engine_with(1_000, limits);
        engine.create(stranger, GroupId(2), NOW).unwrap().ignore_signals();
        engine.ban(OWNER, GROUP, banned, None, NOW).unwrap().ignore_signals();
        let clone = engine.clone();
        let mut result = None;
        let counted = measure(|| result = Some(engine.join(user, GROUP, NOW)));
        assert_eq!(result.unwrap().map(|_| ()), Err(refusal.clone()));
        assert_eq!(counted.count_total, 0, "{refusal}");
        drop(clone);
    }
}

/// A cell is the stored state of one rate limit.
#[test]
fn commands_to_groups_that_do_not_exist_share_one_cell() {
    let mut engine: Engine = Engine::default();
    let counted = measure(|| {
        for group in 0..10_000 {
            let at = Timestamp(group * 2_000);
            let _ = engine.leave(UserId(1), GroupId(group * 7_919), at);
        }
    });
    assert_eq!(engine.stats().cells, 1);
    assert!(counted.bytes_current < 1_000, "{} bytes are kept", counted.bytes_current);
}
