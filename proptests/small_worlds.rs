//! Every sequence of commands by three users, up to a length: each command in each state that the
//! shorter ones lead to, compared with the model and with the laws of signals.
//!
//! There are two worlds. In one of them users come to two groups and go. In the other one the
//! members of a group speak and take back what they said. One world with all commands would have
//! too many states to search.
//!
//! States that differ only in their counters lead to the same places, so the search follows one of
//! them. Every edge is run on the engine and on the model.
//!
//! `SMALL_WORLDS=7 cargo test --release --test properties small_worlds -- --nocapture` goes to
//! sequences of seven.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use disband::{
    Admission, Announce, Command, Config, Engine, Event, GroupId, GroupOptions, HistoryAccess,
    Limits, OwnerExit, Quotas, Rank, Seq, Signal, Stint, Timestamp, UserId,
};

use crate::model::{self, Group, Model};
use crate::sight::{
    Done, answer, assert_stats, is_of_message, is_of_plain_member, sight, sight_of_model,
};

/// How long the sequences are, unless the option says otherwise.
const LENGTH: usize = 5;

/// All that has a term ends after so many milliseconds; the clock goes on by as many.
const TERM: u64 = 1_000;

/// A kind of world: what may be done in it, and where it starts.
struct Kind {
    name: &'static str,
    /// The first one holds at the start. If there are two, the host may change to the other one.
    configs: Vec<Config>,
    options: Vec<GroupOptions>,
    founding: Vec<Command<UserId, GroupId>>,
    /// Every command there is in a world, with every argument that may matter.
    commands: fn(&Kind, &World) -> Vec<Command<UserId, GroupId>>,
    /// How many states and edges there are, up to each length. A change of the rules changes them.
    /// If they fall for any other reason, the search has a fault.
    reached: [(usize, usize); 6],
}

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
    Configure(Box<Config>),
}

fn config() -> Config {
    Config {
        quotas: Quotas::UNLIMITED,
        tombstone_ms: TERM,
        departures: 1,
        limits: Limits::NONE,
        ..Config::default()
    }
}

fn users() -> impl Iterator<Item = UserId> + Clone {
    (1..=3).map(UserId)
}

fn coming_and_going() -> Kind {
    let with = |owner_exit| GroupOptions { owner_exit, ..GroupOptions::default() };
    Kind {
        name: "coming and going",
        configs: vec![Config {
            limits: Limits { memberships_total: Some(5), ..Limits::NONE },
            ..config()
        }],
        options: vec![
            with(OwnerExit::Dissolve),
            GroupOptions {
                admission: Admission::Closed,
                add: Rank::Member,
                ..with(OwnerExit::Refuse)
            },
            GroupOptions {
                announce: Announce::Staff,
                add: Rank::Owner,
                ..with(OwnerExit::Succeed)
            },
        ],
        founding: vec![],
        commands: comings_and_goings,
        reached: [
            (19, 226),
            (217, 4_312),
            (1_714, 49_366),
            (10_426, 390_685),
            (51_529, 2_380_000),
            (214_039, 11_776_279),
        ],
    }
}

