//! The rate limiter: one user who repeats one command, and a flood of commands, each by a new user.
//!
//! A cell is the stored state of one rate limit: that of one user, group and operation.

mod engines;

use criterion::{Criterion, criterion_group, criterion_main};
use disband::{Engine, Timestamp};

use engines::short_runs;

/// The increment of the generator SplitMix64 (Steele, Lea and Flood). Adding it again and again
/// gives every 64-bit number once, and successive numbers are far apart.
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
    // Uses up the allowance of the rate limit.
    while engine.leave(1, 1, now).is_err_and(|refusal| refusal.code() != 429) {}
    group.bench_function("one key, refused", |bencher| {
        bencher.iter(|| engine.leave(1, 1, now).unwrap_err());
    });

    // A hundred commands each millisecond, and a cell is evicted after 8 s. So 800,000 cells exist
    // during the measurement, and each command evicts cells.
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
    config = short_runs();
    targets = limiter
}
criterion_main!(benches);
