//! The types that openraft is configured with.

use std::fmt;

use bytes::Bytes;
use openraft::BasicNode;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::runtime::Runtime;

openraft::declare_raft_types!(
    /// openraft's parameters. An entry holds an encoded change of the machine, and a snapshot is a clone
    /// of the machine. An entry has no result: the node that took a request answers it when its own
    /// machine applies it.
    pub(crate) TypeConfig:
        D = Encoded,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        SnapshotData = Machine,
        AsyncRuntime = Runtime,
);

/// A [`Change`](crate::machine::Change) as bytes: encoded once, by the node that proposes it, and
/// decoded by each node that applies it. A clone is O(1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encoded(pub(crate) Bytes);

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Membership = openraft::StoredMembership<u64, BasicNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, BasicNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type StorageIOError = openraft::StorageIOError<u64>;
