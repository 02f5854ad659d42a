//! A node's newest snapshot, in one file.
//!
//! The name is the index of the last entry that the snapshot contains. The content is:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | a magic number |
//! | 4 | the format version |
//! | 8 | the cluster's id |
//! | 4 | the length of openraft's metadata |
//! | 8 | the length of the machine |
//! | | openraft's metadata |
//! | | the machine |
//! | 32 | the BLAKE3 hash of all bytes before it |

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use blake3::{Hash, Hasher};
use tokio::sync::{Mutex, watch};

use crate::disk::{DataError, Disk, DiskFile, FOLDER};
use crate::identity::Identity;
use crate::raft::{LogId, SnapshotMeta};

const MAGIC: &[u8; 8] = b"disbandS";
const VERSION: u32 = 1;
const HEAD: usize = 32;
const HASH: usize = blake3::OUT_LEN;
/// A snapshot is read and written in pieces, so that other tasks run between them.
const PIECE: usize = 1 << 20;
/// The name under which a snapshot is written. There is only one, so a failed snapshot leaves no
/// more than one file.
const INCOMPLETE: &str = "new.snapshot.tmp";

/// The store of a node's newest snapshot. All clones share it.
#[derive(Debug)]
pub(crate) struct Snapshots<D>(Arc<Inner<D>>);

#[derive(Debug)]
struct Inner<D> {
    disk: D,
    cluster: u64,
    /// Locked while a snapshot is written: openraft may install a received snapshot while it builds
    /// one.
    writing: Mutex<()>,
    /// The last entry that the snapshot on disk contains.
    saved: watch::Sender<Option<LogId>>,
}

impl<D> Clone for Snapshots<D> {
    fn clone(&self) -> Snapshots<D> {
        Snapshots(Arc::clone(&self.0))
    }
}

impl<D: Disk> Snapshots<D> {
    /// Opens the store, and reads and verifies the newest snapshot if there is one. Older ones and
    /// leftovers are removed.
    ///
    /// # Errors
    /// A file cannot be read or removed. Or the newest snapshot is damaged, belongs to another
    /// cluster or was written by another version. Then an older one is not used and not removed.
    pub(crate) async fn open(
        disk: D,
        identity: &Identity,
    ) -> std::result::Result<(Snapshots<D>, Option<(SnapshotMeta, Vec<u8>)>), DataError> {
        // A process that was killed may not have synced what it did to the folder.
        disk.sync().await.map_err(DataError::io(FOLDER))?;
        let mut newest = None;
        for name in disk.list().await.map_err(DataError::io(FOLDER))? {
            if name == INCOMPLETE {
                disk.remove(&name).await.map_err(DataError::io(&name))?;
            } else if let Some(index) = index(&name) {
                newest = newest.max(Some(index));
            } else if name.ends_with(".snapshot") {
                return Err(DataError::damaged(&name, 0, "no snapshot has such a name"));
            }
        }
        let found = match newest {
            Some(index) => Some(read(&disk, index, identity).await?),
            None => None,
        };
        let last = found.as_ref().and_then(|(meta, _)| meta.last_log_id);
        let (cluster, saved) = (identity.cluster, watch::Sender::new(last));
        let inner = Inner { disk, cluster, writing: Mutex::new(()), saved };
        if let Some(index) = newest {
            inner.remove_others(index).await.map_err(DataError::io(FOLDER))?;
        }
        Ok((Snapshots(Arc::new(inner)), found))
    }

