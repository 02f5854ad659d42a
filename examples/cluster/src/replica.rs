//! A replica: connects a [`Machine`] to openraft.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, RaftSnapshotBuilder, Snapshot};
use tokio::task::spawn_blocking;

use crate::abort;
use crate::events::{EventSender, ShardEvent};
use crate::free::free_later;
use crate::machine::{Answer, Machine, Step};
use crate::snapshots::{self, Snapshots};
use crate::types::{
    Entry, LogId, Membership, SnapshotMeta, StorageError, StorageIOError, TypeConfig,
};

/// One shard's machine in this process. All clones share the machine.
#[derive(Clone)]
pub struct Replica {
    state: Arc<Mutex<State>>,
    snapshots: Snapshots,
    events: EventSender,
}

/// A clone is O(1), except for the Raft membership, which is a few nodes.
#[derive(Clone)]
struct State {
    machine: Machine,
    applied: Option<LogId>,
    membership: Membership,
}

impl Replica {
    /// Opens a replica with the snapshot in `folder`, or with `machine` if there is none. Open it
    /// before openraft starts: openraft then reads which entries are already applied.
    ///
    /// The replica publishes what happens through `events`. After a restart it applies some entries
    /// again, and so publishes their signals again, with the same keys.
    ///
    /// # Errors
    /// The snapshot cannot be read.
    pub fn open(folder: &Path, machine: Machine, events: EventSender) -> io::Result<Replica> {
        let (snapshots, newest) = Snapshots::open(folder)?;
        let state = match newest {
            Some((meta, machine)) => State::from_snapshot(meta, machine),
            None => State { machine, applied: None, membership: Membership::default() },
        };
        Ok(Replica { state: Arc::new(Mutex::new(state)), snapshots, events })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A clone of the current machine, for reads.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.state().machine.clone()
    }

    /// Returns a function that clones the current machine. The function holds neither the event
    /// sender nor the snapshot store, so both still close when the replica is dropped.
    pub(crate) fn machine_reader(&self) -> impl Fn() -> Machine + Send + 'static {
        let state = Arc::clone(&self.state);
        move || lock(&state).machine.clone()
    }

    /// A clone of the machine, and the last entry that it has applied.
    pub(crate) fn machine_and_applied(&self) -> (Machine, Option<LogId>) {
        let state = self.state();
        (state.machine.clone(), state.applied)
    }

    /// The sender that publishes this replica's events.
    pub(crate) fn events(&self) -> &EventSender {
        &self.events
    }

    /// The store of this replica's newest snapshot. The log keeps its entries on disk until this
    /// snapshot contains them.
    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("a panic while this lock is held aborts the process")
}

impl State {
    fn from_snapshot(meta: SnapshotMeta, machine: Machine) -> State {
        State { machine, applied: meta.last_log_id, membership: meta.last_membership }
    }

    fn apply(&mut self, entry: Entry) -> Vec<Step> {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                self.membership = Membership::new(Some(entry.log_id), membership);
                Vec::new()
            }
            EntryPayload::Normal(proposals) => {
                proposals.into_iter().map(|proposal| self.machine.apply(proposal)).collect()
            }
        }
    }
}

