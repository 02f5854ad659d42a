//! The owner leaves a group of n members with n messages, which dissolves the group.
//!
//! `no snapshot`: no clone of the engine exists. `snapshot alive`: a clone exists and shares the
//! engine's state, so the command copies what it changes.
//!
//! The benchmark measures a leave in an engine that is in use:
//! - For each n the engine also has a group of a million members. So the results depend on the size
//!   of the dissolved group, not on the size of the whole memory.
//! - Filling a large group pushes the data that a dissolution needs out of the processor's caches.
//!   So some groups of 40 members are created and dissolved first, and then one more message is
//!   posted in the group to dissolve.
//! - Commands also clean the index from users to their groups: they remove the entries of groups
//!   that were dissolved. If the leave does so, the time includes it.
//!
//! Each dissolution needs a new group, and filling a group of a million takes a second or two. So
//! there are few iterations, and each is timed by itself.

mod engines;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use disband::Engine;

use engines::{GROUP, NOW, OWNER, create_group, post_messages, timed, unlimited};

/// The group of a million members.
const BACKGROUND: u64 = 2;
/// The groups that are created and dissolved before each measurement.
const OTHERS: std::ops::Range<u64> = 100..150;
const OTHERS_MEMBERS: u64 = 40;

/// The total time of `iterations` dissolutions of a group of `members`. It includes no other work.
fn dissolve(
    engine: &mut Engine<u64, u64>,
    members: u64,
    shared: bool,
    iterations: u64,
) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..iterations {
        create_group(engine, GROUP, members);
        post_messages(engine, GROUP, members);
        for other in OTHERS {
            create_group(engine, other, OTHERS_MEMBERS);
            post_messages(engine, other, OTHERS_MEMBERS);
            drop(timed(|| engine.leave(OWNER, other, NOW)));
        }
        post_messages(engine, GROUP, 1);
        let snapshot = shared.then(|| engine.clone());

        let (took, left) = timed(|| engine.leave(OWNER, GROUP, NOW));
        assert!(left.is_ok());
        time += took;
        drop((snapshot, left));
        engine.sweep(usize::MAX);
    }
    time
}

fn dissolution(criterion: &mut Criterion) {
    let mut engine = unlimited();
    create_group(&mut engine, BACKGROUND, 1_000_000);
    let mut group = criterion.benchmark_group("dissolution");
    group.sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(1));
    for (state, shared) in [("no snapshot", false), ("snapshot alive", true)] {
        for members in [10, 1_000, 1_000_000] {
            // Nearly all of the time goes into filling groups, which is not measured. With the
            // shortest possible target time, criterion runs one iteration for each sample.
            group.sample_size(if members < 1_000_000 { 50 } else { 10 });
            group.measurement_time(Duration::from_nanos(1));
            group.bench_function(BenchmarkId::new(state, members), |bencher| {
                bencher.iter_custom(|iterations| {
                    // At most eight dissolutions. Their time is scaled to the number that criterion
                    // asked for.
                    dissolve(&mut engine, members, shared, iterations.min(8))
                        .mul_f64(iterations as f64 / iterations.min(8) as f64)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, dissolution);
criterion_main!(benches);