    /// Replaces the stored snapshot with this one, unless the stored one is as new or newer: the
    /// log may begin after the newer snapshot. When this returns, the snapshot is on disk and older
    /// ones are gone.
    ///
    /// # Errors
    /// The snapshot cannot be written: then the stored one stays. Or an older one cannot be
    /// removed: then [`saved`](Self::saved) says that the new one is stored, and the next call
    /// tries again, even with the same snapshot.
    pub(crate) async fn save(&self, meta: &SnapshotMeta, machine: &[u8]) -> Result<()> {
        let Inner { disk, writing, saved, .. } = &*self.0;
        let Some(last) = meta.last_log_id else {
            return Err(Error::new(ErrorKind::InvalidInput, "a snapshot of nothing"));
        };
        let _one = writing.lock().await;
        let stored = *saved.borrow();
        if stored < Some(last) {
            if let Err(error) = self.write(meta, machine, last.index).await {
                // If this fails too, the next snapshot replaces the leftover.
                let _ = disk.remove(INCOMPLETE).await;
                return Err(error);
            }
            saved.send_replace(Some(last));
        }
        let kept = stored.max(Some(last)).map_or(0, |kept| kept.index);
        self.0.remove_others(kept).await
    }

    async fn write(&self, meta: &SnapshotMeta, machine: &[u8], index: u64) -> Result<()> {
        let Inner { disk, cluster, .. } = &*self.0;
        let meta = postcard::to_stdvec(meta).map_err(Error::other)?;
        let meta_len = u32::try_from(meta.len()).map_err(Error::other)?;
        let mut head = MAGIC.to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend(cluster.to_le_bytes());
        head.extend(meta_len.to_le_bytes());
        head.extend((machine.len() as u64).to_le_bytes());
        head.extend(meta);
        let len = (head.len() + machine.len() + HASH) as u64;

        // The space is reserved first, so a full disk is noticed before anything is written.
        let mut file = disk.create(INCOMPLETE, len).await?;
        let (mut at, mut hasher) = (0, Hasher::new());
        for piece in [&head[..]].into_iter().chain(machine.chunks(PIECE)) {
            hasher.update(piece);
            file.write(at, piece.to_vec()).await?;
            at += piece.len() as u64;
        }
        file.write(at, hasher.finalize().as_bytes().to_vec()).await?;
        disk.rename(INCOMPLETE, &name(index)).await?;
        disk.sync().await
    }

    /// Watches the last entry that the snapshot on disk contains. The channel closes when the store
    /// is dropped.
    pub(crate) fn saved(&self) -> watch::Receiver<Option<LogId>> {
        self.0.saved.subscribe()
    }
}

impl<D: Disk> Inner<D> {
    /// Removes all snapshots but this one. A newer one may be there if its last sync failed.
    async fn remove_others(&self, kept: u64) -> Result<()> {
        let names = self.disk.list().await?;
        let others = names.iter().filter(|name| index(name).is_some_and(|index| index != kept));
        for name in others {
            self.disk.remove(name).await?;
        }
        self.disk.sync().await
    }
}

/// The name of the snapshot that ends with this entry.
pub(crate) fn name(index: u64) -> String {
    format!("{index:020}.snapshot")
}

/// The last entry of the snapshot in a file. `None` if the file has another kind of name.
fn index(file: &str) -> Option<u64> {
    let index = file.strip_suffix(".snapshot")?.parse().ok()?;
    (name(index) == file).then_some(index)
}

