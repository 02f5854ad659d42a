//! One replica's machine, as openraft drives it, and its snapshots on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::abort;
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, RaftSnapshotBuilder, Snapshot};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::machine::{Answer, Machine, Step};
use crate::news::{News, Teller};
use crate::types::{
    Entry, LogId, Membership, SnapshotMeta, StorageError, StorageIOError, TypeConfig,
};

/// A replica's machine; all clones are of the same one.
#[derive(Clone)]
pub struct Replica {
    state: Arc<Mutex<State>>,
    folder: Arc<PathBuf>,
    news: Teller,
}

/// Cloning it is O(1) but for the membership, which is a few nodes.
#[derive(Clone)]
struct State {
    machine: Machine,
    applied: Option<LogId>,
    membership: Membership,
}

/// What is in a snapshot's file before the machine's bytes.
#[derive(Serialize, Deserialize)]
struct Kept {
    meta: SnapshotMeta,
    machine: Vec<u8>,
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
        let mut state = State { machine, applied: None, membership: Membership::default() };
        if let Some(Kept { meta, machine }) = read(folder)? {
            state = State {
                machine: Machine::from_bytes(&machine).map_err(io::Error::other)?,
                applied: meta.last_log_id,
                membership: meta.last_membership,
            };
        }
        Ok(Replica {
            state: Arc::new(Mutex::new(state)),
            folder: Arc::new(folder.to_owned()),
            news,
        })
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
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("a panic under this lock has ended the process")
}

fn read(folder: &Path) -> io::Result<Option<Kept>> {
    match fs::read(folder.join("snapshot")) {
        Ok(bytes) => Ok(Some(postcard::from_bytes(&bytes).map_err(io::Error::other)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The old one or the new one is there, whole, whatever happens.
fn write(folder: &Path, kept: &Kept) -> io::Result<()> {
    let beside = folder.join("snapshot.new");
    let bytes = postcard::to_stdvec(kept).map_err(io::Error::other)?;
    let mut file = File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(beside, folder.join("snapshot"))?;
    File::open(folder)?.sync_all()
}

impl State {
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
            let steps = catch_unwind(AssertUnwindSafe(|| self.state().apply(entry)));
            // openraft would go on looking healthy without its machine.
            let steps = steps.unwrap_or_else(|_| abort());
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
            // A dissolved group of a million takes a while to free.
            spawn_blocking(move || drop(remains));
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Replica {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Vec<u8>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Vec<u8>>,
    ) -> Result<(), StorageError> {
        let (folder, meta) = (Arc::clone(&self.folder), meta.clone());
        let installed = spawn_blocking(move || {
            let machine = Machine::from_bytes(&snapshot).map_err(io::Error::other)?;
            let state = State {
                machine,
                applied: meta.last_log_id,
                membership: meta.last_membership.clone(),
            };
            write(&folder, &Kept { meta, machine: *snapshot })?;
            io::Result::Ok(state)
        });
        let state = installed
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let old = std::mem::replace(&mut *self.state(), state);
        let _ = self.news.send(Arc::new(News::Missed));
        spawn_blocking(move || drop(old));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let folder = Arc::clone(&self.folder);
        let kept = spawn_blocking(move || read(&folder)).await.map_err(io::Error::other).flatten();
        let kept = kept.map_err(|error| StorageIOError::read_snapshot(None, &error))?;
        Ok(kept.map(|Kept { meta, machine }| Snapshot { meta, snapshot: Box::new(machine) }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Replica {
    /// The lock is held for a clone, which costs the same however much there is; all else is done
    /// beside the commands.
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let state = self.state().clone();
        let folder = Arc::clone(&self.folder);
        let built = spawn_blocking(move || {
            let machine = state.machine.to_bytes().map_err(io::Error::other)?;
            let snapshot_id =
                state.applied.map_or_else(|| "none".to_owned(), |applied| applied.to_string());
            let meta = SnapshotMeta {
                last_log_id: state.applied,
                last_membership: state.membership,
                snapshot_id,
            };
            let kept = Kept { meta, machine };
            write(&folder, &kept)?;
            io::Result::Ok(kept)
        });
        let Kept { meta, machine } = built
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        Ok(Snapshot { meta, snapshot: Box::new(machine) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::{env, process, thread};

    use disband::Config;
    use openraft::CommittedLeaderId;
    use openraft::testing::{StoreBuilder, Suite};
    use tempfile::TempDir;

    use super::*;
    use crate::log::{Durability, Log};
    use crate::news::teller;

    struct Builder;

    impl StoreBuilder<TypeConfig, Log, Replica, TempDir> for Builder {
        async fn build(&self) -> Result<(TempDir, Log, Replica), StorageError> {
            let folder = tempfile::tempdir().unwrap();
            let log = Log::open(&folder.path().join("log"), Durability::Synced).unwrap();
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

    /// In a process of its own, which does not outlive it.
    #[tokio::test]
    async fn a_panic_in_apply_ends_the_process() {
        const HERE: &str = "replica::tests::a_panic_in_apply_ends_the_process";
        const ABORTED: i32 = 6;
        if env::var_os("PANIC").is_none() {
            let mut again = process::Command::new(env::current_exe().unwrap());
            let ended = again.args(["--exact", HERE]).env("PANIC", "yes").output().unwrap();
            assert_eq!(ended.status.signal(), Some(ABORTED), "{ended:?}");
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
