//! A replica's log on disk, in `redb`: entries, the vote, what was committed.
//!
//! What is appended is readable at once, from memory, and is synced by a thread of its own, which takes
//! all that has come together meanwhile into one transaction.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::types::{Entry, LogId, StorageError, StorageIOError, TypeConfig, Vote};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const MARKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("marks");

/// How many writes are taken into one transaction at most.
const TOGETHER: usize = 1024;

/// Whether the log waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// An entry is answered for when it is synced.
    Synced,
    /// An entry is answered for before that: to see what syncing costs, not to rely on.
    Lazy,
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database says no.
    #[error("{0}")]
    Database(#[from] redb::Error),
    /// What is in it does not decode.
    #[error("{0}")]
    Damaged(#[from] postcard::Error),
    /// The machine says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A handle to the log; all of its clones are of the same one.
#[derive(Clone)]
pub struct Log {
    state: Arc<Mutex<State>>,
    writer: mpsc::Sender<Write>,
}

/// What the log holds, written or about to be.
#[derive(Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

struct Write {
    change: Change,
    done: Done,
}

enum Change {
    Append(Vec<(u64, Vec<u8>)>),
    /// Removes the entries from this index on.
    Truncate(u64),
    /// Removes the entries up to this one.
    Purge(u64, Vec<u8>),
    Mark(&'static str, Vec<u8>),
}

enum Done {
    Flushed(LogFlushed<TypeConfig>),
    Reply(oneshot::Sender<io::Result<()>>),
    /// Nobody waits.
    Nobody,
}

impl Log {
    /// Opens the log in a file, making it if there is none.
    ///
    /// # Errors
    /// The file is no log of ours, or can't be read.
    pub fn open(path: &Path, durability: Durability) -> Result<Log, OpenError> {
        let database = Database::create(path).map_err(redb::Error::from)?;
        let state = read(&database)?;
        let (writer, writes) = mpsc::channel();
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&database, durability, &writes))?;
        Ok(Log { state: Arc::new(Mutex::new(state)), writer })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing under this lock panics")
    }

    fn send(&self, change: Change, done: Done) {
        // If that thread is gone, it has dropped `done`, and whoever waits hears of it.
        let _ = self.writer.send(Write { change, done });
    }

    async fn write(&self, change: Change) -> io::Result<()> {
        let (reply, written) = oneshot::channel();
        self.send(change, Done::Reply(reply));
        written.await.unwrap_or_else(|_| Err(io::Error::other("the log's thread is gone")))
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("memory takes whatever is written")
}

fn read(database: &Database) -> Result<State, OpenError> {
    // So that both tables are there.
    let transaction = database.begin_write().map_err(redb::Error::from)?;
    transaction.open_table(ENTRIES).map_err(redb::Error::from)?;
    transaction.open_table(MARKS).map_err(redb::Error::from)?;
    transaction.commit().map_err(redb::Error::from)?;

    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut state = State::default();
    let entries = transaction.open_table(ENTRIES).map_err(redb::Error::from)?;
    for entry in entries.iter().map_err(redb::Error::from)? {
        let (index, bytes) = entry.map_err(redb::Error::from)?;
        state.entries.insert(index.value(), postcard::from_bytes(bytes.value())?);
    }
    let marks = transaction.open_table(MARKS).map_err(redb::Error::from)?;
    state.vote = mark(&marks, "vote")?;
    state.committed = mark(&marks, "committed")?;
    state.purged = mark(&marks, "purged")?;
    Ok(state)
}

fn mark<T: DeserializeOwned>(
    marks: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &'static str,
) -> Result<Option<T>, OpenError> {
    let found = marks.get(name).map_err(redb::Error::from)?;
    Ok(found.map(|bytes| postcard::from_bytes(bytes.value())).transpose()?)
}

/// The log's thread: it ends with the last handle, and the file is then closed.
fn write_all(database: &Database, durability: Durability, writes: &mpsc::Receiver<Write>) {
    while let Ok(first) = writes.recv() {
        let mut together = vec![first];
        together.extend(writes.try_iter().take(TOGETHER));
        let (changes, waiting): (Vec<_>, Vec<_>) =
            together.into_iter().map(|write| (write.change, write.done)).unzip();
        let result = transact(database, durability, changes);
        let failed = result.is_err();
        for done in waiting {
            let result = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            match done {
                Done::Flushed(callback) => callback.log_io_completed(result),
                Done::Reply(reply) => _ = reply.send(result),
                Done::Nobody => {}
            }
        }
        if failed {
            // Nothing may be written past what was not.
            return;
        }
    }
}

fn transact(
    database: &Database,
    durability: Durability,
    changes: Vec<Change>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    if durability == Durability::Lazy {
        transaction.set_durability(redb::Durability::None)?;
    }
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut marks = transaction.open_table(MARKS)?;
        for change in changes {
            match change {
                Change::Append(new) => {
                    for (index, bytes) in new {
                        entries.insert(index, &*bytes)?;
                    }
                }
                Change::Truncate(from) => entries.retain_in(from.., |_, _| false)?,
                Change::Purge(upto, purged) => {
                    entries.retain_in(..=upto, |_, _| false)?;
                    marks.insert("purged", &*purged)?;
                }
                Change::Mark(name, bytes) => _ = marks.insert(name, &*bytes)?,
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.state().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let state = self.state();
        let last = state.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: last.or(state.purged) })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.write(Change::Mark("vote", bytes(vote)))
            .await
            .map_err(|error| StorageIOError::write_vote(&error))?;
        self.state().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.state().vote)
    }

    /// It may come back older than it was: then entries are committed again, to the same effect. So
    /// nobody waits for the disk; it goes with the next transaction.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.state().committed = committed;
        if let Some(committed) = committed {
            self.send(Change::Mark("committed", bytes(&committed)), Done::Nobody);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.state().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut written = Vec::new();
        let mut state = self.state();
        for entry in entries {
            written.push((entry.log_id.index, bytes(&entry)));
            state.entries.insert(entry.log_id.index, entry);
        }
        // Under the lock, so that writes are in the order of what is read.
        self.send(Change::Append(written), Done::Flushed(callback));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.state().entries.split_off(&from.index);
        self.write(Change::Truncate(from.index))
            .await
            .map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        {
            let mut state = self.state();
            state.entries = state.entries.split_off(&(upto.index + 1));
            state.purged = Some(upto);
        }
        self.write(Change::Purge(upto.index, bytes(&upto)))
            .await
            .map_err(|error| StorageIOError::write_logs(&error).into())
    }
}
