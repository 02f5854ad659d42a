//! Single commands in groups of three sizes, as sole owner and with a snapshot alive.
//!
//! What came of each is dropped before the next, as by a server that has delivered it.

mod engines;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use disband::{Engine, GroupOptions, Seq, Timestamp};

use engines::{GROUP, NOW, OWNER, brief, found, scattered, timed, unlimited};

type Groups = Engine<u64, u64>;

/// Not the id of any group.
const UNKNOWN: u64 = 9;
/// Entries in the log, the same in groups of all sizes.
const KEPT: u64 = 10_000;
/// A group with nobody in it but its owner.
const OTHER: u64 = 2;

/// Measures `command`, for some user after user; `undo` is not measured.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    engine: &mut Groups,
    users: &[u64],
    command: impl Fn(&mut Groups, u64),
    undo: impl Fn(&mut Groups, u64),
) {
    for (state, shared) in [("sole owner", false), ("snapshot alive", true)] {
        // A snapshot is taken before each command, so that nothing that it touches is its own.
        let most = if shared { 1 } else { users.len() };
        group.bench_function(format!("{name}/{state}"), |bencher| {
            let mut round = users.iter().cycle();
            bencher.iter_custom(|iterations| {
                let (mut time, mut left) = (Duration::ZERO, iterations as usize);
                while left > 0 {
                    let users: Vec<u64> = round.by_ref().take(left.min(most)).copied().collect();
                    let snapshot = shared.then(|| engine.clone());
                    let (took, ()) = timed(|| users.iter().for_each(|user| command(engine, *user)));
                    time += took;
                    drop(snapshot);
                    users.iter().for_each(|user| undo(engine, *user));
                    left -= users.len();
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
        found(&mut engine, GROUP, members);
        let keep = GroupOptions { keep_entries: Some(KEPT), ..GroupOptions::default() };
        let _ = engine.set_options(OWNER, GROUP, keep, NOW).unwrap();
        // No more than there are, nor so many that the processor's caches hold them all.
        let users: Vec<u64> = scattered(members).step_by(3).take(10_000).collect();

        let mut group = criterion.benchmark_group(format!("commands/{members}"));
        let create = |engine: &mut Groups, user| drop(engine.create(user, OTHER, NOW).unwrap());
        let end = |engine: &mut Groups, user| drop(engine.leave(user, OTHER, NOW).unwrap());
        measure(&mut group, "create", &mut engine, &users[..1], create, end);
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
        let first = engine.group(&GROUP).unwrap().next_seq().0 - KEPT;
        let edit = |engine: &mut Groups, user: u64| {
            let seq = Seq(first + user % KEPT);
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
    let again = Timestamp(NOW.0 + 1);
    while engine.leave(1, GROUP, again).is_err_and(|refusal| refusal.code() != 429) {}
    let too_fast = |engine: &mut Groups, user| {
        assert!(engine.leave(user, GROUP, again).is_err());
    };
    measure(&mut group, "refused as too fast", &mut engine, &[1], too_fast, nothing);
    group.finish();
}

criterion_group! {
    name = benches;
    config = brief();
    targets = commands
}
criterion_main!(benches);
