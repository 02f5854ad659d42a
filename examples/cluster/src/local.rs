//! A cluster on this machine. Each replica is a process that can be killed and started again.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::client::Client;
use crate::slots::Shard;

/// A cluster of three replicas in three processes.
pub struct Local {
    binary: PathBuf,
    folder: TempDir,
    replicas: BTreeMap<u64, String>,
    shards: Shard,
    extra_args: Vec<String>,
    running: BTreeMap<u64, Child>,
}

impl Local {
    /// Starts three processes of `binary`, and makes them a cluster with this many shards. Each
    /// process also gets `extra_args`. Dropping the result kills the processes and deletes their
    /// data.
    ///
    /// # Errors
    /// A process cannot be started, or there are not enough free ports.
    pub fn start(binary: PathBuf, shards: Shard, extra_args: &[&str]) -> io::Result<Local> {
        let folder = tempfile::tempdir()?;
        let replicas = addresses(3)?;
        let extra_args = extra_args.iter().map(ToString::to_string).collect();
        let mut local =
            Local { binary, folder, replicas, shards, extra_args, running: BTreeMap::new() };
        for id in 1..=3 {
            // One replica makes the cluster, and only once.
            local.spawn(id, if id == 1 { &["--found"] } else { &[] })?;
        }
        Ok(local)
    }

    /// The addresses of the replicas.
    #[must_use]
    pub fn replicas(&self) -> &BTreeMap<u64, String> {
        &self.replicas
    }

    /// A new client of this cluster.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.replicas, self.shards)
    }

    /// Starts a replica with its data on disk. Kills it first if it is running.
    ///
    /// # Errors
    /// The old process cannot be killed, or the new one cannot be started.
    pub fn restart(&mut self, id: u64) -> io::Result<()> {
        self.kill(id)?;
        self.spawn(id, &[])
    }

    fn spawn(&mut self, id: u64, extra_args: &[&str]) -> io::Result<()> {
        let replicas: Vec<_> =
            self.replicas.iter().map(|(id, address)| format!("{id}={address}")).collect();
        let mut command = Command::new(&self.binary);
        command
            .args(["replica", "--id", &id.to_string(), "--replicas", &replicas.join(",")])
            .args(["--shards", &self.shards.to_string(), "--folder"])
            .arg(self.folder.path().join(id.to_string()))
            .args(&self.extra_args)
            .args(extra_args)
            .stdin(Stdio::null());
        self.running.insert(id, command.spawn()?);
        Ok(())
    }

    /// Kills a replica with `kill -9`, and waits until the process has ended. Does nothing if the
    /// replica is not running.
    ///
    /// # Errors
    /// The process cannot be killed.
    pub fn kill(&mut self, id: u64) -> io::Result<()> {
        let Some(mut child) = self.running.remove(&id) else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

/// Returns `count` free addresses on loopback, for replicas numbered from 1.
///
/// Their ports are below those that the system gives to outgoing connections. Otherwise an outgoing
/// connection could take the port of a replica that is not running.
///
/// # Errors
/// There are not enough free ports.
pub fn addresses(count: u64) -> io::Result<BTreeMap<u64, String>> {
    /// The next port to try. A returned port stays free until its replica listens, so it must not
    /// be returned a second time.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (first, ports) = (20_000, 12_000);
    // The listeners stay open until all ports are found, so that all ports differ.
    let mut listeners = Vec::new();
    for _ in 0..ports {
        if listeners.len() as u64 == count {
            break;
        }
        let nth = process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(first + nth % ports).unwrap_or(u16::MAX);
        listeners.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    if (listeners.len() as u64) < count {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let address = |listener: &TcpListener| io::Result::Ok(listener.local_addr()?.to_string());
    (1..).zip(&listeners).map(|(id, listener)| Ok((id, address(listener)?))).collect()
}

impl Drop for Local {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
