//! A small crowded world: few users and groups, so that everything collides, and a clock that
//! stands still, jumps and goes back. And the means to look at all that can be seen of an engine.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};

use disband::{
    Command, CommandResult, Config, Departure, Dissolved, Engine, GroupId, History, Page, Quota,
    Quotas, Rate, Refusal, Reply, Signal, Stats, Stint, Timestamp, UserId,
};
use proptest::prelude::*;

use crate::model::{Answer, Model, Said, Told, Value};

pub type Step = (Command<UserId, GroupId>, Timestamp);

const USERS: u64 = 5;
const GROUPS: u64 = 3;

pub fn users() -> impl Iterator<Item = UserId> {
    (0..USERS).map(UserId)
}

pub fn groups() -> impl Iterator<Item = GroupId> {
    (0..GROUPS).map(GroupId)
}

pub fn user() -> impl Strategy<Value = UserId> {
    (0..USERS).prop_map(UserId)
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

pub fn config() -> impl Strategy<Value = Config> {
    (any::<u64>(), quota(), quota(), prop_oneof![Just(0), 1..5_000u64, Just(u64::MAX)], 0..4u8)
        .prop_map(|(instance, limit, leave, tombstone_ms, departures)| Config {
            instance,
            quotas: Quotas { leave, ..Quotas::all(limit) },
            tombstone_ms,
            departures,
        })
}

/// Without limits, every command gets as far as its guards.
pub fn unlimited() -> impl Strategy<Value = Config> {
    config().prop_map(|config| Config { quotas: Quotas::UNLIMITED, ..config })
}

pub fn command() -> impl Strategy<Value = Command<UserId, GroupId>> {
    prop_oneof![
        3 => (user(), group()).prop_map(|(owner, group)| Command::Create { owner, group, options: None }),
        6 => (user(), group()).prop_map(|(user, group)| Command::Join { user, group }),
        3 => (user(), group()).prop_map(|(user, group)| Command::Leave { user, group, stint: None }),
        2 => (user(), group(), 0..30u64).prop_map(|(user, group, stint)| {
            Command::Leave { user, group, stint: Some(Stint(stint)) }
        }),
        3 => (user(), group(), user()).prop_map(|(by, group, user)| Command::Kick { by, group, user }),
        4 => (user(), group(), "[a-c]{0,2}").prop_map(|(author, group, message)| {
            Command::Post { author, group, message: message.into() }
        }),
    ]
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
    (start, prop::collection::vec((command(), tick), 1..length)).prop_map(|(start, steps)| {
        let mut now = i128::from(start);
        let step = |(command, tick): (_, i128)| {
            now = (now + tick).clamp(0, i128::from(u64::MAX));
            (command, Timestamp(now.try_into().unwrap()))
        };
        steps.into_iter().map(step).collect()
    })
}

pub fn told(signal: &Signal<UserId, GroupId>) -> Told {
    let to: Vec<UserId> = signal.audience.iter().copied().collect();
    let backwards: Vec<UserId> = signal.audience.iter().rev().copied().collect();
    assert!(to.iter().rev().eq(&backwards), "an audience walks the same both ways");
    assert_eq!(signal.audience.len(), to.len());
    assert_eq!(signal.audience.iter().len(), to.len());
    assert_eq!(signal.audience.is_empty(), to.is_empty());
    for user in users() {
        assert_eq!(signal.audience.contains(&user), to.contains(&user));
    }
    let Signal { key, group, from, version, event, .. } = signal.clone();
    Told { key, group, from, version, event, to }
}

pub fn said(history: History<'_, UserId>) -> Vec<Said> {
    assert_eq!(history.len(), history.clone().count());
    let oldest_first: Vec<_> = history.clone().rev().collect();
    let said: Vec<_> = history.collect();
    assert!(said.iter().rev().eq(&oldest_first), "a history reads the same both ways");
    let write = |(seq, entry): (disband::Seq, &disband::Entry<UserId>)| Said {
        seq,
        at: entry.at,
        author: entry.author,
        message: entry.message.clone(),
    };
    said.into_iter().map(write).collect()
}

fn dissolved(dissolved: &Dissolved<UserId>) -> Value {
    Value::Dissolved {
        members: dissolved.group().members().map(|(user, stint)| (*user, stint)).collect(),
        log: said(dissolved.history()).into_iter().rev().collect(),
    }
}

/// A result in the model's terms.
pub fn answer(result: &CommandResult<Reply<UserId>, UserId, GroupId>) -> Answer {
    let outcome = result.as_ref().map_err(Clone::clone)?;
    let value = match &outcome.value {
        Reply::Created(stint) | Reply::Joined(stint) | Reply::Kicked(stint) => Value::Stint(*stint),
        Reply::Posted(seq) => Value::Seq(*seq),
        Reply::Departed(Departure::Left { stint }) => Value::Left(*stint),
        Reply::Departed(Departure::Dissolved(group)) => dissolved(group),
        other => panic!("{other:?}"),
    };
    Ok((value, outcome.signals.iter().map(told).collect()))
}

/// All that a host can see, at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    groups: Vec<SeenGroup>,
    histories: Vec<Result<Vec<Said>, Refusal<UserId>>>,
    groups_of: Vec<Vec<(GroupId, Stint)>>,
}

