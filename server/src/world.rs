//! Everything that a node uses of the outside world.
//!
//! All of it goes through these traits, so that a simulation can replace it. [`real`](crate::real) is
//! the only module that implements them with the operating system. Timers are tokio's, which a
//! simulation controls as well.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use disband::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::disk::Disk;

/// The outside world of one node.
pub trait World: Clone + Send + Sync + 'static {
    /// A data folder.
    type Disk: Disk;
    /// What accepts connections.
    type Listener: Listener<Stream = Self::Stream>;
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static;

    /// Milliseconds since 1970 by the wall clock. It may be set back.
    fn wall(&self) -> Timestamp;

    /// A random number.
    fn random(&self) -> u64;

    /// How many bytes of memory the machine has.
    fn memory(&self) -> u64;

    /// Opens a data folder, and creates it if there is none. It is locked until all clones of the disk
    /// are dropped.
    fn disk(&self, folder: &Path) -> impl Future<Output = io::Result<Self::Disk>> + Send;

    /// Listens for connections.
    fn listen(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to another node.
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Runs a task beside the others.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Runs work that takes long without a wait in it, where it delays no task.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Drops a value later, where it delays no task: a dissolved group of a million takes a while.
    fn free(&self, value: impl Send + 'static);
}

/// Accepts connections.
pub trait Listener: Send + 'static {
    /// A connection.
    type Stream;

    /// The address that it listens on.
    ///
    /// # Errors
    /// The operating system does not know it.
    fn address(&self) -> io::Result<SocketAddr>;

    /// The next connection, and where it comes from.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}
