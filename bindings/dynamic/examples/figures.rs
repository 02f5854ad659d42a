//! What the commands cost in Rust, beside the same figures of the bindings. The output lines are
//! `name`, value and unit, with tabs between them.
//!
//! `cargo run --release -p disband-dynamic --example figures [-- --quick]`

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use disband::{Command, Config, Engine, GroupId, GroupOptions, Quotas, Refusal, Timestamp, UserId};
use disband_dynamic::Format::Postcard;

const NOW: Timestamp = Timestamp(1_000);
const GROUP: GroupId = GroupId(7);

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let part = if quick { 100 } else { 1 };
    let members = 200_000 / u64::from(part);
    posts(200_000 / part, 20_000 / part)?;
    dissolutions(members)?;
    audience(members)?;
    snapshots(1_000 / if quick { 10 } else { 1 }, 1_000 / if quick { 10 } else { 1 })
}

fn print(name: &str, value: f64, unit: &str) {
    println!("{name}\t{value:.1}\t{unit}");
}

fn engine() -> Engine {
    Engine::new(Config { quotas: Quotas::UNLIMITED, departures: 0, ..Config::default() })
}

/// A group of users 0 to `members - 1`, owned by user 0.
fn group(engine: &mut Engine, members: u64) -> Result<(), Refusal<UserId>> {
    let keep = GroupOptions { keep_entries: Some(1_000), ..GroupOptions::default() };
    engine.create_with(UserId(0), GROUP, keep, NOW)?.ignore_signals();
    for user in 1..members {
        engine.join(UserId(user), GROUP, NOW)?.ignore_signals();
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn posts(count: u32, warm_up: u32) -> Result<(), Failure> {
    let mut engine = engine();
    group(&mut engine, 8)?;
    for _ in 0..warm_up {
        engine.post(UserId(1), GROUP, "hello, world", NOW)?.ignore_signals();
    }
    let start = Instant::now();
    for _ in 0..count {
        drop(black_box(engine.post(UserId(1), GROUP, "hello, world", NOW)?));
    }
    print("post", nanoseconds(start.elapsed()) / f64::from(count), "ns");

    let start = Instant::now();
    for _ in 0..count {
        let posted = engine.post(UserId(1), GROUP, "hello, world", NOW)?;
        for (recipient, signal) in posted.deliveries() {
            black_box((recipient, &signal.event));
        }
    }
    print("post_decoded", nanoseconds(start.elapsed()) / f64::from(count), "ns");
    Ok(())
}

fn dissolutions(members: u64) -> Result<(), Failure> {
    let (mut calls, mut frees, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..18 {
        let mut engine = engine();
        group(&mut engine, members)?;
        let start = Instant::now();
        let left = engine.leave(UserId(0), GROUP, NOW)?;
        calls.push(start.elapsed());
        let start = Instant::now();
        if turn % 2 == 0 {
            drop(left);
            frees.push(start.elapsed());
        } else {
            let thread = thread::spawn(move || drop(left));
            elsewhere.push(start.elapsed());
            thread.join().map_err(|_| "the thread panicked")?;
        }
    }
    print("dissolve", nanoseconds(median(calls)) / 1e3, "µs");
    print("dissolve_free", nanoseconds(median(frees)) / 1e6, "ms");
    print("dissolve_free_elsewhere", nanoseconds(median(elsewhere)) / 1e3, "µs");
    Ok(())
}

fn audience(members: u64) -> Result<(), Failure> {
    let mut engine = engine();
    group(&mut engine, members)?;
    let posted = engine.post(UserId(0), GROUP, "hello, world", NOW)?;
    let start = Instant::now();
    let (mut users, mut sum) = (0_u32, 0_u64);
    for user in &posted.signals[0].audience {
        users += 1;
        sum = sum.wrapping_add(user.0);
    }
    black_box(sum);
    print("audience", nanoseconds(start.elapsed()) / f64::from(users), "ns");
    Ok(())
}

fn snapshots(groups: u64, members: u64) -> Result<(), Failure> {
    let mut engine = engine();
    for id in 0..groups {
        let (group, user) = (GroupId(id), |k| UserId(id * members + k));
        let create = Command::Create { owner: user(0), group, options: None };
        let joins = (1..members).map(|k| Command::Join { user: user(k), group });
        engine.apply_all([create].into_iter().chain(joins), NOW)?.ignore_signals();
    }
    let (mut writes, mut reads, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..3 {
        let start = Instant::now();
        let bytes = Postcard.encode(&engine)?;
        writes.push(start.elapsed());
        size = bytes.len();
        let start = Instant::now();
        let read: Engine = Postcard.decode(&bytes)?;
        reads.push(start.elapsed());
        assert_eq!(read, engine);
    }
    print("snapshot_write", nanoseconds(median(writes)) / 1e6, "ms");
    print("snapshot_read", nanoseconds(median(reads)) / 1e6, "ms");
    print("snapshot_bytes", size as f64, "bytes");
    let start = Instant::now();
    for _ in 0..1_000 {
        black_box(engine.clone());
    }
    print("clone", nanoseconds(start.elapsed()) / 1e3, "ns");
    Ok(())
}
