//! Measures disband beside what people would use instead, and draws it.
//!
//! `cargo run --release -p disband-peers`, with `REDIS_URL=redis://127.0.0.1` for Redis as well.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use disband_peers::clock::Clock;
use disband_peers::memory::{self, Case};
use disband_peers::report::{Memory, Report};
use disband_peers::script::Scale;
use disband_peers::{
    Handwritten, Ours, Peer, Redis, Shared, Sqlite, charts, commands, dissolution, mix,
};
use indicatif::{ProgressBar, ProgressStyle};

/// Measures disband beside what people would use instead: a table in Markdown, and charts. It
/// takes some ten minutes and 6 GB of memory.
#[derive(Parser)]
struct Options {
    /// Where the table and the charts go.
    #[arg(long, default_value = "target/peers")]
    out: PathBuf,
    /// A hundredth of it all: to see that it works, not how fast.
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Bytes of memory for each thing held, in a process that does nothing else.
    #[command(hide = true)]
    Memory { holder: Holder, case: Case, groups: u64 },
}

/// Who has its memory counted by the operating system.
#[derive(Clone, Copy, ValueEnum)]
enum Holder {
    Disband,
    Handwritten,
    Sqlite,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(Part::Memory { holder, case, groups }) = options.part {
        let bytes = hold(holder, case, groups).ok_or("this system does not count memory")?;
        println!("{bytes}");
        return Ok(());
    }
    let url = env::var("REDIS_URL").ok();
    if url.is_none() {
        eprintln!("Redis is left out: REDIS_URL does not say where there is one.");
    }
    let report = measure(options.quick, url.as_deref())?;

    fs::create_dir_all(&options.out)?;
    charts::dissolution(&report, &options.out.join("dissolution.svg"))?;
    charts::latency(&report, &options.out.join("latency.svg"))?;
    let table = report.markdown();
    fs::write(options.out.join("results.md"), &table)?;
    println!("{table}");
    eprintln!("The table and two charts are in {}.", options.out.display());
    Ok(())
}

fn measure(quick: bool, redis: Option<&str>) -> Result<Report, Box<dyn Error>> {
    let clock = Clock::calibrated();
    let connect = || redis.map(Redis::connect).transpose();
    let shrink = if quick { 100 } else { 1 };
    let members = 1_000_000 / shrink;
    let scale = Scale { groups: 10_000 / shrink, largest: members, commands: 2_000_000 / shrink };
    let peers = 3 + u64::from(redis.is_some());

    let bar = progress("dissolutions", dissolution::work(members) * (peers + 1));
    let mut dissolutions = vec![
        dissolution::measure(Ours::default(), members, clock, &bar),
        dissolution::measure(Shared::default(), members, clock, &bar),
        dissolution::measure(Handwritten::default(), members, clock, &bar),
        dissolution::measure(Sqlite::default(), members, clock, &bar),
    ];
    if let Some(redis) = connect()? {
        dissolutions.push(dissolution::measure(redis, members, clock, &bar));
    }
    bar.finish_and_clear();

    let bar = progress("single commands", peers + 1);
    let times = usize::try_from(members / 50)?;
    let mut commands = vec![
        commands::measure(Ours::default(), members, times, clock, &bar),
        commands::measure(Shared::default(), members, times, clock, &bar),
        commands::measure(Handwritten::default(), members, times, clock, &bar),
        commands::measure(Sqlite::default(), members, times, clock, &bar),
    ];
    if let Some(redis) = connect()? {
        commands.push(commands::measure(redis, members, times, clock, &bar));
    }
    let walk = commands::walk(members, 21, clock);
    bar.finish_and_clear();

    let bar = progress("the mix", scale.commands * peers);
    let mut mix = vec![
        mix::measure(Ours::default(), scale, clock, &bar),
        mix::measure(Handwritten::default(), scale, clock, &bar),
        mix::measure(Sqlite::default(), scale, clock, &bar),
    ];
    if let Some(redis) = connect()? {
        mix.push(mix::measure(redis, scale, clock, &bar));
    }
    bar.finish_and_clear();

    let bar = progress("memory", peers * Case::ALL.len() as u64);
    let mut memory = Vec::new();
    for (peer, holder) in [
        (Ours::NAME, Holder::Disband),
        (Handwritten::NAME, Holder::Handwritten),
        (Sqlite::NAME, Holder::Sqlite),
    ] {
        let mut bytes = Vec::new();
        for case in bar.wrap_iter(Case::ALL.into_iter()) {
            bytes.push((case, elsewhere(holder, case, members)?));
        }
        memory.push(Memory { peer, bytes });
    }
    if redis.is_some() {
        let mut bytes = Vec::new();
        for case in bar.wrap_iter(Case::ALL.into_iter()) {
            if let Some(mut redis) = connect()? {
                let each = memory::counted(&mut redis, case, members, Redis::used_memory);
                bytes.push((case, Some(each)));
            }
        }
        memory.push(Memory { peer: Redis::NAME, bytes });
    }
    bar.finish_and_clear();
    Ok(Report { dissolutions, members, commands, walk, scale, mix, memory })
}

fn hold(holder: Holder, case: Case, groups: u64) -> Option<f64> {
    match holder {
        Holder::Disband => {
            let departures = if case == Case::Departed { 16 } else { 0 };
            memory::resident(&mut Ours::with_departures(departures), case, groups)
        }
        Holder::Handwritten => memory::resident(&mut Handwritten::default(), case, groups),
        Holder::Sqlite => memory::resident(&mut Sqlite::default(), case, groups),
    }
}

/// The same in a process of its own; `None` where no system counts.
fn elsewhere(holder: Holder, case: Case, groups: u64) -> Result<Option<f64>, Box<dyn Error>> {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_string()).unwrap_or_default()
    };
    let output = Command::new(env::current_exe()?)
        .arg("memory")
        .args([name(holder.to_possible_value()), name(case.to_possible_value())])
        .arg(groups.to_string())
        .output()?;
    Ok(if output.status.success() {
        Some(String::from_utf8(output.stdout)?.trim().parse()?)
    } else {
        None
    })
}

fn progress(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:16} {wide_bar} {percent:>3} % {elapsed}");
    let bar = ProgressBar::new(length).with_message(what);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
