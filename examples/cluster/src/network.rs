//! Sends openraft's calls to the other replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError,
    Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Snapshot};
use tokio::fs::File;

use crate::slots::Shard;
use crate::types::{TypeConfig, Vote};
use crate::wire::{Call, Connection, Request, Response};

/// The replicas that this one pretends it cannot reach. Tests use it to simulate a partition.
pub(crate) type Severed = Arc<Mutex<BTreeSet<u64>>>;

/// How long openraft waits after it could not reach a replica. It sends nothing to the replica
/// meanwhile, not even heartbeats.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Creates the [`Peer`]s through which openraft calls the other replicas of one shard.
#[derive(Clone)]
pub(crate) struct Network {
    /// This replica.
    pub(crate) from: u64,
    pub(crate) shard: Shard,
    /// One connection pool for each replica. All shards share the pools, and so do all the peers
    /// that openraft creates for a replica: one each for votes, reads and entries.
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) severed: Severed,
}

/// Sends one shard's calls to one other replica.
pub(crate) struct Peer {
    network: Network,
    target: u64,
    connection: Connection,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        let known = self.connections.get(&target).cloned();
        let connection = known.unwrap_or_else(|| Connection::new(&node.addr));
        Peer { network: self.clone(), target, connection }
    }
}

impl Peer {
    fn to_request(&self, call: Call) -> io::Result<Request> {
        let Network { from, shard, severed, .. } = &self.network;
        if severed.lock().expect("no code panics while it holds this lock").contains(&self.target) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        Ok(Request::Peer { shard: *shard, from: *from, call })
    }

    async fn send(&self, call: Call, limit: Duration) -> io::Result<Response> {
        self.connection.request(&self.to_request(call)?, limit).await
    }

    fn unexpected(&self, response: &Response) -> io::Error {
        io::Error::other(format!("unexpected response of replica {}: {response:?}", self.target))
    }
}

/// Converts an error for openraft. After `Unreachable` openraft waits for [`RETRY_DELAY`]. After a
/// time-out it does not wait: the replica is only slow.
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
        match self.send(Call::Append(rpc), option.hard_ttl()).await {
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
        match self.send(Call::Vote(rpc), option.hard_ttl()).await {
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
        let Snapshot { meta, snapshot } = snapshot;
        let call = async {
            let len = snapshot.metadata()?.len();
            let request = self.to_request(Call::Snapshot { vote, meta, len })?;
            let file = File::from_std(*snapshot);
            self.connection.request_with_file(&request, file, option.hard_ttl()).await
        };
        let result = tokio::select! {
            result = call => result,
            closed = cancel => return Err(closed.into()),
        };
        match result {
            Ok(Response::Snapshot(result)) => {
                result.map_err(|error| RemoteError::new(self.target, error).into())
            }
            Ok(other) => Err(NetworkError::new(&self.unexpected(&other)).into()),
            Err(error) => Err(Unreachable::new(&error).into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_DELAY))
    }
}
