//! The real world: the operating system. Only this module may use it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "see the module's comment")]

mod process;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use disband::Timestamp;
use tokio::net::{TcpListener, TcpStream};

use crate::disk::{Disk, DiskFile};
use crate::world::{Listener, World};
pub use process::{Stop, read_to_string, run};

/// The operating system.
#[derive(Debug, Clone)]
pub struct Real {
    /// Values to free on a thread of their own.
    garbage: mpsc::Sender<Box<dyn Send>>,
}

impl Real {
    /// Starts the thread that frees large values.
    ///
    /// # Errors
    /// The operating system starts no thread.
    pub fn new() -> io::Result<Real> {
        let (garbage, values) = mpsc::channel::<Box<dyn Send>>();
        // The thread ends when the last clone of `Real` is dropped. Nobody waits for it.
        thread::Builder::new().name("free".into()).spawn(move || {
            // On Linux this is the priority of the thread, not of the process.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(19);
            values.into_iter().for_each(drop);
        })?;
        Ok(Real { garbage })
    }
}

impl World for Real {
    type Disk = RealDisk;
    type Listener = RealListener;
    type Stream = TcpStream;

    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn random(&self) -> u64 {
        getrandom::u64().expect("the operating system gives random numbers")
    }

    fn memory(&self) -> u64 {
        #[cfg(target_os = "linux")]
        {
            let system = rustix::system::sysinfo();
            #[allow(clippy::useless_conversion, reason = "its type differs between platforms")]
            u64::from(system.totalram).saturating_mul(u64::from(system.mem_unit))
        }
        #[cfg(not(target_os = "linux"))]
        {
            4 << 30
        }
    }

    async fn disk(&self, folder: &Path) -> io::Result<RealDisk> {
        let folder = folder.to_owned();
        blocking(move || RealDisk::lock(folder)).await
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<RealListener> {
        Ok(RealListener(TcpListener::bind(address).await?))
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn free(&self, value: impl Send + 'static) {
        // If the thread has ended, the value is freed here.
        let _ = self.garbage.send(Box::new(value));
    }
}

/// A TCP listener.
#[derive(Debug)]
pub struct RealListener(TcpListener);

impl Listener for RealListener {
    type Stream = TcpStream;

    fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        // Send small frames without delay.
        let _ = stream.set_nodelay(true);
        Ok((stream, from))
    }
}

/// Files in a folder that only their owner can read.
#[derive(Debug, Clone)]
pub struct RealDisk(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// While this file is open, the folder is locked.
    _lock: File,
}

/// An open file in a [`RealDisk`].
#[derive(Debug)]
pub struct RealFile {
    file: Arc<File>,
}

/// The name of the file that is locked. It is not one of the disk's files.
const LOCK: &str = "lock";

impl RealDisk {
    /// Creates the folder if there is none, and locks it.
    fn lock(path: PathBuf) -> io::Result<RealDisk> {
        create_folder(&path)?;
        let mut options = OpenOptions::new();
        let lock =
            options.write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "in use by another process")
            }
            TryLockError::Error(error) => error,
        })?;
        Ok(RealDisk(Arc::new(Folder { path, _lock: lock })))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path.join(name)
    }
}

