//! What a join costs a user who is at the limit of groups per user, and when it is accepted.
//!
//! The index lists the groups of each user. A dissolved group leaves stale entries in the index,
//! which the sweep removes during later commands. Stale entries do not count against the limit. No
//! join may look through all of the user's entries to find the stale ones.

use disband::{Command, Engine, Farewell, Limit, Refusal, Timestamp};

mod counted;

use counted::{Counts, Group, User, count};

/// The default of `Limits::groups_per_user`.
const LIMIT: u64 = 20_000;

/// The most ids that one command may compare. A join compares about 300. Any join may also include
/// a run of the sweep, which looks at 96 entries. Looking through all entries of the user would
/// compare hundreds of thousands of ids.
const MOST_COMPARED: u64 = 4_000;

/// The user who is in as many groups as the limit allows.
const COLLECTOR: u64 = 1 << 40;

/// The owners of those groups.
const OWNER: u64 = 1 << 41;
const OTHER_OWNER: u64 = 1 << 42;

/// The first id of the groups that the collector is not in.
const SPARE: u64 = 1 << 20;

/// How many such groups there are.
const SPARES: u64 = 300;

/// The collector is in [`LIMIT`] groups, numbered from 0 in the order of joining. [`OWNER`] owns
/// the groups whose numbers satisfy `owned`, [`OTHER_OWNER`] the others. The index also has entries
/// of users with lower and higher ids.
fn engine(owned: impl Fn(u64) -> bool) -> Engine<User, Group> {
    let mut engine = Engine::default();
    let owner = |group| if owned(group) { OWNER } else { OTHER_OWNER };
    let create =
        |owner, group| Command::Create { owner: User(owner), group: Group(group), options: None };
    let join = |user, group| Command::Join { user: User(user), group: Group(group) };
    let joined = (0..LIMIT).flat_map(|group| [create(owner(group), group), join(COLLECTOR, group)]);
    let spare = (SPARE..SPARE + SPARES).flat_map(|group| {
        [create(group, group), join(group + SPARES, group), join(COLLECTOR + group, group)]
    });
    engine.apply_all(joined.chain(spare), Timestamp(1_000)).unwrap().ignore_signals();
    engine
}

fn over_the_limit() -> Refusal<User, Group> {
    Refusal::OverLimit { limit: Limit::GroupsPerUser, max: LIMIT }
}

fn attempt(
    engine: &mut Engine<User, Group>,
    group: u64,
    now: u64,
) -> Result<(), Refusal<User, Group>> {
    let (user, group) = (User(COLLECTOR), Group(group));
    let (result, counts) = count(|| engine.join(user, group, Timestamp(now)));
    assert_cheap(counts);
    result.map(|_| ())
}

#[track_caller]
fn assert_cheap([users, groups, ..]: Counts) {
    assert!(
        users + groups <= MOST_COMPARED,
        "{users} user ids and {groups} group ids were compared, {MOST_COMPARED} are allowed"
    );
}

#[test]
fn a_join_refused_at_the_limit_is_cheap_each_time() {
    let mut engine = engine(|_| false);
    for nth in 0..20 {
        let now = 1_000_000 + nth * 2_000;
        assert_eq!(attempt(&mut engine, SPARE, now), Err(over_the_limit()));
    }
}

/// Each rate limit is for one user, one group and one operation. So attempts to join many groups
/// are not limited.
#[test]
fn joins_of_many_groups_refused_at_the_limit_are_cheap() {
    let mut engine = engine(|_| false);
    for group in SPARE..SPARE + SPARES {
        assert_eq!(attempt(&mut engine, group, 1_000_000), Err(over_the_limit()));
    }
}

#[test]
fn a_create_refused_at_the_limit_is_cheap() {
    let mut engine = engine(|_| false);
    for nth in 0..5 {
        let (owner, group, now) = (User(COLLECTOR), Group(SPARE * 2 + nth), Timestamp(1_000_000));
        let (result, counts) = count(|| engine.create(owner, group, now));
        assert_cheap(counts);
        assert_eq!(result.map(|_| ()), Err(over_the_limit()));
    }
}

/// Between two attempts another user dissolves a group, which makes entries of other users stale.
#[test]
fn joins_refused_at_the_limit_are_cheap_while_other_groups_are_dissolved() {
    let mut engine = engine(|_| false);
    for nth in 0..100 {
        let (group, now) = (SPARE + 100 + nth, 1_000_000 + nth);
        engine
            .dissolve(User(group), Group(group), Farewell::NONE, Timestamp(now))
            .unwrap()
            .ignore_signals();
        assert_eq!(attempt(&mut engine, SPARE + nth, now), Err(over_the_limit()));
    }
}

/// One command dissolves the groups of [`OWNER`], half of the collector's groups. Their index
/// entries are still unswept. The collector then joins [`SPARES`] groups, each at a bounded cost.
#[track_caller]
fn assert_that_joins_are_accepted(owned: impl Fn(u64) -> bool) {
    let mut engine = engine(owned);
    engine.leave_all(User(OWNER), Timestamp(2_000)).unwrap().ignore_signals();
    assert_eq!(engine.groups_of(&User(COLLECTOR)).count() as u64, LIMIT / 2);
    assert!(engine.stats().unswept >= LIMIT, "{:?}", engine.stats());
    for group in SPARE..SPARE + SPARES {
        assert_eq!(attempt(&mut engine, group, 1_000_000), Ok(()));
    }
    assert_eq!(engine.groups_of(&User(COLLECTOR)).count() as u64, LIMIT / 2 + SPARES);
}

#[test]
fn a_join_is_accepted_when_the_oldest_half_of_the_groups_was_dissolved() {
    assert_that_joins_are_accepted(|nth| nth < LIMIT / 2);
}

#[test]
fn a_join_is_accepted_when_the_newest_half_of_the_groups_was_dissolved() {
    assert_that_joins_are_accepted(|nth| nth >= LIMIT / 2);
}

#[test]
fn a_join_is_accepted_when_every_other_group_was_dissolved() {
    assert_that_joins_are_accepted(|nth| nth % 2 == 0);
}

/// The limit is exact: one dissolved group makes room for one join only. The cost is not tested
/// here.
#[test]
fn one_dissolved_group_makes_room_for_one_join() {
    for dissolved in [0, LIMIT / 2, LIMIT - 1] {
        let mut engine = engine(|nth| nth == dissolved);
        engine.leave_all(User(OWNER), Timestamp(2_000)).unwrap().ignore_signals();
        let now = Timestamp(1_000_000);
        engine.join(User(COLLECTOR), Group(SPARE), now).unwrap().ignore_signals();
        let next = engine.join(User(COLLECTOR), Group(SPARE + 1), now).map(|_| ());
        assert_eq!(next, Err(over_the_limit()));
    }
}
