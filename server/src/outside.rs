//! What openraft's parts use of the world, as an object.
//!
//! openraft is generic over its parts. If these were generic over the world, all of openraft would be
//! compiled again for each world.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::machine::Machine;
use crate::raft::SnapshotMeta;
use crate::snapshots::Snapshots;
use crate::world::World;

/// A future in a box.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

/// A part of the outside world.
pub(crate) trait Outside: Send + Sync {
    /// Connects to another node.
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, io::Result<Box<dyn Stream>>>;

    /// The bytes of a machine.
    fn encode(&self, machine: Machine) -> Boxed<'_, Vec<u8>>;

    /// Writes a snapshot to disk, if there is one.
    fn save<'a>(&'a self, meta: &'a SnapshotMeta, machine: Machine) -> Boxed<'a, io::Result<()>>;

    /// Drops a value later.
    fn free(&self, value: Box<dyn Send>);
}

/// The parts of a world that make it [`Outside`].
pub(crate) struct Parts<W: World> {
    pub(crate) world: W,
    /// `None` without a disk.
    pub(crate) snapshots: Option<Snapshots<W::Disk>>,
}

impl<W: World> Outside for Parts<W> {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async {
            let stream: Box<dyn Stream> = Box::new(self.world.connect(address).await?);
            Ok(stream)
        })
    }

    fn encode(&self, machine: Machine) -> Boxed<'_, Vec<u8>> {
        Box::pin(self.world.blocking(move || machine.to_bytes()))
    }

    fn save<'a>(&'a self, meta: &'a SnapshotMeta, machine: Machine) -> Boxed<'a, io::Result<()>> {
        Box::pin(async move {
            let Some(snapshots) = &self.snapshots else { return Ok(()) };
            let bytes = self.encode(machine).await;
            snapshots.save(meta, &bytes).await
        })
    }

    fn free(&self, value: Box<dyn Send>) {
        self.world.free(value);
    }
}
