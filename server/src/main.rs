//! Run `cargo run --release -p disband-server`, then open the printed address in a browser.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use disband::Config;
use disband_server::real::{self, Real};
use disband_server::{Options, Server};
use tracing_subscriber::EnvFilter;

/// A chat-group server: HTTP for commands, WebSockets for signals, and a page to try it in.
///
/// There are no passwords: anyone can log in as any user. So it listens on loopback by default.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder to keep the data in. Without it, all data is lost when the process ends.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The engine's configuration, as JSON. Missing fields have their default values. It may be changed
    /// at each start.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take a snapshot after this many bytes of log.
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().snapshot_every)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_every: u64,
    /// No file holds an erased message or the history of a dissolved group for longer than this.
    #[arg(long, value_name = "SECONDS", default_value_t = Options::default().forget_after.as_secs())]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    forget_after: u64,
    /// Refuse commands while the disk has less free space than this.
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().min_free)]
    min_free: u64,
}

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,openraft=warn"));
    let colour = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour);
    log.with_writer(std::io::stderr).init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("disband-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = match &arguments.config {
        Some(path) => {
            let with_path = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
            let text = real::read_to_string(path).map_err(|error| with_path(&error))?;
            // Serde also reads an array as a struct.
            if !text.trim_start().starts_with('{') {
                return Err(with_path(&"not a JSON object").into());
            }
            serde_json::from_str(&text).map_err(|error| with_path(&error))?
        }
        None => Config::default(),
    };
    let options = Options {
        listen: arguments.listen,
        config,
        data: arguments.data,
        snapshot_every: arguments.snapshot_every,
        forget_after: Duration::from_secs(arguments.forget_after),
        min_free: arguments.min_free,
        ..Options::default()
    };
    real::run(|world: Real, stopped| async move {
        let server = Server::start(world, options).await?;
        println!("listening on http://{}", server.address());
        stopped.wait().await;
        server.stop().await;
        Ok(())
    })
}
