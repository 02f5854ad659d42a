//! The log: openraft's entries, its vote, and which entries are committed.
//!
//! All of it is in memory, and without a data folder it is nowhere else. With one, a task writes
//! each change to segments on disk, in the order in which the changes were made in memory, and then
//! tells whoever waits for it. All changes that wait are written together, in one frame with one
//! sync.
//!
//! The files, from the outside to the inside:
//! - `segment`: a file with a fixed length, its header, and how the next one is created
//! - `frame`: how bytes are laid out so that an interrupted write can be told from damage
//! - `record`: a change
//!
//! `open` reads and checks the files, and `writer` writes them.

mod frame;
mod memory;
mod open;
mod record;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use tokio::sync::{mpsc, oneshot, watch};

use crate::disk::{DataError, Disk};
use crate::identity::Identity;
use crate::raft::{Entry, LogId, StorageError, StorageIOError, TypeConfig, Vote};
use crate::world::World;
use memory::{Memory, encoded_bytes};
use record::index;
use writer::{Change, Writer};

/// The most bytes of entries that are read for one call to another node.
const MAX_READ: usize = 2 << 20;
/// How a log is written.
#[derive(Clone)]
pub(crate) struct Options {
    /// The length of a segment.
    pub(crate) segment_bytes: u64,
    /// Called with the time that each write and sync took.
    pub(crate) written: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: 16 << 20, written: Arc::new(|_| {}) }
    }
}

/// A handle to the log. All clones share the log. The task that writes ends after
/// [`close`](Self::close), or when all handles are dropped.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

struct Shared {
    memory: Mutex<Memory>,
    /// `None` if the log is in memory only.
    writer: Option<mpsc::UnboundedSender<Change>>,
    figures: Arc<Figures>,
    /// Why the log failed. The writer has a clone.
    failure: watch::Sender<Option<String>>,
    /// Frees entries later, where it delays no task.
    free: Box<dyn Fn(VecDeque<Entry>) + Send + Sync>,
}

/// Counters of a log.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    written: AtomicU64,
    on_disk: AtomicU64,
    appended: AtomicU64,
}

impl Figures {
    /// How many bytes were written to segments since the start.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How many bytes the segments on disk have.
    pub(crate) fn on_disk(&self) -> u64 {
        self.on_disk.load(Ordering::Relaxed)
    }

    /// About how many bytes of entries were appended: since the start, and before it after the
    /// snapshot. The difference between now and the moment of a snapshot is the log that the
    /// snapshot does not cover.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }
}

impl Log {
    /// An empty log in memory.
    pub(crate) fn memory<W: World>(world: &W) -> Log {
        Log::new(world, Memory::default(), None, Arc::default(), watch::Sender::new(None))
    }

    /// Opens the log of a data folder, or creates it if the folder is being founded.
    ///
    /// `saved` is the last entry that a snapshot on disk contains. The log needs it because
    /// openraft purges entries without waiting until the snapshot that contains them is on disk.
    /// Entries that the snapshot contains are dropped.
    ///
    /// A node that led before it stopped must be elected again. By default openraft would let it
    /// lead at once. But its record of which entries are committed may be old, so its linearisable
    /// reads could miss commands that it had answered before it stopped. After an election, a
    /// leader commits a new entry first, and so knows what is committed.
    ///
    /// # Errors
    /// A file cannot be read or written, is missing, is damaged, or belongs to another node. Then
    /// nothing was changed, except that temporary files may have been removed and an interrupted
    /// write may have been cut off.
    pub(crate) async fn open<W: World, D: Disk>(
        world: &W,
        disk: D,
        identity: &mut Identity,
        options: Options,
        saved: watch::Receiver<Option<LogId>>,
    ) -> Result<Log, DataError> {
        let snapshot = *saved.borrow();
        let opened = open::open(&disk, identity, options.segment_bytes, snapshot).await?;
        let open::Opened { mut memory, written, sealed, current } = opened;
        if let Some(mut vote) = memory.marks().vote
            && vote.leader_id.voted_for() == Some(identity.node)
        {
            vote.committed = false;
            memory.set_vote(vote);
        }
        let figures = Arc::new(Figures::default());
        figures.appended.store(memory.encoded_bytes(), Ordering::Relaxed);
        let failure = watch::Sender::new(None);
        let (sender, changes) = mpsc::unbounded_channel();
        let writer = Writer::new(
            (disk, options),
            saved,
            (figures.clone(), failure.clone()),
            (written, sealed, current),
            memory.marks().purged,
        );
        world.spawn(writer.run(changes));
        Ok(Log::new(world, memory, Some(sender), figures, failure))
    }

    fn new<W: World>(
        world: &W,
        memory: Memory,
        writer: Option<mpsc::UnboundedSender<Change>>,
        figures: Arc<Figures>,
        failure: watch::Sender<Option<String>>,
    ) -> Log {
        let (world, memory) = (world.clone(), Mutex::new(memory));
        let free = Box::new(move |entries| world.free(entries));
        Log(Arc::new(Shared { memory, writer, figures, failure, free }))
    }

