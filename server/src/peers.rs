//! openraft's calls between nodes.
//!
//! A frame has its length in four bytes, and then a message in postcard. A connection carries one call at
//! a time: the caller waits for the response before its next call.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError,
    Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Raft, Snapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tracing::warn;

use crate::machine::Machine;
use crate::outside::{Outside, Stream};
use crate::raft::{SnapshotMeta, TypeConfig, Vote};
use crate::world::{Listener, World};

/// The longest frame. A snapshot must fit into one.
const MAX_FRAME: usize = 1 << 30;

/// How long openraft waits after it could not reach a node.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// How long a stranger may take for its greeting.
const GREETING_TIME: Duration = Duration::from_secs(5);

/// The longest greeting.
const MAX_GREETING: usize = 64;

/// How many connections other nodes may have open.
const MAX_CONNECTIONS: usize = 256;

/// The version of these messages.
const VERSION: u32 = 1;

/// The first message of a connection. Whoever sends another one is not a node of this cluster.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Greeting {
    version: u32,
    cluster: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Call {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    Snapshot { vote: Vote, meta: SnapshotMeta, machine: Bytes },
}

#[derive(Debug, Serialize, Deserialize)]
enum Response {
    Append(Result<AppendEntriesResponse<u64>, RaftError<u64>>),
    Vote(Result<VoteResponse<u64>, RaftError<u64>>),
    Snapshot(Result<SnapshotResponse<u64>, Fatal<u64>>),
    /// The snapshot is not one.
    Damaged(String),
}

fn encode(message: &impl Serialize) -> io::Result<Bytes> {
    postcard::to_stdvec(message).map(Bytes::from).map_err(io::Error::other)
}

fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    postcard::from_bytes(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn framed<S: AsyncRead + AsyncWrite>(stream: S, max: usize) -> Framed<S, LengthDelimitedCodec> {
    LengthDelimitedCodec::builder().max_frame_length(max).new_framed(stream)
}

/// Creates the [`Peer`]s through which openraft calls the other nodes.
pub(crate) struct Network {
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) cluster: u64,
}

type Connection = Framed<Box<dyn Stream>, LengthDelimitedCodec>;

/// Calls one other node.
pub(crate) struct Peer {
    outside: Arc<dyn Outside>,
    cluster: u64,
    target: u64,
    address: String,
    connection: Option<Connection>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer {
            outside: Arc::clone(&self.outside),
            cluster: self.cluster,
            target,
            address: node.addr.clone(),
            connection: None,
        }
    }
}

impl Peer {
    /// Sends a call, and waits for the response. After an error the next call connects again.
    async fn call(&mut self, call: &Call, limit: Duration) -> io::Result<Response> {
        let frame = encode(call)?;
        let mut connection = self.connection.take();
        let response = timeout(limit, async {
            let connection = match &mut connection {
                Some(connection) => connection,
                none => none.insert(self.connect().await?),
            };
            connection.send(frame).await?;
            let frame = connection.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
            decode(&frame)
        });
        let response = response.await.map_err(|_| io::ErrorKind::TimedOut)??;
        self.connection = connection;
        Ok(response)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let mut connection = framed(self.outside.connect(&self.address).await?, MAX_FRAME);
        let greeting = Greeting { version: VERSION, cluster: self.cluster };
        connection.send(encode(&greeting)?).await?;
        Ok(connection)
    }

    fn unexpected(&self, response: &Response) -> io::Error {
        io::Error::other(format!("unexpected response of node {}: {response:?}", self.target))
    }
}

