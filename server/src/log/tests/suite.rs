//! openraft's own tests of a log.

use std::path::Path;

use openraft::storage::RaftStateMachine;
use openraft::testing::{StoreBuilder, Suite};
use openraft::{EntryPayload, RaftSnapshotBuilder, Snapshot};
use tokio::sync::watch;

use super::super::{Log, Options};
use super::{CLUSTER, NODE, id};
use crate::identity::Identity;
use crate::machine::Machine;
use crate::raft::{Entry, LogId, Membership, SnapshotMeta, StorageError, TypeConfig};
use crate::real::Real;
use crate::simulated::SimulatedDisk;
use crate::world::World;

/// A state machine that knows the ids of its entries only.
#[derive(Clone, Default)]
struct Ids {
    applied: Option<LogId>,
    membership: Membership,
    snapshot: Option<SnapshotMeta>,
}

impl RaftSnapshotBuilder<TypeConfig> for Ids {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: "snapshot".into(),
        };
        Ok(Snapshot { meta, snapshot: Box::new(Machine::new(0)) })
    }
}

impl RaftStateMachine<TypeConfig> for Ids {
    type SnapshotBuilder = Ids;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                self.membership = Membership::new(Some(entry.log_id), membership);
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Ids {
        let built = self.build_snapshot().await;
        self.snapshot = built.ok().map(|snapshot| snapshot.meta);
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Machine>, StorageError> {
        Ok(Box::new(Machine::new(0)))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        _: Box<Machine>,
    ) -> Result<(), StorageError> {
        (self.applied, self.membership) = (meta.last_log_id, meta.last_membership.clone());
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let snapshot = self.snapshot.clone();
        Ok(snapshot.map(|meta| Snapshot { meta, snapshot: Box::new(Machine::new(0)) }))
    }
}

/// Where the log of a test is.
enum Place {
    Memory,
    Simulated,
    Real,
}

impl StoreBuilder<TypeConfig, Log, Ids, Option<tempfile::TempDir>> for Place {
    async fn build(&self) -> Result<(Option<tempfile::TempDir>, Log, Ids), StorageError> {
        let world = Real::new().unwrap();
        let (sender, saved) = watch::channel(None);
        let options = Options { segment_bytes: 2_048, ..Options::default() };
        let (folder, log) = match self {
            Place::Memory => (None, Log::memory(&world)),
            Place::Simulated => {
                let disk = SimulatedDisk::new();
                let mut identity = Identity::open(&disk, CLUSTER, NODE).await.unwrap();
                (None, Log::open(&world, disk, &mut identity, options, saved).await.unwrap())
            }
            Place::Real => {
                let folder = tempfile::tempdir().unwrap();
                let disk = world.disk(Path::new(folder.path())).await.unwrap();
                let mut identity = Identity::open(&disk, CLUSTER, NODE).await.unwrap();
                let log = Log::open(&world, disk, &mut identity, options, saved).await.unwrap();
                (Some(folder), log)
            }
        };
        // openraft's tests have no snapshots on disk, and purge nevertheless.
        sender.send_replace(Some(id(u64::MAX, u64::MAX)));
        Ok((folder, log, Ids::default()))
    }
}

#[test]
fn a_log_in_memory_passes_the_tests_of_openraft() {
    Suite::test_all(Place::Memory).unwrap();
}

#[test]
fn a_log_on_a_simulated_disk_passes_the_tests_of_openraft() {
    Suite::test_all(Place::Simulated).unwrap();
}

#[test]
fn a_log_on_a_real_disk_passes_the_tests_of_openraft() {
    Suite::test_all(Place::Real).unwrap();
}
