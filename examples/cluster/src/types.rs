//! The types that openraft is configured with.

use openraft::BasicNode;

use crate::machine::{Answer, Proposal};

openraft::declare_raft_types!(
    /// An entry holds proposals, and yields one answer for each. A snapshot is a file.
    pub TypeConfig:
        D = Vec<Proposal>,
        R = Vec<Answer>,
        NodeId = u64,
        Node = BasicNode,
        SnapshotData = std::fs::File,
);

pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Membership = openraft::StoredMembership<u64, BasicNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, BasicNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type StorageIOError = openraft::StorageIOError<u64>;