/// Creates a folder and those around it that do not exist. They are on disk when this returns.
fn create_folder(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for created in missing {
        // The parent of a relative path with one part is empty.
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Reserves the space of a new file.
fn reserve(file: &File, len: u64) -> io::Result<()> {
    loop {
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(file, flags, 0, len) {
            Err(rustix::io::Errno::INTR) => {}
            // Some file systems cannot reserve space. Then the file only has the length.
            Err(rustix::io::Errno::OPNOTSUPP) => return file.set_len(len),
            done => return Ok(done?),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Disk for RealDisk {
    type File = RealFile;

    async fn list(&self) -> io::Result<Vec<String>> {
        let folder = Arc::clone(&self.0);
        blocking(move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&folder.path)? {
                let entry = entry?;
                if !entry.file_type()?.is_dir() {
                    // A name that is not UTF-8 is not one of ours.
                    names.extend(entry.file_name().into_string());
                }
            }
            names.retain(|name| name != LOCK);
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    async fn create(&self, name: &str, len: u64) -> io::Result<RealFile> {
        let path = self.at(name);
        blocking(move || {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
            let file = options.open(&path)?;
            if len > 0
                && let Err(error) = reserve(&file, len)
            {
                // What was reserved would keep a full disk full.
                let _ = fs::remove_file(path);
                return Err(error);
            }
            Ok(RealFile { file: Arc::new(file) })
        })
        .await
    }

    async fn open(&self, name: &str) -> io::Result<RealFile> {
        let path = self.at(name);
        blocking(move || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            Ok(RealFile { file: Arc::new(file) })
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        blocking(move || fs::rename(from, to)).await
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.at(name);
        blocking(move || fs::remove_file(path)).await
    }

    async fn sync(&self) -> io::Result<()> {
        let folder = Arc::clone(&self.0);
        blocking(move || File::open(&folder.path)?.sync_all()).await
    }

    async fn free(&self) -> io::Result<u64> {
        let folder = Arc::clone(&self.0);
        blocking(move || {
            let space = rustix::fs::statvfs(&folder.path)?;
            Ok(space.f_bavail.saturating_mul(space.f_frsize))
        })
        .await
    }
}

impl DiskFile for RealFile {
    async fn len(&self) -> io::Result<u64> {
        let file = self.file.clone();
        blocking(move || Ok(file.metadata()?.len())).await
    }

    async fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = self.file.clone();
        blocking(move || {
            let rest = file.metadata()?.len().saturating_sub(at);
            let len = len.min(usize::try_from(rest).unwrap_or(usize::MAX));
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        })
        .await
    }

    async fn write(&mut self, at: u64, bytes: Vec<u8>) -> io::Result<()> {
        let file = self.file.clone();
        blocking(move || {
            file.write_all_at(&bytes, at)?;
            file.sync_data()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_data_folder_is_readable_by_its_owner_alone() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a").join("b");
        let disk = Real::new().unwrap().disk(&path).await.unwrap();
        let mut file = disk.create("file", 10).await.unwrap();
        file.write(3, vec![7]).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        assert_eq!((mode(&path.join("file")), mode(&path.join(LOCK))), (0o600, 0o600));
    }

    #[tokio::test]
    async fn a_data_folder_is_locked_until_it_is_dropped() {
        let outer = tempfile::tempdir().unwrap();
        let world = Real::new().unwrap();
        let disk = world.disk(outer.path()).await.unwrap();
        let error = world.disk(outer.path()).await.unwrap_err();
        assert_eq!(error.to_string(), "in use by another process");
        drop(disk);
        world.disk(outer.path()).await.unwrap();
    }

    #[tokio::test]
    async fn files_are_written_read_renamed_and_removed() {
        let outer = tempfile::tempdir().unwrap();
        let disk = Real::new().unwrap().disk(outer.path()).await.unwrap();
        fs::create_dir(outer.path().join("folder")).unwrap();
        let mut file = disk.create("b", 1_000).await.unwrap();
        file.write(998, vec![1, 2, 3]).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 1_001);
        assert_eq!(file.read(997, 100).await.unwrap(), [0, 1, 2, 3]);
        assert_eq!(file.read(2_000, 100).await.unwrap(), [0; 0]);
        disk.create("a", 0).await.unwrap();
        assert_eq!(disk.list().await.unwrap(), ["a", "b"]);
        disk.rename("b", "a").await.unwrap();
        disk.sync().await.unwrap();
        assert_eq!(disk.list().await.unwrap(), ["a"]);
        assert_eq!(disk.open("a").await.unwrap().len().await.unwrap(), 1_001);
        disk.remove("a").await.unwrap();
        assert_eq!(disk.open("a").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(disk.free().await.unwrap() > 0);
    }

    #[tokio::test]
    async fn a_file_that_finds_no_space_is_not_left_behind() {
        let outer = tempfile::tempdir().unwrap();
        let disk = Real::new().unwrap().disk(outer.path()).await.unwrap();
        // More than any file system holds.
        disk.create("file", 1 << 62).await.unwrap_err();
        assert_eq!(disk.list().await.unwrap(), [""; 0]);
    }
}
