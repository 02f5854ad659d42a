//! Commands on disk: a log of all that were carried out, and snapshots to begin it anew.
//!
//! A data folder holds generations: `N.snapshot` is the engine as it was when `N.log` began. A start
//! reads the newest snapshot and carries out the logs from there on. The engine is deterministic, so
//! that gives the very state again.
//!
//! A log is a row of frames. A frame is what was synced together, and its header of twelve bytes is
//! the length of what follows, its CRC-32, and the CRC-32 of these two: so a frame that was cut off,
//! which nobody was told of, can be told from one that was damaged later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use disband::{Config, Engine, GroupId, Timestamp, UserId};
use tracing::{info, warn};

/// A command as the log has it: its time, and what it is.
type Record = (Timestamp, disband::Command<UserId, GroupId>);

const LOG: &[u8; 8] = b"disblog1";
const SNAPSHOT: &[u8; 8] = b"disbsnp1";
const HEADER: usize = 12;

/// What keeps commands: a [`Journal`], or what a test puts in its place.
pub trait Storage: Send {
    /// Keeps these records for good before it returns, or none of them.
    ///
    /// # Errors
    /// They are not kept. Nothing more will be sent.
    fn append(&mut self, records: &[u8]) -> io::Result<()>;

    /// Told of the engine as it is with all records that were appended; a chance to begin a new
    /// generation.
    fn settled(&mut self, engine: &Engine) {
        let _ = engine;
    }
}

/// Why a data folder can't be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system says no.
    #[error("{path}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// Another process has it.
    #[error("{path}: in use by another process")]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// What is there is not what was written.
    #[error("{path}: byte {at}: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// What is wrong there.
        what: String,
    },
}

fn named<T>(path: &Path, result: io::Result<T>) -> Result<T, JournalError> {
    result.map_err(|error| JournalError::Io { path: path.to_owned(), error })
}

fn damaged(path: &Path, at: usize, what: impl Into<String>) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), at: at as u64, what: what.into() }
}

/// Appends one record to those that wait for the next [`Storage::append`].
pub(crate) fn record(
    records: &mut Vec<u8>,
    command: &disband::Command<UserId, GroupId>,
    at: Timestamp,
) {
    postcard::to_io(&(at, command), records).expect("memory takes whatever is written");
}

/// The log in a data folder.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Holds the lock on the folder.
    _lock: File,
    generation: u64,
    log: File,
    /// How much of the log is synced.
    len: u64,
    /// How long a log grows before a new generation begins.
    most: u64,
    snapshot: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens a data folder, making it if there is none, and gives the engine that is in it. A new one
    /// begins with `config`; an old one has its own, which is part of its state.
    ///
    /// `most` is how many bytes a log grows to before a snapshot is taken and a new one begins.
    ///
    /// # Errors
    /// The folder can't be used, or what is in it is damaged. A last frame that was cut off is no
    /// damage: it is cut away, with a warning.
    pub fn open(
        folder: &Path,
        config: Config,
        most: u64,
    ) -> Result<(Engine, Journal), JournalError> {
        named(folder, fs::create_dir_all(folder))?;
        let path = folder.join("lock");
        let lock = named(&path, File::create(&path))?;
        if lock.try_lock().is_err() {
            return Err(JournalError::InUse { path: folder.to_owned() });
        }
        let (snapshots, logs) = named(folder, generations(folder))?;
        let Some(&newest) = snapshots.last() else {
            if let Some(log) = logs.first() {
                let path = folder.join(format!("{log}.log"));
                return Err(damaged(&path, 0, "a log without the snapshot that it goes on from"));
            }
            let engine = Engine::new(config);
            named(folder, write_snapshot(folder, 0, &engine))?;
            let log = named(folder, new_log(folder, 0))?;
            return Ok((engine, Journal::new(folder, lock, 0, log, LOG.len() as u64, most)));
        };
        let mut engine = read_snapshot(&folder.join(format!("{newest}.snapshot")))?;
        if *engine.config() != config {
            info!("the data folder has its own configuration, which stays as it is");
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
                let log = named(&path, OpenOptions::new().append(true).open(&path))?;
                // What was cut off goes before anything is written behind it.
                named(&path, log.set_len(len).and_then(|()| log.sync_all()))?;
                (log, len)
            }
            None => (named(&path, new_log(folder, last))?, LOG.len() as u64),
        };
        info!(stats = ?engine.stats(), "read {}", folder.display());
        let journal = Journal::new(folder, lock, last, log, len, most);
        journal.forget_before(newest);
        Ok((engine, journal))
    }

    fn new(folder: &Path, lock: File, generation: u64, log: File, len: u64, most: u64) -> Self {
        let folder = folder.to_owned();
        Journal { folder, _lock: lock, generation, log, len, most, snapshot: None }
    }

    /// Begins the next generation: a new log now, its snapshot on a thread of its own.
    fn turn_over(&mut self, engine: Engine) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        self.log = new_log(&self.folder, generation)?;
        self.generation = generation;
        self.len = LOG.len() as u64;
        let folder = self.folder.clone();
        self.snapshot =
            Some(thread::Builder::new().name("snapshot".into()).spawn(
                move || match write_snapshot(&folder, generation, &engine) {
                    Ok(()) => forget_before(&folder, generation),
                    Err(error) => {
                        warn!(%error, "no snapshot: the next start reads more of the log")
                    }
                },
            )?);
        Ok(())
    }

    fn forget_before(&self, generation: u64) {
        forget_before(&self.folder, generation);
    }
}

