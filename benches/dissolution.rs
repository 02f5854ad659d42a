//! An owner leaves a group of n members with n messages.
//!
//! As sole owner of the state, and with a snapshot alive. In the background lives a group of a
//! million, at every size: so what is compared is the size of the group that is dissolved, and not
//! that of all the memory around it. Before each dissolution some groups of forty come and go, for
//! filling a large group empties the processor's caches of all that ending it needs; then the group
//! gets one more message, as a group that is in use does. So what is measured is a leave in an engine
//! at work, its share of the sweep included.
//!
//! Each dissolution needs a group of its own, and filling one with a million takes a second or two:
//! so iterations are few, and each is timed by itself.

mod engines;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use disband::Engine;

use engines::{GROUP, NOW, OWNER, found, talk, timed, unlimited};

const BACKGROUND: u64 = 2;
/// The groups that come and go.
const OTHERS: std::ops::Range<u64> = 100..150;
const OTHERS_MEMBERS: u64 = 40;

/// The time of `iterations` dissolutions of a group of `members`, and nothing else.
fn dissolve(
    engine: &mut Engine<u64, u64>,
    members: u64,
    shared: bool,
    iterations: u64,
) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..iterations {
        found(engine, GROUP, members);
        talk(engine, GROUP, members);
        for other in OTHERS {
            found(engine, other, OTHERS_MEMBERS);
            talk(engine, other, OTHERS_MEMBERS);
            drop(timed(|| engine.leave(OWNER, other, NOW)));
        }
        talk(engine, GROUP, 1);
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
    found(&mut engine, BACKGROUND, 1_000_000);
    let mut group = criterion.benchmark_group("dissolution");
    group.sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(1));
    for (state, shared) in [("sole owner", false), ("snapshot alive", true)] {
        for members in [10, 1_000, 1_000_000] {
            // The time that is measured is a millionth of the time that it takes.
            group.sample_size(if members < 1_000_000 { 50 } else { 10 });
            group.measurement_time(Duration::from_nanos(1));
            group.bench_function(BenchmarkId::new(state, members), |bencher| {
                bencher.iter_custom(|iterations| {
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
