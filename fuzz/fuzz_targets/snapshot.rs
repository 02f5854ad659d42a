//! Reads bytes as a snapshot, and runs commands on the engine if the snapshot is valid.

#![no_main]
#![allow(dead_code, reason = "the tests use what this target does not")]

#[path = "../../proptests/bytes.rs"]
mod bytes;
#[path = "../../proptests/model.rs"]
mod model;
#[path = "../../proptests/sight.rs"]
mod sight;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static RUNS: AtomicU64 = AtomicU64::new(0);
static REACHED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let depth = match bytes::snapshot(bytes) {
        bytes::Depth::Unread => 0,
        bytes::Depth::Broken(_) => 1,
        bytes::Depth::Engine => 2,
    };
    REACHED[depth].fetch_add(1, Relaxed);
    // Print the progress every 20,000 runs.
    let runs = RUNS.fetch_add(1, Relaxed) + 1;
    if runs.is_multiple_of(20_000) {
        let [unread, broken, engines] = [0, 1, 2].map(|depth: usize| REACHED[depth].load(Relaxed));
        eprintln!(
            "{runs} runs: {unread} did not deserialise, {broken} broke a rule, \
             {engines} were valid engines"
        );
    }
});
