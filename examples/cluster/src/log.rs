//! A replica's log on disk, in `redb`: entries, the vote, what was committed.
//!
//! What is appended is readable at once, from memory, and is synced by a thread of its own. What nobody
//! waits for, as how far entries are committed, has no sync of its own: it goes with the next entries.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::mem;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::free;
use crate::types::{Entry, LogId, StorageError, StorageIOError, TypeConfig, Vote};
use crate::wire::CALL;

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const MARKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("marks");

/// Whether the log waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// An entry is answered for when it is synced.
    Synced,
    /// An entry is answered for before that, and is gone if the process is killed: to see what syncing
    /// costs, not to rely on. A vote is synced all the same, and with it what was before it.
    Lazy,
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The database says no.
    #[error("{0}")]
    Database(#[from] redb::Error),
    /// What is in it does not decode.
    #[error("{0}")]
    Damaged(#[from] postcard::Error),
    /// Between this entry and the next there should be others.
    #[error("the log has a hole after entry {0}")]
    Hole(u64),
    /// The machine says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A handle to the log; all of its clones are of the same one.
#[derive(Clone)]
pub(crate) struct Log {
    state: Arc<Mutex<State>>,
    writer: mpsc::Sender<Write>,
}

/// What the log holds, written or about to be.
#[derive(Default)]
struct State {
    entries: BTreeMap<u64, Held>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

struct Held {
    entry: Entry,
    /// How long it is when it is written.
    bytes: usize,
}

struct Write {
    change: Change,
    done: Done,
}

enum Change {
    Append(Vec<(u64, Vec<u8>)>),
    /// Removes the entries from this index on.
    Truncate(u64),
    /// Removes the entries up to this one, which are in a snapshot.
    Purge(LogId),
    Mark(&'static str, Vec<u8>),
}

enum Done {
    Flushed(LogFlushed<TypeConfig>),
    Reply(oneshot::Sender<io::Result<()>>),
    /// Nobody waits.
    Nobody,
}

impl Log {
    /// Opens the log of this replica in a file, making it if there is none. `kept` tells which is the
    /// last entry that is in a snapshot on disk: openraft purges what it has a snapshot of, but does not
    /// wait until that is written.
    ///
    /// If the replica led, it stands for election like any other, with an entry of its own to tell how
    /// much is committed. openraft would let it go on to lead, and it would answer linearisable reads from
    /// what it knew to be committed when it went, which is less than it had answered for.
    ///
    /// # Errors
    /// The file is no log of ours, or can't be read.
    pub(crate) fn open(
        id: u64,
        path: &Path,
        durability: Durability,
        kept: watch::Receiver<Option<LogId>>,
    ) -> Result<Log, OpenError> {
        let database = Database::create(path).map_err(redb::Error::from)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let mut state = read(&database)?;
        let snapshot = *kept.borrow();
        if let Some(vote) = &mut state.vote
            && vote.leader_id.voted_for() == Some(id)
        {
            vote.committed = false;
        }
        let (writer, writes) = mpsc::channel();
        let disk = Disk { database, durability, kept, runtime: Handle::current() };
        thread::Builder::new().name("log".into()).spawn(move || disk.write_all(&writes))?;
        let log = Log { state: Arc::new(Mutex::new(state)), writer };
        let last = log.state().entries.last_key_value().map(|(index, _)| *index);
        if let Some(snapshot) = snapshot
            && last.is_some_and(|last| last <= snapshot.index)
        {
            // It was killed before it could purge them. openraft would by itself, but goes by the terms,
            // and the last of them may be of a later one that came to nothing.
            log.discard(snapshot);
        }
        Ok(log)
    }

    /// Removes the entries up to this one: from memory at once, and from the disk with the next write.
    fn discard(&self, upto: LogId) {
        let gone = {
            let mut state = self.state();
            state.purged = Some(upto);
            let rest = state.entries.split_off(&(upto.index + 1));
            self.send(Change::Purge(upto), Done::Nobody);
            mem::replace(&mut state.entries, rest)
        };
        free::later(gone);
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
        let (entry, bytes) = (postcard::from_bytes(bytes.value())?, bytes.value().len());
        if let Some((last, _)) = state.entries.last_key_value()
            && last + 1 != index.value()
        {
            return Err(OpenError::Hole(*last));
        }
        state.entries.insert(index.value(), Held { entry, bytes });
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

/// The log's thread's part: it ends with the last handle, and the file is then closed.
struct Disk {
    database: Database,
    durability: Durability,
    kept: watch::Receiver<Option<LogId>>,
    runtime: Handle,
}

impl Disk {
    fn write_all(mut self, writes: &mpsc::Receiver<Write>) {
        let mut together = Vec::new();
        while let Ok(write) = writes.recv() {
            together.push(write);
            together.extend(writes.try_iter());
            if together.iter().all(|write| matches!(write.done, Done::Nobody)) {
                continue;
            }
            let (changes, waiting): (Vec<_>, Vec<_>) =
                together.drain(..).map(|write| (write.change, write.done)).unzip();
            let result = self.write(changes);
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

    fn write(&mut self, changes: Vec<Change>) -> Result<(), redb::Error> {
        for change in &changes {
            if let Change::Purge(upto) = change {
                // And whatever comes after it waits too: it builds on that snapshot.
                let kept = self.kept.wait_for(|kept| *kept >= Some(*upto));
                self.runtime.block_on(kept).map_err(io::Error::other)?;
            }
        }
        let mut transaction = self.database.begin_write()?;
        let vote = |change: &Change| matches!(change, Change::Mark("vote", _));
        if self.durability == Durability::Lazy && !changes.iter().any(vote) {
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
                    Change::Purge(upto) => {
                        entries.retain_in(..=upto.index, |_, _| false)?;
                        marks.insert("purged", &*bytes(&upto))?;
                    }
                    Change::Mark(name, bytes) => _ = marks.insert(name, &*bytes)?,
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.state().entries.range(range).map(|(_, held)| held.entry.clone()).collect())
    }

    /// As many as are to be sent at once; one at least, if it is there. None follows on one that is not:
    /// it may have been purged since it was decided to send it.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let state = self.state();
        let mut bytes = 0;
        let some = (start..end).map_while(|index| state.entries.get(&index)).take_while(|held| {
            let first = bytes == 0;
            bytes += held.bytes;
            first || bytes <= CALL
        });
        Ok(some.map(|held| held.entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let state = self.state();
        let last = state.entries.last_key_value().map(|(_, held)| held.entry.log_id);
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
            let (index, bytes) = (entry.log_id.index, bytes(&entry));
            state.entries.insert(index, Held { entry, bytes: bytes.len() });
            written.push((index, bytes));
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

    /// Nobody waits for the disk: what is there still is in a snapshot as well.
    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.discard(upto);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(1, 1), index)
    }

    fn entry(index: u64, bytes: usize) -> Entry {
        let command = disband::Command::Post {
            author: disband::UserId(1),
            group: disband::GroupId(7),
            message: "x".repeat(bytes).into(),
        };
        let at = disband::Timestamp(0);
        let proposal = crate::machine::Proposal::Do { at, session: 1, serial: 1, command };
        Entry { log_id: id(index), payload: EntryPayload::Normal(vec![proposal]) }
    }

    async fn append(log: &Log, entries: impl IntoIterator<Item = Entry> + Send) {
        let written = entries.into_iter().map(|entry| (entry.log_id.index, bytes(&entry)));
        log.write(Change::Append(written.collect())).await.unwrap();
    }

    fn open(path: &Path, kept: watch::Receiver<Option<LogId>>) -> Log {
        Log::open(1, path, Durability::Synced, kept).unwrap()
    }

    /// When the thread of the one before has ended.
    async fn again(path: &Path, snapshot: Option<LogId>) -> Result<Log, OpenError> {
        loop {
            match Log::open(1, path, Durability::Synced, watch::channel(snapshot).1) {
                Err(OpenError::Database(redb::Error::DatabaseAlreadyOpen)) => {
                    tokio::task::yield_now().await;
                }
                opened => return opened,
            }
        }
    }

    async fn indices(log: &mut Log, from: u64, to: u64) -> Vec<u64> {
        let entries = log.limited_get_log_entries(from, to).await.unwrap();
        entries.iter().map(|entry| entry.log_id.index).collect()
    }

    #[tokio::test]
    async fn what_is_purged_stays_on_disk_until_the_snapshot_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (kept, receiver) = watch::channel(None);
        let mut log = open(&path, receiver);
        append(&log, (1..=5).map(|index| entry(index, 1))).await;
        log.purge(id(5)).await.unwrap();
        let next = log.clone();
        let next = tokio::spawn(async move { append(&next, [entry(6, 1)]).await });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!next.is_finished(), "what comes after it waits as well");
        // The process ends here, as nobody will ever keep a snapshot.
        let copy = folder.path().join("copy");
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(indices(&mut again(&copy, None).await.unwrap(), 1, 10).await, [1, 2, 3, 4, 5]);

        kept.send_replace(Some(id(5)));
        next.await.unwrap();
        drop(log);
        assert_eq!(indices(&mut again(&path, None).await.unwrap(), 6, 10).await, [6]);
    }

    #[tokio::test]
    async fn what_is_all_in_a_snapshot_is_discarded_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = open(&path, watch::channel(None).1);
        append(&log, (1..=5).map(|index| entry(index, 1))).await;
        drop(log);
        // Of a term before the last entry's.
        let snapshot = LogId::new(CommittedLeaderId::new(0, 1), 7);
        let mut log = again(&path, Some(snapshot)).await.unwrap();
        let state = log.get_log_state().await.unwrap();
        assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(snapshot), Some(snapshot)));
        append(&log, [entry(8, 1)]).await;
        drop(log);
        assert_eq!(
            again(&path, None).await.unwrap().state().entries.keys().collect::<Vec<_>>(),
            [&8]
        );
    }

    #[tokio::test]
    async fn a_log_with_a_hole_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = open(&path, watch::channel(None).1);
        append(&log, [entry(1, 1), entry(2, 1), entry(4, 1)]).await;
        drop(log);
        assert!(matches!(again(&path, None).await, Err(OpenError::Hole(2))));
    }

    #[tokio::test]
    async fn whoever_waits_hears_when_there_will_be_no_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, receiver) = watch::channel(None);
        let mut log = open(&folder.path().join("log"), receiver);
        log.purge(id(5)).await.unwrap();
        drop(kept);
        assert!(log.save_vote(&Vote::new(1, 1)).await.is_err());
    }

    #[tokio::test]
    async fn entries_are_given_by_the_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = open(&path, watch::channel(None).1);
        append(&log, (1..=8).map(|index| entry(index, CALL * 3 / 10))).await;
        append(&log, [entry(9, CALL * 2)]).await;
        drop(log);
        let mut log = again(&path, None).await.unwrap();
        assert_eq!(indices(&mut log, 1, 10).await, [1, 2, 3]);
        assert_eq!(indices(&mut log, 7, 10).await, [7, 8]);
        assert_eq!(indices(&mut log, 9, 10).await, [9], "one at least");
        assert!(indices(&mut log, 9, 9).await.is_empty());
        log.purge(id(5)).await.unwrap();
        assert!(indices(&mut log, 4, 10).await.is_empty(), "nothing follows on what is not there");
    }
}
