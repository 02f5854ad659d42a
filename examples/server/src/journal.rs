//! Commands on disk: a log of commands, and snapshots that replace old logs.
//!
//! A data folder holds generations. `N.snapshot` is the engine at the time when `N.log` began. At
//! start, the newest snapshot is read, and the commands in its log and in later logs are applied.
//! The engine is deterministic, so this restores the same state.
//!
//! A log is a sequence of frames. A frame holds the records (commands with their times) that were
//! synced together. It begins with a header of twelve bytes: the length of the records, their
//! CRC-32, and the CRC-32 of these two numbers. With them, an incomplete last frame can be
//! distinguished from damage (except damage in the records of the last frame, which looks the
//! same). An incomplete frame was never synced, so its commands were never answered, and it is cut
//! off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use disband::{Config, Engine, GroupId, Timestamp, UserId};
use tracing::{info, warn};

/// A command in the log, with its time.
type Record = (Timestamp, disband::Command<UserId, GroupId>);

const LOG: &[u8; 8] = b"disblog1";
const SNAPSHOT: &[u8; 8] = b"disbsnp1";
const HEADER: usize = 12;

/// A place to keep commands: a [`Journal`], or a replacement in a test.
pub trait Storage: Send {
    /// Writes and syncs all of these records before it returns.
    ///
    /// # Errors
    /// None of the records is kept. After an error, `append` is not called again.
    fn append(&mut self, records: &[u8]) -> io::Result<()>;

    /// Called after each successful [`append`](Self::append), with the engine that includes all
    /// appended records. The storage may start a new generation here.
    fn committed(&mut self, engine: &Engine) {
        let _ = engine;
    }
}

/// Why a data folder can't be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// An error from the file system.
    #[error("{path}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// Another process uses the folder.
    #[error("{path}: in use by another process")]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// The content of a file is not what was written.
    #[error("{path}: byte {at}: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The byte position in the file.
        at: u64,
        /// What is wrong.
        what: String,
    },
}

/// Adds the path to an error.
fn with_path<T>(path: &Path, result: io::Result<T>) -> Result<T, JournalError> {
    result.map_err(|error| JournalError::Io { path: path.to_owned(), error })
}

fn damaged(path: &Path, at: usize, what: impl Into<String>) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), at: at as u64, what: what.into() }
}

/// Adds one record to the buffer for the next [`Storage::append`].
pub(crate) fn record(
    records: &mut Vec<u8>,
    command: &disband::Command<UserId, GroupId>,
    at: Timestamp,
) {
    postcard::to_io(&(at, command), records).expect("writing to memory cannot fail");
}

