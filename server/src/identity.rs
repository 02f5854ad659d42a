//! Whose data folder this is, in the file `identity`.
//!
//! Founding takes several steps, and a crash may come between them:
//! 1. The identity is written. It says that founding is not finished.
//! 2. The first segment of the log is written.
//! 3. The identity is replaced. It now says that founding is finished. Only then is anything
//!    written to the log.
//!
//! So a finished identity without a segment means that data was lost. An unfinished one means that
//! nothing could be lost, and founding goes on.

use std::fmt;

use crate::disk::{self, DataError, Disk, DiskFile, FOLDER, TEMPORARY};

/// The name of the file.
pub(crate) const FILE: &str = "identity";
const MAGIC: &[u8; 8] = b"disbandI";
const VERSION: u32 = 1;
/// In every format version, the file begins with [`MAGIC`] and the version, and ends with a
/// checksum of all bytes before the checksum.
const LEN: usize = 41;
const SUM: usize = 4;

/// Whose data folder this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: u64,
    pub(crate) node: u64,
    /// How often the node has started with this folder, this start included.
    pub(crate) starts: u64,
    /// Whether the folder has a log.
    founded: bool,
}

impl Identity {
    /// Reads the identity of a folder and counts this start, which is on disk when this returns. A
    /// folder without files of a node becomes the folder of node `node` in cluster `cluster`.
    /// [`Log::open`](crate::log::Log::open) finishes the founding.
    ///
    /// # Errors
    /// The file cannot be read or written, is damaged, was written by another version, or is
    /// missing though there are files of a log or of snapshots.
    pub(crate) async fn open<D: Disk>(
        disk: &D,
        cluster: u64,
        node: u64,
    ) -> Result<Identity, DataError> {
        let names = disk.list().await.map_err(DataError::io(FOLDER))?;
        let mut identity = if names.iter().any(|name| name == FILE) {
            read(disk).await?
        } else if let Some(other) = names.iter().find(|name| is_data(name)) {
            let why = format!("the folder has the file {other}, which a node wrote");
            return Err(DataError::Missing { file: FILE.into(), why });
        } else {
            Identity { cluster, node, starts: 0, founded: false }
        };
        identity.starts = identity.starts.saturating_add(1);
        identity.write(disk).await?;
        Ok(identity)
    }

    /// The identity of a node without a folder.
    pub(crate) fn in_memory(cluster: u64, node: u64) -> Identity {
        Identity { cluster, node, starts: 1, founded: true }
    }

    /// Whether the folder has a log. If not, its founding goes on.
    pub(crate) fn is_founded(&self) -> bool {
        self.founded
    }

    /// Says on disk that the folder has a log.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) async fn finish_founding<D: Disk>(&mut self, disk: &D) -> Result<(), DataError> {
        let founded = Identity { founded: true, ..*self };
        founded.write(disk).await?;
        *self = founded;
        Ok(())
    }

    async fn write<D: Disk>(&self, disk: &D) -> Result<(), DataError> {
        disk::replace(disk, FILE, self.encode()).await.map_err(DataError::io(FILE))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for number in [self.cluster, self.node, self.starts] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(u8::from(self.founded));
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&owner(self.cluster, self.node))
    }
}

/// A node in words.
pub(crate) fn owner(cluster: u64, node: u64) -> String {
    format!("node {node} of cluster {cluster:016x}")
}

/// Whether a file holds data of a node. What founding left behind, and files that are not ours, do
/// not count.
fn is_data(name: &str) -> bool {
    !name.ends_with(TEMPORARY) && (name.ends_with(".log") || name.ends_with(".snapshot"))
}

async fn read<D: Disk>(disk: &D) -> Result<Identity, DataError> {
    let file = disk.open(FILE).await.map_err(DataError::io(FILE))?;
    // One byte more, to notice a file that is too long.
    let bytes = file.read(0, LEN + 1).await.map_err(DataError::io(FILE))?;
    decode(&bytes)
}

