//! A process that takes part: a replica of each shard, and a socket to be reached at.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use disband::wire::VersionedFrame;
use disband::{Config, Timestamp, UserId};
use openraft::error::{CheckIsLeaderError, InitializeError, RaftError};
use openraft::{BasicNode, Raft, Snapshot, SnapshotPolicy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};

use crate::client::shard_of;
use crate::log::{Durability, Log};
use crate::machine::{Machine, Proposal};
use crate::network::{Network, Severed};
use crate::news::{News, Teller, teller};
use crate::projection;
use crate::propose::Proposer;
use crate::replica::Replica;
use crate::types::TypeConfig;
use crate::wire::{self, Ask, Call, Consistency, Digest, Request, Response, Seen, Shard};

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
    /// Ends with this.
    _listening: JoinSet<()>,
}

struct Shared {
    shards: Vec<Part>,
    projection: projection::Shared,
    severed: Severed,
}

/// This process's part in one shard.
struct Part {
    raft: Raft<TypeConfig>,
    proposer: Proposer,
    replica: Replica,
    news: Teller,
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
        let projection = projection::Shared::default();
        let mut shards = Vec::new();
        for shard in 0..options.shards {
            let folder = options.folder.join(shard.to_string());
            std::fs::create_dir_all(&folder)?;
            let instance = options.config.instance.wrapping_add(shard.into());
            let machine = Machine::new(Config { instance, ..options.config });
            let news = teller();
            let replica = Replica::open(&folder, machine, news.clone())?;
            let (projection, heard, look) = (projection.clone(), news.subscribe(), replica.look());
            let mine = move |group| shard_of(group, options.shards) == shard;
            thread::Builder::new()
                .name("projection".into())
                .spawn(move || projection.hear(heard, look, mine))?;
            let log = Log::open(&folder.join("log"), options.durability)?;
            let network = Network { from: options.id, shard, severed: Arc::clone(&severed) };
            let config = Arc::clone(&config);
            let raft = Raft::new(options.id, config, network, log, replica.clone()).await?;
            let proposer = Proposer::new(raft.clone());
            shards.push(Part { raft, proposer, replica, news });
        }
        let shared = Arc::new(Shared { shards, projection, severed });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, Arc::clone(&shared)));
        Ok(Node { shared, _listening: listening })
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
            Ok(Request::GroupsHeard { user }) => {
                Response::Groups(shared.projection.lock().groups_of(user))
            }
            Ok(Request::In(shard, ask)) => shared.answer(shard, ask).await,
            // At the door: it never comes near the log.
            Err(error) => Response::Refused(error.to_string()),
        };
        wire::send(&mut stream, &response).await?;
    }
    Ok(())
}

impl Shared {
    /// A user's signals, until one of the two goes, or there were some that can't be told: the user did
    /// not keep up, or the replica missed them itself. Then they come again, read the state, and go on
    /// from its version.
    async fn tell(&self, mut stream: TcpStream, shard: Shard, user: UserId) -> io::Result<()> {
        let Some(part) = self.shards.get(usize::from(shard)) else {
            return wire::send(
                &mut stream,
                &Response::Refused(format!("there is no shard {shard}")),
            )
            .await;
        };
        let mut news = part.news.subscribe();
        wire::send(&mut stream, &Response::Following).await?;
        while let Ok(news) = news.recv().await {
            match &*news {
                News::Signal(signal) if signal.audience.contains(&user) => {
                    let frame = VersionedFrame::from(signal);
                    let text = serde_json::to_string(&frame).map_err(io::Error::other)?;
                    wire::send(&mut stream, &Response::Signal(text.into())).await?;
                }
                News::Missed => break,
                News::Signal(_) | News::Founded { .. } => {}
            }
        }
        Ok(())
    }

    async fn answer(&self, shard: Shard, ask: Ask) -> Response {
        let Some(Part { raft, proposer, replica, .. }) = self.shards.get(usize::from(shard)) else {
            return Response::Refused(format!("there is no shard {shard}"));
        };
        match ask {
            Ask::Peer { from, call } => {
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
            Ask::Open => proposer.propose(Proposal::Open).await,
            Ask::Do { session, serial, command } => {
                proposer.propose(Proposal::Do { at: now(), session, serial, command }).await
            }
            Ask::Read { group, consistency } => match fresh(raft, consistency).await {
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
            Ask::Groups { user } => match fresh(raft, Consistency::Linearizable).await {
                Ok(()) => {
                    let machine = replica.machine();
                    Response::Groups(machine.engine().groups_of(&user).map(|(id, _)| *id).collect())
                }
                Err(response) => response,
            },
            Ask::Compact => match raft.trigger().snapshot().await {
                Ok(()) => Response::Compacting,
                Err(error) => Response::Unknown(error.to_string()),
            },
            Ask::Digest => {
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
