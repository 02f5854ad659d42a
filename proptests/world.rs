//! A small crowded world: few users and groups, so that everything collides, and a clock that
//! stands still, jumps and goes back.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};

use disband::{
    Command, Config, Engine, GroupId, GroupOptions, HistoryAccess, Limits, OwnerExit, Quota,
    Quotas, Rank, Rate, Stint, Timestamp, UserId,
};
use proptest::prelude::*;

use crate::sight::{Done, GROUPS, Step, USERS};

pub fn user() -> impl Strategy<Value = UserId> {
    // One user does a good deal of it, or owners and admins would seldom be the ones who act.
    prop_oneof![1 => Just(UserId(0)), 2 => (0..USERS).prop_map(UserId)]
}

pub fn group() -> impl Strategy<Value = GroupId> {
    // One group sees most of the traffic, or none would ever grow old.
    prop_oneof![3 => Just(GroupId(0)), 1 => (0..GROUPS).prop_map(GroupId)]
}

pub fn quota() -> impl Strategy<Value = Quota> {
    prop_oneof![
        2 => Just(Quota::UNLIMITED),
        1 => (1..4u32, 1..2_000u64, 1..5u32).prop_map(|(cells, per_ms, burst)| {
            Quota::Limited(Rate {
                cells: NonZeroU32::new(cells).unwrap(),
                per_ms: NonZeroU64::new(per_ms).unwrap(),
                burst: NonZeroU32::new(burst).unwrap(),
            })
        }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let small = |most| prop::option::weighted(0.2, 0..most);
    (small(5u64), small(3u64), small(3u64), small(8u64), small(3u64)).prop_map(
        |(members, groups, bytes, entries, bans)| Limits {
            members_per_group: members,
            groups_per_user: groups,
            message_bytes: bytes,
            entries_per_group: entries,
            bans_per_group: bans,
        },
    )
}

pub fn config() -> impl Strategy<Value = Config> {
    let ttl = prop_oneof![4 => Just(0), 4 => 1..500u64, 1 => 1..5_000u64, 1 => Just(u64::MAX)];
    (any::<u64>(), quota(), quota(), ttl, 0..4u8, limits()).prop_map(
        |(instance, limit, leave, tombstone_ms, departures, limits)| Config {
            instance,
            quotas: Quotas { leave, ..Quotas::all(limit) },
            tombstone_ms,
            departures,
            limits,
        },
    )
}

pub fn options() -> impl Strategy<Value = GroupOptions> {
    let exit = prop_oneof![
        1 => Just(OwnerExit::Dissolve), 3 => Just(OwnerExit::Succeed), 2 => Just(OwnerExit::Refuse)
    ];
    let history = prop_oneof![Just(HistoryAccess::FromJoin), Just(HistoryAccess::Full)];
    let entries = prop::option::weighted(0.4, 0..6u64);
    let ms = prop::option::weighted(0.4, prop_oneof![0..2_000u64, Just(u64::MAX)]);
    (exit, history, entries, ms).prop_map(|(owner_exit, history, keep_entries, keep_ms)| {
        GroupOptions { owner_exit, history, keep_entries, keep_ms }
    })
}

/// A time at which a ban may end, around the times that steps have.
fn until() -> impl Strategy<Value = Option<Timestamp>> {
    let near = (999_000..1_010_000u64).prop_map(|ms| Some(Timestamp(ms)));
    prop_oneof![Just(None), near, any::<u64>().prop_map(|ms| Some(Timestamp(ms)))]
}

/// Without limits, every command gets as far as its guards.
pub fn unlimited() -> impl Strategy<Value = Config> {
    config().prop_map(|config| Config { quotas: Quotas::UNLIMITED, limits: Limits::NONE, ..config })
}

pub fn command() -> impl Strategy<Value = Command<UserId, GroupId>> {
    prop_oneof![
        12 => (user(), group(), prop::option::weighted(0.8, options())).prop_map(|(owner, group, options)| {
            Command::Create { owner, group, options }
        }),
        24 => (user(), group()).prop_map(|(user, group)| Command::Join { user, group }),
        7 => (user(), group()).prop_map(|(user, group)| Command::Leave { user, group, stint: None }),
        4 => (user(), group(), 0..30u64).prop_map(|(user, group, stint)| {
            Command::Leave { user, group, stint: Some(Stint(stint)) }
        }),
        8 => (user(), group(), user()).prop_map(|(by, group, user)| Command::Kick { by, group, user }),
        14 => (user(), group(), "[a-c]{0,2}").prop_map(|(author, group, message)| {
            Command::Post { author, group, message: message.into() }
        }),
        1 => (user(), group()).prop_map(|(owner, group)| Command::Dissolve { owner, group }),
        4 => (user(), group(), user()).prop_map(|(owner, group, user)| {
            Command::Transfer { owner, group, user }
        }),
        14 => (user(), group(), user(), rank()).prop_map(|(by, group, user, rank)| {
            Command::SetRank { by, group, user, rank }
        }),
        3 => (user(), group(), options()).prop_map(|(by, group, options)| {
            Command::SetOptions { by, group, options }
        }),
        8 => (user(), group(), user(), until()).prop_map(|(by, group, user, until)| {
            Command::Ban { by, group, user, until }
        }),
        6 => (user(), group(), user()).prop_map(|(by, group, user)| {
            Command::Unban { by, group, user }
        }),
        1 => user().prop_map(|user| Command::LeaveAll { user }),
    ]
}

fn rank() -> impl Strategy<Value = Rank> {
    prop_oneof![5 => Just(Rank::Admin), 2 => Just(Rank::Member), 1 => Just(Rank::Owner)]
}

/// A few groups with a few members and admins, for the random commands to start from.
fn founding() -> impl Strategy<Value = Vec<Command<UserId, GroupId>>> {
    let found = |(id, options): (u64, GroupOptions)| {
        let (owner, group) = (UserId(id), GroupId(id));
        let create = Command::Create { owner, group, options: Some(options) };
        let join = (1..4).map(move |n| Command::Join { user: UserId((id + n) % USERS), group });
        let user = UserId((id + 2) % USERS);
        let admin = Command::SetRank { by: owner, group, user, rank: Rank::Admin };
        [create].into_iter().chain(join).chain([admin])
    };
    let some = prop::collection::vec(options(), GROUPS as usize)
        .prop_map(move |options| (0..GROUPS).zip(options).flat_map(found).collect());
    prop_oneof![4 => some, 1 => Just(Vec::new())]
}

/// Commands with times that mostly go on, and now and then stand still, jump or go back.
pub fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let start = prop_oneof![8 => Just(1_000_000u64), 1 => Just(0), 1 => Just(u64::MAX - 3_000)];
    let tick = prop_oneof![
        4 => Just(0i128),
        8 => 1..400i128,
        2 => 400..8_000i128,
        1 => Just(1_000_000i128),
        2 => -3_000..0i128,
        1 => Just(-1_000_000i128),
    ];
    let random = prop::collection::vec((command(), tick), 1..length);
    (start, founding(), random).prop_map(|(start, founding, random)| {
        let mut now = i128::from(start);
        let step = |(command, tick): (_, i128)| {
            now = (now + tick).clamp(0, i128::from(u64::MAX));
            (command, Timestamp(now.try_into().unwrap()))
        };
        founding.into_iter().map(|command| (command, 0)).chain(random).map(step).collect()
    })
}

/// Runs the steps, and hands each step and its result to `look` with the engine before and after.
pub fn run(
    config: Config,
    steps: &[Step],
    mut look: impl FnMut(&Engine, &Step, &Done, &Engine),
) -> Engine {
    let mut engine = Engine::new(config);
    for step in steps {
        let before = engine.clone();
        let result = engine.apply(step.0.clone(), step.1);
        look(&before, step, &result, &engine);
    }
    engine
}

/// All memberships there are.
pub fn stints(engine: &Engine) -> BTreeSet<(GroupId, UserId, Stint)> {
    engine
        .groups()
        .flat_map(|(id, group)| group.members().map(move |(user, stint)| (*id, *user, stint)))
        .collect()
}
