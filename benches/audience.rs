//! The audience of a signal: the users that the signal is for.
//!
//! `take` clones the audience, `contains` looks up one user, and `walk` iterates over all users.
//! `walk of a BTreeSet` is for comparison: the same ids, inserted in the same order.

mod engines;

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use engines::{GROUP, NOW, OWNER, create_group, scattered, short_runs, unlimited};

fn audience(criterion: &mut Criterion) {
    for members in [10, 1_000, 1_000_000] {
        let mut engine = unlimited();
        create_group(&mut engine, GROUP, members);
        let mut set = BTreeSet::new();
        for user in scattered(members) {
            set.insert(user);
        }
        let posted = engine.post(OWNER, GROUP, "hello", NOW).unwrap();
        let audience = &posted.signals[0].audience;
        assert!(audience.iter().eq(&set));

        let mut group = criterion.benchmark_group("audience");
        let id = |name| BenchmarkId::new(name, members);
        group.bench_function(id("take"), |bencher| bencher.iter(|| black_box(audience).clone()));
        let users: Vec<u64> = scattered(members).take(10_000).collect();
        let mut cycle = users.iter().cycle();
        group.bench_function(id("contains"), |bencher| {
            bencher.iter(|| audience.contains(cycle.next().unwrap()));
        });
        group.throughput(Throughput::Elements(audience.len() as u64));
        group.bench_function(id("walk"), |bencher| {
            bencher.iter(|| black_box(audience).iter().sum::<u64>());
        });
        group.bench_function(id("walk of a BTreeSet"), |bencher| {
            bencher.iter(|| black_box(&set).iter().sum::<u64>());
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = short_runs();
    targets = audience
}
criterion_main!(benches);
