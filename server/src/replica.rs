//! Connects the machine to openraft.

use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{RaftSnapshotBuilder, Snapshot};
use tokio::sync::mpsc;

use crate::dispatcher::Dispatcher;
use crate::machine::Machine;
use crate::outside::Outside;
use crate::raft::{
    Entry, LogId, Membership, SnapshotMeta, StorageError, StorageIOError, TypeConfig,
};
use crate::state::{Applied, State};

/// What openraft calls to apply entries and to take snapshots.
pub(crate) struct Replica {
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) state: Arc<State>,
    pub(crate) dispatcher: Dispatcher,
    /// Where built snapshots go to be written to disk.
    pub(crate) built: mpsc::Sender<(SnapshotMeta, Machine)>,
    /// Whether a snapshot was ever built, installed or read.
    pub(crate) has_snapshot: bool,
}

impl RaftStateMachine<TypeConfig> for Replica {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let Applied { last, membership, .. } = self.state.get();
        Ok((last, membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut results = Vec::new();
        for entry in entries {
            let id = entry.log_id;
            let effects =
                self.state.apply(entry).map_err(|error| StorageIOError::apply(id, &error))?;
            if !effects.garbage.is_empty() {
                self.outside.free(Box::new(effects.garbage));
            }
            if !effects.signals.is_empty() {
                self.dispatcher.send(effects.signals);
            }
            results.push(());
        }
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.has_snapshot = true;
        Builder { state: Arc::clone(&self.state), built: self.built.clone() }
    }

    /// Only needed to receive a snapshot in pieces, which this server does by itself.
    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Machine>, StorageError> {
        Ok(Box::new(Machine::new(0)))
    }

    /// Replaces the state by a received snapshot, which was verified before. The snapshot must be on
    /// disk when this returns: the leader then counts its entries as stored here.
    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        machine: Box<Machine>,
    ) -> Result<(), StorageError> {
        let new = Applied::from_snapshot(meta, (*machine).clone());
        let saved = self.outside.save(meta, *machine).await;
        saved.map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        self.has_snapshot = true;
        self.outside.free(Box::new(self.state.replace(new)));
        // The signals of what the snapshot contains are not known.
        self.dispatcher.skip();
        Ok(())
    }

    /// The present state counts as the last snapshot: that is a clone, and holds no old state.
    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        Ok(self.has_snapshot.then(|| snapshot(&self.state.get())))
    }
}

fn snapshot(applied: &Applied) -> Snapshot<TypeConfig> {
    Snapshot { meta: applied.meta(), snapshot: Box::new(applied.machine.clone()) }
}

/// Takes snapshots. Taking one is O(1); another task writes it to disk.
pub(crate) struct Builder {
    state: Arc<State>,
    built: mpsc::Sender<(SnapshotMeta, Machine)>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    /// Never fails: openraft would end.
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let snapshot = snapshot(&self.state.get());
        // If the one before is still being written, this one is not: the node takes another later.
        let _ = self.built.try_send((snapshot.meta.clone(), (*snapshot.snapshot).clone()));
        Ok(snapshot)
    }
}
