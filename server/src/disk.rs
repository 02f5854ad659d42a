//! The files of a data folder, as the server uses them.
//!
//! All access to files goes through these two traits, so that a simulation can replace them: it can
//! lose, reorder and tear what was not synced, fill up, fail and change bits.

use std::future::Future;
use std::io;

/// A folder of files. Folders in it are ignored.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// The names of all files, in ascending order.
    fn list(&self) -> impl Future<Output = io::Result<Vec<String>>> + Send;

    /// Creates a file of `len` zero bytes, and reserves the space for them. An existing file is
    /// replaced. The file is durable after its first [`DiskFile::write`] and a
    /// [`sync`](Self::sync).
    fn create(&self, name: &str, len: u64) -> impl Future<Output = io::Result<Self::File>> + Send;

    /// Opens an existing file.
    fn open(&self, name: &str) -> impl Future<Output = io::Result<Self::File>> + Send;

    /// Renames a file. An existing file with the new name is replaced, in one step.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = io::Result<()>> + Send;

    /// Removes a file.
    fn remove(&self, name: &str) -> impl Future<Output = io::Result<()>> + Send;

    /// Returns when all files created, renamed and removed before are so on disk. After a crash
    /// before that, only the first few of these operations may have happened.
    fn sync(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// How many bytes can still be written.
    fn free(&self) -> impl Future<Output = io::Result<u64>> + Send;
}

/// An open file of a [`Disk`].
#[allow(clippy::len_without_is_empty, reason = "a length takes a call to the disk")]
pub trait DiskFile: Send + Sync + 'static {
    /// The length in bytes.
    fn len(&self) -> impl Future<Output = io::Result<u64>> + Send;

    /// Up to `len` bytes from byte `at` on: fewer only at the end of the file. Bytes that a stopped
    /// process wrote and did not sync may be among them, though they are not on disk.
    fn read(&self, at: u64, len: usize) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Writes the bytes at byte `at`, and returns when they are on disk. After a crash before that,
    /// each block of 512 bytes that it touches has its old or its new content. After an error it is
    /// not known what is on disk, and a later write does not bring it there.
    fn write(&mut self, at: u64, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// What to do when a data folder cannot be used.
const REMEDY: &str = "Delete nothing. Restore the whole folder from a backup, or move it away and \
                      start this node as a new one";

/// Why the files of a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system reported an error.
    #[error("{file}: {error}")]
    Io {
        /// The name of the file, or `the folder`.
        file: String,
        /// The error.
        error: io::Error,
    },
    /// A file is not as it was written.
    #[error(
        "{file}: byte {at}: {what}. The disk or another program has changed the file. {REMEDY}"
    )]
    Damaged {
        /// The name of the file.
        file: String,
        /// The position of the first wrong byte that was found, or of the unit that contains it.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// A file was written by another version of the program.
    #[error(
        "{file}: has format version {found}, but this program reads version {known} only. \
         Start the version of the program that wrote the file"
    )]
    Version {
        /// The name of the file.
        file: String,
        /// Its version.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// A file belongs to another node, or to a node of another cluster.
    #[error(
        "{file}: belongs to {found}, but this folder to {own}. Move the file to its own folder"
    )]
    Foreign {
        /// The name of the file.
        file: String,
        /// To whom the file belongs.
        found: String,
        /// To whom the folder belongs.
        own: String,
    },
    /// A file is missing.
    #[error("{file} is missing: {why}. Put the file back. If it is lost: {REMEDY}")]
    Missing {
        /// The name of the file, or a description of it.
        file: String,
        /// How its absence was noticed.
        why: String,
    },
}

impl DataError {
    /// Turns an error of the operating system into one that names the file.
    pub(crate) fn io(file: &str) -> impl FnOnce(io::Error) -> DataError {
        move |error| DataError::Io { file: file.into(), error }
    }

    pub(crate) fn damaged(file: &str, at: usize, what: impl Into<String>) -> DataError {
        DataError::Damaged { file: file.into(), at: at as u64, what: what.into() }
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            DataError::Io { file, .. }
            | DataError::Damaged { file, .. }
            | DataError::Version { file, .. }
            | DataError::Foreign { file, .. }
            | DataError::Missing { file, .. } => file,
        }
    }
}

/// The name in an error that concerns no single file.
pub(crate) const FOLDER: &str = "the folder";

/// Appended to the name of a file that is not complete. After a crash, such a file is removed.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Creates a file with these bytes, or replaces it in one step. Returns when the file is on disk.
pub(crate) async fn replace<D: Disk>(disk: &D, name: &str, bytes: Vec<u8>) -> io::Result<()> {
    let temporary = format!("{name}{TEMPORARY}");
    let mut file = disk.create(&temporary, bytes.len() as u64).await?;
    file.write(0, bytes).await?;
    disk.rename(&temporary, name).await?;
    disk.sync().await
}
