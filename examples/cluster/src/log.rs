//! A replica's log on disk, in `redb`: the entries, the vote, and which entries are committed.
//!
//! All of it is in memory as well. An appended entry can be read at once from memory; a separate
//! thread writes and syncs it. A change that nobody waits for, such as which entries are committed,
//! is not synced by itself: it is written together with the next change that somebody waits for.

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

use crate::free::free_later;
use crate::types::{Entry, LogId, StorageError, StorageIOError, TypeConfig, Vote};
use crate::wire::MAX_CALL;

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const MARKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("marks");

/// Whether the log waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// An entry is acknowledged when it is synced.
    Synced,
    /// An entry is acknowledged before it is synced, and is lost if the process is killed. Only for
    /// measuring what syncing costs. A vote is still synced, together with all that was written
    /// before it.
    Lazy,
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The database could not be opened or read.
    #[error("{0}")]
    Database(#[from] redb::Error),
    /// An entry or value in the database cannot be decoded.
    #[error("{0}")]
    Damaged(#[from] postcard::Error),
    /// Entries are missing after this one.
    #[error("the log has a gap after entry {0}")]
    Gap(u64),
    /// The operating system reported an error.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A handle to the log. All clones share the log.
#[derive(Clone)]
pub(crate) struct Log {
    state: Arc<Mutex<State>>,
    writer: mpsc::Sender<Write>,
}

/// The contents of the log in memory. The writer thread may not have written the latest changes
/// yet.
#[derive(Default)]
struct State {
    entries: BTreeMap<u64, StoredEntry>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

struct StoredEntry {
    entry: Entry,
    /// The size of the serialised entry.
    bytes: usize,
}

/// A change to be written, and who is notified when it is on disk.
struct Write {
    change: Change,
    done: Done,
}

enum Change {
    Append(Vec<(u64, Vec<u8>)>),
    /// Removes the entries from this index on.
    Truncate(u64),
    /// Removes the entries up to this one, which a snapshot contains.
    Purge(LogId),
    /// Sets the value with this name: the vote, or which entries are committed or purged.
    Mark(&'static str, Vec<u8>),
}

/// Who is notified when a change is on disk.
enum Done {
    Openraft(LogFlushed<TypeConfig>),
    Reply(oneshot::Sender<io::Result<()>>),
    /// Nobody waits for the change.
    Ignored,
}

impl Log {
    /// Opens the log of replica `id`, or creates its file. `saved` holds the last entry that a
    /// snapshot on disk contains. The log needs it because openraft purges entries without waiting
    /// until the snapshot that contains them is on disk.
    ///
    /// A replica that led before it stopped must be elected again. By default openraft would let it
    /// lead at once. But its record of which entries are committed may be old, so its linearisable
    /// reads could miss commands that it had answered before it stopped. After an election, a
    /// leader commits a new entry first, and so knows what is committed.
    ///
    /// # Errors
    /// The file cannot be read, or is not a valid log.
    pub(crate) fn open(
        id: u64,
        path: &Path,
        durability: Durability,
        saved: watch::Receiver<Option<LogId>>,
    ) -> Result<Log, OpenError> {
        let database = Database::create(path).map_err(redb::Error::from)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let mut state = read(&database)?;
        let snapshot = *saved.borrow();
        if let Some(vote) = &mut state.vote
            && vote.leader_id.voted_for() == Some(id)
        {
            vote.committed = false;
        }
        let (writer, writes) = mpsc::channel();
        let disk = Disk { database, durability, saved, runtime: Handle::current() };
        thread::Builder::new().name("log".into()).spawn(move || disk.write_all(&writes))?;
        let log = Log { state: Arc::new(Mutex::new(state)), writer };
        let last = log.state().entries.last_key_value().map(|(index, _)| *index);
        if let Some(snapshot) = snapshot
            && last.is_some_and(|last| last <= snapshot.index)
        {
            // The snapshot contains all entries, but the replica was killed before it purged them.
            // We cannot leave this to openraft, which compares terms: the last entry may be of a
            // later term than the snapshot, if it was never committed.
            log.discard(snapshot);
        }
        Ok(log)
    }

    /// Removes the entries up to `upto`: from memory at once, and from disk with the next write.
    fn discard(&self, upto: LogId) {
        let removed = {
            let mut state = self.state();
            state.purged = Some(upto);
            let rest = state.entries.split_off(&(upto.index + 1));
            self.send(Change::Purge(upto), Done::Ignored);
            mem::replace(&mut state.entries, rest)
        };
        free_later(removed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    fn send(&self, change: Change, done: Done) {
        // If the writer thread has ended, sending drops `done`, so that a waiting caller gets an
        // error.
        let _ = self.writer.send(Write { change, done });
    }

    async fn write(&self, change: Change) -> io::Result<()> {
        let (reply, written) = oneshot::channel();
        self.send(change, Done::Reply(reply));
        written
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the writer thread of the log has ended")))
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("serialising to memory cannot fail")
}

fn read(database: &Database) -> Result<State, OpenError> {
    // Opening the tables for writing creates them in a new database.
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
            return Err(OpenError::Gap(*last));
        }
        state.entries.insert(index.value(), StoredEntry { entry, bytes });
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

/// The writer thread's state. When the last [`Log`] handle is dropped, the thread ends and closes
/// the file.
struct Disk {
    database: Database,
    durability: Durability,
    saved: watch::Receiver<Option<LogId>>,
    runtime: Handle,
}

impl Disk {
    fn write_all(mut self, writes: &mpsc::Receiver<Write>) {
        let mut batch = Vec::new();
        while let Ok(write) = writes.recv() {
            batch.push(write);
            batch.extend(writes.try_iter());
            if batch.iter().all(|write| matches!(write.done, Done::Ignored)) {
                continue;
            }
            let (changes, waiting): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|write| (write.change, write.done)).unzip();
            let result = self.write(changes);
            let failed = result.is_err();
            for done in waiting {
                let result = match &result {
                    Ok(()) => Ok(()),
                    Err(error) => Err(io::Error::other(error.to_string())),
                };
                match done {
                    Done::Openraft(callback) => callback.log_io_completed(result),
                    Done::Reply(reply) => _ = reply.send(result),
                    Done::Ignored => {}
                }
            }
            if failed {
                // A later change must not be written if an earlier one was not.
                return;
            }
        }
    }

    fn write(&mut self, changes: Vec<Change>) -> Result<(), redb::Error> {
        for change in &changes {
            if let Change::Purge(upto) = change {
                // Wait until the snapshot is on disk. All later changes wait too, because they
                // assume that the snapshot exists.
                let saved = self.saved.wait_for(|saved| *saved >= Some(*upto));
                self.runtime.block_on(saved).map_err(io::Error::other)?;
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
        Ok(self.state().entries.range(range).map(|(_, stored)| stored.entry.clone()).collect())
    }

    /// Returns the entries from `start` that fit into one call, and at least one if `start` exists.
    /// Stops at the first missing entry: openraft may ask for entries that were purged meanwhile.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let state = self.state();
        let mut bytes = 0;
        let some = (start..end).map_while(|index| state.entries.get(&index)).take_while(|stored| {
            let first = bytes == 0;
            bytes += stored.bytes;
            first || bytes <= MAX_CALL
        });
        Ok(some.map(|stored| stored.entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let state = self.state();
        let last = state.entries.last_key_value().map(|(_, stored)| stored.entry.log_id);
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

    /// Does not wait for the disk; the value is written with the next transaction. After a crash an
    /// older value may be read. Then entries are applied again, with the same effect.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.state().committed = committed;
        if let Some(committed) = committed {
            self.send(Change::Mark("committed", bytes(&committed)), Done::Ignored);
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
            state.entries.insert(index, StoredEntry { entry, bytes: bytes.len() });
            written.push((index, bytes));
        }
        // Sent while the lock is held, so that changes are written in the order in which they are
        // made in memory.
        self.send(Change::Append(written), Done::Openraft(callback));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.state().entries.split_off(&from.index);
        self.write(Change::Truncate(from.index))
            .await
            .map_err(|error| StorageIOError::write_logs(&error).into())
    }

    /// Does not wait for the disk: an entry that stays there too long is harmless, as a snapshot
    /// contains it too.
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

    fn open(path: &Path, saved: watch::Receiver<Option<LogId>>) -> Log {
        Log::open(1, path, Durability::Synced, saved).unwrap()
    }

    /// Opens a log again: retries until the previous log's writer thread has closed the file.
    async fn reopen(path: &Path, snapshot: Option<LogId>) -> Result<Log, OpenError> {
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
    async fn purged_entries_stay_on_disk_until_the_snapshot_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (saved, receiver) = watch::channel(None);
        let mut log = open(&path, receiver);
        append(&log, (1..=5).map(|index| entry(index, 1))).await;
        log.purge(id(5)).await.unwrap();
        let next = log.clone();
        let next = tokio::spawn(async move { append(&next, [entry(6, 1)]).await });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!next.is_finished(), "a change after the purge waits as well");
        // A copy of the file is what a crash at this moment would leave. The snapshot was never
        // saved.
        let copy = folder.path().join("copy");
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(indices(&mut reopen(&copy, None).await.unwrap(), 1, 10).await, [1, 2, 3, 4, 5]);

        saved.send_replace(Some(id(5)));
        next.await.unwrap();
        drop(log);
        assert_eq!(indices(&mut reopen(&path, None).await.unwrap(), 6, 10).await, [6]);
    }

    #[tokio::test]
    async fn entries_in_a_snapshot_are_removed_when_the_log_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = open(&path, watch::channel(None).1);
        append(&log, (1..=5).map(|index| entry(index, 1))).await;
        drop(log);
        // The snapshot's term is older than the last entry's.
        let snapshot = LogId::new(CommittedLeaderId::new(0, 1), 7);
        let mut log = reopen(&path, Some(snapshot)).await.unwrap();
        let state = log.get_log_state().await.unwrap();
        assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(snapshot), Some(snapshot)));
        append(&log, [entry(8, 1)]).await;
        drop(log);
        assert_eq!(
            reopen(&path, None).await.unwrap().state().entries.keys().collect::<Vec<_>>(),
            [&8]
        );
    }

    #[tokio::test]
    async fn a_log_with_a_gap_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = open(&path, watch::channel(None).1);
        append(&log, [entry(1, 1), entry(2, 1), entry(4, 1)]).await;
        drop(log);
        assert!(matches!(reopen(&path, None).await, Err(OpenError::Gap(2))));
    }

    #[tokio::test]
    async fn a_waiting_change_fails_if_no_snapshot_can_be_saved_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (saved, receiver) = watch::channel(None);
        let mut log = open(&folder.path().join("log"), receiver);
        log.purge(id(5)).await.unwrap();
        drop(saved);
        assert!(log.save_vote(&Vote::new(1, 1)).await.is_err());
    }

    #[tokio::test]
    async fn a_read_for_sending_returns_as_many_entries_as_fit_into_one_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = open(&path, watch::channel(None).1);
        append(&log, (1..=8).map(|index| entry(index, MAX_CALL * 3 / 10))).await;
        append(&log, [entry(9, MAX_CALL * 2)]).await;
        drop(log);
        let mut log = reopen(&path, None).await.unwrap();
        assert_eq!(indices(&mut log, 1, 10).await, [1, 2, 3]);
        assert_eq!(indices(&mut log, 7, 10).await, [7, 8]);
        assert_eq!(indices(&mut log, 9, 10).await, [9], "at least one entry is returned");
        assert!(indices(&mut log, 9, 9).await.is_empty());
        log.purge(id(5)).await.unwrap();
        assert!(indices(&mut log, 4, 10).await.is_empty(), "the read stops at a missing entry");
    }
}
