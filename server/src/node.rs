//! One node: openraft with its log, its machine and its snapshots.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use disband::{Config, Limits, SignalKey};
use openraft::error::{InitializeError, RaftError};
use openraft::{BasicNode, Raft, RaftMetrics, SnapshotPolicy};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::disk::{DataError, FOLDER};
use crate::dispatcher::Dispatcher;
use crate::identity::Identity;
use crate::log::{self, Log};
use crate::machine::{Change, Machine, MachineError};
use crate::options::{Options, Together};
use crate::outside::{Outside, Parts};
use crate::peers::{self, Network};
use crate::raft::{Encoded, Membership, SnapshotMeta, TypeConfig};
use crate::replica::Replica;
use crate::runtime::Random;
use crate::snapshots::Snapshots;
use crate::state::{Applied, State};
use crate::world::World;

/// What a membership takes at most, in bytes.
const BYTES_PER_MEMBERSHIP: u64 = 256;

/// Is told how long each write to the log took.
pub(crate) type SyncTime = Arc<dyn Fn(Duration) + Send + Sync>;

/// A running node.
pub(crate) struct Node<W: World> {
    pub(crate) world: W,
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) state: Arc<State>,
    pub(crate) log: Log,
    pub(crate) disk: Option<W::Disk>,
    pub(crate) outside: Arc<dyn Outside>,
    /// Snapshots to write to disk.
    pub(crate) built: mpsc::Receiver<(SnapshotMeta, Machine)>,
    /// Whether this node is the only voter.
    pub(crate) alone: bool,
}

/// Why a node can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file of the data folder can't be used.
    #[error("{folder}: {error}")]
    Data {
        /// Which folder.
        folder: PathBuf,
        /// Which file, and why.
        error: DataError,
    },
    /// The state in a snapshot is not valid, although the file is as it was written.
    #[error("{folder}: the snapshot is not valid: {error}")]
    Machine {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        error: MachineError,
    },
    /// The configuration belongs to another cluster.
    #[error("the configuration has instance number {asked}, and the data folder has {is}")]
    Instance {
        /// The instance number of the data folder.
        is: u64,
        /// The one in the configuration.
        asked: u64,
    },
    /// The data folder belongs to another node.
    #[error("the data folder belongs to node {is}, and this is node {asked}")]
    Node {
        /// The number in the data folder.
        is: u64,
        /// The number of this node.
        asked: u64,
    },
    /// Nodes that are founded together need a data folder, and the same instance number.
    #[error("nodes that are founded together need a data folder and an instance number")]
    Together,
    /// The node did not become ready.
    #[error("{0}")]
    Raft(String),
    /// An error from the operating system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl StartError {
    pub(crate) fn data(folder: Option<&Path>, error: DataError) -> StartError {
        StartError::Data { folder: folder.unwrap_or(Path::new("")).to_owned(), error }
    }
}

/// What a node has on disk.
struct Stored<W: World> {
    identity: Identity,
    applied: Applied,
    log: Log,
    disk: Option<W::Disk>,
    snapshots: Option<Snapshots<W::Disk>>,
}

impl<W: World> Node<W> {
    /// Starts a node. When this returns, a node that is alone leads and has applied its whole log.
    ///
    /// # Errors
    /// The data folder can't be used, or another node of [`Together`] has its address.
    pub(crate) async fn start(
        world: W,
        options: &Options,
        dispatcher: Dispatcher,
        sync_time: SyncTime,
    ) -> Result<Node<W>, StartError> {
        let random = Random::new(world.random());
        random.scope(Node::start_in_scope(world, options, dispatcher, sync_time)).await
    }