    /// Ends the segment that is written to, if it holds any change, so that the next purge can
    /// remove it. Segments that an earlier purge could not remove are removed now.
    ///
    /// # Errors
    /// The segment cannot be ended: then the log has failed. Or a purged segment cannot be removed:
    /// then the log goes on, and the next purge or seal tries again.
    pub(crate) async fn seal(&self) -> io::Result<()> {
        self.change(Change::Seal).await
    }

    /// Writes what nobody waits for, and ends the task that writes. Later changes fail. When this
    /// returns, the log uses the data folder no more. While changes wait for an installed snapshot to
    /// be saved, this waits too, until it is saved or its store is dropped.
    ///
    /// # Errors
    /// The log has failed.
    pub(crate) async fn close(&self) -> io::Result<()> {
        self.change(Change::Close).await
    }

    /// Why the log failed, if it did. A failed log stays as it is on disk, and takes no more
    /// changes.
    pub(crate) fn failed(&self) -> watch::Receiver<Option<String>> {
        self.0.failure.subscribe()
    }

    /// The log's counters.
    pub(crate) fn figures(&self) -> &Figures {
        &self.0.figures
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of all calls after the log has failed.
    fn check(&self) -> io::Result<()> {
        match &*self.0.failure.borrow() {
            Some(error) => Err(io::Error::other(error.clone())),
            None => Ok(()),
        }
    }

    /// Hands a change to the writer. A change must be handed over while the memory is locked, so
    /// that changes are written in the order in which they are made in memory.
    fn send(&self, change: Change) {
        match &self.0.writer {
            Some(writer) => {
                if let Err(refused) = writer.send(change) {
                    refused.0.complete(&Err(self.ended()));
                }
            }
            None => change.complete(&Ok(())),
        }
    }

    /// The error of a change that the writer does not take any more.
    fn ended(&self) -> io::Error {
        self.check().err().unwrap_or_else(|| io::Error::other("the log is closed"))
    }

    /// Hands over a change and waits until it is on disk.
    async fn change(&self, change: impl FnOnce(writer::Reply) -> Change) -> io::Result<()> {
        self.check()?;
        let (reply, done) = oneshot::channel();
        self.send(change(reply));
        self.wait(done).await
    }

    async fn wait(&self, done: oneshot::Receiver<io::Result<()>>) -> io::Result<()> {
        done.await.unwrap_or_else(|_| Err(self.ended()))
    }
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.lock().range(range).cloned().collect())
    }

    /// Returns the entries from `start` that fit into one call, and at least one if `start` exists.
    /// Stops at the first missing entry: openraft may ask for entries that were purged meanwhile.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let memory = self.lock();
        let mut bytes = 0;
        let entries = (start..end).zip(memory.range(start..end));
        let some = entries.take_while(|(index, entry)| {
            let first = bytes == 0;
            bytes += encoded_bytes(entry);
            *index == entry.log_id.index && (first || bytes <= MAX_READ)
        });
        Ok(some.map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let marks = self.lock().marks();
        Ok(LogState { last_purged_log_id: marks.purged, last_log_id: marks.last })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    /// Returns when the vote is on disk.
    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        self.change(|reply| Change::Vote(vote, reply))
            .await
            .map_err(|error| StorageIOError::write_vote(&error))?;
        self.lock().set_vote(vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.lock().marks().vote)
    }

    /// Does not wait for the disk: the value is written with the next change that somebody waits
    /// for. After a crash an older value may be read. Then entries are applied again, with the same
    /// effect.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.check().map_err(|error| StorageIOError::write(&error))?;
        let mut memory = self.lock();
        memory.set_committed(committed);
        self.send(Change::Committed(committed));
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.lock().marks().committed)
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
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        let mut memory = self.lock();
        // A snapshot contains what was purged. Only openraft's own tests append such entries.
        let purged = memory.marks().purged;
        entries.retain(|entry| Some(entry.log_id.index) > index(purged));
        let possible = self.check().and_then(|()| memory.append(&entries));
        match possible {
            Ok(bytes) => {
                self.0.figures.appended.fetch_add(bytes, Ordering::Relaxed);
                self.send(Change::Append(entries, callback));
                Ok(())
            }
            Err(error) => {
                let refused = StorageIOError::write_logs(&error);
                callback.log_io_completed(Err(error));
                Err(refused.into())
            }
        }
    }

    /// Returns when the truncation is on disk.
    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.check().map_err(|error| StorageIOError::write_logs(&error))?;
        let (reply, done) = oneshot::channel();
        let removed = {
            let mut memory = self.lock();
            let (removed, last) = memory.truncate(from.index);
            self.send(Change::Truncated { from: from.index, last, reply });
            removed
        };
        (self.0.free)(removed);
        self.wait(done).await.map_err(|error| StorageIOError::write_logs(&error).into())
    }

    /// Does not wait for the disk: an entry that stays there too long is harmless, as a snapshot
    /// contains it too.
    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.check().map_err(|error| StorageIOError::write_logs(&error))?;
        let removed = {
            let mut memory = self.lock();
            let removed = memory.purge(upto);
            self.send(Change::Purged(upto));
            removed
        };
        (self.0.free)(removed);
        Ok(())
    }
}
