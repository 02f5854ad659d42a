//! Every sequence of commands by three users in two groups, up to a length: each command in each
//! state that the shorter ones lead to, compared with the model and with the laws of signals.
//!
//! States that differ only in how far their counters have counted lead to the same places, so one
//! of them is followed. That decides where the search goes, and never what it finds: every edge is
//! run for real.
//!
//! `SMALL_WORLDS=7 cargo test --release --test properties small_worlds -- --nocapture` goes to
//! sequences of seven.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use disband::{
    Command, Config, Engine, Event, GroupId, GroupOptions, HistoryAccess, Limits, OwnerExit,
    Quotas, Rank, Signal, Stint, Timestamp, UserId,
};

use crate::model::{Group, Model};
use crate::sight::{Done, answer, assert_stats, sight, sight_of_model};

/// How long the sequences are, unless the option says otherwise.
const LENGTH: usize = 5;

/// How many states and edges there are, up to each length. A change of the rules changes them; that
/// they fall for any other reason would mean that the search has lost its way.
const REACHED: [(usize, usize); 6] = [
    (19, 214),
    (232, 4_084),
    (2_077, 49_990),
    (15_283, 448_438),
    (98_047, 3_304_870),
    (569_317, 21_229_096),
];

/// All that has a term ends after so many milliseconds; the clock goes on by as many.
const TERM: u64 = 1_000;

#[derive(Clone)]
struct World {
    engine: Engine,
    model: Model,
    now: Timestamp,
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Command(Command<UserId, GroupId>),
    /// The clock goes on.
    Wait,
}

fn config() -> Config {
    Config {
        quotas: Quotas::UNLIMITED,
        tombstone_ms: TERM,
        departures: 1,
        limits: Limits { entries_per_group: Some(2), ..Limits::NONE },
        ..Config::default()
    }
}

fn users() -> impl Iterator<Item = UserId> + Clone {
    (1..=3).map(UserId)
}

fn options() -> [GroupOptions; 3] {
    let with = |owner_exit| GroupOptions { owner_exit, ..GroupOptions::default() };
    [
        with(OwnerExit::Dissolve),
        GroupOptions { history: HistoryAccess::Full, ..with(OwnerExit::Refuse) },
        GroupOptions { keep_entries: Some(1), keep_ms: Some(TERM), ..with(OwnerExit::Succeed) },
    ]
}

/// Every command there is in a world, with every argument that may matter.
fn steps(world: &World) -> Vec<Step> {
    let mut commands: Vec<Command<UserId, GroupId>> = Vec::new();
    for group in (1..=2).map(GroupId) {
        for by in users() {
            for options in options() {
                commands.push(Command::Create { owner: by, group, options: Some(options) });
                commands.push(Command::SetOptions { by, group, options });
            }
            commands.push(Command::Join { user: by, group });
            commands.push(Command::Leave { user: by, group, stint: None });
            commands.push(Command::Leave { user: by, group, stint: Some(Stint(0)) });
            if let Some(stint) = world.engine.group(&group).and_then(|group| group.stint(&by)) {
                commands.push(Command::Leave { user: by, group, stint: Some(stint) });
            }
            commands.push(Command::Post { author: by, group, message: "m".into() });
            commands.push(Command::Dissolve { owner: by, group });
            for user in users() {
                commands.push(Command::Kick { by, group, user });
                commands.push(Command::Transfer { owner: by, group, user });
                for rank in [Rank::Member, Rank::Admin, Rank::Owner] {
                    commands.push(Command::SetRank { by, group, user, rank });
                }
                let until = Timestamp(world.now.0 + TERM);
                commands.push(Command::Ban { by, group, user, until: Some(until) });
                commands.push(Command::Ban { by, group, user, until: None });
                commands.push(Command::Unban { by, group, user });
            }
        }
    }
    commands.extend(users().map(|user| Command::LeaveAll { user }));
    commands.into_iter().map(Step::Command).chain([Step::Wait]).collect()
}

/// A world without what makes no difference to where it can go: how far its counters have counted,
/// and how long ago what is past its term was.
fn essence(World { model, now, .. }: &World) -> Vec<u8> {
    let age = |at: Timestamp| ((now.0 - at.0) / TERM).min(2) as u8;
    let mut bytes = Vec::new();
    for (id, group) in &model.groups {
        bytes.extend([b'g', id.0 as u8, group.owner.0 as u8, group.options.owner_exit as u8]);
        let mut members: Vec<_> = group.members.iter().collect();
        members.sort_by_key(|(_, member)| member.stint);
        for (user, member) in members {
            let unread = group.next_seq - member.reads_from.0;
            let admin = group.admins.contains(user);
            bytes.extend([b'm', user.0 as u8, admin.into(), unread.min(2) as u8]);
        }
        for (user, ban) in &group.bans {
            let left = ban.until.map_or(9, |until| until.0.saturating_sub(now.0) / TERM);
            bytes.extend([b'b', user.0 as u8, ban.by.0 as u8, left as u8]);
        }
        for said in &group.log {
            bytes.extend([b'e', said.author.0 as u8, age(said.at)]);
        }
        for past in &group.past {
            let by = past.kicked_by.map_or(0, |by| by.0);
            bytes.extend([b'p', past.user.0 as u8, by as u8, age(past.at)]);
        }
    }
    for (id, (by, at)) in &model.tombstones {
        bytes.extend([b't', id.0 as u8, by.0 as u8, age(*at)]);
    }
    bytes
}