/// Reads a snapshot and verifies it.
async fn read<D: Disk>(
    disk: &D,
    index: u64,
    identity: &Identity,
) -> std::result::Result<(SnapshotMeta, Vec<u8>), DataError> {
    let name = name(index);
    let io = || DataError::io(&name);
    let damaged = |at: usize, what: &str| DataError::damaged(&name, at, what);
    let file = disk.open(&name).await.map_err(io())?;
    let len = file.len().await.map_err(io())?;
    let head = file.read(0, HEAD).await.map_err(io())?;
    if head.is_empty() {
        return Err(damaged(0, "the file is empty"));
    }
    let Ok(head) = <[u8; HEAD]>::try_from(head) else {
        return Err(damaged(0, "the file is cut off"));
    };
    let found = number(&head[8..12]);
    let sizes = (number(&head[20..24]), number(&head[24..]));
    let expected = sizes.0.saturating_add(sizes.1).saturating_add((HEAD + HASH) as u64);
    if head.starts_with(MAGIC) && found == u64::from(VERSION) && expected != len {
        let what = format!("the file has {len} bytes instead of {expected}");
        return Err(DataError::Damaged { file: name, at: len.min(expected), what });
    }

    // All versions end with the hash of what is before it. So the hash tells damage from another
    // version or cluster.
    let mut hasher = Hasher::new();
    hasher.update(&head);
    let mut bytes = Vec::new();
    let Some(rest) = len.checked_sub((HEAD + HASH) as u64) else {
        return Err(damaged(0, "the file is cut off"));
    };
    let rest = usize::try_from(rest).map_err(|_| damaged(0, "the file is too long"))?;
    while bytes.len() < rest {
        let (at, piece) = ((HEAD + bytes.len()) as u64, PIECE.min(rest - bytes.len()));
        let piece = file.read(at, piece).await.map_err(io())?;
        if piece.is_empty() {
            return Err(damaged(HEAD + bytes.len(), "the file cannot be read to its end"));
        }
        hasher.update(&piece);
        bytes.extend(piece);
    }
    let hash = file.read((HEAD + rest) as u64, HASH).await.map_err(io())?;
    if !Hash::from_slice(&hash).is_ok_and(|hash| hash == hasher.finalize()) {
        return Err(damaged(0, "the file does not match its hash"));
    }
    if !head.starts_with(MAGIC) {
        return Err(damaged(0, "the file does not begin like a snapshot"));
    }
    if found != u64::from(VERSION) {
        let (found, known) = (u32::try_from(found).unwrap_or(u32::MAX), VERSION);
        return Err(DataError::Version { file: name, found, known });
    }
    let cluster = number(&head[12..20]);
    if cluster != identity.cluster {
        let found = format!("cluster {cluster:016x}");
        return Err(DataError::Foreign { file: name, found, own: identity.to_string() });
    }
    let machine = bytes.split_off(usize::try_from(sizes.0).unwrap_or(usize::MAX).min(bytes.len()));
    let meta: SnapshotMeta = postcard::from_bytes(&bytes)
        .map_err(|_| damaged(HEAD, "the metadata cannot be decoded"))?;
    if meta.last_log_id.map(|last| last.index) != Some(index) {
        return Err(damaged(HEAD, "the file has the content of another snapshot"));
    }
    Ok((meta, machine))
}

