//! Compares disband with what people would use instead. Writes tables and charts.
//!
//! `cargo run --release -p disband-peers`. Set `REDIS_URL=redis://127.0.0.1` to measure Redis too.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use disband_peers::clock::Clock;
use disband_peers::commands::{self, SingleCommands};
use disband_peers::dissolution::{self, AllSizes};
use disband_peers::memory::{self, Case};
use disband_peers::mix::Service;
use disband_peers::report::{Memory, Report, Table};
use disband_peers::rows::{Measure, Part, Row};
use disband_peers::script::Scale;
use disband_peers::{Handwritten, Ours, Redis, RedisUnusable, Sqlite, charts, ratios};
use indicatif::{ProgressBar, ProgressStyle};

/// Compares disband with what people would use instead. Writes tables in Markdown, and charts. A
/// full run takes about twenty minutes and 6 GB of memory.
#[derive(Parser)]
struct Options {
    /// The folder for the tables and the charts.
    #[arg(long, default_value = "target/peers")]
    out: PathBuf,
    /// Does a hundredth of the work, to check that it runs. The figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// Measures only this part. Repeat the option for several.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Measures only these rows of the tables, separated by commas.
    #[arg(long, value_name = "ROWS", value_delimiter = ',')]
    peers: Vec<Row>,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Prints the bytes of memory for each membership or log entry of one case. Runs in a process
    /// of its own.
    #[command(hide = true)]
    Memory { row: Row, case: Case, size: u64 },
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(Task::Memory { row, case, size }) = options.task {
        let bytes =
            resident(row, case, size).ok_or("the operating system does not report its memory")?;
        println!("{bytes}");
        return Ok(());
    }
    let report = Run::new(&options).report()?;

    fs::create_dir_all(&options.out)?;
    if !report.dissolutions.is_empty() {
        charts::dissolution(&report, &options.out.join("dissolution.svg"))?;
    }
    if !report.mix.is_empty() {
        charts::latency(&report, &options.out.join("latency.svg"))?;
    }
    let tables = report.markdown();
    fs::write(options.out.join("results.md"), &tables)?;
    println!("{tables}");
    let ratios = ratios::markdown(&report);
    fs::write(options.out.join("ratios.md"), &ratios)?;
    eprintln!("{ratios}");
    eprintln!("The tables and the charts are in {}.", options.out.display());
    Ok(())
}

/// What a run measures.
struct Run {
    /// The parts to measure. If empty, all parts.
    only: Vec<Part>,
    rows: Vec<Row>,
    /// The address of Redis.
    redis: Option<String>,
    /// Members of the largest group.
    members: u64,
    scale: Scale,
    clock: Clock,
}

impl Run {
    fn new(options: &Options) -> Run {
        let redis = env::var("REDIS_URL").ok();
        let mut rows = options.peers.clone();
        if rows.is_empty() {
            rows = Row::value_variants().to_vec();
            if redis.is_none() {
                eprintln!("Redis is left out: REDIS_URL is not set.");
                rows.retain(|row| *row != Row::Redis);
            }
        }
        let shrink = if options.quick { 100 } else { 1 };
        let members = 1_000_000 / shrink;
        Run {
            only: options.only.clone(),
            rows,
            redis,
            members,
            scale: Scale {
                groups: 10_000 / shrink,
                largest: members,
                commands: 2_000_000 / shrink,
            },
            clock: Clock::calibrated(),
        }
    }

    /// The rows to measure in a part. Empty if this run does not measure the part.
    fn rows(&self, part: Part) -> Vec<Row> {
        if !self.only.is_empty() && !self.only.contains(&part) {
            return Vec::new();
        }
        part.rows().iter().copied().filter(|row| self.rows.contains(row)).collect()
    }

    fn measure<M: Measure>(
        &self,
        part: Part,
        what: &M,
    ) -> Result<Table<M::Figures>, RedisUnusable> {
        let figures = |row: Row| Ok((row, row.measure(what, self.redis.as_deref())?));
        self.rows(part).into_iter().map(figures).collect()
    }

    fn report(&self) -> Result<Report, Box<dyn Error>> {
        let &Run { members, scale, clock, .. } = self;
        let count = |part| self.rows(part).len() as u64;

        let bar = progress("dissolutions", dissolution::work(members) * count(Part::Dissolutions));
        let sizes = AllSizes { largest: members, clock, bar: &bar };
        let dissolutions = self.measure(Part::Dissolutions, &sizes)?;
        bar.finish_and_clear();

        let bar = progress("single commands", count(Part::Commands));
        let single = SingleCommands { members, times: members / 50, clock, bar: &bar };
        let commands = self.measure(Part::Commands, &single)?;
        let rows = self.rows(Part::Commands);
        let walk = rows.contains(&Row::Disband).then(|| commands::walk(members, 21, clock));
        let ping = match rows.contains(&Row::Redis) {
            true => Some(self.connect()?.ping(clock)),
            false => None,
        };
        bar.finish_and_clear();

        let bar = progress("the mix", scale.commands * count(Part::Mix));
        let mix = self.measure(Part::Mix, &Service { scale, clock, bar: &bar })?;
        bar.finish_and_clear();

        let memory = self.memory()?;
        Ok(Report { dissolutions, members, commands, walk, ping, scale, mix, memory })
    }

    fn memory(&self) -> Result<Table<Memory>, Box<dyn Error>> {
        let rows = self.rows(Part::Memory);
        let bar = progress("memory", (rows.len() * Case::ALL.len()) as u64);
        let mut table = Table::new();
        for row in rows {
            let mut bytes = Memory::new();
            for case in bar.wrap_iter(Case::ALL.into_iter()) {
                bytes.push(match row {
                    Row::Redis => Some(memory::counted(
                        &mut self.connect()?,
                        case,
                        self.members,
                        Redis::used_memory,
                    )),
                    _ => in_own_process(row, case, self.members)?,
                });
            }
            table.push((row, bytes));
        }
        bar.finish_and_clear();
        Ok(table)
    }

    fn connect(&self) -> Result<Redis, RedisUnusable> {
        Redis::connect(self.redis.as_deref())
    }
}

/// The bytes for each membership or log entry, measured in this process. `None` if the operating
/// system does not report the memory of a process, and for rows that are not measured this way.
fn resident(row: Row, case: Case, size: u64) -> Option<f64> {
    match row {
        Row::Disband => {
            let departures = if case == Case::Departed { 16 } else { 0 };
            memory::resident(&mut Ours::with_departures(departures), case, size)
        }
        Row::Handwritten => memory::resident(&mut Handwritten::default(), case, size),
        Row::Sqlite => memory::resident(&mut Sqlite::default(), case, size),
        _ => None,
    }
}

/// The same, measured in a new process. `None` if that process fails.
fn in_own_process(row: Row, case: Case, size: u64) -> Result<Option<f64>, Box<dyn Error>> {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_string()).unwrap_or_default()
    };
    let output = Command::new(env::current_exe()?)
        .arg("memory")
        .args([name(row.to_possible_value()), name(case.to_possible_value())])
        .arg(size.to_string())
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
