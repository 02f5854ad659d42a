//! Accepts connections, and answers the requests of clients and of other replicas.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use disband::wire::VersionedFrame;
use disband::{Timestamp, UserId};
use openraft::error::{CheckIsLeaderError, RaftError};
use openraft::{Raft, Snapshot};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::events::{EventSender, ShardEvent};
use crate::machine::Proposal;
use crate::network::Severed;
use crate::projection::SharedProjection;
use crate::propose::Proposer;
use crate::replica::Replica;
use crate::slots::{Shard, shard_of};
use crate::types::TypeConfig;
use crate::wire::{self, Call, Consistency, Digest, GroupState, Request, Response, ShardRequest};

/// How long a leader may take to confirm with a majority that it still leads, and how long a
/// subscriber may take to receive a signal.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait after a connection could not be accepted, for example because the process has
/// no free file descriptors.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// What is needed to answer requests.
pub(crate) struct Service {
    pub(crate) shards: Vec<LocalShard>,
    pub(crate) projection: SharedProjection,
    pub(crate) severed: Severed,
}

/// This process's replica of one shard.
pub(crate) struct LocalShard {
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) proposer: Proposer,
    pub(crate) replica: Replica,
}

/// Accepts connections until the task is stopped.
pub(crate) async fn listen(listener: TcpListener, service: Arc<Service>) {
    let mut serving = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                serving.spawn(serve(stream, Arc::clone(&service)));
            }
            Err(_) => sleep(RETRY_DELAY).await,
        }
        while serving.try_join_next().is_some() {}
    }
}

/// Answers the requests of one connection in order. Closes the connection after a refusal.
async fn serve(mut stream: TcpStream, service: Arc<Service>) -> io::Result<()> {
    while let Some(bytes) = wire::receive_bytes(&mut stream).await? {
        let response = match postcard::from_bytes(&bytes) {
            Ok(Request::Subscribe { shard, user }) => match service.shard(shard) {
                Ok(shard) => return send_signals(stream, shard.replica.events(), user).await,
                Err(why) => Response::Refused(why),
            },
            Ok(Request::IndexedGroups { user }) => match service.projection.groups_of(user) {
                Some(groups) => Response::Groups(groups),
                None => Response::Unknown("the index has not read all shards yet".into()),
            },
            Ok(Request::Peer { shard, from, call }) => {
                if service
                    .severed
                    .lock()
                    .expect("no code panics while it holds this lock")
                    .contains(&from)
                {
                    return Err(io::ErrorKind::HostUnreachable.into());
                }
                match service.shard(shard) {
                    Ok(shard) => shard.answer_peer(call, &mut stream).await?,
                    Err(why) => Response::Refused(why),
                }
            }
            Ok(Request::Shard(shard, request)) => match service.shard_for(shard, &request) {
                Ok(shard) => shard.answer(request).await,
                Err(why) => Response::Refused(why),
            },
            // A request that cannot be decoded never reaches the log.
            Err(error) => Response::Refused(error.to_string()),
        };
        wire::send(&mut stream, &response).await?;
        if let Response::Refused(_) = response {
            break;
        }
    }
    Ok(())
}

impl Service {
    fn shard(&self, shard: Shard) -> Result<&LocalShard, String> {
        let local = self.shards.get(usize::from(shard));
        local.ok_or_else(|| format!("there is no shard {shard}"))
    }

    /// The shard that a client's request names. Refuses a request about a group of another shard:
    /// that client is configured with another number of shards, and could create the group in both.
    fn shard_for(&self, shard: Shard, request: &ShardRequest) -> Result<&LocalShard, String> {
        let group = match request {
            ShardRequest::Do { command, .. } => command.group().copied(),
            ShardRequest::Read { group, .. } => Some(*group),
            _ => None,
        };
        let shards = self.shards.len() as Shard;
        match group.map(|group| (group, shard_of(group, shards))) {
            Some((group, home)) if home != shard => {
                Err(format!("group {group} is in shard {home}"))
            }
            _ => self.shard(shard),
        }
    }
}

