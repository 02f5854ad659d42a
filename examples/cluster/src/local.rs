//! Replicas on this machine, each a process of its own, to be killed and started again.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::client::Client;
use crate::slots::Shard;

/// Three replicas in three processes.
pub struct Local {
    binary: PathBuf,
    folder: TempDir,
    replicas: BTreeMap<u64, String>,
    shards: Shard,
    more: Vec<String>,
    running: BTreeMap<u64, Child>,
}

impl Local {
    /// Starts three processes of this binary, with so many shards and these options besides, and makes
    /// them a cluster. What they keep is gone with this.
    ///
    /// # Errors
    /// A process can't be started.
    pub fn start(binary: PathBuf, shards: Shard, more: &[&str]) -> io::Result<Local> {
        let folder = tempfile::tempdir()?;
        let replicas = addresses(3)?;
        let more = more.iter().map(ToString::to_string).collect();
        let mut local = Local { binary, folder, replicas, shards, more, running: BTreeMap::new() };
        for id in 1..=3 {
            // One of them makes it a cluster, once.
            local.spawn(id, if id == 1 { &["--found"] } else { &[] })?;
        }
        Ok(local)
    }

    /// Where the replicas listen.
    #[must_use]
    pub fn replicas(&self) -> &BTreeMap<u64, String> {
        &self.replicas
    }

    /// One who sends commands to them.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.replicas, self.shards)
    }

    /// Starts a replica with what it has on disk, having killed it if it was not.
    ///
    /// # Errors
    /// The process can't be started.
    pub fn restart(&mut self, id: u64) -> io::Result<()> {
        self.kill(id)?;
        self.spawn(id, &[])
    }

    fn spawn(&mut self, id: u64, more: &[&str]) -> io::Result<()> {
        let replicas: Vec<_> =
            self.replicas.iter().map(|(id, address)| format!("{id}={address}")).collect();
        let mut command = Command::new(&self.binary);
        command
            .args(["replica", "--id", &id.to_string(), "--replicas", &replicas.join(",")])
            .args(["--shards", &self.shards.to_string(), "--folder"])
            .arg(self.folder.path().join(id.to_string()))
            .args(&self.more)
            .args(more)
            .stdin(Stdio::null());
        self.running.insert(id, command.spawn()?);
        Ok(())
    }

    /// `kill -9`. Nothing is said goodbye to.
    ///
    /// # Errors
    /// The process is gone already, or can't be killed.
    pub fn kill(&mut self, id: u64) -> io::Result<()> {
        let Some(mut child) = self.running.remove(&id) else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

/// Addresses on loopback that nobody listens on, for replicas numbered from 1.
///
/// They are below the ports that the system gives to outgoing connections: one of those might take a
/// replica's while it is away.
///
/// # Errors
/// There are not so many.
pub fn addresses(count: u64) -> io::Result<BTreeMap<u64, String>> {
    /// Where to look next. A port that was given is not held until its replica listens, so it is not given
    /// again.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (low, many) = (20_000, 12_000);
    // Held until all are known, so that they differ.
    let mut held = Vec::new();
    for _ in 0..many {
        if held.len() as u64 == count {
            break;
        }
        let nth = process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(low + nth % many).unwrap_or(u16::MAX);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    if (held.len() as u64) < count {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let address = |listener: &TcpListener| io::Result::Ok(listener.local_addr()?.to_string());
    (1..).zip(&held).map(|(id, listener)| Ok((id, address(listener)?))).collect()
}

impl Drop for Local {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
