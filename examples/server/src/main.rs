//! `cargo run --release -p disband-server`, and open the address that it prints.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use disband::Config;
use disband_server::{Options, Server};
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;
use tracing_subscriber::EnvFilter;

/// A chat-group server: HTTP for commands, WebSockets for signals, and a page to try it in.
///
/// It knows no passwords: whoever asks to be somebody, is. So it listens on loopback.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where commands are kept, so that they outlive the process. Without it, in memory alone.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The engine's configuration, as JSON; what it leaves out is the default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How many bytes of commands are kept before a snapshot is taken.
    #[arg(long, value_name = "BYTES", default_value_t = Options::default().snapshot_every)]
    snapshot_every: u64,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
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
            let named = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
            let text = fs::read_to_string(path).map_err(|error| named(&error))?;
            serde_json::from_str(&text).map_err(|error| named(&error))?
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
    // Each client holds a file open.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "the limit of open files stays as it is");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
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
    // What has not ended by now is not waited for.
    runtime.shutdown_background();
    ended
}
