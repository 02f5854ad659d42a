//! Where a process is asked: by clients, and by the other replicas.

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

use crate::machine::Proposal;
use crate::network::Severed;
use crate::news::{News, Teller};
use crate::projection;
use crate::propose::Proposer;
use crate::replica::Replica;
use crate::slots::{Shard, shard_of};
use crate::types::TypeConfig;
use crate::wire::{self, Ask, Call, Consistency, Digest, Request, Response, Seen};

/// How long a leader may look for a majority that says it leads, and a follower may take to read.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait when no connection can be taken: for want of file descriptors, say.
const PAUSE: Duration = Duration::from_millis(50);

/// All that can be asked.
pub(crate) struct Door {
    pub(crate) parts: Vec<Part>,
    pub(crate) projection: projection::Shared,
    pub(crate) severed: Severed,
}

/// This process's part in one shard.
pub(crate) struct Part {
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) proposer: Proposer,
    pub(crate) replica: Replica,
}

pub(crate) async fn listen(listener: TcpListener, door: Arc<Door>) {
    let mut serving = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                serving.spawn(serve(stream, Arc::clone(&door)));
            }
            Err(_) => sleep(PAUSE).await,
        }
        while serving.try_join_next().is_some() {}
    }
}

/// Answers one question after another, until one is refused.
async fn serve(mut stream: TcpStream, door: Arc<Door>) -> io::Result<()> {
    while let Some(bytes) = wire::receive_bytes(&mut stream).await? {
        let response = match postcard::from_bytes(&bytes) {
            Ok(Request::Follow { shard, user }) => match door.part(shard) {
                Ok(part) => return tell(stream, part.replica.news(), user).await,
                Err(why) => Response::Refused(why),
            },
            Ok(Request::GroupsHeard { user }) => match door.projection.groups_of(user) {
                Some(groups) => Response::Groups(groups),
                None => Response::Unknown("not all of it has been heard yet".into()),
            },
            Ok(Request::Peer { shard, from, call }) => {
                if door.severed.lock().expect("nothing under this lock panics").contains(&from) {
                    return Err(io::ErrorKind::HostUnreachable.into());
                }
                match door.part(shard) {
                    Ok(part) => part.take(call, &mut stream).await?,
                    Err(why) => Response::Refused(why),
                }
            }
            Ok(Request::In(shard, ask)) => match door.part_for(shard, &ask) {
                Ok(part) => part.answer(ask).await,
                Err(why) => Response::Refused(why),
            },
            // It never comes near the log.
            Err(error) => Response::Refused(error.to_string()),
        };
        wire::send(&mut stream, &response).await?;
        if let Response::Refused(_) = response {
            break;
        }
    }
    Ok(())
}

impl Door {
    fn part(&self, shard: Shard) -> Result<&Part, String> {
        let part = self.parts.get(usize::from(shard));
        part.ok_or_else(|| format!("there is no shard {shard}"))
    }

    /// The shard's part, unless what is asked is of a group that lives in another: whoever asks counts
    /// other shards than we do, and the group would be in both.
    fn part_for(&self, shard: Shard, ask: &Ask) -> Result<&Part, String> {
        let group = match ask {
            Ask::Do { command, .. } => command.group().copied(),
            Ask::Read { group, .. } => Some(*group),
            _ => None,
        };
        let shards = self.parts.len() as Shard;
        match group.map(|group| (group, shard_of(group, shards))) {
            Some((group, home)) if home != shard => {
                Err(format!("group {group} is in shard {home}"))
            }
            _ => self.part(shard),
        }
    }
}

impl Part {
    /// What another replica asks.
    async fn take(&self, call: Call, stream: &mut TcpStream) -> io::Result<Response> {
        Ok(match call {
            Call::Append(rpc) => Response::Append(self.raft.append_entries(rpc).await),
            Call::Vote(rpc) => Response::Vote(self.raft.vote(rpc).await),
            Call::Snapshot { vote, meta, len } => {
                let file = File::from_std(self.replica.snapshots().arriving()?);
                let file = wire::receive_file(stream, len, file).await?.into_std().await;
                let snapshot = Snapshot { meta, snapshot: Box::new(file) };
                Response::Snapshot(self.raft.install_full_snapshot(vote, snapshot).await)
            }
        })
    }

    async fn answer(&self, ask: Ask) -> Response {
        let Part { raft, proposer, replica, .. } = self;
        match ask {
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

/// A user's signals, until one of the two goes, or there were some that can't be told: the user did not
/// keep up, or the replica missed them itself. Then they follow again, read the state, and go on from its
/// version.
async fn tell(mut stream: TcpStream, news: &Teller, user: UserId) -> io::Result<()> {
    let mut news = news.subscribe();
    wire::send(&mut stream, &Response::Following).await?;
    let (mut reading, mut writing) = stream.split();
    loop {
        let news = tokio::select! {
            news = news.recv() => news,
            // They have nothing to say: it is their end.
            _ = reading.read_u8() => return Ok(()),
        };
        match news.as_deref() {
            Ok(News::Signal(signal)) if signal.audience.contains(&user) => {
                let frame = VersionedFrame::from(signal);
                let text = serde_json::to_string(&frame).map_err(io::Error::other)?;
                let told = Response::Signal(text.into());
                timeout(PATIENCE, wire::send(&mut writing, &told)).await??;
            }
            Ok(News::Signal(_) | News::Founded(_)) => {}
            Ok(News::Missed) | Err(_) => return Ok(()),
        }
    }
}

/// Makes sure that what is read next is as fresh as was asked for.
async fn fresh(raft: &Raft<TypeConfig>, consistency: Consistency) -> Result<(), Response> {
    if consistency == Consistency::Local {
        return Ok(());
    }
    match timeout(PATIENCE, raft.ensure_linearizable()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to)))) => {
            Err(Response::Elsewhere(to.leader_id))
        }
        Ok(Err(other)) => Err(Response::Unknown(other.to_string())),
        Err(late) => Err(Response::Unknown(late.to_string())),
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
