//! The audience of a signal: to take, to ask, and to walk, beside a `BTreeSet` of the same ids that
//! came in the same order.

mod engines;

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use engines::{GROUP, NOW, OWNER, brief, found, scattered, unlimited};

fn audience(criterion: &mut Criterion) {
    for members in [10, 1_000, 1_000_000] {
        let mut engine = unlimited();
        found(&mut engine, GROUP, members);
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
        let mut round = users.iter().cycle();
        group.bench_function(id("contains"), |bencher| {
            bencher.iter(|| audience.contains(round.next().unwrap()));
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
    config = brief();
    targets = audience
}
criterion_main!(benches);
