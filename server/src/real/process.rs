//! The process: its runtime, its signals and its limits.

use std::future::Future;
use std::io;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

use super::Real;

/// The content of a file that is not in a data folder.
///
/// # Errors
/// The file can't be read, or is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// Runs a program in the real world. It gets a future that ends at SIGTERM or SIGINT.
///
/// # Errors
/// The operating system gives no threads or signals, or the program returned an error.
pub fn run<F>(program: impl FnOnce(Real, Stop) -> F) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), Box<dyn std::error::Error>>>,
{
    // Each connection needs a file descriptor.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "could not raise the limit of open files");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let stop =
            Stop { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
        program(Real::new()?, stop).await
    });
    // Do not wait for tasks that are still running.
    runtime.shutdown_background();
    result
}

/// Tells when the process is asked to stop.
#[derive(Debug)]
pub struct Stop {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Stop {
    /// Returns at SIGTERM or SIGINT.
    pub async fn wait(mut self) {
        tokio::select! {
            biased;
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