/// The log in a data folder.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// While this file is open, the folder is locked.
    _lock: File,
    generation: u64,
    log: File,
    /// The synced length of the log, in bytes.
    len: u64,
    /// The log length, in bytes, at which a new generation begins.
    snapshot_every: u64,
    /// The thread that writes the snapshot of this generation.
    snapshot: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens a data folder, or creates it, and returns the engine in it. A new engine gets
    /// `config`. An existing one keeps its own configuration, which is part of its state.
    ///
    /// When a log has `snapshot_every` bytes, a snapshot is taken and a new log begins.
    ///
    /// # Errors
    /// The folder can't be used, or a file in it is damaged. An incomplete last frame is not an
    /// error: it is cut off, with a warning.
    pub fn open(
        folder: &Path,
        config: Config,
        snapshot_every: u64,
    ) -> Result<(Engine, Journal), JournalError> {
        with_path(folder, fs::create_dir_all(folder))?;
        let path = folder.join("lock");
        let lock = with_path(&path, File::create(&path))?;
        if lock.try_lock().is_err() {
            return Err(JournalError::InUse { path: folder.to_owned() });
        }
        let (snapshots, logs) = with_path(folder, generations(folder))?;
        let Some(&newest) = snapshots.last() else {
            if let Some(log) = logs.first() {
                let path = folder.join(format!("{log}.log"));
                return Err(damaged(&path, 0, "a log without the snapshot that it continues"));
            }
            let engine = Engine::new(config);
            with_path(folder, write_snapshot(folder, 0, &engine))?;
            let log = with_path(folder, new_log(folder, 0))?;
            let len = LOG.len() as u64;
            return Ok((engine, Journal::new(folder, lock, 0, log, len, snapshot_every)));
        };
        let mut engine = read_snapshot(&folder.join(format!("{newest}.snapshot")))?;
        if *engine.config() != config {
            info!("the data folder has its own configuration: the given one is not used");
        }
        let last = logs.last().copied().unwrap_or(newest).max(newest);
        let mut end = None;
        for generation in newest..=last {
            let path = folder.join(format!("{generation}.log"));
            end = replay(&path, &mut engine, generation == last)?;
        }
        let path = folder.join(format!("{last}.log"));
        let (log, len) = match end {
            Some(len) => {
                let log = with_path(&path, OpenOptions::new().append(true).open(&path))?;
                // Remove an incomplete frame before the next one is appended.
                with_path(&path, log.set_len(len).and_then(|()| log.sync_all()))?;
                (log, len)
            }
            None => (with_path(&path, new_log(folder, last))?, LOG.len() as u64),
        };
        info!(stats = ?engine.stats(), "read {}", folder.display());
        let journal = Journal::new(folder, lock, last, log, len, snapshot_every);
        journal.remove_before(newest);
        Ok((engine, journal))
    }

    fn new(
        folder: &Path,
        lock: File,
        generation: u64,
        log: File,
        len: u64,
        snapshot_every: u64,
    ) -> Self {
        let folder = folder.to_owned();
        Journal { folder, _lock: lock, generation, log, len, snapshot_every, snapshot: None }
    }

    /// Begins the next generation. Its log begins now; its snapshot is written on another thread.
    fn start_generation(&mut self, engine: Engine) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        self.log = new_log(&self.folder, generation)?;
        self.generation = generation;
        self.len = LOG.len() as u64;
        let folder = self.folder.clone();
        self.snapshot =
            Some(thread::Builder::new().name("snapshot".into()).spawn(
                move || match write_snapshot(&folder, generation, &engine) {
                    Ok(()) => remove_before(&folder, generation),
                    Err(error) => {
                        warn!(%error, "no snapshot: the next start has to read older logs, too")
                    }
                },
            )?);
        Ok(())
    }

    fn remove_before(&self, generation: u64) {
        remove_before(&self.folder, generation);
    }
}

impl Storage for Journal {
    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let frame = frame(records)?;
        let result = (&self.log).write_all(&frame).and_then(|()| self.log.sync_data());
        match result {
            Ok(()) => self.len = self.len.saturating_add(frame.len() as u64),
            // A part of the frame may be on disk. The next start must not apply it.
            Err(_) => {
                if let Err(error) = self.log.set_len(self.len).and_then(|()| self.log.sync_all()) {
                    warn!(%error, "commands answered with 503 may be applied at the next start");
                }
            }
        }
        result
    }

    fn committed(&mut self, engine: &Engine) {
        let busy = self.snapshot.as_ref().is_some_and(|thread| !thread.is_finished());
        if self.len >= self.snapshot_every
            && !busy
            && let Err(error) = self.start_generation(engine.clone())
        {
            warn!(%error, "could not start a new log and its snapshot");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(thread) = self.snapshot.take() {
            let _ = thread.join();
        }
    }
}

/// The generations of the snapshots and of the logs in a folder, each in ascending order.
fn generations(folder: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut snapshots, mut logs) = (Vec::new(), Vec::new());
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|s| s.parse().ok());
        match (path.extension().and_then(|extension| extension.to_str()), number) {
            (Some("snapshot"), Some(number)) => snapshots.push(number),
            (Some("log"), Some(number)) => logs.push(number),
            // An unfinished snapshot.
            (Some("new"), _) => fs::remove_file(&path)?,
            _ => {}
        }
    }
    snapshots.sort_unstable();
    logs.sort_unstable();
    Ok((snapshots, logs))
}