fn comings_and_goings(kind: &Kind, world: &World) -> Vec<Command<UserId, GroupId>> {
    let mut commands = Vec::new();
    for group in (1..=2).map(GroupId) {
        for by in users() {
            for options in kind.options.iter().copied() {
                commands.push(Command::Create { owner: by, group, options: Some(options) });
                commands.push(Command::SetOptions { by, group, options });
            }
            commands.push(Command::Join { user: by, group });
            commands.push(Command::Leave { user: by, group, stint: None });
            commands.push(Command::Leave { user: by, group, stint: Some(Stint(0)) });
            if let Some(stint) = world.engine.group(&group).and_then(|group| group.stint(&by)) {
                commands.push(Command::Leave { user: by, group, stint: Some(stint) });
            }
            let last_word = group == GroupId(2);
            let note = last_word.then(|| "note".into());
            let successor = last_word.then_some(GroupId(1));
            commands.push(Command::Dissolve { owner: by, group, note, successor });
            for user in users() {
                commands.push(Command::Add { by, group, user });
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
    commands
}

/// The group has an owner, an admin and a plain member from the start.
fn speech() -> Kind {
    let with = |owner_exit| GroupOptions { owner_exit, ..GroupOptions::default() };
    let limits = Limits {
        entries_per_group: Some(2),
        message_bytes_total: Some(3),
        note_bytes: Some(1),
        ..Limits::NONE
    };
    let lower = Limits {
        message_bytes: Some(1),
        entries_per_group: Some(1),
        message_bytes_total: Some(1),
        mutes_per_group: Some(1),
        ..Limits::NONE
    };
    let group = GroupId(1);
    let user = UserId(2);
    Kind {
        name: "speech",
        configs: vec![Config { limits, ..config() }, Config { limits: lower, ..config() }],
        options: vec![
            with(OwnerExit::Dissolve),
            GroupOptions {
                history: HistoryAccess::Full,
                post: Rank::Admin,
                announce: Announce::Staff,
                ..with(OwnerExit::Refuse)
            },
            GroupOptions { keep_entries: Some(1), keep_ms: Some(TERM), ..with(OwnerExit::Succeed) },
        ],
        founding: vec![
            Command::Create { owner: UserId(1), group, options: None },
            Command::Join { user, group },
            Command::Join { user: UserId(3), group },
            Command::SetRank { by: UserId(1), group, user, rank: Rank::Admin },
        ],
        commands: speeches,
        reached: [
            (22, 65),
            (239, 1_395),
            (1_943, 15_981),
            (13_302, 136_485),
            (79_193, 971_260),
            (413_665, 5_967_040),
        ],
    }
}

fn speeches(kind: &Kind, world: &World) -> Vec<Command<UserId, GroupId>> {
    let group = GroupId(1);
    let Some(state) = world.model.groups.get(&group) else {
        return vec![Command::Create { owner: UserId(1), group, options: None }];
    };
    let mut commands = Vec::new();
    // In the other world these are also sent by users of a wrong rank.
    let owner = state.owner;
    commands.extend(kind.options.iter().map(|options| Command::SetOptions {
        by: owner,
        group,
        options: *options,
    }));
    for user in users() {
        commands.push(Command::Transfer { owner, group, user });
        commands.push(Command::Kick { by: owner, group, user });
        commands.push(Command::Add { by: owner, group, user });
        for rank in [Rank::Member, Rank::Admin] {
            commands.push(Command::SetRank { by: owner, group, user, rank });
        }
    }
    for by in users() {
        commands.push(Command::Join { user: by, group });
        commands.push(Command::Leave { user: by, group, stint: None });
        commands.push(Command::Post { author: by, group, message: "m".into() });
        // The last two entries, and the next one, which does not exist yet.
        for seq in (state.next_seq.saturating_sub(2)..=state.next_seq).map(Seq) {
            for message in ["", "mm"] {
                commands.push(Command::Edit { author: by, group, seq, message: message.into() });
            }
            commands.push(Command::Erase { by, group, seq });
        }
        for user in users() {
            let until = Timestamp(world.now.0 + TERM);
            commands.push(Command::Mute { by, group, user, until: Some(until) });
            commands.push(Command::Mute { by, group, user, until: None });
            commands.push(Command::Unmute { by, group, user });
        }
    }
    commands
}

fn steps(kind: &Kind, world: &World) -> Vec<Step> {
    let commands = (kind.commands)(kind, world).into_iter().map(Step::Command);
    let others = kind.configs.iter().filter(|config| **config != world.model.config);
    commands
        .chain([Step::Wait])
        .chain(others.map(|config| Step::Configure(Box::new(*config))))
        .collect()
}

/// A world without what makes no difference to where it can go: how far its counters have counted,
/// and how long ago what is past its term was.
fn essence(kind: &Kind, World { model, now, .. }: &World) -> Vec<u8> {
    let age = |at: Timestamp| ((now.0 - at.0) / TERM).min(2) as u8;
    let left = |until: Option<Timestamp>| {
        until.map_or(9, |until| until.0.saturating_sub(now.0) / TERM) as u8
    };
    let place = |found: Option<usize>| found.unwrap() as u8;
    let mut bytes = vec![place(kind.configs.iter().position(|config| *config == model.config))];
    for (id, group) in &model.groups {
        let options = kind.options.iter().position(|options| *options == group.options);
        bytes.extend([b'g', id.0 as u8, group.owner.0 as u8, place(options)]);
        let mut members: Vec<_> = group.members.iter().collect();
        members.sort_by_key(|(_, member)| member.stint);
        for (user, member) in members {
            let unread = group.next_seq - member.reads_from.0;
            let admin = group.admins.contains(user);
            bytes.extend([b'm', user.0 as u8, admin.into(), unread.min(2) as u8]);
        }
        for (user, ban) in &group.bans {
            bytes.extend([b'b', user.0 as u8, ban.by.0 as u8, left(ban.until)]);
        }
        for (user, mute) in &group.mutes {
            bytes.extend([b'u', user.0 as u8, mute.by.0 as u8, left(mute.until)]);
        }
        for said in &group.log {
            let change = [said.edited.is_some(), said.erased_by.is_some()].map(u8::from);
            let length = said.message.len() as u8;
            bytes.extend([b'e', said.author.0 as u8, age(said.at), length]);
            bytes.extend(change);
        }
        for past in &group.past {
            let by = past.kicked_by.map_or(0, |by| by.0);
            bytes.extend([b'p', past.user.0 as u8, by as u8, age(past.at)]);
        }
    }
    for (id, tombstone) in &model.tombstones {
        bytes.extend([b't', id.0 as u8, tombstone.by.0 as u8, age(tombstone.at)]);
        // All last words are the same.
        bytes.push(tombstone.farewell.note.is_some().into());
    }
    bytes
}

/// Takes a step, and checks all there is to check of it.
fn follow(world: &World, step: &Step) -> World {
    let mut next = world.clone();
    let now = world.now;
    let command = match step {
        Step::Command(command) => command,
        Step::Wait => {
            next.now = Timestamp(now.0 + TERM);
            return next;
        }
        Step::Configure(config) => {
            assert_eq!(next.engine.set_config(**config).map(drop), next.model.set_config(**config));
            assert_eq!(sight(&next.engine, now), sight_of_model(&next.model, now));
            assert_stats(next.engine.stats(), &next.model);
            assert_eq!(next.engine.check(), Ok(()));
            return next;
        }
    };
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
        let group = &before.groups[&signal.group];
        *version += u64::from(!is_of_message(&signal.event) && !is_for_staff(group, signal));
        assert_eq!(signal.version, *version, "a version shows every gap");
        assert_audience(signal, group, after.groups.get(&signal.group));
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

/// Whether a signal is about a plain member who comes or goes in a quiet group.
fn is_for_staff(before: &Group, signal: &Signal<UserId, GroupId>) -> bool {
    let rank = model::rank(before, signal.from);
    is_of_plain_member(signal, rank) && before.options.announce == Announce::Staff
}

/// A signal goes to all who are members after the command, or to the staff among them. It also goes
/// to those who were kicked. It does not go to a user who joins, leaves, adds, speaks or takes back,
/// or who dissolves the group.
fn assert_audience(signal: &Signal<UserId, GroupId>, before: &Group, after: Option<&Group>) {
    let for_staff = is_for_staff(before, signal);
    let expected: BTreeSet<UserId> = users()
        .filter(|user| {
            let was = before.members.contains_key(user);
            let rank = after.and_then(|group| model::rank(group, *user));
            let is = rank.is_some_and(|rank| !for_staff || rank > Rank::Member);
            match signal.event {
                Event::MemberJoin { by: Some(by) } => (is || *user == signal.from) && *user != by,
                Event::MemberJoin { by: None } | Event::MemberLeave => is && *user != signal.from,
                Event::MessagePost { .. }
                | Event::MessageEdit { .. }
                | Event::MessageErase { .. } => is && *user != signal.from,
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
fn every_sequence_of_comings_and_goings_in_a_small_world() {
    search(&coming_and_going());
}

#[test]
fn every_sequence_of_speech_and_taking_back_in_a_small_world() {
    search(&speech());
}

fn search(kind: &Kind) {
    let option = std::env::var("SMALL_WORLDS").ok();
    let longest = option.map_or(LENGTH, |length| length.parse().expect("a number of commands"));
    let threads = thread::available_parallelism().map_or(1, usize::from);

    let mut world = World {
        engine: Engine::new(kind.configs[0]),
        model: Model::new(kind.configs[0]),
        now: Timestamp(10 * TERM),
    };
    for command in &kind.founding {
        world = follow(&world, &Step::Command(command.clone()));
    }
    let mut seen = BTreeSet::from([essence(kind, &world)]);
    let (mut frontier, mut edges) = (vec![world], 0);
    for length in 1..=longest {
        let share = frontier.len().div_ceil(threads);
        let found: Vec<BTreeMap<Vec<u8>, Option<World>>> = thread::scope(|scope| {
            let seen = &seen;
            let run = |worlds| scope.spawn(move || explore(kind, worlds, seen, length < longest));
            let running: Vec<_> = frontier.chunks(share).map(run).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        edges += frontier.iter().map(|world| steps(kind, world).len()).sum::<usize>();
        let new = found.into_iter().flatten().filter(|(essence, _)| seen.insert(essence.clone()));
        frontier = new.filter_map(|(_, world)| world).collect();
        println!("{}, length {length}: {} states, {edges} edges", kind.name, seen.len());
        if let Some((states, least)) = kind.reached.get(length - 1) {
            assert!(seen.len() >= *states && edges >= *least, "there were more once");
        }
    }
}

/// Takes every step in each of these worlds. The new worlds that they lead to, each once, or, where
/// the search ends, what they would have been known by.
fn explore(
    kind: &Kind,
    worlds: &[World],
    seen: &BTreeSet<Vec<u8>>,
    keep: bool,
) -> BTreeMap<Vec<u8>, Option<World>> {
    let mut found = BTreeMap::new();
    for world in worlds {
        for step in steps(kind, world) {
            let next = follow(world, &step);
            let essence = essence(kind, &next);
            if !seen.contains(&essence) {
                found.entry(essence).or_insert_with(|| keep.then_some(next));
            }
        }
    }
    found
}
