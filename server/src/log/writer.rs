//! The task that writes the log to disk.

use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use openraft::storage::LogFlushed;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::open::Sealed;
use super::record::{Marks, Record, index};
use super::segment::{self, Current, Header};
use super::{Figures, Options};
use crate::disk::Disk;
use crate::raft::{Entry, LogId, TypeConfig, Vote};

/// A frame is written when it has this many bytes, even if more changes wait. So the first changes
/// of many do not wait for the last.
const FRAME: usize = 1 << 20;

/// Who is told that a change is on disk.
pub(crate) type Reply = oneshot::Sender<io::Result<()>>;

/// A change of the log that is made in memory and has to be written.
pub(crate) enum Change {
    Append(Vec<Entry>, LogFlushed<TypeConfig>),
    Truncated {
        from: u64,
        last: Option<LogId>,
        reply: Reply,
    },
    Vote(Vote, Reply),
    /// Nobody waits for it. It is written once a snapshot on disk contains the entries.
    Purged(LogId),
    /// Nobody waits for it. It is written together with the next change that somebody waits for.
    Committed(Option<LogId>),
    Seal(Reply),
    Close(Reply),
}

impl Change {
    /// Tells whoever waits for it how the change ended.
    pub(crate) fn complete(self, result: &io::Result<()>) {
        let result = copy(result);
        match self {
            Change::Append(_, callback) => callback.log_io_completed(result),
            Change::Truncated { reply, .. }
            | Change::Vote(_, reply)
            | Change::Seal(reply)
            | Change::Close(reply) => _ = reply.send(result),
            Change::Purged(_) | Change::Committed(_) => {}
        }
    }
}

/// `io::Error` cannot be cloned.
fn copy(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(Error::new(error.kind(), error.to_string())),
    }
}

/// Writes changes to the segments of a folder.
pub(crate) struct Writer<D: Disk> {
    disk: D,
    options: Options,
    /// The last entry that a snapshot on disk contains.
    saved: watch::Receiver<Option<LogId>>,
    figures: Arc<Figures>,
    failure: watch::Sender<Option<String>>,
    /// Older segments, the oldest first.
    sealed: VecDeque<Sealed>,
    current: Current<D::File>,
    /// What the segments contain.
    written: Marks,
    /// What the segments and `content` contain.
    marks: Marks,
    /// Encoded records that are not written yet.
    content: Vec<u8>,
    /// The changes in `content` and in the frames before it that somebody waits for.
    waiting: Vec<Change>,
    /// Records that are added to the next frame.
    committed: Option<Record>,
    purged: Option<Record>,
    /// A purge that waits until a snapshot on disk contains its entries.
    pending: Option<LogId>,
    /// Segments whose entries are not after this one can be removed.
    removable: Option<u64>,
    /// Whether segments were removed and the folder was not synced since.
    unsynced: bool,
}

impl<D: Disk> Writer<D> {
    /// A writer of a log that was opened. `purged` is what was purged from memory.
    pub(crate) fn new(
        (disk, options): (D, Options),
        saved: watch::Receiver<Option<LogId>>,
        (figures, failure): (Arc<Figures>, watch::Sender<Option<String>>),
        (written, sealed, current): (Marks, VecDeque<Sealed>, Current<D::File>),
        purged: Option<LogId>,
    ) -> Writer<D> {
        let lens = sealed.iter().map(|sealed| sealed.len).chain([current.header.len]);
        figures.on_disk.store(lens.sum(), Ordering::Relaxed);
        let mut writer = Writer {
            disk,
            options,
            saved,
            figures,
            failure,
            sealed,
            current,
            written,
            marks: written,
            content: Vec::new(),
            waiting: Vec::new(),
            committed: None,
            purged: None,
            pending: None,
            removable: index(purged),
            unsynced: false,
        };
        if let Some(upto) = purged
            && written.purged < purged
        {
            // The snapshot may end after the log, so this comes before the next entry.
            let record = Record::Purged(upto);
            writer.content.extend(record.encode());
            writer.marks.apply(&record);
        }
        writer
    }