/// Takes a step, and checks all there is to check of it.
fn follow(world: &World, step: &Step) -> World {
    let mut next = world.clone();
    let Step::Command(command) = step else {
        next.now = Timestamp(world.now.0 + TERM);
        return next;
    };
    let now = world.now;
    let done = next.engine.apply(command.clone(), now);
    assert_eq!(answer(&done), next.model.apply(command.clone(), now), "{command}");
    assert_eq!(sight(&next.engine, now), sight_of_model(&next.model, now), "{command}");
    assert_stats(next.engine.stats(), &next.model);
    assert_eq!(next.engine.check(), Ok(()), "{command}");
    assert_signals(&world.model, &done, &next.model);
    next
}

/// The laws of signals, which know neither the engine nor how the model makes its own.
fn assert_signals(before: &Model, done: &Done, after: &Model) {
    let signals = done.as_ref().map_or(&[][..], |outcome| &outcome.signals);
    let mut versions: BTreeMap<GroupId, u64> =
        before.groups.iter().map(|(id, group)| (*id, group.version)).collect();
    for (key, signal) in (u128::from(before.next_key)..).zip(signals) {
        assert_eq!(signal.key.0, key, "keys follow one another");
        let version = versions.get_mut(&signal.group).expect("no signal of an unknown group");
        *version += u64::from(!matches!(signal.event, Event::MessagePost { .. }));
        assert_eq!(signal.version, *version, "a version shows every gap");
        assert_audience(signal, &before.groups[&signal.group], after.groups.get(&signal.group));
    }
    for (id, group) in &after.groups {
        let told = versions.get(id).copied().unwrap_or(group.version);
        assert_eq!(group.version, told, "no version goes on unannounced");
    }
    // Whoever is a member no more was told so, or did it.
    for (id, group) in &before.groups {
        for user in group.members.keys() {
            let stint = |model: &Model| Some(model.groups.get(id)?.members.get(user)?.stint);
            if stint(after) == stint(before) {
                continue;
            }
            let ends = signals.iter().filter(|signal| signal.group == *id).filter(|signal| {
                match signal.event {
                    Event::MemberLeave => signal.from == *user,
                    Event::MemberKick { by } => signal.audience.contains(user) || by == *user,
                    _ => false,
                }
            });
            assert_eq!(ends.count(), 1, "{user} is out of {id}");
        }
    }
}

/// A signal goes to all who are members with it, and to those whom it makes members no more; but
/// not to whoever did it to themselves.
fn assert_audience(signal: &Signal<UserId, GroupId>, before: &Group, after: Option<&Group>) {
    let remain = after.map(|group| &group.members);
    let expected: BTreeSet<UserId> = users()
        .filter(|user| {
            let (was, is) = (
                before.members.contains_key(user),
                remain.is_some_and(|members| members.contains_key(user)),
            );
            match signal.event {
                Event::MemberJoin | Event::MemberLeave | Event::MessagePost { .. } => {
                    is && *user != signal.from
                }
                Event::MemberKick { by } if by == signal.from => was && *user != by,
                Event::HistoryPurge { .. } => was && *user != signal.from,
                Event::MemberKick { .. } => is || *user == signal.from,
                _ => is,
            }
        })
        .collect();
    assert_eq!(signal.audience.iter().copied().collect::<BTreeSet<_>>(), expected, "{signal:?}");
}

#[test]
fn every_sequence_of_commands_in_a_small_world() {
    let option = std::env::var("SMALL_WORLDS").ok();
    let longest = option.map_or(LENGTH, |length| length.parse().expect("a number of commands"));
    let threads = thread::available_parallelism().map_or(1, usize::from);

    let world = World {
        engine: Engine::new(config()),
        model: Model::new(config()),
        now: Timestamp(10 * TERM),
    };
    let mut seen = BTreeSet::from([essence(&world)]);
    let (mut frontier, mut edges) = (vec![world], 0);
    for length in 1..=longest {
        let share = frontier.len().div_ceil(threads);
        let found: Vec<BTreeMap<Vec<u8>, Option<World>>> = thread::scope(|scope| {
            let seen = &seen;
            let run = |worlds| scope.spawn(move || explore(worlds, seen, length < longest));
            let running: Vec<_> = frontier.chunks(share).map(run).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        edges += frontier.iter().map(|world| steps(world).len()).sum::<usize>();
        let new = found.into_iter().flatten().filter(|(essence, _)| seen.insert(essence.clone()));
        frontier = new.filter_map(|(_, world)| world).collect();
        println!("length {length}: {} states, {edges} edges", seen.len());
        if let Some((states, least)) = REACHED.get(length - 1) {
            assert!(seen.len() >= *states && edges >= *least, "there were more once");
        }
    }
}

/// Takes every step in each of these worlds. The new worlds that they lead to, each once, or, where
/// the search ends, what they would have been known by.
fn explore(
    worlds: &[World],
    seen: &BTreeSet<Vec<u8>>,
    keep: bool,
) -> BTreeMap<Vec<u8>, Option<World>> {
    let mut found = BTreeMap::new();
    for world in worlds {
        for step in steps(world) {
            let next = follow(world, &step);
            let essence = essence(&next);
            if !seen.contains(&essence) {
                found.entry(essence).or_insert_with(|| keep.then_some(next));
            }
        }
    }
    found
}
