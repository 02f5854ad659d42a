//! The real world with a simulated disk.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use disband::Timestamp;
use disband_server::real::{Real, RealListener};
use disband_server::simulated::SimulatedDisk;
use disband_server::world::World;
use disband_server::{Options, Server, StartError};
use tokio::net::TcpStream;

/// The real world, but files are on a [`SimulatedDisk`].
#[derive(Clone)]
pub(crate) struct Simulated {
    real: Real,
    disk: SimulatedDisk,
}

impl World for Simulated {
    type Disk = SimulatedDisk;
    type Listener = RealListener;
    type Stream = TcpStream;

    fn wall(&self) -> Timestamp {
        self.real.wall()
    }

    fn random(&self) -> u64 {
        self.real.random()
    }

    fn memory(&self) -> u64 {
        self.real.memory()
    }

    async fn disk(&self, _: &Path) -> io::Result<SimulatedDisk> {
        Ok(self.disk.clone())
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<RealListener> {
        self.real.listen(address).await
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        self.real.connect(address).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.real.spawn(task);
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.real.blocking(work).await
    }

    fn free(&self, value: impl Send + 'static) {
        self.real.free(value);
    }
}

/// Starts a server on a simulated disk, with small segments and no minimum of free space.
pub(crate) async fn start(disk: &SimulatedDisk, options: Options) -> Result<Server, StartError> {
    start_with(disk, Options { min_free: 0, ..options }).await
}

/// Starts a server on a simulated disk, with small segments.
pub(crate) async fn start_with(
    disk: &SimulatedDisk,
    options: Options,
) -> Result<Server, StartError> {
    let world = Simulated { real: Real::new().unwrap(), disk: disk.clone() };
    let data = Some(PathBuf::from("simulated"));
    Server::start(world, Options { data, segment_bytes: 64 << 10, ..options }).await
}
