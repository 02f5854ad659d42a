//! A process that takes part: a replica of each shard, and a door to ask at.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use disband::Config;
use openraft::error::{Fatal, InitializeError, RaftError};
use openraft::{BasicNode, Raft, RaftMetrics, SnapshotPolicy};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use crate::abort;
use crate::disk;
use crate::door::{Door, Part, listen};
use crate::log::{Durability, Log};
use crate::machine::Machine;
use crate::network::{Network, Severed};
use crate::news::teller;
use crate::projection;
use crate::propose::Proposer;
use crate::replica::Replica;
use crate::slots::{Shard, shard_of};
use crate::wire::Connection;

type Failure = Box<dyn Error + Send + Sync>;

/// What is chosen at the start of a process.
#[derive(Debug, Clone)]
pub struct Options {
    /// This replica's number.
    pub id: u64,
    /// Where each replica listens, this one among them.
    pub replicas: BTreeMap<u64, String>,
    /// Where this one keeps what it has.
    pub folder: PathBuf,
    /// How many Raft groups there are: the same everywhere, and for good.
    pub shards: Shard,
    /// Whether a command waits for the disk.
    pub durability: Durability,
    /// The engines' configuration: part of the state, so the same everywhere. Each shard's engine has
    /// an instance number of its own, counted from this one. A message may be longer than 128 KiB here, but
    /// does not come in.
    pub config: Config,
    /// After so many entries a snapshot is taken, and of the log before it half as many stay. They are in
    /// memory too; one is up to 256 commands, or some 256 KiB.
    pub snapshot_every: u64,
}

/// A process that takes part.
pub struct Node {
    door: Arc<Door>,
    /// They end with this.
    tasks: JoinSet<()>,
}

/// One shard's state, as it was on disk.
struct Store {
    replica: Replica,
    log: Log,
}

impl Node {
    /// Starts it: with what is in its folder, or with nothing.
    ///
    /// # Errors
    /// It is not one of the replicas; its folder can't be read, or is of another number of shards; its
    /// address can't be listened on; or openraft can't start from what is there.
    pub async fn start(options: Options) -> Result<Node, Failure> {
        let address = options.replicas.get(&options.id).ok_or("it is not one of the replicas")?;
        let listener = TcpListener::bind(address).await?;
        let config = openraft::Config {
            cluster_name: "disband".into(),
            heartbeat_interval: 100,
            election_timeout_min: 300,
            election_timeout_max: 600,
            enable_elect: false,
            install_snapshot_timeout: 60_000,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
            max_in_snapshot_log_to_keep: options.snapshot_every / 2,
            ..openraft::Config::default()
        };
        let patience = Duration::from_millis(config.election_timeout_max);
        let config = Arc::new(config.validate()?);
        same_shards(&options)?;
        // All is read before any of it takes part.
        let mut stores = Vec::new();
        for shard in 0..options.shards {
            let options = options.clone();
            stores.push(spawn_blocking(move || Store::open(&options, shard)).await??);
        }
        let severed = Severed::default();
        let projection = projection::Shared::new(options.shards);
        let connections: BTreeMap<_, _> =
            options.replicas.iter().map(|(id, address)| (*id, Connection::new(address))).collect();
        let (mut parts, mut tasks) = (Vec::new(), JoinSet::new());
        for (shard, Store { replica, log }) in (0..).zip(stores) {
            // It hears all there is: as Raft starts, it carries out what was committed once more.
            let (projection, heard, look) =
                (projection.clone(), replica.news().subscribe(), replica.look());
            let mine = move |group| shard_of(group, options.shards) == shard;
            let hear = move || projection.hear(heard, look, mine);
            thread::Builder::new().name("projection".into()).spawn(|| abort::on_panic(hear))?;
            let connections = connections.clone();
            let severed = Arc::clone(&severed);
            let network = Network { from: options.id, shard, connections, severed };
            let config = Arc::clone(&config);
            let raft = Raft::new(options.id, config, network, log, replica.clone()).await?;
            tasks.spawn(watch_over(shard, raft.metrics()));
            parts.push(Part { proposer: Proposer::new(raft.clone()), raft, replica });
        }
        let rafts: Vec<_> = parts.iter().map(|part| part.raft.clone()).collect();
        let door = Arc::new(Door { parts, projection, severed });
        tasks.spawn(listen(listener, Arc::clone(&door)));
        tasks.spawn(async move {
            // Whoever leads may have been trying to reach this one while it was reading. To let them
            // is better than to stand against them.
            sleep(patience).await;
            rafts.iter().for_each(|raft| raft.runtime_config().elect(true));
        });
        Ok(Node { door, tasks })
    }

