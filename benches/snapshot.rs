//! Taking a snapshot (a clone of the engine), and writing and reading it. `MEMBERSHIPS=8000000` in
//! the environment sets the number of memberships.

mod engines;

use std::env;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use disband::Engine;

use engines::{NOW, unlimited};

/// Members of each group, and groups of each user.
const EACH: u64 = 8;

/// Each group has eight members, and each user is in eight groups.
fn engine(memberships: u64) -> Engine<u64, u64> {
    let groups = memberships / EACH;
    let mut engine = unlimited();
    for group in 0..groups {
        let user = |nth| (group + nth * groups / EACH) % groups;
        engine.create(user(0), group, NOW).unwrap().ignore_signals();
        for nth in 1..EACH {
            engine.join(user(nth), group, NOW).unwrap().ignore_signals();
        }
    }
    engine
}

fn snapshot(criterion: &mut Criterion) {
    let memberships = env::var("MEMBERSHIPS").map_or(800_000, |number| number.parse().unwrap());
    let engine = engine(memberships);
    let mut group = criterion.benchmark_group("snapshot");
    group.bench_function("clone", |bencher| {
        // The time includes dropping the clone.
        bencher.iter(|| black_box(&engine).clone());
    });
    group.throughput(Throughput::Elements(memberships));
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(5));

    let bytes = postcard::to_stdvec(&engine).unwrap();
    group.bench_function("postcard, write", |bencher| {
        bencher.iter(|| postcard::to_stdvec(black_box(&engine)).unwrap());
    });
    let read = || postcard::from_bytes::<Engine<u64, u64>>(&bytes).unwrap();
    group.bench_function("postcard, read", |bencher| {
        bencher.iter_batched(|| (), |()| read(), BatchSize::PerIteration);
    });
    let json = serde_json::to_vec(&engine).unwrap();
    group.bench_function("JSON, write", |bencher| {
        bencher.iter(|| serde_json::to_vec(black_box(&engine)).unwrap());
    });
    let read = || serde_json::from_slice::<Engine<u64, u64>>(&json).unwrap();
    group.bench_function("JSON, read", |bencher| {
        bencher.iter_batched(|| (), |()| read(), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default();
    targets = snapshot
}
criterion_main!(benches);
