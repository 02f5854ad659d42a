//! Runs every sequence of commands by three users, up to a length. It runs each command in each
//! state that the shorter sequences reach, compares the engine with the model, and checks the rules
//! for signals.
//!
//! There are two kinds of worlds. In one, users join and leave two groups. In the other, the
//! members of one group post, edit, erase and mute. One kind with all commands would have too many
//! states to search.
//!
//! States that differ only in their counters have the same future, so the search continues from one
//! of them. An edge is one command (or another step) in one state. Every edge is run on the engine
//! and on the model.
//!
//! `SMALL_WORLDS=7 cargo test --release --test properties small_worlds -- --nocapture` searches
//! sequences of up to seven commands.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use disband::{
    Admission, Announce, Command, Config, Engine, Event, GroupId, GroupOptions, HistoryAccess,
    Limits, OwnerExit, Quotas, Rank, Seq, Signal, Stint, Timestamp, UserId,
};

use crate::model::{self, Group, Model};
use crate::sight::{
    EngineResult, answer, assert_stats, is_about_message, is_about_plain_member, view,
    view_of_model,
};

/// The length of the sequences if the variable `SMALL_WORLDS` is not set.
const LENGTH: usize = 4;

/// How long bans, mutes, tombstones and entries last unless they last for ever, in milliseconds.
/// [`Step::Wait`] moves the clock on by one term. A tombstone is what is remembered of a dissolved
/// group for a while.
const TERM: u64 = 1_000;

/// A kind of world: how it starts, and which commands are run in it.
struct Kind {
    name: &'static str,
    /// The first one holds at the start. If there are two, a step can change from one to the other.
    configs: Vec<Config>,
    /// The options that a group may have.
    options: Vec<GroupOptions>,
    /// The commands that are run before the search.
    setup: Vec<Command<UserId, GroupId>>,
    /// All commands to run in a world, with all arguments that may make a difference.
    commands: fn(&Kind, &World) -> Vec<Command<UserId, GroupId>>,
    /// The numbers of states and edges found up to each length. A change of the rules changes them.
    /// If they fall for any other reason, the search has a bug.
    reached: [(usize, usize); 6],
}

#[derive(Clone)]
struct World {
    engine: Engine,
    model: Model,
    now: Timestamp,
}

