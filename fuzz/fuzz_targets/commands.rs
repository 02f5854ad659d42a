//! Runs bytes as commands, on the engine and on the model.

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
static COMMANDS: AtomicU64 = AtomicU64::new(0);
static SUCCEEDED: AtomicU64 = AtomicU64::new(0);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bytes::commands(bytes, |result| {
        COMMANDS.fetch_add(1, Relaxed);
        SUCCEEDED.fetch_add(result.is_ok().into(), Relaxed);
    });
    // Print the progress every 20,000 runs.
    let runs = RUNS.fetch_add(1, Relaxed) + 1;
    if runs.is_multiple_of(20_000) {
        let (commands, succeeded) = (COMMANDS.load(Relaxed), SUCCEEDED.load(Relaxed));
        eprintln!("{runs} runs: {commands} commands, {succeeded} of them succeeded");
    }
});
