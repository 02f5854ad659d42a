//! A process that takes part: a replica of each shard, and a socket to be reached at.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use disband::wire::VersionedFrame;
use disband::{Config, GroupId, Signal, Timestamp, UserId};
use openraft::error::{CheckIsLeaderError, ClientWriteError, InitializeError, RaftError};
use openraft::{BasicNode, Raft, Snapshot, SnapshotPolicy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::{AbortHandle, spawn_blocking};

use crate::log::{Durability, Log};
use crate::machine::{Machine, Proposal};
use crate::network::{Network, Severed};
use crate::replica::Replica;
use crate::types::TypeConfig;
use crate::wire::{self, Call, Consistency, Digest, Request, Response, Seen, Shard};

/// How many signals a follower may be behind.
const BACKLOG: usize = 4096;

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
    /// an instance number of its own, counted from this one.
    pub config: Config,
    /// After so many entries a snapshot is taken, and the log before it goes.
    pub snapshot_every: u64,
}

/// A process that takes part.
pub struct Node {
    shared: Arc<Shared>,
    listening: AbortHandle,
}

struct Shared {
    shards: Vec<Part>,
    severed: Severed,
}

/// This process's part in one shard.
struct Part {
    raft: Raft<TypeConfig>,
    replica: Replica,
    signals: broadcast::Sender<Arc<Signal<UserId, GroupId>>>,
}

