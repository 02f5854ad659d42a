//! Tests with files that are not as they were written.

use openraft::storage::RaftLogStorage;

use super::super::frame::{self, Found};
use super::super::record::Record;
use super::{CLUSTER, NODE, View, append, entries, entry, id, open, options, view};
use crate::disk::DataError;
use crate::identity::Identity;
use crate::raft::{LogId, Vote};
use crate::simulated::SimulatedDisk;

const SEGMENTS: [&str; 3] = ["00000001.log", "00000002.log", "00000003.log"];

/// A log with three segments, closed, and what it contains.
async fn small() -> (SimulatedDisk, View) {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, options(0), None).await.unwrap().log;
    log.save_vote(&Vote::new(1, 2)).await.unwrap();
    append(&log, entries(0..3)).await.unwrap();
    log.seal().await.unwrap();
    append(&log, vec![entry(id(1, 3), vec![7; 300])]).await.unwrap();
    log.truncate(id(1, 3)).await.unwrap();
    log.seal().await.unwrap();
    append(&log, entries([3])).await.unwrap();
    log.save_committed(Some(id(1, 3))).await.unwrap();
    append(&log, entries([4])).await.unwrap();
    log.close().await.unwrap();
    assert_eq!(disk.names(), [&SEGMENTS[..], &["identity"]].concat());
    let view = view(&log).await;
    (disk, view)
}

