//! The protocol between replicas, and between clients and replicas. A frame is a length of four
//! bytes, little-endian, and then a message in postcard. A snapshot follows as raw bytes after its
//! frame, because it may be longer than a frame.

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

/// How many bytes of entries go to another replica in one call. The call must arrive and be on disk
/// there within one heartbeat interval; otherwise openraft sends it again.
pub(crate) const MAX_CALL: usize = 256 << 10;

/// The longest frame that is accepted: far more than any call or answer needs.
const MAX_FRAME: u32 = 16 << 20;

/// How much of a snapshot is in memory at once while it is sent or received.
const BUFFER: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// From a client, for one shard.
    Shard(Shard, ShardRequest),
    /// From another replica of the shard.
    Peer { shard: Shard, from: u64, call: Call },
    /// Send a user's signals in this shard from now on. The connection is then used for nothing
    /// else.
    Subscribe { shard: Shard, user: UserId },
    /// List the groups that a user is in, in all shards, from this process's index. It may be late.
    IndexedGroups { user: UserId },
}

/// What a client requests from a shard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ShardRequest {
    /// Begin a session.
    Open,
    /// Carry out a command.
    Do { session: SessionId, serial: u64, command: Command<UserId, GroupId> },
    /// Read a group.
    Read { group: GroupId, consistency: Consistency },
    /// List the groups of this shard that a user is in: a linearisable read.
    Groups { user: UserId },
    /// Say which entry this replica applied last, and hash its state.
    Digest,
    /// Take a snapshot now, without waiting until the log is long enough.
    Snapshot,
}

/// A Raft call between two replicas of a shard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    /// The snapshot's `len` bytes follow after this frame.
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
    Group(Option<GroupState>),
    Groups(Vec<GroupId>),
    Subscribed,
    SnapshotStarted,
    /// A signal with its group's version, as JSON in the form of [`disband::wire`].
    Signal(Arc<str>),
    Digest(Digest),
    /// This replica does not lead the shard. It names the leader, if it knows it.
    NotLeader(Option<u64>),
    /// It is not known whether the request was carried out. The text says why.
    Unknown(String),
    /// The request was not and will not be carried out: it cannot be decoded, is too long, or
    /// belongs to another shard.
    Refused(String),
}

/// How fresh a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Consistency {
    /// The read sees every command that was answered before the read began. Only the leader can
    /// answer it.
    Linearizable,
    /// The state of the replica that answers. It may be out of date, and the replica may not know
    /// that it is.
    Local,
}

/// What a read returns of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupState {
    /// The version of its last signal. Signals about messages do not increase it.
    pub version: u64,
    /// Its owner.
    pub owner: UserId,
    /// The number of its members.
    pub members: u64,
    /// The sequence number that its next message gets.
    pub next_seq: u64,
}

/// A summary of a replica's state. Replicas that have applied the same entries have equal digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The index of the last entry that the replica applied.
    pub applied: Option<u64>,
    /// The hash of its machine's bytes.
    pub machine: [u8; 32],
    /// The invariant that its engine violates: always `None`, unless there is a bug.
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

/// Receives the bytes of the next frame; `None` at the end of the stream.
pub(crate) async fn receive_bytes(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    match stream.read_exact(&mut len).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let len = u32::from_le_bytes(len);
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    // The length is not trusted: memory is allocated only as bytes arrive.
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

/// Receives `len` bytes into a file.
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

/// A pool of connections to one replica. Opens one when it is needed, and keeps it for the next
/// request. All clones share the pool.
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
        self.idle.lock().expect("no code panics while it holds this lock")
    }

    /// Sends a request, and waits for the response for at most `limit`.
    ///
    /// May send the request twice: an idle connection may have died, and nothing says whether the
    /// replica received what was written to it.
    pub(crate) async fn request(&self, request: &Request, limit: Duration) -> io::Result<Response> {
        let exchanged = async {
            // Taken out of the pool: after a time-out halfway, a connection must not be used again.
            let idle = self.idle().pop();
            if let Some(stream) = idle {
                if let Ok(exchanged) = exchange(stream, request).await {
                    return Ok(exchanged);
                }
                // The other idle connections are probably dead too.
                self.idle().clear();
            }
            self.request_on_new_connection(request).await
        };
        match timeout(limit, exchanged).await {
            Ok(Ok((stream, response))) => {
                // After a refusal the replica closes the connection.
                if !matches!(response, Response::Refused(_)) {
                    self.idle().push(stream);
                }
                Ok(response)
            }
            Ok(Err(error)) => Err(error),
            Err(elapsed) => {
                // If the remote machine is gone, the idle connections are dead too, but give no
                // error.
                self.idle().clear();
                Err(elapsed.into())
            }
        }
    }

    /// Sends a request on a new connection, and returns the connection with the response.
    pub(crate) async fn request_on_new_connection(
        &self,
        request: &Request,
    ) -> io::Result<(TcpStream, Response)> {
        exchange(self.connect().await?, request).await
    }

    /// Sends a request and then a file, on a new connection.
    pub(crate) async fn request_with_file(
        &self,
        request: &Request,
        file: File,
        limit: Duration,
    ) -> io::Result<Response> {
        let exchanged = async {
            let mut stream = self.connect().await?;
            send(&mut stream, request).await?;
            send_file(&mut stream, file).await?;
            receive_response(stream).await
        };
        let (_, response) =
            timeout(limit, exchanged).await.unwrap_or_else(|elapsed| Err(elapsed.into()))?;
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
    receive_response(stream).await
}

async fn receive_response(mut stream: TcpStream) -> io::Result<(TcpStream, Response)> {
    let response = receive(&mut stream).await?;
    Ok((stream, response.ok_or(io::ErrorKind::UnexpectedEof)?))
}