    async fn start_in_scope(
        world: W,
        options: &Options,
        dispatcher: Dispatcher,
        sync_time: SyncTime,
    ) -> Result<Node<W>, StartError> {
        let id = options.together.as_ref().map_or(1, |together| together.node);
        let stored = Stored::<W>::open(&world, options, id, sync_time).await?;
        let Stored { identity, applied, log, disk, snapshots } = stored;
        let outside: Arc<dyn Outside> = Arc::new(Parts { world: world.clone(), snapshots });
        let has_snapshot = applied.last.is_some();
        let state = Arc::new(State::new(applied, id, identity.starts));
        let (sender, built) = mpsc::channel(1);
        let replica = Replica {
            outside: Arc::clone(&outside),
            state: Arc::clone(&state),
            dispatcher,
            built: sender,
            has_snapshot,
        };
        let network = Network { outside: Arc::clone(&outside), cluster: identity.cluster };
        let raft = start_raft(id, network, log.clone(), replica).await?;
        let members = match &options.together {
            None => BTreeMap::from([(id, BasicNode::new(""))]),
            Some(Together { nodes, listen, .. }) => {
                let listener = world.listen(*listen).await?;
                let listen = peers::listen(world.clone(), listener, raft.clone(), identity.cluster);
                world.spawn(listen);
                nodes.iter().map(|(id, address)| (*id, BasicNode::new(address))).collect()
            }
        };
        let alone = join(id, &raft, members).await?;
        if options.together.is_none() && !alone {
            let why = "the data folder belongs to a cluster of several nodes";
            return Err(StartError::Raft(why.into()));
        }
        Ok(Node { world, raft, state, log, disk, outside, built, alone })
    }

    /// Gives the engine this configuration, now or, if another node leads, whenever this one leads.
    ///
    /// # Errors
    /// The log can't be written.
    pub(crate) async fn keep_configured(&self, config: Config) -> Result<(), StartError> {
        let configure = Configure {
            raft: self.raft.clone(),
            state: Arc::clone(&self.state),
            config: with_totals(config, self.world.memory()),
        };
        if self.alone {
            return configure.now().await;
        }
        self.world.spawn(configure.whenever_leading());
        Ok(())
    }
}

fn raft_error(error: impl Display) -> StartError {
    StartError::Raft(error.to_string())
}

/// Starts openraft. Elections are off until [`join`].
async fn start_raft(
    id: u64,
    network: Network,
    log: Log,
    replica: Replica,
) -> Result<Raft<TypeConfig>, StartError> {
    let config = openraft::Config {
        cluster_name: format!("{:016x}", network.cluster),
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
        enable_elect: false,
        install_snapshot_timeout: 60_000,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        ..openraft::Config::default()
    };
    let config = Arc::new(config.validate().map_err(raft_error)?);
    Raft::new(id, config, network, log, replica).await.map_err(raft_error)
}

/// Founds the cluster of these members if it is new, and takes part in it. Returns whether the node is
/// the only voter: then it leads, and has applied its whole log.
async fn join(
    id: u64,
    raft: &Raft<TypeConfig>,
    members: BTreeMap<u64, BasicNode>,
) -> Result<bool, StartError> {
    if !raft.is_initialized().await.map_err(raft_error)? {
        match raft.initialize(members).await {
            // Another node that was founded together with this one may have been faster.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(raft_error(error)),
        }
    }
    let voters = raft.with_raft_state(|state| {
        state.membership_state.effective().voter_ids().collect::<Vec<_>>()
    });
    let alone = voters.await.map_err(raft_error)? == [id];
    if alone {
        raft.trigger().elect().await.map_err(raft_error)?;
        let ready = raft.wait(None).metrics(is_ready, "the only voter leads").await;
        ready.map_err(raft_error)?;
    } else {
        raft.runtime_config().elect(true);
    }
    Ok(alone)
}

/// Gives the engine its configuration, through the log.
struct Configure {
    raft: Raft<TypeConfig>,
    state: Arc<State>,
    config: Config,
}

