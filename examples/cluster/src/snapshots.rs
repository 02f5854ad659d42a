//! A replica's newest snapshot, in one file: the length of openraft's metadata in four bytes, the
//! metadata, and the machine's bytes.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::disk;
use crate::machine::Machine;
use crate::types::{LogId, SnapshotMeta};

/// The longest metadata in bytes: it names the last entry in the snapshot, and the replicas.
const MAX_META: u32 = 1 << 16;

/// The store of one replica's newest snapshot. All clones share the store.
#[derive(Clone)]
pub(crate) struct Snapshots(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    /// Whether snapshots may still be saved. Locked while one is written, so that only one is
    /// written at a time: openraft may install a received snapshot while it builds one.
    writable: Mutex<bool>,
    /// The last entry that the snapshot on disk contains.
    saved: watch::Sender<Option<LogId>>,
}

impl Snapshots {
    /// Opens the store in this folder, and reads its snapshot if it has one.
    pub(crate) fn open(folder: &Path) -> io::Result<(Snapshots, Option<(SnapshotMeta, Machine)>)> {
        let folder = folder.to_owned();
        let saved = watch::Sender::new(None);
        let snapshots = Snapshots(Arc::new(Inner { folder, writable: Mutex::new(true), saved }));
        let Some((meta, file)) = snapshots.newest()? else { return Ok((snapshots, None)) };
        snapshots.0.saved.send_replace(meta.last_log_id);
        let machine = Machine::from_bytes(&machine_bytes(file)?).map_err(io::Error::other)?;
        Ok((snapshots, Some((meta, machine))))
    }

    /// Replaces the stored snapshot with this one, unless the stored one is as new or newer. The
    /// log may begin after the newer snapshot, so an older one must not replace it.
    pub(crate) fn save(&self, meta: &SnapshotMeta, machine: &[u8]) -> io::Result<()> {
        let Inner { folder, saved, .. } = &*self.0;
        let writable = self.writable();
        if !*writable {
            return Err(io::Error::other("this replica has stopped"));
        }
        let newest = *saved.borrow();
        if newest.is_some() && newest >= meta.last_log_id {
            return Ok(());
        }
        let head = postcard::to_stdvec(meta).map_err(io::Error::other)?;
        disk::replace(folder, "snapshot", |file| {
            file.write_all(&(head.len() as u32).to_le_bytes())?;
            file.write_all(&head)?;
            file.write_all(machine)
        })?;
        saved.send_replace(meta.last_log_id);
        Ok(())
    }

    /// Refuses to save any more snapshots. Needed because openraft, when it stops, does not wait
    /// for a snapshot that it is building, and the replica may be opened again in the same process.
    pub(crate) fn close(&self) {
        *self.writable() = false;
    }

    fn writable(&self) -> MutexGuard<'_, bool> {
        self.0.writable.lock().expect("no code panics while it holds this lock")
    }

    /// Opens the newest snapshot. The open file stays readable after a newer snapshot replaces it.
    pub(crate) fn newest(&self) -> io::Result<Option<(SnapshotMeta, File)>> {
        match File::open(self.0.folder.join("snapshot")) {
            Ok(mut file) => {
                let meta = read_meta(&mut file)?;
                file.rewind()?;
                Ok(Some((meta, file)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Watches the last entry that the snapshot on disk contains. The channel closes when the store
    /// is dropped.
    pub(crate) fn saved(&self) -> watch::Receiver<Option<LogId>> {
        self.0.saved.subscribe()
    }

    /// A file for a snapshot that another replica sends. It has no name, and is deleted when it is
    /// closed.
    pub(crate) fn incoming_file(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.0.folder)
    }
}

/// Reads the metadata, and leaves the file positioned at the machine's bytes.
fn read_meta(file: &mut File) -> io::Result<SnapshotMeta> {
    let mut len = [0; 4];
    file.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    if len > MAX_META {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not a snapshot"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// Reads the machine's bytes from a snapshot file.
pub(crate) fn machine_bytes(mut file: File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    read_meta(&mut file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use disband::Config;
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::machine::Proposal;

    fn upto(index: u64) -> SnapshotMeta {
        let last_log_id = Some(LogId::new(CommittedLeaderId::new(1, 1), index));
        SnapshotMeta { last_log_id, ..SnapshotMeta::default() }
    }

    #[test]
    fn an_older_snapshot_does_not_replace_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let (snapshots, none) = Snapshots::open(folder.path()).unwrap();
        assert!(none.is_none() && snapshots.newest().unwrap().is_none());
        let old = Machine::new(Config::default());
        let mut new = old.clone();
        new.apply(Proposal::Open);
        snapshots.save(&upto(3), &old.to_bytes().unwrap()).unwrap();
        let (_, sent) = snapshots.newest().unwrap().unwrap();
        snapshots.save(&upto(5), &new.to_bytes().unwrap()).unwrap();
        snapshots.save(&upto(4), &old.to_bytes().unwrap()).unwrap();
        assert_eq!(*snapshots.saved().borrow(), upto(5).last_log_id);
        let (_, saved) = Snapshots::open(folder.path()).unwrap();
        assert_eq!(saved.unwrap(), (upto(5), new));
        snapshots.close();
        assert!(snapshots.save(&upto(6), &old.to_bytes().unwrap()).is_err());
        assert_eq!(snapshots.newest().unwrap().unwrap().0, upto(5));
        // A file that was opened earlier still has the old content.
        assert_eq!(machine_bytes(sent).unwrap(), old.to_bytes().unwrap());
    }

    #[test]
    fn a_damaged_snapshot_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new(Config::default()).to_bytes().unwrap();
        let (snapshots, _) = Snapshots::open(folder.path()).unwrap();
        snapshots.save(&upto(3), &machine).unwrap();
        let path = folder.path().join("snapshot");
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(Snapshots::open(folder.path()).is_err(), "cut off at {len}");
        }
        fs::write(&path, [0xff; 100]).unwrap();
        assert!(Snapshots::open(folder.path()).is_err());
    }
}
