//! How openraft reaches the other replicas.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError,
    Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Snapshot};

use crate::types::{TypeConfig, Vote};
use crate::wire::{Ask, Call, Connection, Request, Response, Shard};

/// Who can't be reached, by decree: to see what a partition does.
pub(crate) type Severed = Arc<Mutex<BTreeSet<u64>>>;

#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) from: u64,
    pub(crate) shard: Shard,
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
        let connection = Connection::new(node.addr.clone());
        Peer { network: self.clone(), target, connection }
    }
}

impl Peer {
    async fn ask(&mut self, call: Call, patience: Duration) -> io::Result<Response> {
        let Network { from, shard, severed } = &self.network;
        if severed.lock().expect("nothing under this lock panics").contains(&self.target) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        let request = Request::In(*shard, Ask::Peer { from: *from, call });
        self.connection.ask(&request, patience).await
    }

    fn unexpected(&self, response: &Response) -> io::Error {
        io::Error::other(format!("replica {} answers {response:?}", self.target))
    }
}

/// What can't be reached is left alone for a while.
fn unreachable<E: std::error::Error>(error: &io::Error) -> RPCError<u64, BasicNode, E> {
    RPCError::Unreachable(Unreachable::new(error))
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
            Ok(other) => Err(unreachable(&self.unexpected(&other))),
            Err(error) => Err(unreachable(&error)),
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
            Ok(other) => Err(unreachable(&self.unexpected(&other))),
            Err(error) => Err(unreachable(&error)),
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
        let call = Call::Snapshot { vote, meta, bytes: *snapshot };
        let asked = tokio::select! {
            asked = self.ask(call, option.hard_ttl()) => asked,
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
}
