//! What goes over the wires between replicas, and between clients and replicas: a length of four bytes,
//! and then postcard. A snapshot, which may be long, comes after the frame that announces it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use openraft::error::{Fatal, RaftError};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_buf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::machine::{Answer, SessionId};
use crate::slots::Shard;
use crate::types::{SnapshotMeta, TypeConfig, Vote};

/// How many bytes of entries go to another replica in one call: all of it comes over, and is on disk there,
/// within a heartbeat, or has to be sent again.
pub(crate) const CALL: usize = 256 << 10;

/// The longest frame; far more than entries, or an answer, should ever be.
const LONGEST: u32 = 16 << 20;

/// How much of a snapshot is in memory on its way.
const BUFFER: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Something of one shard.
    In(Shard, Ask),
    /// From another replica of a shard.
    Peer { shard: Shard, from: u64, call: Call },
    /// From now on, a user's signals as this replica has them: the connection is for nothing else then.
    Follow { shard: Shard, user: UserId },
    /// The groups that a user is in, of all shards, as far as this process has heard.
    GroupsHeard { user: UserId },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Begin a session.
    Open,
    /// Carry out a command.
    Do { session: SessionId, serial: u64, command: Command<UserId, GroupId> },
    /// What is known of a group.
    Read { group: GroupId, consistency: Consistency },
    /// The groups that a user is in, linearisable.
    Groups { user: UserId },
    /// How far a replica is, and what it holds.
    Digest,
    /// Take a snapshot, now and not when the log is long enough.
    Compact,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    /// Its bytes, so many, come after the frame.
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
        len: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Append(Result<AppendEntriesResponse<u64>, RaftError<u64>>),
    Vote(Result<VoteResponse<u64>, RaftError<u64>>),
    Snapshot(Result<SnapshotResponse<u64>, Fatal<u64>>),
    Answer(Answer),
    Seen(Option<Seen>),
    Groups(Vec<GroupId>),
    Following,
    Compacting,
    /// A signal, as the wire has it, with its version.
    Signal(Arc<str>),
    Digest(Digest),
    /// Not here; perhaps there.
    Elsewhere(Option<u64>),
    /// Whether it was done is not known.
    Unknown(String),
    /// It will not be done. What came does not decode, or is too long, or belongs to another shard.
    Refused(String),
}

/// How fresh a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Consistency {
    /// It sees every command that was answered before it was asked. The leader alone can say so.
    Linearizable,
    /// As this replica knows it: it may be late, and may not even know that it is.
    Local,
}

/// A group as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The version of its last signal: those after it are to be followed.
    pub version: u64,
    /// Who owns it.
    pub owner: UserId,
    /// How many members it has.
    pub members: u64,
    /// The number of its next message.
    pub next_seq: u64,
}

/// What a replica holds, in short: replicas that have applied the same have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The index of the last entry that it applied.
    pub applied: Option<u64>,
    /// A hash of its machine's bytes.
    pub machine: [u8; 32],
    /// What is wrong with its engine; nothing, or there is a bug.
    pub violation: Option<String>,
}

pub(crate) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: &impl Serialize,
) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    postcard::to_io(frame, &mut bytes).map_err(io::Error::other)?;
    let len = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    stream.write_all(&bytes).await
}

/// The next frame's bytes; `None` at the end of the stream.
pub(crate) async fn receive_bytes(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    match stream.read_exact(&mut len).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let len = u32::from_le_bytes(len);
    if len > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that is too long"));
    }
    // The length is not believed: the memory comes with the bytes.
    let mut bytes = Vec::new();
    stream.take(len.into()).read_to_end(&mut bytes).await?;
    if bytes.len() < len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(bytes))
}

pub(crate) async fn receive<T: DeserializeOwned>(stream: &mut TcpStream) -> io::Result<Option<T>> {
    let Some(bytes) = receive_bytes(stream).await? else { return Ok(None) };
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    postcard::from_bytes(&bytes).map(Some).map_err(invalid)
}

/// Sends a file from its beginning to its end.
async fn send_file(stream: &mut TcpStream, file: File) -> io::Result<()> {
    copy_buf(&mut BufReader::with_capacity(BUFFER, file), stream).await?;
    Ok(())
}

/// Receives so many bytes into a file.
pub(crate) async fn receive_file(
    stream: &mut TcpStream,
    len: u64,
    mut file: File,
) -> io::Result<File> {
    let mut bytes = BufReader::with_capacity(BUFFER, stream.take(len));
    if copy_buf(&mut bytes, &mut file).await? < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.flush().await?;
    Ok(file)
}

/// The way to a replica: connections that are made when they are needed, and kept while they are sound.
/// All clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    address: Arc<str>,
    idle: Arc<Mutex<Vec<TcpStream>>>,
}

impl Connection {
    pub(crate) fn new(address: &str) -> Self {
        Connection { address: address.into(), idle: Arc::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.idle.lock().expect("nothing under this lock panics")
    }

    /// Asks, and waits for the answer for so long.
    ///
    /// What was sent may be sent twice: a connection that was idle may have died, and nothing says
    /// whether what went into it came out.
    pub(crate) async fn ask(&self, request: &Request, patience: Duration) -> io::Result<Response> {
        let asked = async {
            // Taken out: one that is given up on halfway must not be used again.
            let kept = self.idle().pop();
            if let Some(stream) = kept {
                if let Ok(done) = exchange(stream, request).await {
                    return Ok(done);
                }
                // The others are as old, and as dead.
                self.idle().clear();
            }
            self.open(request).await
        };
        match timeout(patience, asked).await {
            Ok(Ok((stream, response))) => {
                // Whoever refuses hangs up.
                if !matches!(response, Response::Refused(_)) {
                    self.idle().push(stream);
                }
                Ok(response)
            }
            Ok(Err(error)) => Err(error),
            Err(late) => {
                // To a machine that is gone, all of them are, and none would say so.
                self.idle().clear();
                Err(late.into())
            }
        }
    }

    /// Asks on a connection of its own.
    pub(crate) async fn open(&self, request: &Request) -> io::Result<(TcpStream, Response)> {
        exchange(self.connect().await?, request).await
    }

    /// Asks, and sends a file with it.
    pub(crate) async fn ask_with(
        &self,
        request: &Request,
        file: File,
        patience: Duration,
    ) -> io::Result<Response> {
        let asked = async {
            let mut stream = self.connect().await?;
            send(&mut stream, request).await?;
            send_file(&mut stream, file).await?;
            answer(stream).await
        };
        let (_, response) =
            timeout(patience, asked).await.unwrap_or_else(|late| Err(late.into()))?;
        Ok(response)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&*self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

async fn exchange(mut stream: TcpStream, request: &Request) -> io::Result<(TcpStream, Response)> {
    send(&mut stream, request).await?;
    answer(stream).await
}

async fn answer(mut stream: TcpStream) -> io::Result<(TcpStream, Response)> {
    let response = receive(&mut stream).await?;
    Ok((stream, response.ok_or(io::ErrorKind::UnexpectedEof)?))
}