/// Removes the files of older generations, which a snapshot has replaced.
fn remove_before(folder: &Path, generation: u64) {
    let Ok((snapshots, logs)) = generations(folder) else { return };
    let old = |numbers: Vec<u64>, extension: &'static str| {
        numbers
            .into_iter()
            .filter(move |number| *number < generation)
            .map(move |number| folder.join(format!("{number}.{extension}")))
    };
    for path in old(snapshots, "snapshot").chain(old(logs, "log")) {
        if let Err(error) = fs::remove_file(&path) {
            warn!(%error, "can't remove {}", path.display());
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn new_log(folder: &Path, generation: u64) -> io::Result<File> {
    let path = folder.join(format!("{generation}.log"));
    let mut log = OpenOptions::new().append(true).create(true).open(path)?;
    // An earlier attempt may have been interrupted and left a part of the file.
    log.set_len(0)?;
    log.write_all(LOG)?;
    log.sync_all()?;
    sync_folder(folder)?;
    Ok(log)
}

/// Writes a snapshot atomically: under a temporary name first, then renamed.
fn write_snapshot(folder: &Path, generation: u64, engine: &Engine) -> io::Result<()> {
    let path = folder.join(format!("{generation}.snapshot"));
    let temporary = folder.join(format!("{generation}.new"));
    let bytes = postcard::to_stdvec(engine).map_err(io::Error::other)?;
    let mut file = File::create(&temporary)?;
    file.write_all(SNAPSHOT)?;
    file.write_all(&crc32fast::hash(&bytes).to_le_bytes())?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    sync_folder(folder)
}

fn read_snapshot(path: &Path) -> Result<Engine, JournalError> {
    let bytes = with_path(path, fs::read(path))?;
    let Some(rest) = bytes.strip_prefix(SNAPSHOT) else {
        return Err(damaged(path, 0, "not a snapshot"));
    };
    let Some((sum, bytes)) = rest.split_first_chunk() else {
        return Err(damaged(path, SNAPSHOT.len(), "ends within its checksum"));
    };
    let start = SNAPSHOT.len() + sum.len();
    if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
        return Err(damaged(path, start, "the checksum does not match"));
    }
    postcard::from_bytes(bytes).map_err(|error| damaged(path, start, error.to_string()))
}

fn frame(records: &[u8]) -> io::Result<Vec<u8>> {
    let len = u32::try_from(records.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(HEADER + records.len());
    frame.extend(len.to_le_bytes());
    frame.extend(crc32fast::hash(records).to_le_bytes());
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    frame.extend(records);
    Ok(frame)
}

/// The first frame in the bytes of a log.
enum Frame<'a> {
    Whole {
        records: &'a [u8],
        /// The bytes after the frame.
        rest: &'a [u8],
    },
    /// The frame was not written completely.
    Torn,
    Damaged(&'static str),
}

fn first_frame(bytes: &[u8]) -> Frame<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Frame::Torn };
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|nth| header[at + nth]));
    if crc32fast::hash(&header[..8]) != word(8) {
        // The file may have grown before its data was written: then all bytes are zero.
        let blank = bytes.iter().all(|byte| *byte == 0);
        return if blank { Frame::Torn } else { Frame::Damaged("a frame's header does not match") };
    }
    match rest.split_at_checked(word(0) as usize) {
        Some((records, rest)) if crc32fast::hash(records) == word(4) => {
            Frame::Whole { records, rest }
        }
        Some((_, [_, ..])) => Frame::Damaged("a frame's checksum does not match"),
        Some((_, [])) | None => Frame::Torn,
    }
}

/// Applies the commands in a log. Returns the length of its whole frames. Returns `None` if this is
/// the last log and the file is missing or has an incomplete file header.
fn replay(path: &Path, engine: &mut Engine, last: bool) -> Result<Option<u64>, JournalError> {
    let bytes = match fs::read(path) {
        Err(error) if last && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => with_path(path, bytes)?,
    };
    let Some(mut rest) = bytes.strip_prefix(LOG) else {
        return if last && LOG.starts_with(&bytes) {
            Ok(None)
        } else {
            Err(damaged(path, 0, "not a log"))
        };
    };
    loop {
        let at = bytes.len() - rest.len();
        if rest.is_empty() {
            return Ok(Some(at as u64));
        }
        let mut records = match first_frame(rest) {
            Frame::Whole { records, rest: after } => {
                rest = after;
                records
            }
            Frame::Torn if last => {
                warn!(
                    "{}: byte {at}: the last frame is incomplete: {} bytes cut off",
                    path.display(),
                    rest.len()
                );
                return Ok(Some(at as u64));
            }
            Frame::Torn => return Err(damaged(path, at, "ends within a frame")),
            Frame::Damaged(what) => return Err(damaged(path, at, what)),
        };
        while !records.is_empty() {
            let ((now, command), remaining): (Record, _) = postcard::take_from_bytes(records)
                .map_err(|error| damaged(path, at, format!("not a command: {error}")))?;
            // Refused commands are in the log, too, because they count against the rate limit.
            let _ = engine.apply(command, now);
            records = remaining;
        }
    }
}