/// A number of up to eight bytes, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::simulated::{Fault, SimulatedDisk};

    type Opened = (Snapshots<SimulatedDisk>, Option<(SnapshotMeta, Vec<u8>)>);

    async fn try_open(disk: &SimulatedDisk) -> std::result::Result<Opened, DataError> {
        // Not through `Identity::open`, which would count as calls.
        let folder = SimulatedDisk::new();
        let identity = Identity::open(&folder, 7, 1).await.unwrap();
        Snapshots::open(disk.clone(), &identity).await
    }

    async fn open(disk: &SimulatedDisk) -> Opened {
        try_open(disk).await.unwrap()
    }

    fn upto(index: u64) -> SnapshotMeta {
        let last_log_id = Some(LogId::new(CommittedLeaderId::new(1, 1), index));
        SnapshotMeta { last_log_id, snapshot_id: "an id".into(), ..SnapshotMeta::default() }
    }

    /// The machine of a test's snapshot. It is read in several pieces if it is long.
    fn machine(index: u64) -> Vec<u8> {
        format!("state {index}").into_bytes()
    }

    fn file(index: u64) -> String {
        format!("{index:020}.snapshot")
    }

    /// A folder with a snapshot that ends with entry 5.
    async fn folder() -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        open(&disk).await.0.save(&upto(5), &machine(5)).await.unwrap();
        assert_eq!(disk.names(), [file(5)]);
        disk
    }

    #[tokio::test]
    async fn a_snapshot_is_read_as_it_was_saved() {
        let disk = SimulatedDisk::new();
        let (snapshots, none) = open(&disk).await;
        assert_eq!((none, *snapshots.saved().borrow()), (None, None));
        let lens = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7];
        for (index, len) in (0..).zip(lens) {
            let machine: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            snapshots.save(&upto(index), &machine).await.unwrap();
            assert_eq!(*snapshots.saved().borrow(), upto(index).last_log_id);
            assert_eq!(disk.names(), [file(index)], "older ones are removed");
            for seed in 0..3 {
                let (again, found) = open(&disk.crash(seed)).await;
                assert_eq!(found, Some((upto(index), machine.clone())));
                assert_eq!(*again.saved().borrow(), upto(index).last_log_id);
            }
        }
    }

    #[tokio::test]
    async fn an_older_snapshot_does_not_replace_a_newer_one() {
        let disk = folder().await;
        let (snapshots, _) = open(&disk).await;
        snapshots.save(&upto(4), &machine(4)).await.unwrap();
        snapshots.save(&upto(5), b"other").await.unwrap();
        assert_eq!(*snapshots.saved().borrow(), upto(5).last_log_id);
        assert_eq!(open(&disk).await.1, Some((upto(5), machine(5))));
        let error = snapshots.save(&SnapshotMeta::default(), b"").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn of_two_snapshots_saved_at_once_the_newer_one_stays() {
        for (first, second) in [(6, 7), (7, 6)] {
            let disk = folder().await;
            let (snapshots, _) = open(&disk).await;
            let save = async |index| snapshots.save(&upto(index), &machine(index)).await.unwrap();
            tokio::join!(save(first), save(second));
            assert_eq!(open(&disk).await.1, Some((upto(7), machine(7))));
        }
    }

    #[tokio::test]
    async fn every_flipped_bit_and_every_wrong_length_is_refused() {
        let disk = folder().await;
        let whole = disk.contents(&file(5)).unwrap();
        let refused = async |bytes: Vec<u8>, what: &str| {
            let disk = disk.copy();
            disk.replace(&file(5), bytes.clone());
            let error = try_open(&disk).await.unwrap_err();
            assert!(matches!(error, DataError::Damaged { .. }), "{what}: {error}");
            assert_eq!(error.file(), file(5));
            assert_eq!(disk.contents(&file(5)), Some(bytes), "the file is left as it is");
        };
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                refused(flipped, &format!("bit {bit} of byte {at}")).await;
            }
            refused(whole[..at].to_vec(), &format!("cut off at {at}")).await;
            let mut zeros = whole.clone();
            zeros[at..].fill(0);
            if zeros != whole {
                refused(zeros, &format!("zeros from {at} on")).await;
            }
        }
        refused([&whole[..], &[0]].concat(), "one byte more").await;
    }

    /// A snapshot with another value in its head, and the hash that belongs to that.
    async fn with_head(at: usize, value: u8) -> DataError {
        let disk = folder().await;
        let mut bytes = disk.contents(&file(5)).unwrap();
        bytes[at] = value;
        let end = bytes.len() - HASH;
        let hash = blake3::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(hash.as_bytes());
        disk.replace(&file(5), bytes);
        try_open(&disk).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_snapshot_of_another_cluster_or_version_is_refused() {
        let error = with_head(12, 8).await;
        assert!(
            matches!(&error, DataError::Foreign { file: name, .. } if *name == file(5)),
            "{error}"
        );
        let error = with_head(8, 2).await;
        assert!(matches!(error, DataError::Version { found: 2, known: 1, .. }), "{error}");
        let error = with_head(0, b'x').await;
        assert!(matches!(error, DataError::Damaged { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_renamed_snapshot_is_refused() {
        let disk = folder().await;
        disk.rename(&file(5), &file(6)).await.unwrap();
        assert_eq!(try_open(&disk).await.unwrap_err().file(), file(6));
        let disk = folder().await;
        disk.rename(&file(5), "5.snapshot").await.unwrap();
        assert_eq!(try_open(&disk).await.unwrap_err().file(), "5.snapshot");
    }

    #[tokio::test]
    async fn the_newest_of_several_snapshots_counts_and_a_damaged_one_is_not_passed_over() {
        let disk = folder().await;
        let older = disk.contents(&file(5)).unwrap();
        open(&disk).await.0.save(&upto(9), &machine(9)).await.unwrap();
        disk.replace(&file(5), older);
        let damaged = disk.copy();
        assert_eq!(open(&disk).await.1, Some((upto(9), machine(9))));
        assert_eq!(disk.names(), [file(9)]);

        let mut bytes = damaged.contents(&file(9)).unwrap();
        bytes[40] ^= 1;
        damaged.replace(&file(9), bytes);
        assert_eq!(try_open(&damaged).await.unwrap_err().file(), file(9));
        assert_eq!(damaged.names(), [file(5), file(9)], "nothing is removed");
    }

    #[tokio::test]
    async fn a_failed_call_leaves_the_stored_snapshot_and_no_leftover() {
        for fault in [Fault::Before, Fault::During] {
            for call in 1.. {
                let disk = folder().await;
                let (snapshots, _) = open(&disk).await;
                disk.fail(call, fault);
                let result = snapshots.save(&upto(6), &machine(6)).await;
                disk.heal();
                let saved = *snapshots.saved().borrow();
                assert!(saved == upto(6).last_log_id || result.is_err());
                assert!(saved >= upto(5).last_log_id);
                for seed in 0..10 {
                    let after = disk.crash(seed);
                    let (again, found) = open(&after).await;
                    let (meta, bytes) = found.unwrap();
                    assert!(meta.last_log_id >= saved);
                    assert!(
                        [(upto(5), machine(5)), (upto(6), machine(6))].contains(&(meta, bytes))
                    );
                    assert_eq!(after.names().len(), 1, "{:?}", after.names());
                    again.save(&upto(7), &machine(7)).await.unwrap();
                }
                // The same process goes on, with the same snapshot and with the next one.
                assert!(!disk.names().contains(&INCOMPLETE.into()), "call {call}");
                snapshots.save(&upto(6), &machine(6)).await.unwrap();
                assert_eq!(disk.names(), [file(6)]);
                snapshots.save(&upto(7), &machine(7)).await.unwrap();
                assert_eq!(disk.names(), [file(7)]);
                if result.is_ok() {
                    assert!(call > 8);
                    break;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_crash_at_every_call_leaves_the_old_or_the_new_snapshot() {
        for call in 1.. {
            let disk = folder().await;
            let (snapshots, _) = open(&disk).await;
            disk.fail_from(call);
            let result = snapshots.save(&upto(6), &machine(6)).await;
            let saved = *snapshots.saved().borrow();
            for seed in 0..20 {
                let after = disk.crash(seed);
                let (again, found) = open(&after).await;
                let (meta, bytes) = found.unwrap();
                assert!(meta.last_log_id >= saved && *again.saved().borrow() == meta.last_log_id);
                assert!([(upto(5), machine(5)), (upto(6), machine(6))].contains(&(meta, bytes)));
                assert_eq!(after.names().len(), 1);
            }
            if result.is_ok() {
                break;
            }
        }
    }

    #[tokio::test]
    async fn on_a_full_disk_the_stored_snapshot_stays_and_the_space_is_free_again() {
        let disk = folder().await;
        let (snapshots, _) = open(&disk).await;
        disk.set_capacity(Some(300));
        let free = disk.free().await.unwrap();
        let error = snapshots.save(&upto(6), &[0; 400]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!((disk.names(), disk.free().await.unwrap()), (vec![file(5)], free));
        assert_eq!(*snapshots.saved().borrow(), upto(5).last_log_id);
        assert_eq!(open(&disk).await.1, Some((upto(5), machine(5))));
    }
}