impl Node {
    /// Starts it: with what is in its folder, or with nothing.
    ///
    /// # Errors
    /// The folder can't be read, or the address can't be listened on.
    pub async fn start(options: Options) -> Result<Node, Box<dyn Error + Send + Sync>> {
        let address = options.replicas.get(&options.id).ok_or("it is not one of the replicas")?;
        let listener = TcpListener::bind(address).await?;
        let config = openraft::Config {
            cluster_name: "disband".into(),
            heartbeat_interval: 100,
            election_timeout_min: 300,
            election_timeout_max: 600,
            install_snapshot_timeout: 60_000,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
            max_in_snapshot_log_to_keep: options.snapshot_every / 2,
            ..openraft::Config::default()
        };
        let config = Arc::new(config.validate()?);
        let severed = Severed::default();
        let mut shards = Vec::new();
        for shard in 0..options.shards {
            let folder = options.folder.join(shard.to_string());
            std::fs::create_dir_all(&folder)?;
            let instance = options.config.instance.wrapping_add(shard.into());
            let machine = Machine::new(Config { instance, ..options.config });
            let signals = broadcast::Sender::new(BACKLOG);
            let replica = Replica::open(&folder, machine, signals.clone())?;
            let log = Log::open(&folder.join("log"), options.durability)?;
            let network = Network { from: options.id, shard, severed: Arc::clone(&severed) };
            let config = Arc::clone(&config);
            let raft = Raft::new(options.id, config, network, log, replica.clone()).await?;
            shards.push(Part { raft, replica, signals });
        }
        let shared = Arc::new(Shared { shards, severed });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared))).abort_handle();
        Ok(Node { shared, listening })
    }

    /// Makes these replicas a cluster, unless they are one already. Each of them may say so, if all
    /// name the same replicas.
    ///
    /// # Errors
    /// openraft has stopped.
    pub async fn found(
        &self,
        replicas: &BTreeMap<u64, String>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let members: BTreeMap<_, _> =
            replicas.iter().map(|(id, address)| (*id, BasicNode::new(address))).collect();
        for Part { raft, .. } in &self.shared.shards {
            match raft.initialize(members.clone()).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// Who leads a shard, as far as this replica knows.
    pub async fn leader(&self, shard: Shard) -> Option<u64> {
        self.shared.shards.get(usize::from(shard))?.raft.current_leader().await
    }

    /// From now on nothing passes between this replica and these, either way; none, and all is as
    /// before.
    pub fn sever(&self, from: impl IntoIterator<Item = u64>) {
        *self.shared.severed.lock().expect("nothing under this lock panics") =
            from.into_iter().collect();
    }

    /// Stops taking part. What was answered is on disk.
    pub async fn stop(self) {
        self.listening.abort();
        for Part { raft, .. } in &self.shared.shards {
            let _ = raft.shutdown().await;
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut serving = tokio::task::JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            serving.spawn(serve(stream, Arc::clone(&shared)));
        }
        while serving.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    while let Some(bytes) = wire::receive_bytes(&mut stream).await? {
        let response = match postcard::from_bytes(&bytes) {
            Ok(Request::Follow { shard, user }) => return shared.tell(stream, shard, user).await,
            Ok(request) => shared.answer(request).await,
            // At the door: it never comes near the log.
            Err(error) => Response::Refused(error.to_string()),
        };
        wire::send(&mut stream, &response).await?;
    }
    Ok(())
}

impl Shared {
    /// A user's signals, until one of the two goes, or the user can't keep up: then they come again,
    /// read the state, and go on from its version.
    async fn tell(&self, mut stream: TcpStream, shard: Shard, user: UserId) -> io::Result<()> {
        let Some(part) = self.shards.get(usize::from(shard)) else {
            return wire::send(
                &mut stream,
                &Response::Refused(format!("there is no shard {shard}")),
            )
            .await;
        };
        let mut signals = part.signals.subscribe();
        wire::send(&mut stream, &Response::Following).await?;
        while let Ok(signal) = signals.recv().await {
            if signal.audience.contains(&user) {
                let frame = VersionedFrame::from(&*signal);
                let text = serde_json::to_string(&frame).map_err(io::Error::other)?;
                wire::send(&mut stream, &Response::Signal(text.into())).await?;
            }
        }
        Ok(())
    }

    async fn answer(&self, request: Request) -> Response {
        let shard = match &request {
            Request::Peer { shard, .. }
            | Request::Open { shard }
            | Request::Do { shard, .. }
            | Request::Read { shard, .. }
            | Request::Groups { shard, .. }
            | Request::Follow { shard, .. }
            | Request::Digest { shard }
            | Request::Compact { shard } => *shard,
        };
        let Some(Part { raft, replica, .. }) = self.shards.get(usize::from(shard)) else {
            return Response::Refused(format!("there is no shard {shard}"));
        };
        match request {
            Request::Peer { from, call, .. } => {
                if self.severed.lock().expect("nothing under this lock panics").contains(&from) {
                    return Response::Refused("severed".into());
                }
                match call {
                    Call::Append(rpc) => Response::Append(raft.append_entries(rpc).await),
                    Call::Vote(rpc) => Response::Vote(raft.vote(rpc).await),
                    Call::Snapshot { vote, meta, bytes } => {
                        let snapshot = Snapshot { meta, snapshot: Box::new(bytes) };
                        Response::Snapshot(raft.install_full_snapshot(vote, snapshot).await)
                    }
                }
            }
            Request::Open { .. } => propose(raft, Proposal::Open).await,
            Request::Do { session, serial, command, .. } => {
                propose(raft, Proposal::Do { at: now(), session, serial, command }).await
            }
            Request::Read { group, consistency, .. } => match fresh(raft, consistency).await {
                Ok(()) => {
                    Response::Seen(replica.machine().engine().group(&group).map(|group| Seen {
                        version: group.version(),
                        owner: *group.owner(),
                        members: group.len() as u64,
                        next_seq: group.next_seq().0,
                    }))
                }
                Err(response) => response,
            },
            Request::Groups { user, consistency, .. } => match fresh(raft, consistency).await {
                Ok(()) => {
                    let machine = replica.machine();
                    Response::Groups(machine.engine().groups_of(&user).map(|(id, _)| *id).collect())
                }
                Err(response) => response,
            },
            Request::Follow { .. } => Response::Refused("a connection of its own".into()),
            Request::Compact { .. } => match raft.trigger().snapshot().await {
                Ok(()) => Response::Compacting,
                Err(error) => Response::Unknown(error.to_string()),
            },
            Request::Digest { .. } => {
                let replica = replica.clone();
                let digest = spawn_blocking(move || digest(&replica));
                digest
                    .await
                    .map_or_else(|error| Response::Unknown(error.to_string()), Response::Digest)
            }
        }
    }
}

/// Makes sure that what is read next is as fresh as was asked for.
async fn fresh(raft: &Raft<TypeConfig>, consistency: Consistency) -> Result<(), Response> {
    if consistency == Consistency::Local {
        return Ok(());
    }
    match raft.ensure_linearizable().await {
        Ok(_) => Ok(()),
        Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
            Err(Response::Elsewhere(to.leader_id))
        }
        Err(other) => Err(Response::Unknown(other.to_string())),
    }
}

async fn propose(raft: &Raft<TypeConfig>, proposal: Proposal) -> Response {
    match raft.client_write(proposal).await {
        Ok(written) => Response::Answer(written.data),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
            Response::Elsewhere(to.leader_id)
        }
        Err(error) => Response::Unknown(error.to_string()),
    }
}

fn digest(replica: &Replica) -> Digest {
    let (machine, applied) = replica.at();
    let bytes = machine.to_bytes().expect("memory takes whatever is written");
    Digest {
        applied: applied.map(|applied| applied.index),
        machine: blake3::hash(&bytes).into(),
        violation: machine.engine().check().err().map(|violation| violation.to_string()),
    }
}

/// The proposer's clock. The machine sees to it that it never goes back.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
