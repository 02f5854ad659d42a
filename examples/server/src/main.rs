//! Run `cargo run --release -p disband-server-example`, then open the printed address in a browser.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use disband::Config;
use disband_server_example::{Options, Server};
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;
use tracing_subscriber::EnvFilter;

/// A chat-group server: HTTP for commands, WebSockets for signals, and a page to try it in.
///
/// There are no passwords: anyone can log in as any user. So it listens on loopback by default.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder to keep commands in. Without it, all data is lost when the process ends.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The engine's configuration, as JSON. Missing fields have their default values.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take a snapshot after this many bytes of commands.
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().snapshot_every)]
    snapshot_every: u64,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("disband-server-example: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = match &arguments.config {
        Some(path) => {
            let with_path = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
            let text = fs::read_to_string(path).map_err(|error| with_path(&error))?;
            serde_json::from_str(&text).map_err(|error| with_path(&error))?
        }
        None => Config::default(),
    };
    let options = Options {
        listen: arguments.listen,
        config,
        data: arguments.data,
        snapshot_every: arguments.snapshot_every,
        ..Options::default()
    };
    // Each connection needs a file descriptor.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "could not raise the limit of open files");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let (mut term, mut int) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let server = Server::start(options).await?;
        println!("listening on http://{}", server.address());
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        server.stop().await;
        Ok(())
    });
    // Do not wait for tasks that are still running.
    runtime.shutdown_background();
    result
}