async fn refused(disk: &SimulatedDisk, snapshot: Option<LogId>) -> DataError {
    match open(disk, options(0), snapshot).await {
        Ok(_) => panic!("the log was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn every_flipped_bit_is_named_or_changes_nothing() {
    let (disk, before) = small().await;
    for name in SEGMENTS {
        let whole = disk.contents(name).unwrap();
        let mut refusals = 0;
        for at in 0..whole.len() {
            for bit in 0..8 {
                let disk = disk.copy();
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                disk.replace(name, flipped.clone());
                match open(&disk, options(0), None).await {
                    Ok(opened) => assert_eq!(view(&opened.log).await, before, "{name} {at} {bit}"),
                    Err(error) => {
                        assert!(matches!(error, DataError::Damaged { .. }), "{error}");
                        assert_eq!(error.file(), name, "{at} {bit}: {error}");
                        assert_eq!(disk.contents(name), Some(flipped), "the file is left as it is");
                        refusals += 1;
                    }
                }
            }
        }
        // Only bits after the end of the last segment may be cut off.
        let least = if name == SEGMENTS[2] { 200 } else { whole.len() };
        assert!(refusals >= least * 8, "{name}: {refusals} of {}", whole.len() * 8);
    }
}

#[tokio::test]
async fn every_wrong_length_is_refused() {
    let (disk, _) = small().await;
    for name in SEGMENTS {
        let whole = disk.contents(name).unwrap();
        for len in (0..whole.len()).chain([whole.len() + 1]) {
            let disk = disk.copy();
            let mut cut = whole.clone();
            cut.resize(len, 0);
            disk.replace(name, cut);
            let error = refused(&disk, None).await;
            assert!(matches!(error, DataError::Damaged { .. }), "{error}");
            assert_eq!(error.file(), name, "{len}: {error}");
        }
    }
}

#[tokio::test]
async fn a_file_of_zeros_is_refused() {
    let (disk, _) = small().await;
    for name in SEGMENTS {
        let disk = disk.copy();
        disk.replace(name, vec![0; disk.contents(name).unwrap().len()]);
        assert_eq!(refused(&disk, None).await.file(), name);
    }
}

#[tokio::test]
async fn a_missing_segment_is_refused_unless_a_snapshot_replaces_it() {
    let (disk, before) = small().await;
    let missing = |name: &str| {
        let disk = disk.copy();
        disk.delete(name);
        disk
    };
    for (name, named) in [(SEGMENTS[1], SEGMENTS[1]), (SEGMENTS[2], SEGMENTS[2])] {
        let error = refused(&missing(name), Some(id(1, 4))).await;
        assert!(matches!(&error, DataError::Missing { file, .. } if file == named), "{error}");
    }
    // The first segment ends with entry 2.
    for snapshot in [None, Some(id(1, 1))] {
        let error = refused(&missing(SEGMENTS[0]), snapshot).await;
        assert!(matches!(error, DataError::Missing { .. }), "{error}");
        assert!(error.to_string().contains(SEGMENTS[1]), "{error}");
    }
    let after = open(&missing(SEGMENTS[0]), options(0), Some(id(1, 2))).await.unwrap();
    let found = view(&after.log).await;
    assert_eq!((found.vote, found.last), (before.vote, before.last));
    assert_eq!(found.entries, before.entries[3..]);
}

#[tokio::test]
async fn a_missing_or_older_snapshot_is_refused() {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk, options(0), None).await.unwrap();
    append(&opened.log, entries(0..5)).await.unwrap();
    opened.saved.send_replace(Some(id(1, 3)));
    opened.log.purge(id(1, 3)).await.unwrap();
    opened.log.close().await.unwrap();
    for snapshot in [None, Some(id(1, 2))] {
        let error = refused(&disk.copy(), snapshot).await;
        assert!(matches!(error, DataError::Missing { .. }), "{error}");
    }
    open(&disk.copy(), options(0), Some(id(1, 3))).await.unwrap();
    // Entry 3 of the log is of term 1.
    let error = refused(&disk.copy(), Some(id(0, 3))).await;
    assert!(matches!(error, DataError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn swapped_segments_are_refused() {
    let (disk, _) = small().await;
    for (one, two) in [(0, 1), (0, 2), (1, 2)] {
        let disk = disk.copy();
        let (one, two) = (SEGMENTS[one], SEGMENTS[two]);
        let (first, second) = (disk.contents(one).unwrap(), disk.contents(two).unwrap());
        disk.replace(one, second);
        disk.replace(two, first);
        let error = refused(&disk, None).await;
        assert!(matches!(&error, DataError::Damaged { file, .. } if file == one), "{error}");
    }
}

/// The same log in the folder of another node.
async fn foreign(cluster: u64, node: u64) -> SimulatedDisk {
    let (disk, _) = small().await;
    let other = SimulatedDisk::new();
    let mut identity = Identity::open(&other, cluster, node).await.unwrap();
    identity.finish_founding(&other).await.unwrap();
    disk.replace("identity", other.contents("identity").unwrap());
    disk
}

#[tokio::test]
async fn segments_of_another_node_or_cluster_are_refused() {
    for (cluster, node) in [(CLUSTER + 1, NODE), (CLUSTER, NODE + 1)] {
        let error = refused(&foreign(cluster, node).await, None).await;
        assert!(
            matches!(&error, DataError::Foreign { file, .. } if file == SEGMENTS[0]),
            "{error}"
        );
        assert!(error.to_string().contains("node 1 of cluster 0000000000000007"), "{error}");
    }
}

#[tokio::test]
async fn a_segment_of_another_format_version_is_named() {
    let (disk, _) = small().await;
    let mut bytes = disk.contents(SEGMENTS[0]).unwrap();
    let Found::Frame { mut content, next } = frame::decode(&bytes, 0, 0) else {
        panic!("a header")
    };
    content[8] = 2;
    bytes[..next].copy_from_slice(&frame::encode(0, 0, &content));
    disk.replace(SEGMENTS[0], bytes);
    let error = refused(&disk, None).await;
    assert!(matches!(error, DataError::Version { found: 2, known: 1, .. }), "{error}");
    assert_eq!(error.file(), SEGMENTS[0]);
}

#[tokio::test]
async fn a_segment_with_another_kind_of_name_is_refused() {
    for name in ["1.log", "0000001x.log", "000000004.log", ".log", "99999999999999999999999.log"] {
        let (disk, _) = small().await;
        disk.replace(name, vec![1]);
        assert_eq!(refused(&disk, None).await.file(), name);
    }
    // Other files are left alone.
    let (disk, _) = small().await;
    disk.replace("notes.txt", vec![1]);
    disk.replace("00000004.log.tmp", vec![1]);
    open(&disk, options(0), None).await.unwrap();
    assert_eq!(disk.names(), [&SEGMENTS[..], &["identity", "notes.txt"]].concat());
}

#[tokio::test]
async fn a_segment_that_goes_on_after_its_end_is_refused() {
    let (disk, _) = small().await;
    let whole = disk.contents(SEGMENTS[0]).unwrap();
    let (mut at, mut frame) = (0, 0);
    while let Found::Frame { next, .. } = frame::decode(&whole, at, frame) {
        (at, frame) = (next, frame + 1);
    }
    // A whole frame, and one of which only the first block was written.
    let record = Record::Vote(Vote::new(9, 2)).encode();
    for content in [record, vec![7; 512]] {
        let disk = disk.copy();
        let mut longer = whole.clone();
        let more = frame::encode(at, frame, &content);
        let written = more.len().min(512 - at % 512);
        longer[at..at + written].copy_from_slice(&more[..written]);
        disk.replace(SEGMENTS[0], longer);
        let error = refused(&disk, None).await;
        assert!(
            matches!(&error, DataError::Damaged { file, .. } if file == SEGMENTS[0]),
            "{error}"
        );
        assert!(error.to_string().contains("goes on after its end"), "{error}");
    }
}

#[tokio::test]
async fn a_segment_that_goes_back_to_before_the_next_one_is_refused() {
    // The records after the header of segment 2 are gone, as if the disk had lost them.
    let (disk, _) = small().await;
    let mut bytes = disk.contents(SEGMENTS[1]).unwrap();
    let Found::Frame { next, .. } = frame::decode(&bytes, 0, 0) else { panic!("a header") };
    bytes[next..].fill(0);
    disk.replace(SEGMENTS[1], bytes.clone());
    let error = refused(&disk, None).await;
    assert!(matches!(&error, DataError::Damaged { file, .. } if file == SEGMENTS[1]), "{error}");

    // The same if the last segment has no records yet.
    let (disk, _) = small().await;
    let log = open(&disk, options(0), None).await.unwrap().log;
    log.seal().await.unwrap();
    log.close().await.unwrap();
    let mut bytes = disk.contents(SEGMENTS[2]).unwrap();
    bytes[next..].fill(0);
    disk.replace(SEGMENTS[2], bytes);
    let error = refused(&disk, None).await;
    assert!(matches!(&error, DataError::Damaged { file, .. } if file == SEGMENTS[2]), "{error}");
}

#[tokio::test]
async fn an_error_says_what_to_do() {
    let (disk, _) = small().await;
    disk.replace(SEGMENTS[1], vec![]);
    assert_eq!(
        refused(&disk, None).await.to_string(),
        "00000002.log: byte 0: the file is empty. The disk or another program has changed the file. \
         Delete nothing. Restore the whole folder from a backup, or move it away and start this node \
         as a new one"
    );
}
