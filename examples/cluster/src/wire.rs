//! What goes over the wires between replicas, and between clients and replicas: a length of four bytes,
//! and then postcard.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use openraft::error::{Fatal, RaftError};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::machine::{Answer, SessionId};
use crate::types::{SnapshotMeta, TypeConfig, Vote};

/// The longest frame: a snapshot.
const LONGEST: u32 = 1 << 30;

/// One of the Raft groups that each process takes part in.
pub type Shard = u16;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Something of one shard.
    In(Shard, Ask),
    /// From now on, a user's signals as this replica has them: the connection is for nothing else then.
    Follow { shard: Shard, user: UserId },
    /// The groups that a user is in, of all shards, as far as this process has heard.
    GroupsHeard { user: UserId },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// From another replica.
    Peer { from: u64, call: Call },
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
    Snapshot { vote: Vote, meta: SnapshotMeta, bytes: Vec<u8> },
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
    /// What came does not decode, or is no business of this replica's.
    Refused(String),
}

/// How fresh a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
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

pub(crate) async fn send(stream: &mut TcpStream, frame: &impl Serialize) -> io::Result<()> {
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

/// A connection to a replica, made when it is needed, and kept while it is sound.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    stream: Option<TcpStream>,
}

impl Connection {
    pub(crate) fn new(address: String) -> Self {
        Connection { address, stream: None }
    }

    /// Asks, and waits for the answer for so long.
    ///
    /// What is asked may arrive twice: if a connection that was kept turns out to be dead, it is asked
    /// again on a new one. Everything here bears that, Raft's own messages and commands with serials.
    pub(crate) async fn ask(
        &mut self,
        request: &Request,
        patience: Duration,
    ) -> io::Result<Response> {
        // Taken out: one that is given up on halfway must not be used again.
        let kept = self.stream.take();
        let asked = async {
            if let Some(stream) = kept
                && let Ok(done) = exchange(stream, request).await
            {
                return Ok(done);
            }
            self.open(request).await
        };
        let (stream, response) =
            timeout(patience, asked).await.unwrap_or_else(|late| Err(late.into()))?;
        self.stream = Some(stream);
        Ok(response)
    }

    /// Asks on a connection of its own.
    pub(crate) async fn open(&self, request: &Request) -> io::Result<(TcpStream, Response)> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        exchange(stream, request).await
    }
}

async fn exchange(mut stream: TcpStream, request: &Request) -> io::Result<(TcpStream, Response)> {
    send(&mut stream, request).await?;
    let response = receive(&mut stream).await?;
    Ok((stream, response.ok_or(io::ErrorKind::UnexpectedEof)?))
}