    /// Writes changes until the log is closed, all its handles are dropped, or a write fails.
    pub(crate) async fn run(mut self, mut changes: mpsc::UnboundedReceiver<Change>) {
        // The snapshot may contain all entries of some segments.
        self.remove_or_warn().await;
        let (closed, result) = match self.write_all(&mut changes).await {
            Ok(closed) => (closed, Err(Error::other("the log is closed"))),
            Err(error) => {
                tracing::error!("the log has failed, and takes no more changes: {error}");
                self.failure.send_replace(Some(error.to_string()));
                (None, Err(error))
            }
        };
        changes.close();
        let waiting = std::mem::take(&mut self.waiting);
        // Whoever closes the log may open the folder again at once.
        drop(self);
        for change in waiting {
            change.complete(&result);
        }
        while let Some(change) = changes.recv().await {
            change.complete(&result);
        }
        if let Some(closed) = closed {
            closed.complete(&Ok(()));
        }
    }

    /// Returns the change that closed the log, or `None` if all handles were dropped.
    async fn write_all(
        &mut self,
        changes: &mut mpsc::UnboundedReceiver<Change>,
    ) -> io::Result<Option<Change>> {
        loop {
            let change = match self.pending {
                None => changes.recv().await,
                Some(pending) => tokio::select! {
                    biased;
                    change = changes.recv() => change,
                    saved = reached(&mut self.saved, pending) => {
                        if saved {
                            self.purge_saved().await;
                        } else {
                            // No snapshot will be saved any more. The entries stay on disk.
                            self.pending = None;
                        }
                        continue;
                    }
                },
            };
            let Some(mut change) = change else { return Ok(None) };
            loop {
                if let Some(closed) = self.take(change).await? {
                    return Ok(Some(closed));
                }
                match changes.try_recv() {
                    Ok(next) => change = next,
                    Err(_) => break,
                }
            }
            if !self.waiting.is_empty() {
                self.flush().await?;
            }
            self.purge_saved().await;
        }
    }

    /// Takes a change. Returns it if it closes the log.
    async fn take(&mut self, mut change: Change) -> io::Result<Option<Change>> {
        let result = self.perform(&mut change).await;
        match result {
            Ok(_) if matches!(change, Change::Close(_)) => return Ok(Some(change)),
            Ok(None) => self.waiting.push(change),
            Ok(Some(result)) => change.complete(&result),
            Err(error) => {
                // It is completed together with all others, after the log is marked as failed.
                self.waiting.push(change);
                return Err(error);
            }
        }
        Ok(None)
    }

    /// Performs a change. Returns its result, or `None` if it is to be written with the next frame.
    async fn perform(&mut self, change: &mut Change) -> io::Result<Option<io::Result<()>>> {
        match change {
            Change::Append(entries, _) => {
                for entry in std::mem::take(entries) {
                    self.push(&Record::Entry(entry)).await?;
                }
                Ok(None)
            }
            Change::Truncated { from, last, .. } => {
                self.push(&Record::Truncated { from: *from, last: *last }).await?;
                Ok(None)
            }
            Change::Vote(vote, _) => {
                self.push(&Record::Vote(*vote)).await?;
                Ok(None)
            }
            Change::Committed(committed) => {
                self.committed = Some(Record::Committed(*committed));
                Ok(Some(Ok(())))
            }
            Change::Purged(upto) => {
                self.purge(*upto).await?;
                Ok(Some(Ok(())))
            }
            Change::Seal(_) => {
                self.flush().await?;
                if self.current.has_records() {
                    self.roll(0).await?;
                }
                Ok(Some(self.remove().await))
            }
            Change::Close(_) => {
                let late = [self.purged.take(), self.committed.take()];
                for record in late.into_iter().flatten() {
                    self.push(&record).await?;
                }
                self.flush().await?;
                Ok(Some(Ok(())))
            }
        }
    }

    /// Adds a record to the next frame.
    async fn push(&mut self, record: &Record) -> io::Result<()> {
        let bytes = record.encode();
        if !self.content.is_empty() && self.content.len() + bytes.len() > FRAME {
            self.flush().await?;
        }
        self.content.extend(bytes);
        self.marks.apply(record);
        Ok(())
    }