impl Configure {
    /// Replaces the configuration if it is another one.
    async fn now(&self) -> Result<(), StartError> {
        let present = self.state.with(|machine| *machine.engine().config());
        let config = Config { instance: present.instance, ..self.config };
        if config == present {
            return Ok(());
        }
        info!("the engine gets another configuration");
        let change = Change::Configure(Box::new(config)).encode();
        let written = self.raft.client_write(Encoded(change.into())).await;
        written.map(|_| ()).map_err(raft_error)
    }

    async fn whenever_leading(self) {
        let mut metrics = self.raft.metrics();
        let mut term = 0;
        loop {
            let leads = {
                let metrics = metrics.borrow_and_update();
                is_ready(&metrics).then_some(metrics.current_term)
            };
            if let Some(leads) = leads.filter(|leads| *leads > term) {
                term = leads;
                if let Err(error) = self.now().await {
                    warn!(%error, "the engine keeps its configuration");
                }
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether a node leads, and has applied an entry of its own term. Then it has applied everything that
/// was answered before.
pub(crate) fn is_ready(metrics: &RaftMetrics<u64, BasicNode>) -> bool {
    let applied = metrics.last_applied.map(|last| last.leader_id.term);
    metrics.state.is_leader() && applied == Some(metrics.current_term)
}

/// Bounds the memory of the engine, unless the configuration does. Messages may take a quarter of the
/// memory, and memberships another quarter.
fn with_totals(config: Config, memory: u64) -> Config {
    let Limits { message_bytes_total, memberships_total, .. } = config.limits;
    let limits = Limits {
        message_bytes_total: Some(message_bytes_total.unwrap_or(memory / 4)),
        memberships_total: Some(memberships_total.unwrap_or(memory / 4 / BYTES_PER_MEMBERSHIP)),
        ..config.limits
    };
    Config { limits, ..config }
}

impl<W: World> Stored<W> {
    async fn open(
        world: &W,
        options: &Options,
        node: u64,
        sync_time: SyncTime,
    ) -> Result<Stored<W>, StartError> {
        let asked = options.config.instance;
        let cluster = if asked == 0 { world.random().max(1) } else { asked };
        let empty = |cluster| Applied {
            machine: Machine::new(cluster),
            last: None,
            membership: Membership::default(),
            last_signal: SignalKey(0),
        };
        if options.together.is_some() && (options.data.is_none() || asked == 0) {
            return Err(StartError::Together);
        }
        let Some(folder) = &options.data else {
            let identity = Identity::in_memory(cluster, node);
            let (applied, log) = (empty(cluster), Log::memory(world));
            return Ok(Stored { identity, applied, log, disk: None, snapshots: None });
        };
        let in_folder = |error| StartError::Data { folder: folder.clone(), error };
        let disk = world.disk(folder).await.map_err(DataError::io(FOLDER)).map_err(in_folder)?;
        let mut identity = Identity::open(&disk, cluster, node).await.map_err(in_folder)?;
        if identity.node != node {
            return Err(StartError::Node { is: identity.node, asked: node });
        }
        if asked != 0 && asked != identity.cluster {
            return Err(StartError::Instance { is: identity.cluster, asked });
        }
        let opened = Snapshots::open(disk.clone(), &identity).await;
        let (snapshots, newest) = opened.map_err(in_folder)?;
        let applied = match newest {
            None => empty(identity.cluster),
            Some((meta, bytes)) => {
                let machine = world.blocking(move || Machine::from_bytes(&bytes)).await;
                let in_folder = |error| StartError::Machine { folder: folder.clone(), error };
                Applied::from_snapshot(&meta, machine.map_err(in_folder)?)
            }
        };
        let log = log::Options { segment_bytes: options.segment_bytes, written: sync_time };
        let log = Log::open(world, disk.clone(), &mut identity, log, snapshots.saved()).await;
        let log = log.map_err(in_folder)?;
        Ok(Stored { identity, applied, log, disk: Some(disk), snapshots: Some(snapshots) })
    }
}
