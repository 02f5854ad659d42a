//! One process of the cluster: a replica of each shard, and a listener for requests.

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
use crate::events::event_sender;
use crate::listener::{LocalShard, Service, listen};
use crate::log::{Durability, Log};
use crate::machine::Machine;
use crate::network::{Network, Severed};
use crate::projection::SharedProjection;
use crate::propose::Proposer;
use crate::replica::Replica;
use crate::slots::{Shard, shard_of};
use crate::wire::Connection;

type Failure = Box<dyn Error + Send + Sync>;

/// The options of a process.
#[derive(Debug, Clone)]
pub struct Options {
    /// This replica's number.
    pub id: u64,
    /// The address of each replica, this one included.
    pub replicas: BTreeMap<u64, String>,
    /// The folder for this replica's data.
    pub folder: PathBuf,
    /// The number of shards (Raft groups). It must be the same in all processes, and cannot change.
    pub shards: Shard,
    /// Whether a command is answered only after it is synced to disk.
    pub durability: Durability,
    /// The engines' configuration. It is part of the replicated state, so it must be the same in
    /// all processes. Each shard's engine gets its own instance number, counted from the one given
    /// here. Messages are limited to about 128 KiB, even if this configuration allows longer ones.
    pub config: Config,
    /// Take a snapshot after this many entries. Half as many entries before the snapshot stay in
    /// the log. All entries in the log are in memory too. One entry has up to 256 commands, or
    /// about 256 KiB.
    pub snapshot_every: u64,
}

/// A running process of the cluster.
pub struct Node {
    service: Arc<Service>,
    /// Dropping this stops the tasks.
    tasks: JoinSet<()>,
}

/// One shard's state, as it was read from disk.
struct Store {
    replica: Replica,
    log: Log,
}

impl Node {
    /// Starts the process with the data in its folder, or with empty shards if there is none.
    ///
    /// # Errors
    /// `options.replicas` does not contain this replica; its folder cannot be read, or belongs to
    /// another number of shards; it cannot listen on its address; or openraft cannot start from the
    /// data.
    pub async fn start(options: Options) -> Result<Node, Failure> {
        let address = options
            .replicas
            .get(&options.id)
            .ok_or("this replica is not in the list of replicas")?;
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
        let election_delay = Duration::from_millis(config.election_timeout_max);
        let config = Arc::new(config.validate()?);
        check_shard_count(&options)?;
        // Read all shards before any of them takes part in Raft.
        let mut stores = Vec::new();
        for shard in 0..options.shards {
            let options = options.clone();
            stores.push(spawn_blocking(move || Store::open(&options, shard)).await??);
        }
        let severed = Severed::default();
        let projection = SharedProjection::new(options.shards);
        let connections: BTreeMap<_, _> =
            options.replicas.iter().map(|(id, address)| (*id, Connection::new(address))).collect();
        let (mut shards, mut tasks) = (Vec::new(), JoinSet::new());
        for (shard, Store { replica, log }) in (0..).zip(stores) {
            // Subscribe before Raft starts: at its start, Raft applies the committed entries again,
            // and the projection must get their events too.
            let (projection, events, read_machine) =
                (projection.clone(), replica.events().subscribe(), replica.machine_reader());
            let is_ours = move |group| shard_of(group, options.shards) == shard;
            let run = move || projection.run(events, read_machine, is_ours);
            thread::Builder::new().name("projection".into()).spawn(|| abort::on_panic(run))?;
            let connections = connections.clone();
            let severed = Arc::clone(&severed);
            let network = Network { from: options.id, shard, connections, severed };
            let config = Arc::clone(&config);
            let raft = Raft::new(options.id, config, network, log, replica.clone()).await?;
            tasks.spawn(watch_raft(shard, raft.metrics()));
            shards.push(LocalShard { proposer: Proposer::new(raft.clone()), raft, replica });
        }
        let rafts: Vec<_> = shards.iter().map(|shard| shard.raft.clone()).collect();
        let service = Arc::new(Service { shards, projection, severed });
        tasks.spawn(listen(listener, Arc::clone(&service)));
        tasks.spawn(async move {
            // Elections are disabled at first. There may be a leader that could not reach this
            // replica while it read its data. Give it time to do so, instead of starting an
            // election against it.
            sleep(election_delay).await;
            rafts.iter().for_each(|raft| raft.runtime_config().elect(true));
        });
        Ok(Node { service, tasks })
    }

