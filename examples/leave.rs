//! The main job: users leave groups, owners too, and then a group of a million is dissolved.
//!
//! `cargo run --release --example leave`

#![allow(clippy::disallowed_methods, reason = "the host reads the clock")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use disband::{
    CommandResult, Config, Departure, Engine, GroupId, Id, Quotas, Timestamp, UserId, wire,
};
use indicatif::{ProgressBar, ProgressStyle};

const ALICE: UserId = UserId(808080);
const BOB: UserId = UserId(808081);
const CAROL: UserId = UserId(808082);
const GROUP: GroupId = GroupId(6228482);

fn main() -> Result<(), Box<dyn Error>> {
    page()?;
    promise()
}

/// The API page, by example: each request with its reply and its signals as they go over the wire.
fn page() -> Result<(), Box<dyn Error>> {
    println!("POST /x/group/leave/{{group_id}}");
    println!("===============================");
    let mut engine = Engine::new(Config { instance: 0xa1ce_a2ac_677a_e978, ..Config::default() });
    let at = |seconds: u64| Timestamp(1_700_000_000_000 + seconds * 1_000);
    let leave = |engine: &mut Engine, what: &str, user: UserId, now: Timestamp| {
        println!("\n{what}\n  POST /x/group/leave/{GROUP}  {{}}    as {user}");
        let result = engine.leave(user, GROUP, now);
        show(&result, now)?;
        Ok::<_, serde_json::Error>(result)
    };

    println!("\n{ALICE} creates the group; {BOB} and {CAROL} join.");
    show(&engine.create(ALICE, GROUP, at(0)), at(0))?;
    show(&engine.join(BOB, GROUP, at(1)), at(1))?;
    show(&engine.join(CAROL, GROUP, at(2)), at(2))?;

    let _ = leave(&mut engine, "A member leaves.", BOB, at(10))?;
    let _ = leave(&mut engine, "Again: the reply was slow.", BOB, at(10))?;
    let _ = leave(&mut engine, "And again.", BOB, at(10))?;
    let _ = leave(&mut engine, "And again: too fast.", BOB, at(10))?;

    println!("\n{BOB} joins again, and the owner kicks them.");
    show(&engine.join(BOB, GROUP, at(20)), at(20))?;
    show(&engine.kick(ALICE, GROUP, BOB, at(21)), at(21))?;
    let _ = leave(&mut engine, "They leave at the same moment, a little late.", BOB, at(22))?;

    println!("\n{CAROL} says something.");
    show(&engine.post(CAROL, GROUP, "bye", at(30)), at(30))?;
    let left = leave(&mut engine, "The owner leaves: the group is dissolved.", ALICE, at(31))?;
    if let Ok(Departure::Dissolved(group)) = left.map(|outcome| outcome.value) {
        let (members, entries) = (group.group().len(), group.group().log_len());
        println!("  (the host now owns what was in it: {members} members, {entries} message)");
    }
    let _ = leave(&mut engine, "A member leaves the group that just was.", CAROL, at(32))?;
    Ok(())
}

/// A reply and its signals, as JSON.
fn show<T: wire::Answer, U: Id + std::fmt::Display, G: std::fmt::Display>(
    result: &CommandResult<T, U, G>,
    now: Timestamp,
) -> Result<(), serde_json::Error> {
    println!("  <- {}", serde_json::to_string(&wire::reply(result, now))?);
    for signal in result.iter().flat_map(|outcome| &outcome.signals) {
        let to: Vec<String> = signal.audience.iter().map(ToString::to_string).collect();
        let frame = serde_json::to_string(&wire::Frame::from(signal))?;
        println!(
            "  -> {frame}  to {}",
            if to.is_empty() { "nobody".into() } else { to.join(", ") }
        );
    }
    Ok(())
}

/// Owners of groups of very different sizes leave.
fn promise() -> Result<(), Box<dyn Error>> {
    println!("\n\nAn owner leaves a group of n members with n messages");
    println!("====================================================\n");
    const SIZES: [u64; 3] = [10, 10_000, 1_000_000];
    // No tombstones: ids come back at once.
    let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
    let mut engine: Engine = Engine::new(config);
    let bar = ProgressBar::new(2 * SIZES.iter().sum::<u64>())
        .with_style(ProgressStyle::with_template("building {wide_bar} {percent}% {eta}")?);
    for size in SIZES {
        let (group, now) = (GroupId(size), Timestamp(size));
        let _ = engine.create(UserId(0), group, now)?;
        for user in 1..size {
            let _ = engine.join(UserId(user), group, now)?;
            bar.inc(1);
        }
        for author in 0..size {
            let _ = engine.post(UserId(author), group, "hello", now)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();

    println!(
        "{:>10} {:>12} {:>9} {:>12} {:>16}",
        "members", "dissolved in", "signals", "recipients", "to walk them all"
    );
    for size in SIZES {
        work_a_little(&mut engine)?;
        let start = Instant::now();
        let outcome = engine.leave(UserId(0), GroupId(size), Timestamp(size + 1))?;
        let dissolved_in = start.elapsed();

        let start = Instant::now();
        let recipients = outcome.deliveries().map(black_box).count();
        let walked_in = start.elapsed();
        println!(
            "{size:>10} {:>12} {:>9} {recipients:>12} {:>16}",
            show_time(dissolved_in),
            outcome.signals.len(),
            show_time(walked_in),
        );
    }
    println!(
        "\nOne dissolution each, timed once, in an engine at work and sole owner of its state. `cargo bench`
measures it well."
    );
    Ok(())
}

/// Other groups come and go, as they do in a server: or else what is timed would be the cold start
/// after a pause.
fn work_a_little(engine: &mut Engine) -> Result<(), Box<dyn Error>> {
    for group in (2_000_000..2_000_100).map(GroupId) {
        let _ = engine.create(UserId(0), group, Timestamp(0))?;
        for user in 1..40 {
            let _ = engine.join(UserId(user), group, Timestamp(0))?;
        }
        let _ = engine.post(UserId(1), group, "hello", Timestamp(0))?;
        let _ = engine.leave(UserId(0), group, Timestamp(0))?;
    }
    Ok(())
}

fn show_time(time: Duration) -> String {
    format!("{time:.1?}")
}
