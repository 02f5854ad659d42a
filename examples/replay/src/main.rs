//! Runs a history of commands through the engine.
//!
//! An input line `{"at":…,"command":{…}}` is a command. For each command the program writes one
//! line: the reply and the signals in their wire form, and the recipients of each signal. An input
//! line `{"at":…,"config":{…}}` changes the configuration. Its answer is `{"config":"set"}`, or
//! `{"error":"…"}` if the configuration cannot be set.
//!
//! `cargo run --release -p disband-replay -- --quiet history.jsonl.gz`
//!
//! A history can be run in parts: `--snapshot-out` writes the engine to a file at the end of a
//! part, and with `--snapshot-in` the next part starts from this file.

#![allow(clippy::disallowed_methods, reason = "the host reads the clock")]

mod snapshot;
mod summary;

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use clap::Parser;
use disband::{
    Command, CommandResult, Config, Engine, GroupId, Quotas, Reply, Timestamp, UserId, wire,
};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use snapshot::SnapshotFile;
use summary::Summary;

/// Runs a history of commands through the engine.
#[derive(Parser)]
struct Options {
    /// The file with the commands, `{"at":…,"command":{…}}`, and changes of the configuration,
    /// `{"at":…,"config":{…}}`, one a line. A file that ends in `.gz` is unpacked. If left out, or
    /// `-`, standard input is read.
    history: Option<PathBuf>,
    /// The engine's configuration, as JSON. Fields that it leaves out have their defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Refuse no command as too fast, even if a configuration sets rate limits.
    #[arg(long)]
    no_limits: bool,
    /// Start with the engine and the configuration in this snapshot. The file name ends in `.json`
    /// or `.postcard`, which selects the format.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "no_limits"])]
    snapshot_in: Option<SnapshotFile>,
    /// Write a snapshot of the engine after the last command. It is only written if every line was
    /// valid. An existing file is replaced in one step.
    #[arg(long, value_name = "FILE")]
    snapshot_out: Option<SnapshotFile>,
    /// Write a summary at the end, instead of a line for each command.
    #[arg(long)]
    quiet: bool,
}

impl Options {
    /// `config`, without rate limits if the options say so.
    fn limited(&self, config: Config) -> Config {
        let quotas = if self.no_limits { Quotas::UNLIMITED } else { config.quotas };
        Config { quotas, ..config }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: Timestamp,
    command: Option<Command<UserId, GroupId>>,
    config: Option<Box<Config>>,
}

/// What a line asks for.
enum Step {
    Command(Command<UserId, GroupId>, Timestamp),
    Config(Box<Config>),
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let Line { at, command, config } =
            serde_json::from_str(line).map_err(|error| error.to_string())?;
        match (command, config) {
            (Some(command), None) => Ok(Step::Command(command, at)),
            (None, Some(config)) => Ok(Step::Config(config)),
            (None, None) => Err("missing field `command`, or `config`".into()),
            (Some(_), Some(_)) => Err("both `command` and `config`".into()),
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    reply: wire::Reply<'a, UserId>,
    signals: Vec<Delivery<'a>>,
}

/// The answer to a change of the configuration.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ConfigAnswer {
    Config(&'static str),
    Error(String),
}

#[derive(Serialize)]
struct Delivery<'a> {
    frame: wire::Frame<'a, UserId, GroupId>,
    to: Vec<UserId>,
}

/// Why a run stopped, and with which exit status.
enum Stop {
    /// Status 2: the input is invalid or cannot be read.
    Input(String),
    /// Status 1: the output cannot be written.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Input(cause) => f.write_str(cause),
            Stop::Io(error) => error.fmt(f),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has closed it. This is an error only if the run was to write a
        // snapshot.
        Err(Stop::Io(error))
            if error.kind() == io::ErrorKind::BrokenPipe && options.snapshot_out.is_none() =>
        {
            ExitCode::SUCCESS
        }
        Err(stop) => {
            eprintln!("replay: {stop}");
            ExitCode::from(if matches!(stop, Stop::Input(_)) { 2 } else { 1 })
        }
    }
}

fn run(options: &Options) -> Result<(), Stop> {
    let mut engine = match &options.snapshot_in {
        Some(file) => file.read().map_err(Stop::Input)?,
        None => Engine::new(configuration(options)?),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut summary = Summary::default();
    let start = Instant::now();

    for (number, line) in (1..).zip(open(options.history.as_deref())?.lines()) {
        let parsed = line.map_err(|error| error.to_string()).and_then(|line| line.parse());
        match parsed {
            Ok(Step::Command(command, at)) => {
                let result = engine.apply(command, at);
                summary.count(&result);
                if !options.quiet {
                    write_line(&mut out, &answer(&result, at))?;
                }
            }
            Ok(Step::Config(config)) => {
                let set = engine.set_config(options.limited(*config));
                summary.count_config(&set);
                if !options.quiet {
                    let set = set.map(|_| ConfigAnswer::Config("set"));
                    write_line(
                        &mut out,
                        &set.unwrap_or_else(|error| ConfigAnswer::Error(error.to_string())),
                    )?;
                }
            }
            Err(cause) => {
                // The lines before have been answered: write these answers.
                out.flush()?;
                return Err(Stop::Input(format!("line {number}: {cause}")));
            }
        }
    }
    if let Some(file) = &options.snapshot_out {
        file.write(&engine)?;
    }
    if options.quiet {
        summary.write(&engine, start.elapsed(), &mut out)?;
    }
    out.flush()?;
    Ok(())
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)
}

fn answer(
    result: &CommandResult<Reply<UserId, GroupId>, UserId, GroupId>,
    now: Timestamp,
) -> Answer<'_> {
    let signals = result.iter().flat_map(|outcome| &outcome.signals);
    Answer {
        reply: wire::reply(result, now),
        signals: signals
            .map(|signal| Delivery {
                frame: signal.into(),
                to: signal.audience.iter().copied().collect(),
            })
            .collect(),
    }
}

fn configuration(options: &Options) -> Result<Config, Stop> {
    let config = match &options.config {
        None => Config::default(),
        Some(path) => {
            let named = |cause: &dyn Display| Stop::Input(format!("{}: {cause}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
            serde_json::from_str(&text).map_err(|error| named(&error))?
        }
    };
    Ok(options.limited(config))
}

fn open(history: Option<&Path>) -> Result<Box<dyn BufRead>, Stop> {
    let Some(path) = history.filter(|path| *path != Path::new("-")) else {
        return Ok(Box::new(io::stdin().lock()));
    };
    let file =
        File::open(path).map_err(|error| Stop::Input(format!("{}: {error}", path.display())))?;
    let packed = path.extension().is_some_and(|ending| ending == "gz");
    let reader: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(reader)))
}