    /// Makes these replicas a cluster. Does nothing if this replica already belongs to one. Call it
    /// on one replica, when the cluster starts for the first time, and never again. Otherwise
    /// replicas that lost their data would form a new, empty cluster, without the replicas that
    /// still have the data.
    ///
    /// # Errors
    /// `replicas` does not contain this replica, or openraft has stopped.
    pub async fn initialize(&self, replicas: &BTreeMap<u64, String>) -> Result<(), Failure> {
        let members: BTreeMap<_, _> =
            replicas.iter().map(|(id, address)| (*id, BasicNode::new(address))).collect();
        for LocalShard { raft, .. } in &self.service.shards {
            match raft.initialize(members.clone()).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// The leader of a shard, as far as this replica knows.
    pub async fn leader(&self, shard: Shard) -> Option<u64> {
        self.service.shards.get(usize::from(shard))?.raft.current_leader().await
    }

    /// Blocks Raft calls between this replica and the given ones, in both directions. Replaces the
    /// list of the previous call, so an empty list blocks nothing.
    pub fn sever(&self, others: impl IntoIterator<Item = u64>) {
        *self.service.severed.lock().expect("no code panics while it holds this lock") =
            others.into_iter().collect();
    }

    /// Stops the process's replicas. With [`Durability::Synced`], the log on disk has every command
    /// that this process answered.
    pub async fn stop(mut self) {
        for LocalShard { raft, replica, .. } in &self.service.shards {
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
        let replica = Replica::open(&folder, machine, event_sender())?;
        let saved = replica.snapshots().saved();
        let log = Log::open(options.id, &folder.join("log"), options.durability, saved)?;
        Ok(Store { replica, log })
    }
}

/// Refuses to start if the folder belongs to another number of shards: groups would be looked for
/// in the wrong shards.
fn check_shard_count(options: &Options) -> io::Result<()> {
    fs::create_dir_all(&options.folder)?;
    let path = options.folder.join("shards");
    match fs::read_to_string(&path) {
        Ok(text) if text == options.shards.to_string() => Ok(()),
        Ok(text) => {
            let folder = options.folder.display();
            Err(io::Error::other(format!(
                "{folder}: the number of shards is {text} and cannot change"
            )))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let shards = options.shards.to_string();
            disk::replace(&options.folder, "shards", |file| file.write_all(shards.as_bytes()))
        }
        Err(error) => Err(error),
    }
}

/// Aborts the process if openraft stops by itself. Otherwise the process would continue to serve
/// outdated state, and nobody would notice.
async fn watch_raft(shard: Shard, mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>) {
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

    /// openraft stops by itself if its disk is full, or if it panics.
    #[tokio::test]
    async fn the_process_aborts_if_openraft_stops_by_itself() {
        if abort::in_child("node::tests::the_process_aborts_if_openraft_stops_by_itself") {
            let (sender, metrics) = watch::channel(RaftMetrics::new_initial(1));
            drop(sender);
            watch_raft(0, metrics).await;
        }
    }

    #[tokio::test]
    async fn the_process_continues_after_a_requested_stop() {
        let (sender, metrics) = watch::channel(RaftMetrics::new_initial(1));
        let watching = tokio::spawn(watch_raft(0, metrics));
        sender.send_modify(|metrics| metrics.running_state = Err(Fatal::Stopped));
        watching.await.unwrap();
    }
}
