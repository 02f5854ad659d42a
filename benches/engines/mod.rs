//! What the benchmarks share: engines, groups, and the timing of a command.

#![allow(dead_code, reason = "each benchmark uses a part of this module")]

use std::time::{Duration, Instant};

use criterion::Criterion;
use disband::{Config, Engine, Quotas, Timestamp};

pub(crate) const OWNER: u64 = 0;
pub(crate) const GROUP: u64 = 1;
pub(crate) const NOW: Timestamp = Timestamp(1_000);

/// An engine without rate limits and without tombstones. A tombstone is what is remembered of a
/// dissolved group for a while. Without one, the id of a dissolved group can be used again at once.
pub(crate) fn unlimited() -> Engine<u64, u64> {
    let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
    Engine::new(config)
}

/// Creates a group of `members`, its owner included. Users who join one after the other have ids
/// far apart.
pub(crate) fn create_group(engine: &mut Engine<u64, u64>, group: u64, members: u64) {
    engine.create(OWNER, group, NOW).unwrap().ignore_signals();
    for user in scattered(members) {
        engine.join(user, group, NOW).unwrap().ignore_signals();
    }
}

/// The ids of all members of a group except its owner, in the order of joining.
pub(crate) fn scattered(members: u64) -> impl Iterator<Item = u64> {
    // Each user comes exactly once if `members` and this number have no common factor. The sizes in
    // use have the prime factors 2 and 5, and this number has neither.
    const STRIDE: u64 = 618_033_989;
    (1..members).map(move |nth| nth * STRIDE % members)
}

pub(crate) fn post_messages(engine: &mut Engine<u64, u64>, group: u64, messages: u64) {
    for _ in 0..messages {
        engine.post(OWNER, group, "hello", NOW).unwrap().ignore_signals();
    }
}

/// The time that `work` takes, and its result. The caller drops the result, so that the time does
/// not include the drop.
#[inline(never)]
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = std::hint::black_box(work());
    (start.elapsed(), result)
}

/// Short runs, because there are many benchmarks.
pub(crate) fn short_runs() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}
