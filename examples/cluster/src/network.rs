//! How openraft reaches the other replicas.

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

/// Who can't be reached, by decree: to see what a partition does.
pub(crate) type Severed = Arc<Mutex<BTreeSet<u64>>>;

/// How long one who can't be reached is left alone. openraft sends nothing meanwhile, heartbeats neither.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) from: u64,
    pub(crate) shard: Shard,
    /// To each replica. The shards share them, and so do votes, reads and entries, for each of which
    /// openraft makes a peer of its own.
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) severed: Severed,
}

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
    fn request(&self, call: Call) -> io::Result<Request> {
        let Network { from, shard, severed, .. } = &self.network;
        if severed.lock().expect("nothing under this lock panics").contains(&self.target) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        Ok(Request::Peer { shard: *shard, from: *from, call })
    }

    async fn ask(&self, call: Call, patience: Duration) -> io::Result<Response> {
        self.connection.ask(&self.request(call)?, patience).await
    }

    fn unexpected(&self, response: &Response) -> io::Error {
        io::Error::other(format!("replica {} answers {response:?}", self.target))
    }
}

/// What can't be reached is left alone for a while; who is but slow is not.
fn failed<E: std::error::Error>(error: &io::Error) -> RPCError<u64, BasicNode, E> {
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
        match self.ask(Call::Append(rpc), option.hard_ttl()).await {
            Ok(Response::Append(result)) => {
                result.map_err(|error| RemoteError::new(self.target, error).into())
            }
            Ok(other) => Err(failed(&self.unexpected(&other))),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        match self.ask(Call::Vote(rpc), option.hard_ttl()).await {
            Ok(Response::Vote(result)) => {
                result.map_err(|error| RemoteError::new(self.target, error).into())
            }
            Ok(other) => Err(failed(&self.unexpected(&other))),
            Err(error) => Err(failed(&error)),
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
        let sent = async {
            let len = snapshot.metadata()?.len();
            let request = self.request(Call::Snapshot { vote, meta, len })?;
            let file = File::from_std(*snapshot);
            self.connection.ask_with(&request, file, option.hard_ttl()).await
        };
        let asked = tokio::select! {
            asked = sent => asked,
            closed = cancel => return Err(closed.into()),
        };
        match asked {
            Ok(Response::Snapshot(result)) => {
                result.map_err(|error| RemoteError::new(self.target, error).into())
            }
            Ok(other) => Err(NetworkError::new(&self.unexpected(&other)).into()),
            Err(error) => Err(Unreachable::new(&error).into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(PAUSE))
    }
}
