//! Users leave groups: first one request after the other, as the chat API has them; then owners of
//! groups of up to a million members, beside the same done by hand.
//!
//! `cargo run --release --example leave`

#![allow(clippy::disallowed_methods, reason = "the host reads the clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Display;
use std::time::{Duration, Instant};

use disband::{
    CommandResult, Config, Departure, Engine, GroupId, Id, Quotas, Timestamp, UserId, wire,
};

const ALICE: UserId = UserId(808080);
const BOB: UserId = UserId(808081);
const CAROL: UserId = UserId(808082);
const GROUP: GroupId = GroupId(6228482);

fn main() -> Result<(), Box<dyn Error>> {
    requests()?;
    dissolutions()
}

/// Requests of the chat API, each with its reply and its signals as they are sent.
fn requests() -> Result<(), Box<dyn Error>> {
    println!("POST /x/group/leave/{{group_id}}");
    println!("===============================");
    let mut engine = Engine::new(Config { instance: 0xa1ce_a2ac_677a_e978, ..Config::default() });
    let at = |seconds: u64| Timestamp(1_700_000_000_000 + seconds * 1_000);
    let leave = |engine: &mut Engine, what: &str, user: UserId, now: Timestamp| {
        println!("\n{what}\n  POST /x/group/leave/{GROUP}  {{}}    as {user}");
        let result = engine.leave(user, GROUP, now);
        print_result(&result, now)?;
        Ok::<_, serde_json::Error>(result.map(|outcome| outcome.value))
    };

    println!("\n{ALICE} creates the group. {BOB} and {CAROL} join.");
    print_result(&engine.create(ALICE, GROUP, at(0)), at(0))?;
    print_result(&engine.join(BOB, GROUP, at(1)), at(1))?;
    print_result(&engine.join(CAROL, GROUP, at(2)), at(2))?;

    leave(&mut engine, "A member leaves.", BOB, at(10))?.ok();
    leave(&mut engine, "The client repeats the request.", BOB, at(10))?.ok();
    leave(&mut engine, "It repeats the request again.", BOB, at(10))?.ok();
    leave(&mut engine, "The fourth request is too fast.", BOB, at(10))?.ok();

    println!("\n{BOB} joins again, and the owner kicks them.");
    print_result(&engine.join(BOB, GROUP, at(20)), at(20))?;
    print_result(&engine.kick(ALICE, GROUP, BOB, at(21)), at(21))?;
    leave(&mut engine, "Their own request to leave comes a moment later.", BOB, at(22))?.ok();

    println!("\n{CAROL} posts a message.");
    print_result(&engine.post(CAROL, GROUP, "bye", at(30)), at(30))?;
    let left = leave(&mut engine, "The owner leaves, so the group is dissolved.", ALICE, at(31))?;
    if let Ok(Departure::Dissolved(dissolved)) = left {
        let summary = dissolved.summary();
        println!("  (members: {}, messages: {})", summary.members, summary.entries);
    }
    leave(&mut engine, "A member tries to leave the dissolved group.", CAROL, at(32))?.ok();
    Ok(())
}

fn print_result<T: wire::Answer, U: Id + Display, G: Display>(
    result: &CommandResult<T, U, G>,
    now: Timestamp,
) -> Result<(), serde_json::Error> {
    println!("  <- {}", serde_json::to_string(&wire::reply(result, now))?);
    for signal in result.iter().flat_map(|outcome| &outcome.signals) {
        let recipients: Vec<String> = signal.audience.iter().map(U::to_string).collect();
        let frame = serde_json::to_string(&wire::Frame::from(signal))?;
        println!("  -> {frame}  to [{}]", recipients.join(", "));
    }
    Ok(())
}

