//! A replica's newest snapshot, in one file: what openraft says of it, and the machine's bytes.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::disk;
use crate::machine::Machine;
use crate::types::{LogId, SnapshotMeta};

/// The longest that is said of a snapshot: its last entry, and who the replicas are.
const LONGEST_META: u32 = 1 << 16;

/// The file; all clones are of the same one.
#[derive(Clone)]
pub(crate) struct Snapshots(Arc<Shelf>);

struct Shelf {
    folder: PathBuf,
    /// One is written at a time: openraft may install another's while one of ours is built. `false` when
    /// no more are to be written.
    open: Mutex<bool>,
    /// The last entry that is in the file, when it is on disk.
    kept: watch::Sender<Option<LogId>>,
}

impl Snapshots {
    /// Those in this folder, and what is in the newest.
    pub(crate) fn open(folder: &Path) -> io::Result<(Snapshots, Option<(SnapshotMeta, Machine)>)> {
        let folder = folder.to_owned();
        let kept = watch::Sender::new(None);
        let snapshots = Snapshots(Arc::new(Shelf { folder, open: Mutex::new(true), kept }));
        let Some((meta, file)) = snapshots.newest()? else { return Ok((snapshots, None)) };
        snapshots.0.kept.send_replace(meta.last_log_id);
        let machine = Machine::from_bytes(&machine(file)?).map_err(io::Error::other)?;
        Ok((snapshots, Some((meta, machine))))
    }

    /// Keeps this one in place of the one before; unless that is newer, as the log may begin after it.
    pub(crate) fn keep(&self, meta: &SnapshotMeta, machine: &[u8]) -> io::Result<()> {
        let Shelf { folder, kept, .. } = &*self.0;
        let open = self.writing();
        if !*open {
            return Err(io::Error::other("this replica has stopped"));
        }
        let newest = *kept.borrow();
        if newest.is_some() && newest >= meta.last_log_id {
            return Ok(());
        }
        let head = postcard::to_stdvec(meta).map_err(io::Error::other)?;
        disk::replace(folder, "snapshot", |file| {
            file.write_all(&(head.len() as u32).to_le_bytes())?;
            file.write_all(&head)?;
            file.write_all(machine)
        })?;
        kept.send_replace(meta.last_log_id);
        Ok(())
    }

    /// Keeps none any more, from when this returns: a replica may be opened again in the same process,
    /// and openraft does not wait for what it has begun to build.
    pub(crate) fn close(&self) {
        *self.writing() = false;
    }

    fn writing(&self) -> MutexGuard<'_, bool> {
        self.0.open.lock().expect("nothing under this lock panics")
    }

    /// The newest one, to be sent or read. Whoever has it keeps it, though another takes its place.
    pub(crate) fn newest(&self) -> io::Result<Option<(SnapshotMeta, File)>> {
        match File::open(self.0.folder.join("snapshot")) {
            Ok(mut file) => {
                let meta = meta(&mut file)?;
                file.rewind()?;
                Ok(Some((meta, file)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last entry that is in the file, as it changes; at an end when nobody can change it any more.
    pub(crate) fn kept(&self) -> watch::Receiver<Option<LogId>> {
        self.0.kept.subscribe()
    }

    /// A place for one that another replica sends. It has no name, and is gone with its handle.
    pub(crate) fn arriving(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.0.folder)
    }
}

/// Leaves the file where the machine begins.
fn meta(file: &mut File) -> io::Result<SnapshotMeta> {
    let mut len = [0; 4];
    file.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    if len > LONGEST_META {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no snapshot"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// The machine's bytes in a snapshot.
pub(crate) fn machine(mut file: File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    meta(&mut file)?;
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
    fn an_older_one_does_not_take_the_place_of_a_newer() {
        let folder = tempfile::tempdir().unwrap();
        let (snapshots, none) = Snapshots::open(folder.path()).unwrap();
        assert!(none.is_none() && snapshots.newest().unwrap().is_none());
        let old = Machine::new(Config::default());
        let mut new = old.clone();
        new.apply(Proposal::Open);
        snapshots.keep(&upto(3), &old.to_bytes().unwrap()).unwrap();
        let (_, sent) = snapshots.newest().unwrap().unwrap();
        snapshots.keep(&upto(5), &new.to_bytes().unwrap()).unwrap();
        snapshots.keep(&upto(4), &old.to_bytes().unwrap()).unwrap();
        assert_eq!(*snapshots.kept().borrow(), upto(5).last_log_id);
        let (_, kept) = Snapshots::open(folder.path()).unwrap();
        assert_eq!(kept.unwrap(), (upto(5), new));
        snapshots.close();
        assert!(snapshots.keep(&upto(6), &old.to_bytes().unwrap()).is_err());
        assert_eq!(snapshots.newest().unwrap().unwrap().0, upto(5));
        // Who had begun to send one goes on with it.
        assert_eq!(machine(sent).unwrap(), old.to_bytes().unwrap());
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new(Config::default()).to_bytes().unwrap();
        let (snapshots, _) = Snapshots::open(folder.path()).unwrap();
        snapshots.keep(&upto(3), &machine).unwrap();
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