/// One step of a sequence.
#[derive(Debug, Clone)]
enum Step {
    Command(Command<UserId, GroupId>),
    /// The clock goes on by one [`TERM`].
    Wait,
    /// The configuration changes.
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

/// Users join and leave two groups.
fn memberships() -> Kind {
    let with = |owner_exit| GroupOptions { owner_exit, ..GroupOptions::default() };
    Kind {
        name: "memberships",
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
        setup: vec![],
        commands: membership_commands,
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

fn membership_commands(kind: &Kind, world: &World) -> Vec<Command<UserId, GroupId>> {
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
            let has_farewell = group == GroupId(2);
            let note = has_farewell.then(|| "note".into());
            let successor = has_farewell.then_some(GroupId(1));
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

/// Members of one group post, edit, erase and mute. At the start, the group has an owner, an admin
/// and a plain member.
fn messages() -> Kind {
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
        name: "messages",
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
        setup: vec![
            Command::Create { owner: UserId(1), group, options: None },
            Command::Join { user, group },
            Command::Join { user: UserId(3), group },
            Command::SetRank { by: UserId(1), group, user, rank: Rank::Admin },
        ],
        commands: message_commands,
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

fn message_commands(kind: &Kind, world: &World) -> Vec<Command<UserId, GroupId>> {
    let group = GroupId(1);
    let Some(state) = world.model.groups.get(&group) else {
        return vec![Command::Create { owner: UserId(1), group, options: None }];
    };
    let mut commands = Vec::new();
    // Only the owner sends these. In the other kind of world, users of too low rank send them too.
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

/// The bytes that identify a state. Worlds with the same bytes have the same future, so the search
/// continues from one of them. The bytes leave out the values of counters, and how long ago
/// something expired.
fn state_key(kind: &Kind, World { model, now, .. }: &World) -> Vec<u8> {
    // In terms. An age of more than two terms counts as two.
    let age = |at: Timestamp| ((now.0 - at.0) / TERM).min(2) as u8;
    // In terms. A ban or a mute without an end counts as 9.
    let left = |until: Option<Timestamp>| {
        until.map_or(9, |until| until.0.saturating_sub(now.0) / TERM) as u8
    };
    let position = |found: Option<usize>| found.unwrap() as u8;
    let mut bytes = vec![position(kind.configs.iter().position(|config| *config == model.config))];
    for (id, group) in &model.groups {
        let options = kind.options.iter().position(|options| *options == group.options);
        bytes.extend([b'g', id.0 as u8, group.owner.0 as u8, position(options)]);
        let mut members: Vec<_> = group.members.iter().collect();
        members.sort_by_key(|(_, member)| member.stint);
        for (user, member) in members {
            let since_join = group.next_seq - member.reads_from.0;
            let admin = group.admins.contains(user);
            bytes.extend([b'm', user.0 as u8, admin.into(), since_join.min(2) as u8]);
        }
        for (user, ban) in &group.bans {
            bytes.extend([b'b', user.0 as u8, ban.by.0 as u8, left(ban.until)]);
        }
        for (user, mute) in &group.mutes {
            bytes.extend([b'u', user.0 as u8, mute.by.0 as u8, left(mute.until)]);
        }
        for entry in &group.log {
            let change = [entry.edited.is_some(), entry.erased_by.is_some()].map(u8::from);
            let length = entry.message.len() as u8;
            bytes.extend([b'e', entry.author.0 as u8, age(entry.at), length]);
            bytes.extend(change);
        }
        for departure in &group.departures {
            let by = departure.kicked_by.map_or(0, |by| by.0);
            bytes.extend([b'p', departure.user.0 as u8, by as u8, age(departure.at)]);
        }
    }
    for (id, tombstone) in &model.tombstones {
        bytes.extend([b't', id.0 as u8, tombstone.by.0 as u8, age(tombstone.at)]);
        // All farewells have the same note and successor, so it is enough to know whether there is
        // one.
        bytes.push(tombstone.farewell.note.is_some().into());
    }
    bytes
}

/// Runs a step on the engine and on the model, compares them, and checks the signals.
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
            assert_eq!(view(&next.engine, now), view_of_model(&next.model, now));
            assert_stats(next.engine.stats(), &next.model);
            assert_eq!(next.engine.check(), Ok(()));
            return next;
        }
    };
    let result = next.engine.apply(command.clone(), now);
    assert_eq!(answer(&result), next.model.apply(command.clone(), now), "{command}");
    assert_eq!(view(&next.engine, now), view_of_model(&next.model, now), "{command}");
    assert_stats(next.engine.stats(), &next.model);
    assert_eq!(next.engine.check(), Ok(()), "{command}");
    assert_signals(&world.model, &result, &next.model);
    next
}

/// Checks the rules for signals. These checks do not use the code by which the engine or the model
/// makes signals.
fn assert_signals(before: &Model, result: &EngineResult, after: &Model) {
    let signals = result.as_ref().map_or(&[][..], |outcome| &outcome.signals);
    let mut versions: BTreeMap<GroupId, u64> =
        before.groups.iter().map(|(id, group)| (*id, group.version)).collect();
    for (key, signal) in (u128::from(before.next_key)..).zip(signals) {
        assert_eq!(signal.key.0, key, "each key is the one after the last");
        let version = versions.get_mut(&signal.group).expect("the group existed before");
        let group = &before.groups[&signal.group];
        *version += u64::from(!is_about_message(&signal.event) && !is_for_staff(group, signal));
        assert_eq!(signal.version, *version, "each signal that counts adds one to the version");
        assert_audience(signal, group, after.groups.get(&signal.group));
    }
    for (id, group) in &after.groups {
        let signalled = versions.get(id).copied().unwrap_or(group.version);
        assert_eq!(group.version, signalled, "a version grows only with a signal");
    }
    // A user whose membership ended got a signal of it, or ended it themselves.
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
            assert_eq!(ends.count(), 1, "signals that {user} is no longer in {id}");
        }
    }
}

/// Whether a signal says that a plain member of a quiet group joined, left or was kicked. In a
/// quiet group, such a signal goes to the staff (the owner and the admins) only.
fn is_for_staff(before: &Group, signal: &Signal<UserId, GroupId>) -> bool {
    let rank = model::rank(before, signal.from);
    is_about_plain_member(signal, rank) && before.options.announce == Announce::Staff
}

/// Checks the audience: the users the signal is for.
///
/// A signal goes to all users who are members after the command or, if it is for the staff, to the
/// staff. It also goes to the user who was added or kicked. The signals of a dissolution go to all
/// former members. A signal does not go to the user who joins, leaves, adds, posts, edits, erases,
/// or dissolves the group.
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
fn every_short_sequence_of_joining_and_leaving_matches_the_model() {
    search(&memberships());
}

#[test]
fn every_short_sequence_of_posting_editing_and_erasing_matches_the_model() {
    search(&messages());
}

/// Searches all sequences, one length after the other.
fn search(kind: &Kind) {
    let option = std::env::var("SMALL_WORLDS").ok();
    let longest = option.map_or(LENGTH, |length| length.parse().expect("SMALL_WORLDS is a number"));
    let threads = thread::available_parallelism().map_or(1, usize::from);

    let mut world = World {
        engine: Engine::new(kind.configs[0]),
        model: Model::new(kind.configs[0]),
        now: Timestamp(10 * TERM),
    };
    for command in &kind.setup {
        world = follow(&world, &Step::Command(command.clone()));
    }
    let mut seen = BTreeSet::from([state_key(kind, &world)]);
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
        let new = found.into_iter().flatten().filter(|(key, _)| seen.insert(key.clone()));
        frontier = new.filter_map(|(_, world)| world).collect();
        println!("{}, length {length}: {} states, {edges} edges", kind.name, seen.len());
        if let Some((least_states, least_edges)) = kind.reached.get(length - 1) {
            let found_all = seen.len() >= *least_states && edges >= *least_edges;
            assert!(found_all, "the search found fewer states or edges than {:?}", kind.reached);
        }
    }
}

/// Runs every step in each of these worlds. Returns the new states, each once: the key, and the
/// world if `keep` is set. At the last length, only the keys are needed.
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
            let key = state_key(kind, &next);
            if !seen.contains(&key) {
                found.entry(key).or_insert_with(|| keep.then_some(next));
            }
        }
    }
    found
}