    /// Makes these replicas a cluster, unless they are one already. For one of them, once and for all:
    /// replicas that have lost what they had would make a cluster anew, without those who have it still.
    ///
    /// # Errors
    /// This is not one of them, or openraft has stopped.
    pub async fn found(&self, replicas: &BTreeMap<u64, String>) -> Result<(), Failure> {
        let members: BTreeMap<_, _> =
            replicas.iter().map(|(id, address)| (*id, BasicNode::new(address))).collect();
        for Part { raft, .. } in &self.door.parts {
            match raft.initialize(members.clone()).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// Who leads a shard, as far as this replica knows.
    pub async fn leader(&self, shard: Shard) -> Option<u64> {
        self.door.parts.get(usize::from(shard))?.raft.current_leader().await
    }

    /// From now on nothing passes between this replica and these, either way; none, and all is as
    /// before.
    pub fn sever(&self, from: impl IntoIterator<Item = u64>) {
        *self.door.severed.lock().expect("nothing under this lock panics") =
            from.into_iter().collect();
    }

    /// Stops taking part. What was answered is on disk.
    pub async fn stop(mut self) {
        for Part { raft, replica, .. } in &self.door.parts {
            let _ = raft.shutdown().await;
            let snapshots = replica.snapshots().clone();
            let _ = spawn_blocking(move || snapshots.close()).await;
        }
        self.tasks.shutdown().await;
    }
}

impl Store {
    fn open(options: &Options, shard: Shard) -> Result<Store, Failure> {
        let folder = options.folder.join(shard.to_string());
        fs::create_dir_all(&folder)?;
        let instance = options.config.instance.wrapping_add(shard.into());
        let machine = Machine::new(Config { instance, ..options.config });
        let replica = Replica::open(&folder, machine, teller())?;
        let kept = replica.snapshots().kept();
        let log = Log::open(options.id, &folder.join("log"), options.durability, kept)?;
        Ok(Store { replica, log })
    }
}

/// Groups would be looked for where they are not, were there more or fewer shards than there were.
fn same_shards(options: &Options) -> io::Result<()> {
    fs::create_dir_all(&options.folder)?;
    let path = options.folder.join("shards");
    match fs::read_to_string(&path) {
        Ok(text) if text == options.shards.to_string() => Ok(()),
        Ok(text) => {
            let folder = options.folder.display();
            Err(io::Error::other(format!("{folder}: the number of shards is {text}, for good")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let shards = options.shards.to_string();
            disk::replace(&options.folder, "shards", |file| file.write_all(shards.as_bytes()))
        }
        Err(error) => Err(error),
    }
}

/// openraft's end is the process's, unless it was asked for: the door would go on to tell what was once
/// true, and nobody would know.
async fn watch_over(shard: Shard, mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>) {
    let why = loop {
        if let Err(why) = &metrics.borrow_and_update().running_state {
            break why.clone();
        }
        if metrics.changed().await.is_err() {
            break Fatal::Panicked;
        }
    };
    if why != Fatal::Stopped {
        eprintln!("disband-cluster: shard {shard}: {why}");
        process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when its disk is full, or it panics.
    #[tokio::test]
    async fn the_end_of_openraft_ends_the_process() {
        if abort::here("node::tests::the_end_of_openraft_ends_the_process") {
            let (sender, metrics) = watch::channel(RaftMetrics::new_initial(1));
            drop(sender);
            watch_over(0, metrics).await;
        }
    }

    #[tokio::test]
    async fn an_end_that_was_asked_for_does_not() {
        let (sender, metrics) = watch::channel(RaftMetrics::new_initial(1));
        let watching = tokio::spawn(watch_over(0, metrics));
        sender.send_modify(|metrics| metrics.running_state = Err(Fatal::Stopped));
        watching.await.unwrap();
    }
}