    /// Writes what was pushed, and tells whoever waits for it.
    async fn flush(&mut self) -> io::Result<()> {
        if !self.content.is_empty() {
            for record in [self.purged.take(), self.committed.take()].into_iter().flatten() {
                self.content.extend(record.encode());
                self.marks.apply(&record);
            }
            if !self.current.fits(self.content.len()) {
                self.roll(self.content.len()).await?;
            }
            let content = std::mem::take(&mut self.content);
            self.write(&content).await?;
            self.written = self.marks;
        }
        for change in self.waiting.drain(..) {
            change.complete(&Ok(()));
        }
        Ok(())
    }

    /// Writes a frame to the current segment.
    async fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let started = Instant::now();
        let bytes = self.current.write(content).await.map_err(|error| {
            let name = segment::name(self.current.header.number);
            Error::new(error.kind(), format!("cannot write to {name}: {error}"))
        })?;
        (self.options.written)(started.elapsed());
        self.figures.written.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the current segment, and begins one that has room for a frame of `content` bytes.
    async fn roll(&mut self, content: usize) -> io::Result<()> {
        let number = self.current.header.number + 1;
        let len = segment::len_for(self.options.segment_bytes, content);
        let header = Header { number, len, marks: self.written, ..self.current.header };
        let next = segment::create(&self.disk, header).await.map_err(|error| {
            let name = segment::name(number);
            Error::new(error.kind(), format!("cannot create {name}: {error}"))
        })?;
        self.figures.on_disk.fetch_add(len, Ordering::Relaxed);
        self.write(&Record::Sealed { next: number }.encode()).await?;
        let full = std::mem::replace(&mut self.current, next).header;
        let last = index(self.written.last);
        self.sealed.push_back(Sealed { number: full.number, len: full.len, last });
        self.remove_or_warn().await;
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let last = self.marks.last;
        if last == Some(upto) || index(last) > Some(upto.index) {
            // The entries are on disk, and stay there until the snapshot is.
            self.pending = self.pending.max(Some(upto));
            self.purge_saved().await;
            return Ok(());
        }
        // The next entry follows the snapshot, and not the entries on disk. So the snapshot must be
        // on disk first, and all later changes wait for it.
        self.flush().await?;
        if !reached(&mut self.saved, upto).await {
            return Err(Error::new(
                ErrorKind::BrokenPipe,
                "the log goes on after a snapshot that was not saved",
            ));
        }
        (self.pending, self.purged) = (None, None);
        self.push(&Record::Purged(upto)).await?;
        self.removable = self.removable.max(Some(upto.index));
        self.remove_or_warn().await;
        Ok(())
    }

    /// Performs the pending purge if the snapshot is on disk.
    async fn purge_saved(&mut self) {
        if let Some(upto) = self.pending
            && *self.saved.borrow() >= Some(upto)
        {
            (self.pending, self.purged) = (None, Some(Record::Purged(upto)));
            self.removable = self.removable.max(Some(upto.index));
            self.remove_or_warn().await;
        }
    }

    async fn remove_or_warn(&mut self) {
        if let Err(error) = self.remove().await {
            tracing::warn!("old segments of the log stay on disk until the next try: {error}");
        }
    }

    /// Removes the segments that are not needed any more, from the oldest on. The next one's header
    /// repeats what they contain besides entries.
    async fn remove(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.sealed.front()
            && oldest.last <= self.removable
        {
            let name = segment::name(oldest.number);
            match self.disk.remove(&name).await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::new(error.kind(), format!("cannot remove {name}: {error}")));
                }
                _ => {
                    self.unsynced = true;
                    self.figures.on_disk.fetch_sub(oldest.len, Ordering::Relaxed);
                    self.sealed.pop_front();
                }
            }
        }
        if self.unsynced {
            self.disk.sync().await?;
            self.unsynced = false;
        }
        Ok(())
    }
}

/// Waits until a snapshot on disk contains this entry. `false` if none will be saved any more.
async fn reached(saved: &mut watch::Receiver<Option<LogId>>, upto: LogId) -> bool {
    saved.wait_for(|saved| *saved >= Some(upto)).await.is_ok()
}