impl Storage for Journal {
    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let frame = frame(records)?;
        let kept = (&self.log).write_all(&frame).and_then(|()| self.log.sync_data());
        match kept {
            Ok(()) => self.len = self.len.saturating_add(frame.len() as u64),
            // What may be there of it must not come back with the next start.
            Err(_) => {
                if let Err(error) = self.log.set_len(self.len).and_then(|()| self.log.sync_all()) {
                    warn!(%error, "commands that were refused may come back with the next start");
                }
            }
        }
        kept
    }

    fn settled(&mut self, engine: &Engine) {
        let busy = self.snapshot.as_ref().is_some_and(|thread| !thread.is_finished());
        if self.len >= self.most
            && !busy
            && let Err(error) = self.turn_over(engine.clone())
        {
            warn!(%error, "no new log: the old one goes on");
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

/// The generations that there are snapshots of, and logs, in ascending order.
fn generations(folder: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut snapshots, mut logs) = (Vec::new(), Vec::new());
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|s| s.parse().ok());
        match (path.extension().and_then(|ending| ending.to_str()), number) {
            (Some("snapshot"), Some(number)) => snapshots.push(number),
            (Some("log"), Some(number)) => logs.push(number),
            // A snapshot that was not finished.
            (Some("new"), _) => fs::remove_file(&path)?,
            _ => {}
        }
    }
    snapshots.sort_unstable();
    logs.sort_unstable();
    Ok((snapshots, logs))
}

/// Removes what a snapshot has made superfluous.
fn forget_before(folder: &Path, generation: u64) {
    let Ok((snapshots, logs)) = generations(folder) else { return };
    let old = |numbers: Vec<u64>, ending: &'static str| {
        numbers
            .into_iter()
            .filter(move |number| *number < generation)
            .map(move |number| folder.join(format!("{number}.{ending}")))
    };
    for path in old(snapshots, "snapshot").chain(old(logs, "log")) {
        if let Err(error) = fs::remove_file(&path) {
            warn!(%error, "{} stays", path.display());
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn new_log(folder: &Path, generation: u64) -> io::Result<File> {
    let path = folder.join(format!("{generation}.log"));
    let mut log = OpenOptions::new().append(true).create(true).open(path)?;
    // What a start that was cut off may have left.
    log.set_len(0)?;
    log.write_all(LOG)?;
    log.sync_all()?;
    sync_folder(folder)?;
    Ok(log)
}

/// The snapshot is there whole, under its name, or not at all.
fn write_snapshot(folder: &Path, generation: u64, engine: &Engine) -> io::Result<()> {
    let path = folder.join(format!("{generation}.snapshot"));
    let beside = folder.join(format!("{generation}.new"));
    let bytes = postcard::to_stdvec(engine).map_err(io::Error::other)?;
    let mut file = File::create(&beside)?;
    file.write_all(SNAPSHOT)?;
    file.write_all(&crc32fast::hash(&bytes).to_le_bytes())?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    sync_folder(folder)
}

fn read_snapshot(path: &Path) -> Result<Engine, JournalError> {
    let bytes = named(path, fs::read(path))?;
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

/// What stands at the beginning of some bytes of a log.
enum Frame<'a> {
    Whole {
        records: &'a [u8],
        rest: &'a [u8],
    },
    /// The end was not written.
    Torn,
    Damaged(&'static str),
}

fn first_frame(bytes: &[u8]) -> Frame<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Frame::Torn };
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|nth| header[at + nth]));
    if crc32fast::hash(&header[..8]) != word(8) {
        // A file may grow before what is written to it arrives.
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

/// Carries out a log. Returns where it ends; `None` if it is the last one and was not begun.
fn replay(path: &Path, engine: &mut Engine, last: bool) -> Result<Option<u64>, JournalError> {
    let bytes = match fs::read(path) {
        Err(error) if last && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => named(path, bytes)?,
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
            Frame::Whole { records, rest: behind } => {
                rest = behind;
                records
            }
            Frame::Torn if last => {
                warn!(
                    "{}: byte {at}: the last frame was not written whole: {} bytes cut off",
                    path.display(),
                    rest.len()
                );
                return Ok(Some(at as u64));
            }
            Frame::Torn => return Err(damaged(path, at, "ends within a frame")),
            Frame::Damaged(what) => return Err(damaged(path, at, what)),
        };
        while !records.is_empty() {
            let ((now, command), others): (Record, _) = postcard::take_from_bytes(records)
                .map_err(|error| damaged(path, at, format!("not a command: {error}")))?;
            // What was refused is refused again: it charges the rate limit.
            let _ = engine.apply(command, now);
            records = others;
        }
    }
}