/// Owners of groups of very different sizes leave: with disband, and by hand.
fn dissolutions() -> Result<(), Box<dyn Error>> {
    println!("\n\nAn owner leaves a group of n members with n messages");
    println!("====================================================");
    println!("The bars are logarithmic: six characters more mean ten times the time.\n");
    println!("{:>9} {:>6}  {:<8} {:>10} {:>10}", "n", "groups", "", "median", "slowest");
    for (size, groups) in [(10, 1_001), (1_000, 101), (100_000, 11), (1_000_000, 5)] {
        let disband = times(groups, || dissolve(size))?;
        let by_hand = times(groups, || Ok(dissolve_by_hand(size)))?;
        print_row(&size.to_string(), &groups.to_string(), "disband", disband);
        print_row("", "", "by hand", by_hand);
    }
    println!(
        "
Timed is the time until the members can be told: the call of `leave`, and by hand the removal of the
group from the list of each member. Freeing the group comes later, and is not timed.
The engine has just served 4,000 commands on 100 other groups and dissolved them. So its code is in
the processor's caches, but most of the group is not. No clone of the engine is alive."
    );
    Ok(())
}

/// The median and the largest of several times.
fn times(
    groups: usize,
    mut dissolve: impl FnMut() -> Result<Duration, Box<dyn Error>>,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let mut times: Vec<Duration> = (0..groups).map(|_| dissolve()).collect::<Result<_, _>>()?;
    times.sort_unstable();
    Ok((times[groups / 2], times[groups - 1]))
}

fn print_row(size: &str, groups: &str, engine: &str, (median, slowest): (Duration, Duration)) {
    let length = (median.as_nanos() as f64 / 100.0).log10().max(0.0) * 6.0;
    let bar = "█".repeat(length.round() as usize);
    let [median, slowest] = [median, slowest].map(|time| format!("{time:.1?}"));
    println!("{size:>9} {groups:>6}  {engine:<8} {median:>10} {slowest:>10}  {bar}");
}

/// Fills an engine with one group and the work of other groups, and times the owner's leaving.
fn dissolve(size: u64) -> Result<Duration, Box<dyn Error>> {
    // No rate limits, since all commands come at once.
    let mut engine = Engine::new(Config { quotas: Quotas::UNLIMITED, ..Config::default() });
    let now = Timestamp(1_000);
    fill(&mut engine, GROUP, size)?;
    for other in 0..100 {
        fill(&mut engine, GroupId(other), 20)?;
        engine.leave(UserId(0), GroupId(other), now)?.ignore_signals();
    }

    let start = Instant::now();
    let left = engine.leave(UserId(0), GROUP, now)?;
    let time = start.elapsed();
    assert_eq!(left.signals[0].audience.len() as u64, size - 1);
    Ok(time)
}

fn fill(engine: &mut Engine, group: GroupId, size: u64) -> Result<(), Box<dyn Error>> {
    let now = Timestamp(1_000);
    engine.create(UserId(0), group, now)?.ignore_signals();
    for user in 1..size {
        engine.join(UserId(user), group, now)?.ignore_signals();
    }
    for author in 0..size {
        engine.post(UserId(author), group, "hello", now)?.ignore_signals();
    }
    Ok(())
}

/// What most servers have: the members of each group, and the groups of each user.
#[derive(Default)]
struct ByHand {
    groups: BTreeMap<u64, Group>,
    groups_of: BTreeMap<u64, BTreeSet<u64>>,
}

#[derive(Default)]
struct Group {
    members: BTreeSet<u64>,
    log: Vec<(u64, String)>,
}

impl ByHand {
    fn fill(&mut self, id: u64, size: u64) {
        let group = self.groups.entry(id).or_default();
        for user in 0..size {
            group.members.insert(user);
            group.log.push((user, "hello".to_owned()));
            self.groups_of.entry(user).or_default().insert(id);
        }
    }

    /// The owner leaves. Returns the group, whose members must be told.
    fn dissolve(&mut self, id: u64) -> Option<Group> {
        let group = self.groups.remove(&id)?;
        for member in &group.members {
            if let Some(groups) = self.groups_of.get_mut(member) {
                groups.remove(&id);
            }
        }
        Some(group)
    }
}

fn dissolve_by_hand(size: u64) -> Duration {
    let mut by_hand = ByHand::default();
    by_hand.fill(GROUP.0, size);
    for other in 0..100 {
        by_hand.fill(other, 20);
        by_hand.dissolve(other);
    }

    let start = Instant::now();
    let dissolved = by_hand.dissolve(GROUP.0);
    let time = start.elapsed();
    assert!(dissolved.is_some_and(|group| group.members.len() == group.log.len()));
    time
}
