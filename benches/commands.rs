//! Single commands in groups of three sizes.
//!
//! `no snapshot`: no clone of the engine exists. `snapshot alive`: a clone exists and shares the
//! engine's state, so a command copies what it changes.
//!
//! The outcome of a command is dropped before the next command, as in a server that has delivered
//! the signals. The measured time includes the drop.

mod engines;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use disband::{Engine, GroupOptions, Seq, Timestamp};

use engines::{GROUP, NOW, OWNER, create_group, scattered, short_runs, timed, unlimited};

type Groups = Engine<u64, u64>;

/// No group has this id.
const UNKNOWN: u64 = 9;
/// How many entries the log keeps, the same for all sizes of groups.
const KEPT: u64 = 10_000;
/// The id of a group whose owner is its only member.
const OTHER: u64 = 2;

/// Measures `command` for each of `users` in turn. The time does not include `undo`.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    engine: &mut Groups,
    users: &[u64],
    command: impl Fn(&mut Groups, u64),
    undo: impl Fn(&mut Groups, u64),
) {
    for (state, shared) in [("no snapshot", false), ("snapshot alive", true)] {
        // Each command needs a new snapshot. Once a command has copied a part of the state, the
        // engine no longer shares that part with the old snapshot.
        let batch = if shared { 1 } else { users.len() };
        group.bench_function(format!("{name}/{state}"), |bencher| {
            let mut cycle = users.iter().cycle();
            bencher.iter_custom(|iterations| {
                let (mut time, mut remaining) = (Duration::ZERO, iterations as usize);
                while remaining > 0 {
                    let users: Vec<u64> =
                        cycle.by_ref().take(remaining.min(batch)).copied().collect();
                    let snapshot = shared.then(|| engine.clone());
                    let (took, ()) = timed(|| users.iter().for_each(|user| command(engine, *user)));
                    time += took;
                    drop(snapshot);
                    users.iter().for_each(|user| undo(engine, *user));
                    remaining -= users.len();
                }
                time
            });
        });
    }
}

fn commands(criterion: &mut Criterion) {
    let join = |engine: &mut Groups, user| drop(engine.join(user, GROUP, NOW).unwrap());
    let leave = |engine: &mut Groups, user| drop(engine.leave(user, GROUP, NOW).unwrap());
    let nothing = |_: &mut Groups, _| ();
    for members in [10, 1_000, 1_000_000] {
        let mut engine = unlimited();
        create_group(&mut engine, GROUP, members);
        let options = GroupOptions { keep_entries: Some(KEPT), ..GroupOptions::default() };
        engine.set_options(OWNER, GROUP, options, NOW).unwrap().ignore_signals();
        // A third of the members, at most 10,000. In the largest group these are so many that the
        // processor's caches do not hold the data of all of them.
        let users: Vec<u64> = scattered(members).step_by(3).take(10_000).collect();

        let mut group = criterion.benchmark_group(format!("commands/{members}"));
        let create = |engine: &mut Groups, user| drop(engine.create(user, OTHER, NOW).unwrap());
        let dissolve = |engine: &mut Groups, user| drop(engine.leave(user, OTHER, NOW).unwrap());
        measure(&mut group, "create", &mut engine, &users[..1], create, dissolve);
        measure(&mut group, "leave", &mut engine, &users, leave, join);
        users.iter().for_each(|user| leave(&mut engine, *user));
        measure(&mut group, "join", &mut engine, &users, join, leave);
        let add = |engine: &mut Groups, user| drop(engine.add(OWNER, GROUP, user, NOW).unwrap());
        measure(&mut group, "add", &mut engine, &users, add, leave);
        users.iter().for_each(|user| join(&mut engine, *user));
        let kick = |engine: &mut Groups, user| drop(engine.kick(OWNER, GROUP, user, NOW).unwrap());
        measure(&mut group, "kick", &mut engine, &users, kick, join);
        let post =
            |engine: &mut Groups, user| drop(engine.post(user, GROUP, "hello", NOW).unwrap());
        measure(&mut group, "post", &mut engine, &users, post, nothing);
        (0..KEPT).for_each(|_| post(&mut engine, OWNER));
        let first_kept = engine.group(&GROUP).unwrap().next_seq().0 - KEPT;
        let edit = |engine: &mut Groups, user: u64| {
            let seq = Seq(first_kept + user % KEPT);
            drop(engine.edit(OWNER, GROUP, seq, "hello!", NOW).unwrap());
        };
        measure(&mut group, "edit", &mut engine, &users, edit, nothing);
        let mute =
            |engine: &mut Groups, user| drop(engine.mute(OWNER, GROUP, user, None, NOW).unwrap());
        let unmute =
            |engine: &mut Groups, user| drop(engine.unmute(OWNER, GROUP, user, NOW).unwrap());
        measure(&mut group, "mute", &mut engine, &users, mute, unmute);
        let unknown = |engine: &mut Groups, user| {
            assert!(engine.leave(user, UNKNOWN, NOW).is_err());
        };
        measure(&mut group, "leave of an unknown group", &mut engine, &users, unknown, nothing);
        group.finish();
    }

    let mut group = criterion.benchmark_group("commands");
    let mut engine = Groups::default();
    let now = Timestamp(NOW.0 + 1);
    // Uses up the allowance of the rate limit.
    while engine.leave(1, GROUP, now).is_err_and(|refusal| refusal.code() != 429) {}
    let too_fast = |engine: &mut Groups, user| {
        assert!(engine.leave(user, GROUP, now).is_err());
    };
    measure(&mut group, "refused as too fast", &mut engine, &[1], too_fast, nothing);
    group.finish();
}

criterion_group! {
    name = benches;
    config = short_runs();
    targets = commands
}
criterion_main!(benches);