impl RaftStateMachine<TypeConfig> for Replica {
    type SnapshotBuilder = Replica;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let state = self.state();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Answer>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let (mut answers, mut to_free) = (Vec::new(), Vec::new());
        for entry in entries {
            // The lock is held for a whole entry, so no reader sees half of it. A panic aborts the
            // process, because openraft would continue and look healthy without a working machine.
            let steps = abort::on_panic(|| self.state().apply(entry));
            let mut entry_answers = Vec::with_capacity(steps.len());
            for Step { answer, events, to_free: more } in steps {
                entry_answers.push(answer);
                to_free.extend(more);
                for event in events {
                    // Sending fails if there are no subscribers. That is fine.
                    let _ = self.events.send(Arc::new(event));
                }
            }
            answers.push(entry_answers);
        }
        if !to_free.is_empty() {
            free_later(to_free);
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Replica {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<File>, StorageError> {
        let file = self.snapshots.incoming_file();
        Ok(Box::new(file.map_err(|error| StorageIOError::write_snapshot(None, &error))?))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<File>,
    ) -> Result<(), StorageError> {
        let (snapshots, meta) = (self.snapshots.clone(), meta.clone());
        let installed = spawn_blocking(move || {
            let bytes = snapshots::machine_bytes(*snapshot)?;
            let machine = Machine::from_bytes(&bytes).map_err(io::Error::other)?;
            snapshots.save(&meta, &bytes)?;
            io::Result::Ok(State::from_snapshot(meta, machine))
        });
        let state = installed
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let old = std::mem::replace(&mut *self.state(), state);
        let _ = self.events.send(Arc::new(ShardEvent::Missed));
        free_later(old);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let newest = self.snapshots.newest();
        let newest = newest.map_err(|error| StorageIOError::read_snapshot(None, &error))?;
        Ok(newest.map(|(meta, file)| Snapshot { meta, snapshot: Box::new(file) }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Replica {
    /// Holds the lock only to clone the state, which is O(1). The rest runs in parallel with
    /// commands.
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let state = self.state().clone();
        let snapshots = self.snapshots.clone();
        let built = spawn_blocking(move || {
            let machine = state.machine.to_bytes().map_err(io::Error::other)?;
            let snapshot_id =
                state.applied.map_or_else(|| "none".to_owned(), |applied| applied.to_string());
            let meta = SnapshotMeta {
                last_log_id: state.applied,
                last_membership: state.membership,
                snapshot_id,
            };
            snapshots.save(&meta, &machine)?;
            // This snapshot, or a newer one that another replica has sent meanwhile.
            snapshots.newest()?.ok_or_else(|| io::ErrorKind::NotFound.into())
        });
        let (meta, file) = built
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        Ok(Snapshot { meta, snapshot: Box::new(file) })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use disband::Config;
    use openraft::CommittedLeaderId;
    use openraft::testing::{StoreBuilder, Suite};
    use tempfile::TempDir;
    use tokio::sync::watch;

    use super::*;
    use crate::events::event_sender;
    use crate::log::{Durability, Log};

    struct Builder;

    impl StoreBuilder<TypeConfig, Log, Replica, TempDir> for Builder {
        async fn build(&self) -> Result<(TempDir, Log, Replica), StorageError> {
            let folder = tempfile::tempdir().unwrap();
            // The suite purges entries without a snapshot, so pretend that one contains every
            // entry.
            let saved = watch::channel(Some(LogId::new(CommittedLeaderId::new(9, 9), u64::MAX))).1;
            let log = Log::open(1, &folder.path().join("log"), Durability::Synced, saved).unwrap();
            let machine = Machine::new(Config::default());
            let replica = Replica::open(folder.path(), machine, event_sender()).unwrap();
            Ok((folder, log, replica))
        }
    }

    /// Runs openraft's own test suite for a storage.
    #[test]
    fn the_storage_passes_the_tests_of_openraft() {
        Suite::test_all(Builder).unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_apply_aborts_the_process() {
        if !abort::in_child("replica::tests::a_panic_in_apply_aborts_the_process") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new(Config::default());
        let mut replica = Replica::open(folder.path(), machine, event_sender()).unwrap();
        // No command of the engine panics. So poison the lock: another thread panics while it holds
        // it, and `apply` then panics when it takes the lock.
        let other = replica.clone();
        thread::spawn(move || {
            let _guard = other.state();
            panic!("while the lock is held");
        })
        .join()
        .unwrap_err();
        let log_id = LogId::new(CommittedLeaderId::new(1, 1), 1);
        let _ = replica.apply([Entry { log_id, payload: EntryPayload::Blank }]).await;
    }
}
