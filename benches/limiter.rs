//! The rate limiter: one who repeats themselves, and a flood of users that nobody has seen before.

mod engines;

use criterion::{Criterion, criterion_group, criterion_main};
use disband::{Engine, Timestamp};

use engines::brief;

/// Steps through all numbers of 64 bits, far from one another (Steele, Lea and Flood's SplitMix64).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn limiter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limiter");
    let mut engine: Engine<u64, u64> = Engine::default();
    let mut now = Timestamp(1);
    group.bench_function("one key, admitted", |bencher| {
        bencher.iter(|| {
            now = now.after(10_000);
            engine.leave(1, 1, now).unwrap_err()
        });
    });
    while engine.leave(1, 1, now).is_err_and(|refusal| refusal.code() != 429) {}
    group.bench_function("one key, refused", |bencher| {
        bencher.iter(|| engine.leave(1, 1, now).unwrap_err());
    });

    // A hundred each millisecond: 800,000 cells wait for their eviction, and each command evicts.
    let (mut user, mut nth) = (0_u64, 0_u64);
    let mut stranger = |engine: &mut Engine<u64, u64>| {
        (user, nth) = (user.wrapping_add(GOLDEN), nth + 1);
        engine.leave(user, user.rotate_left(32), Timestamp(now.0 + nth / 100)).unwrap_err()
    };
    for _ in 0..1_000_000 {
        let _ = stranger(&mut engine);
    }
    group.bench_function("a flood of strangers", |bencher| bencher.iter(|| stranger(&mut engine)));
    group.finish();
}

criterion_group! {
    name = benches;
    config = brief();
    targets = limiter
}
criterion_main!(benches);
