#![no_main]
#![allow(dead_code, reason = "the tests use the rest")]

#[path = "../../proptests/bytes.rs"]
mod bytes;
#[path = "../../proptests/model.rs"]
mod model;
#[path = "../../proptests/sight.rs"]
mod sight;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static RUNS: AtomicU64 = AtomicU64::new(0);
static COMMANDS: AtomicU64 = AtomicU64::new(0);
static CARRIED_OUT: AtomicU64 = AtomicU64::new(0);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bytes::commands(bytes, |done| {
        COMMANDS.fetch_add(1, Relaxed);
        CARRIED_OUT.fetch_add(done.is_ok().into(), Relaxed);
    });
    // How deep it gets, now and then.
    let runs = RUNS.fetch_add(1, Relaxed) + 1;
    if runs.is_multiple_of(20_000) {
        let (commands, done) = (COMMANDS.load(Relaxed), CARRIED_OUT.load(Relaxed));
        eprintln!("{runs} runs: {commands} commands, {done} of them carried out");
    }
});
