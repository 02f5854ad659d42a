//! Engines to measure, and how a command is timed.

#![allow(dead_code, reason = "no benchmark needs all of it")]

use std::time::{Duration, Instant};

use criterion::Criterion;
use disband::{Config, Engine, Quotas, Timestamp};

pub(crate) const OWNER: u64 = 0;
pub(crate) const GROUP: u64 = 1;
pub(crate) const NOW: Timestamp = Timestamp(1_000);

/// Its tombstones do not stand: what is dissolved can come again.
pub(crate) fn unlimited() -> Engine<u64, u64> {
    let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
    Engine::new(config)
}

/// A group of `members`, in an order in which neighbours are far from each other.
pub(crate) fn found(engine: &mut Engine<u64, u64>, group: u64, members: u64) {
    let _ = engine.create(OWNER, group, NOW).unwrap();
    for user in scattered(members) {
        let _ = engine.join(user, group, NOW).unwrap();
    }
}

/// All users of a group but its owner.
pub(crate) fn scattered(members: u64) -> impl Iterator<Item = u64> {
    // A prime: it goes round all of them, unless there is a multiple of it.
    const STRIDE: u64 = 618_033_989;
    (1..members).map(move |nth| nth * STRIDE % members)
}

pub(crate) fn talk(engine: &mut Engine<u64, u64>, group: u64, messages: u64) {
    for _ in 0..messages {
        let _ = engine.post(OWNER, group, "hello", NOW).unwrap();
    }
}

/// The time of one piece of work, and what came of it, which is dropped later.
#[inline(never)]
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = std::hint::black_box(work());
    (start.elapsed(), result)
}

/// Short runs: there are many of them.
pub(crate) fn brief() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}
