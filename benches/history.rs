//! Reads pages of a log of a million entries, and posts with and without a retention (a limit on
//! how many entries the log keeps, or on their age).

mod engines;

use criterion::{Criterion, criterion_group, criterion_main};
use disband::{Engine, GroupOptions, Page, Seq, Timestamp};

use engines::{GROUP, OWNER, short_runs, unlimited};

const ENTRIES: u64 = 1_000_000;
const PAGE: u64 = 50;

/// An engine with one log of a million entries, one for each millisecond. No entry is past its
/// retention.
fn logged(options: GroupOptions) -> Engine<u64, u64> {
    let mut engine = unlimited();
    engine.create_with(OWNER, GROUP, options, Timestamp(0)).unwrap().ignore_signals();
    for at in 0..ENTRIES {
        engine.post(OWNER, GROUP, "hello", Timestamp(at)).unwrap().ignore_signals();
    }
    engine
}

fn history(criterion: &mut Criterion) {
    let everything = GroupOptions::default();
    let by_count = GroupOptions { keep_entries: Some(ENTRIES), ..everything };
    let by_age = GroupOptions { keep_ms: Some(ENTRIES), ..everything };
    let mut group = criterion.benchmark_group("history");
    let engine = logged(everything);
    let aged = logged(by_age);
    let half_expired = Timestamp(ENTRIES + ENTRIES / 2);
    for (name, engine, page) in [
        ("page of 50 at the end", &engine, Page::newest(PAGE)),
        ("page of 50 in the middle", &engine, Page::before(Seq(ENTRIES / 2), PAGE)),
        ("page of 50, half of the log past its age", &aged, Page::newest(PAGE)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let page = engine.history(&OWNER, &GROUP, page, half_expired).unwrap();
                page.map(|(_, entry)| entry.at.0).sum::<u64>()
            });
        });
    }
    for (name, options) in [
        ("post, all kept", everything),
        ("post, kept by count", by_count),
        ("post, kept by age", by_age),
    ] {
        let mut engine = logged(options);
        let mut now = Timestamp(ENTRIES);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                now = now.after(1);
                engine.post(OWNER, GROUP, "hello", now).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = short_runs();
    targets = history
}
criterion_main!(benches);