fn decode(bytes: &[u8]) -> Result<Identity, DataError> {
    let damaged = |at, what: &str| Err(DataError::damaged(FILE, at, what));
    if bytes.is_empty() {
        return damaged(0, "the file is empty");
    }
    if !bytes.starts_with(MAGIC) {
        return damaged(0, "the file does not begin like an identity");
    }
    let Some((body, sum)) = bytes.split_last_chunk::<SUM>() else {
        return damaged(bytes.len(), "the file is cut off");
    };
    let Some(version) = body.get(MAGIC.len()..).and_then(|rest| rest.first_chunk::<4>()) else {
        return damaged(bytes.len(), "the file is cut off");
    };
    let (found, known) = (u32::from_le_bytes(*version), VERSION);
    let intact = crc32fast::hash(body) == u32::from_le_bytes(*sum);
    if found != known && (intact || bytes.len() > LEN) {
        return Err(DataError::Version { file: FILE.into(), found, known });
    }
    if bytes.len() != LEN {
        return damaged(bytes.len().min(LEN), "the file has a wrong length");
    }
    if !intact {
        return damaged(0, "the file does not match its checksum");
    }
    let number = |at: usize| body[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    Ok(Identity {
        cluster: number(12),
        node: number(20),
        starts: number(28),
        founded: body[36] != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{Fault, SimulatedDisk};

    async fn open(disk: &SimulatedDisk) -> Result<Identity, DataError> {
        Identity::open(disk, 7, 1).await
    }

    #[tokio::test]
    async fn each_start_is_counted() {
        let disk = SimulatedDisk::new();
        let mut first = open(&disk).await.unwrap();
        assert_eq!(first, Identity { cluster: 7, node: 1, starts: 1, founded: false });
        first.finish_founding(&disk).await.unwrap();
        // The ids of the folder count, not the given ones.
        let second = Identity::open(&disk, 8, 2).await.unwrap();
        assert_eq!(second, Identity { cluster: 7, node: 1, starts: 2, founded: true });
        assert_eq!(open(&disk).await.unwrap().starts, 3);
        assert_eq!(disk.names(), [FILE]);
    }

    #[tokio::test]
    async fn a_start_is_on_disk_when_open_returns() {
        let disk = SimulatedDisk::new();
        open(&disk).await.unwrap();
        for seed in 0..20 {
            assert_eq!(open(&disk.crash(seed)).await.unwrap().starts, 2);
        }
    }

    #[tokio::test]
    async fn after_a_crash_the_count_of_starts_is_the_old_or_the_new_one() {
        for founded in [false, true] {
            for call in 1.. {
                let disk = SimulatedDisk::new();
                let before = if founded { open(&disk).await.unwrap().starts } else { 0 };
                disk.fail_from(call);
                let opened = open(&disk).await;
                for seed in 0..20 {
                    let starts = open(&disk.crash(seed)).await.unwrap().starts;
                    assert!(starts == before + 1 || starts == before + 2, "{starts}");
                    assert!(opened.is_err() || starts == before + 2);
                }
                if opened.is_ok() {
                    assert!(call > 5);
                    break;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_failed_call_is_reported_and_the_next_open_succeeds() {
        for fault in [Fault::Before, Fault::During] {
            for call in 1.. {
                let disk = SimulatedDisk::new();
                open(&disk).await.unwrap();
                disk.fail(call, fault);
                let opened = open(&disk).await;
                disk.heal();
                assert!(open(&disk).await.unwrap().starts >= 2);
                match opened {
                    Ok(_) => break,
                    Err(error) => assert!([FILE, FOLDER].contains(&error.file()), "{error}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_full_disk_leaves_the_identity_as_it_is() {
        let disk = SimulatedDisk::new();
        open(&disk).await.unwrap();
        let before = disk.contents(FILE);
        disk.set_capacity(Some(50));
        let error = open(&disk).await.unwrap_err();
        assert!(matches!(&error, DataError::Io { error, .. }
            if error.kind() == std::io::ErrorKind::StorageFull));
        assert_eq!(disk.contents(FILE), before);
    }

    #[tokio::test]
    async fn every_flipped_bit_and_every_wrong_length_is_refused() {
        let disk = SimulatedDisk::new();
        open(&disk).await.unwrap();
        let whole = disk.contents(FILE).unwrap();
        assert_eq!(whole.len(), LEN);
        let refused = async |bytes: Vec<u8>| {
            disk.replace(FILE, bytes.clone());
            let error = open(&disk).await.unwrap_err();
            assert!(matches!(&error, DataError::Damaged { file, .. } if file == FILE), "{error}");
            assert_eq!(disk.contents(FILE).unwrap(), bytes, "the file is left as it is");
        };
        for at in 0..LEN {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                refused(flipped).await;
            }
            refused(whole[..at].to_vec()).await;
        }
        refused([&whole[..], &[0]].concat()).await;
        refused(vec![0; LEN]).await;
    }

    #[tokio::test]
    async fn another_format_version_is_named() {
        let disk = SimulatedDisk::new();
        open(&disk).await.unwrap();
        let mut bytes = disk.contents(FILE).unwrap();
        bytes[8] = 2;
        let sum = crc32fast::hash(&bytes[..LEN - SUM]);
        bytes[LEN - SUM..].copy_from_slice(&sum.to_le_bytes());
        for more in [0, 9] {
            bytes.resize(LEN + more, 1);
            disk.replace(FILE, bytes.clone());
            let error = open(&disk).await.unwrap_err();
            assert!(matches!(error, DataError::Version { found: 2, known: 1, .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_identity_beside_data_is_refused() {
        for name in ["00000001.log", "00000000000000000009.snapshot"] {
            let disk = SimulatedDisk::new();
            disk.replace(name, vec![1]);
            let error = open(&disk).await.unwrap_err();
            assert!(matches!(&error, DataError::Missing { file, .. } if file == FILE), "{error}");
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(disk.names(), [name]);
        }
    }

    #[tokio::test]
    async fn leftovers_and_other_files_do_not_keep_a_folder_from_being_founded() {
        let disk = SimulatedDisk::new();
        for name in ["00000001.log.tmp", "identity.tmp", "notes.txt"] {
            disk.replace(name, vec![1]);
        }
        assert_eq!(open(&disk).await.unwrap().starts, 1);
    }
}