impl LocalShard {
    /// Answers a Raft call of another replica.
    async fn answer_peer(&self, call: Call, stream: &mut TcpStream) -> io::Result<Response> {
        Ok(match call {
            Call::Append(rpc) => Response::Append(self.raft.append_entries(rpc).await),
            Call::Vote(rpc) => Response::Vote(self.raft.vote(rpc).await),
            Call::Snapshot { vote, meta, len } => {
                let file = File::from_std(self.replica.snapshots().incoming_file()?);
                let file = wire::receive_file(stream, len, file).await?.into_std().await;
                let snapshot = Snapshot { meta, snapshot: Box::new(file) };
                Response::Snapshot(self.raft.install_full_snapshot(vote, snapshot).await)
            }
        })
    }

    /// Answers a request of a client.
    async fn answer(&self, request: ShardRequest) -> Response {
        let LocalShard { raft, proposer, replica, .. } = self;
        match request {
            ShardRequest::Open => proposer.propose(Proposal::Open).await,
            ShardRequest::Do { session, serial, command } => {
                proposer.propose(Proposal::Do { at: now(), session, serial, command }).await
            }
            ShardRequest::Read { group, consistency } => {
                match ensure_fresh(raft, consistency).await {
                    Ok(()) => {
                        Response::Group(replica.machine().engine().group(&group).map(|group| {
                            GroupState {
                                version: group.version(),
                                owner: *group.owner(),
                                members: group.len() as u64,
                                next_seq: group.next_seq().0,
                            }
                        }))
                    }
                    Err(response) => response,
                }
            }
            ShardRequest::Groups { user } => match ensure_fresh(raft, Consistency::Linearizable)
                .await
            {
                Ok(()) => {
                    let machine = replica.machine();
                    Response::Groups(machine.engine().groups_of(&user).map(|(id, _)| *id).collect())
                }
                Err(response) => response,
            },
            ShardRequest::Snapshot => match raft.trigger().snapshot().await {
                Ok(()) => Response::SnapshotStarted,
                Err(error) => Response::Unknown(error.to_string()),
            },
            ShardRequest::Digest => {
                let replica = replica.clone();
                let digest = spawn_blocking(move || digest(&replica));
                digest
                    .await
                    .map_or_else(|error| Response::Unknown(error.to_string()), Response::Digest)
            }
        }
    }
}

/// Sends a user's signals to a subscriber until the connection or the replica ends. Also ends the
/// subscription if signals were lost: the subscriber was too slow, or the replica missed them
/// itself. The client must then subscribe again, read the state, and continue from its version.
async fn send_signals(mut stream: TcpStream, events: &EventSender, user: UserId) -> io::Result<()> {
    let mut events = events.subscribe();
    wire::send(&mut stream, &Response::Subscribed).await?;
    let (mut reading, mut writing) = stream.split();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            // A subscriber sends nothing, so a finished read means that the connection has ended.
            _ = reading.read_u8() => return Ok(()),
        };
        match event.as_deref() {
            Ok(ShardEvent::Signal(signal)) if signal.audience.contains(&user) => {
                let frame = VersionedFrame::from(signal);
                let text = serde_json::to_string(&frame).map_err(io::Error::other)?;
                let response = Response::Signal(text.into());
                timeout(TIMEOUT, wire::send(&mut writing, &response)).await??;
            }
            Ok(ShardEvent::Signal(_) | ShardEvent::GroupCreated(_)) => {}
            Ok(ShardEvent::Missed) | Err(_) => return Ok(()),
        }
    }
}

/// Makes sure that the next read of the machine is as fresh as required.
async fn ensure_fresh(raft: &Raft<TypeConfig>, consistency: Consistency) -> Result<(), Response> {
    if consistency == Consistency::Local {
        return Ok(());
    }
    match timeout(TIMEOUT, raft.ensure_linearizable()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to)))) => {
            Err(Response::NotLeader(to.leader_id))
        }
        Ok(Err(other)) => Err(Response::Unknown(other.to_string())),
        Err(elapsed) => Err(Response::Unknown(elapsed.to_string())),
    }
}

fn digest(replica: &Replica) -> Digest {
    let (machine, applied) = replica.machine_and_applied();
    let bytes = machine.to_bytes().expect("serialising to memory cannot fail");
    Digest {
        applied: applied.map(|applied| applied.index),
        machine: blake3::hash(&bytes).into(),
        violation: machine.engine().check().err().map(|violation| violation.to_string()),
    }
}

/// This process's clock. It may go back; the machine's time does not.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