/// Converts an error for openraft. After `Unreachable` openraft waits for [`RETRY_DELAY`]. After a
/// time-out it does not wait: the node is only slow.
fn rpc_error<E: std::error::Error>(error: &io::Error) -> RPCError<u64, BasicNode, E> {
    match error.kind() {
        io::ErrorKind::TimedOut => RPCError::Network(NetworkError::new(error)),
        _ => RPCError::Unreachable(Unreachable::new(error)),
    }
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        match self.call(&Call::Append(rpc), option.hard_ttl()).await {
            Ok(Response::Append(result)) => {
                result.map_err(|error| RemoteError::new(self.target, error).into())
            }
            Ok(other) => Err(rpc_error(&self.unexpected(&other))),
            Err(error) => Err(rpc_error(&error)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        match self.call(&Call::Vote(rpc), option.hard_ttl()).await {
            Ok(Response::Vote(result)) => {
                result.map_err(|error| RemoteError::new(self.target, error).into())
            }
            Ok(other) => Err(rpc_error(&self.unexpected(&other))),
            Err(error) => Err(rpc_error(&error)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let Snapshot { meta, snapshot: machine } = snapshot;
        let bytes = self.outside.encode(*machine).await;
        let call = Call::Snapshot { vote, meta, machine: bytes.into() };
        let target = self.target;
        let result = tokio::select! {
            biased;
            closed = cancel => return Err(closed.into()),
            result = self.call(&call, option.hard_ttl()) => result,
        };
        match result {
            Ok(Response::Snapshot(result)) => {
                result.map_err(|error| RemoteError::new(target, error).into())
            }
            Ok(other) => Err(NetworkError::new(&self.unexpected(&other)).into()),
            Err(error) => Err(Unreachable::new(&error).into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_DELAY))
    }
}

/// Accepts the connections of other nodes, until openraft ends.
pub(crate) async fn listen<W: World>(
    world: W,
    mut listener: W::Listener,
    raft: Raft<TypeConfig>,
    cluster: u64,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut metrics = raft.metrics();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            _ = metrics.wait_for(|metrics| metrics.running_state.is_err()) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let (raft, inner) = (raft.clone(), world.clone());
                world.spawn(async move {
                    if let Err(error) = serve(inner, stream, raft, cluster).await {
                        warn!(%error, %from, "the connection of another node ended");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                warn!(%error, "can't accept the connection of another node");
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

async fn serve<W: World>(
    world: W,
    stream: W::Stream,
    raft: Raft<TypeConfig>,
    cluster: u64,
) -> io::Result<()> {
    let mut connection = framed(stream, MAX_GREETING);
    let first = timeout(GREETING_TIME, connection.next());
    let Some(frame) = first.await.map_err(|_| io::ErrorKind::TimedOut)? else { return Ok(()) };
    let greeting: Greeting = decode(&frame?)?;
    if greeting != (Greeting { version: VERSION, cluster }) {
        return Err(io::Error::other(format!("not a node of this cluster: {greeting:?}")));
    }
    connection.codec_mut().set_max_frame_length(MAX_FRAME);
    while let Some(frame) = connection.next().await {
        let response = match decode(&frame?)? {
            Call::Snapshot { vote, meta, machine } => {
                // Verified before openraft has it: openraft ends at a snapshot that is not one.
                match world.blocking(move || Machine::from_bytes(&machine)).await {
                    Ok(machine) => install(&raft, vote, meta, machine).await,
                    Err(error) => Response::Damaged(error.to_string()),
                }
            }
            call => answer(&raft, call).await,
        };
        connection.send(encode(&response)?).await?;
    }
    Ok(())
}

/// Hands a call to openraft.
async fn answer(raft: &Raft<TypeConfig>, call: Call) -> Response {
    match call {
        Call::Append(rpc) => Response::Append(raft.append_entries(rpc).await),
        Call::Vote(rpc) => Response::Vote(raft.vote(rpc).await),
        Call::Snapshot { .. } => Response::Damaged("a snapshot is handled elsewhere".into()),
    }
}

async fn install(
    raft: &Raft<TypeConfig>,
    vote: Vote,
    meta: SnapshotMeta,
    machine: Machine,
) -> Response {
    let snapshot = Snapshot { meta, snapshot: Box::new(machine) };
    Response::Snapshot(raft.install_full_snapshot(vote, snapshot).await)
}
