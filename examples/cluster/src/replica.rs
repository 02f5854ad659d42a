//! One replica's machine, as openraft drives it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, RaftSnapshotBuilder, Snapshot};
use tokio::task::spawn_blocking;

use crate::abort;
use crate::free;
use crate::machine::{Answer, Machine, Step};
use crate::news::{News, Teller};
use crate::snapshots::{self, Snapshots};
use crate::types::{
    Entry, LogId, Membership, SnapshotMeta, StorageError, StorageIOError, TypeConfig,
};

/// A replica's machine; all clones are of the same one.
#[derive(Clone)]
pub struct Replica {
    state: Arc<Mutex<State>>,
    snapshots: Snapshots,
    news: Teller,
}

/// Cloning it is O(1) but for the membership, which is a few nodes.
#[derive(Clone)]
struct State {
    machine: Machine,
    applied: Option<LogId>,
    membership: Membership,
}

impl Replica {
    /// Begins with the snapshot in this folder; without one, with `machine`. It has to be there before
    /// openraft starts, which asks what was applied.
    ///
    /// What happens is told to `news`; signals of commands that are carried out again after a start
    /// come again, under the same keys.
    ///
    /// # Errors
    /// The snapshot can't be read.
    pub fn open(folder: &Path, machine: Machine, news: Teller) -> io::Result<Replica> {
        let (snapshots, newest) = Snapshots::open(folder)?;
        let state = match newest {
            Some((meta, machine)) => State::of(meta, machine),
            None => State { machine, applied: None, membership: Membership::default() },
        };
        Ok(Replica { state: Arc::new(Mutex::new(state)), snapshots, news })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The machine as it is: a clone, to read from.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.state().machine.clone()
    }

    /// A look at the machine whenever it is wanted, by one who does not keep the replica from ending.
    pub(crate) fn look(&self) -> impl Fn() -> Machine + Send + 'static {
        let state = Arc::clone(&self.state);
        move || lock(&state).machine.clone()
    }

    /// The machine, and the last entry that is in it.
    pub(crate) fn at(&self) -> (Machine, Option<LogId>) {
        let state = self.state();
        (state.machine.clone(), state.applied)
    }

    /// Where it tells what happens.
    pub(crate) fn news(&self) -> &Teller {
        &self.news
    }

    /// Its snapshots on disk. The log keeps what is in none.
    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("a panic under this lock has ended the process")
}

impl State {
    fn of(meta: SnapshotMeta, machine: Machine) -> State {
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
        let (mut answers, mut remains) = (Vec::new(), Vec::new());
        for entry in entries {
            // The lock is held for an entry as a whole: nobody sees half of one.
            // openraft would go on looking healthy without its machine.
            let steps = abort::on_panic(|| self.state().apply(entry));
            let mut answered = Vec::with_capacity(steps.len());
            for Step { answer, news, remains: more } in steps {
                answered.push(answer);
                remains.extend(more);
                for news in news {
                    // Nobody may be listening.
                    let _ = self.news.send(Arc::new(news));
                }
            }
            answers.push(answered);
        }
        if !remains.is_empty() {
            free::later(remains);
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Replica {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<File>, StorageError> {
        let file = self.snapshots.arriving();
        Ok(Box::new(file.map_err(|error| StorageIOError::write_snapshot(None, &error))?))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<File>,
    ) -> Result<(), StorageError> {
        let (snapshots, meta) = (self.snapshots.clone(), meta.clone());
        let installed = spawn_blocking(move || {
            let bytes = snapshots::machine(*snapshot)?;
            let machine = Machine::from_bytes(&bytes).map_err(io::Error::other)?;
            snapshots.keep(&meta, &bytes)?;
            io::Result::Ok(State::of(meta, machine))
        });
        let state = installed
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let old = std::mem::replace(&mut *self.state(), state);
        let _ = self.news.send(Arc::new(News::Missed));
        free::later(old);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let newest = self.snapshots.newest();
        let newest = newest.map_err(|error| StorageIOError::read_snapshot(None, &error))?;
        Ok(newest.map(|(meta, file)| Snapshot { meta, snapshot: Box::new(file) }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Replica {
    /// The lock is held for a clone, which costs the same however much there is; all else is done
    /// beside the commands.
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
            snapshots.keep(&meta, &machine)?;
            // This one, or a newer one that another replica has sent.
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
    use crate::log::{Durability, Log};
    use crate::news::teller;

    struct Builder;

    impl StoreBuilder<TypeConfig, Log, Replica, TempDir> for Builder {
        async fn build(&self) -> Result<(TempDir, Log, Replica), StorageError> {
            let folder = tempfile::tempdir().unwrap();
            // It purges what it has no snapshot of.
            let kept = watch::channel(Some(LogId::new(CommittedLeaderId::new(9, 9), u64::MAX))).1;
            let log = Log::open(1, &folder.path().join("log"), Durability::Synced, kept).unwrap();
            let machine = Machine::new(Config::default());
            let replica = Replica::open(folder.path(), machine, teller()).unwrap();
            Ok((folder, log, replica))
        }
    }

    /// openraft's own tests of a storage.
    #[test]
    fn is_what_openraft_asks_of_a_storage() {
        Suite::test_all(Builder).unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_apply_ends_the_process() {
        if !abort::here("replica::tests::a_panic_in_apply_ends_the_process") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new(Config::default());
        let mut replica = Replica::open(folder.path(), machine, teller()).unwrap();
        // The engine has no command that panics; a lock that somebody has died under does.
        let dying = replica.clone();
        thread::spawn(move || {
            let _held = dying.state();
            panic!("under the lock");
        })
        .join()
        .unwrap_err();
        let log_id = LogId::new(CommittedLeaderId::new(1, 1), 1);
        let _ = replica.apply([Entry { log_id, payload: EntryPayload::Blank }]).await;
    }
}