#[derive(Debug, Clone, PartialEq)]
struct SeenGroup {
    id: GroupId,
    owner: UserId,
    version: u64,
    members: Vec<(UserId, Stint)>,
    entries: u64,
    past: Vec<(UserId, Timestamp, Option<UserId>)>,
}

pub fn sight(engine: &Engine, now: Timestamp) -> Sight {
    let read = |(user, group)| engine.history(&user, &group, Page::newest(u64::MAX), now).map(said);
    Sight {
        groups: engine
            .groups()
            .map(|(id, group)| SeenGroup {
                id: *id,
                owner: *group.owner(),
                version: group.version(),
                members: group.members().map(|(user, stint)| (*user, stint)).collect(),
                entries: group.log_len(),
                past: group.departures().iter().map(|p| (p.user, p.at, p.kicked_by)).collect(),
            })
            .collect(),
        histories: readers().map(read).collect(),
        groups_of: users()
            .map(|user| engine.groups_of(&user).map(|(id, stint)| (*id, stint)).collect())
            .collect(),
    }
}

pub fn sight_of_model(model: &Model, now: Timestamp) -> Sight {
    Sight {
        groups: model
            .groups
            .iter()
            .map(|(id, group)| SeenGroup {
                id: *id,
                owner: group.owner,
                version: group.version,
                members: group.members.iter().map(|(user, m)| (*user, m.stint)).collect(),
                entries: group.log.len() as u64,
                past: group.past.iter().map(|p| (p.user, p.at, p.kicked_by)).collect(),
            })
            .collect(),
        histories: readers().map(|(user, group)| model.history(user, group, now)).collect(),
        groups_of: users().map(|user| model.groups_of(user)).collect(),
    }
}

fn readers() -> impl Iterator<Item = (UserId, GroupId)> {
    users().flat_map(|user| groups().map(move |group| (user, group)))
}

/// The numbers that a model can know: all but what waits for the sweep.
pub fn assert_stats(stats: Stats, model: &Model) {
    assert_eq!(stats.groups, model.groups.len() as u64);
    assert_eq!(
        stats.memberships,
        model.groups.values().map(|g| g.members.len() as u64).sum::<u64>()
    );
    assert_eq!(stats.entries, model.groups.values().map(|g| g.log.len() as u64).sum::<u64>());
    assert_eq!(stats.tombstones, model.tombstones.len() as u64);
    assert_eq!(stats.cells, model.cells.len() as u64);
}

/// Runs the steps, and hands each step and its result to `look` with the engine before and after.
pub fn run(
    config: Config,
    steps: &[Step],
    mut look: impl FnMut(&Engine, &Step, &CommandResult<Reply<UserId>, UserId, GroupId>, &Engine),
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
