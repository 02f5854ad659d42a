//! Tests of single promises of the log.

use openraft::storage::RaftLogStorage;
use openraft::{AsyncRuntime, RaftLogReader};
use tokio::sync::watch;

use super::super::memory::MAX_ENTRY;
use super::super::{Log, MAX_READ, Options};
use super::{Open, WORLD, append, entries, entry, id, indexes, open, options, view};
use crate::identity::Identity;
use crate::raft::Vote;
use crate::runtime::Runtime;
use crate::simulated::{Fault, SimulatedDisk};
use crate::world::World;

/// Lets all other tasks go on until they wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The names of the segments.
fn segments(disk: &SimulatedDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.contains(".log")).collect()
}

/// Whether a file contains this text.
fn holds(disk: &SimulatedDisk, text: &str) -> bool {
    let in_bytes = |bytes: Vec<u8>| bytes.windows(text.len()).any(|some| some == text.as_bytes());
    disk.names().iter().any(|name| in_bytes(disk.contents(name).unwrap()))
}

#[tokio::test]
async fn a_purge_of_entries_that_are_on_disk_lets_later_changes_go_on() {
    let disk = SimulatedDisk::new();
    let Open { mut log, saved } = open(&disk, options(0), None).await.unwrap();
    for index in 0..5 {
        append(&log, entries([index])).await.unwrap();
        log.seal().await.unwrap();
    }
    log.purge(id(1, 4)).await.unwrap();
    append(&log, entries([5])).await.unwrap();
    assert_eq!(indexes(&view(&log).await), [5]);
    assert_eq!(segments(&disk).len(), 6, "the snapshot is not on disk yet");
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(indexes(&view(&after.log).await), [0, 1, 2, 3, 4, 5]);

    saved.send_replace(Some(id(1, 4)));
    settle().await;
    assert_eq!(segments(&disk), ["00000006.log"]);
    let after = open(&disk.crash(0), options(0), Some(id(1, 4))).await.unwrap();
    assert_eq!(indexes(&view(&after.log).await), [5]);
}

#[tokio::test]
async fn changes_after_an_installed_snapshot_wait_until_it_is_on_disk() {
    let disk = SimulatedDisk::new();
    let Open { mut log, saved } = open(&disk, options(0), None).await.unwrap();
    append(&log, entries(0..5)).await.unwrap();
    // The snapshot ends after the log, or with an entry other than the last one of the log.
    for snapshot in [id(0, 4), id(1, 10)] {
        let before =
            view(&open(&disk.crash(0), options(0), *saved.borrow()).await.unwrap().log).await;
        log.purge(snapshot).await.unwrap();
        let next = (log.clone(), entries([snapshot.index + 1]));
        let next = Runtime::spawn(async move { append(&next.0, next.1).await });
        settle().await;
        assert!(!next.is_finished());
        let after = open(&disk.crash(0), options(0), *saved.borrow()).await.unwrap();
        assert_eq!(view(&after.log).await, before);

        saved.send_replace(Some(snapshot));
        next.await.unwrap().unwrap();
        let after = open(&disk.crash(0), options(0), Some(snapshot)).await.unwrap();
        let found = view(&after.log).await;
        assert_eq!((found.purged, indexes(&found)), (Some(snapshot), vec![snapshot.index + 1]));
    }
}

#[tokio::test]
async fn changes_after_an_installed_snapshot_fail_if_it_will_not_be_saved() {
    let disk = SimulatedDisk::new();
    let Open { mut log, saved } = open(&disk, options(0), None).await.unwrap();
    log.purge(id(1, 5)).await.unwrap();
    drop(saved);
    log.save_vote(&Vote::new(1, 1)).await.unwrap_err();
    assert!(log.failed().borrow().is_some());
}

#[tokio::test]
async fn a_pending_purge_is_given_up_if_no_snapshot_will_be_saved() {
    let disk = SimulatedDisk::new();
    let Open { mut log, saved } = open(&disk, options(0), None).await.unwrap();
    append(&log, entries(0..5)).await.unwrap();
    log.purge(id(1, 3)).await.unwrap();
    drop(saved);
    settle().await;
    append(&log, entries([5])).await.unwrap();
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(indexes(&view(&after.log).await), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn no_file_holds_a_text_after_purge_and_seal() {
    for seal_first in [false, true] {
        let disk = SimulatedDisk::new();
        let Open { mut log, saved } = open(&disk, Options::default(), None).await.unwrap();
        log.save_vote(&Vote::new(3, 2)).await.unwrap();
        append(&log, vec![entry(id(1, 0), "a secret of alice")]).await.unwrap();
        append(&log, vec![entry(id(1, 1), "a secret of bob")]).await.unwrap();
        log.truncate(id(1, 1)).await.unwrap();
        assert!(holds(&disk, "secret of alice") && holds(&disk, "secret of bob"));
        saved.send_replace(Some(id(1, 0)));
        if seal_first {
            log.seal().await.unwrap();
            log.purge(id(1, 0)).await.unwrap();
            settle().await;
        } else {
            log.purge(id(1, 0)).await.unwrap();
            log.seal().await.unwrap();
        }
        assert!(!holds(&disk, "secret"));
        assert_eq!(segments(&disk), ["00000002.log"]);
        for seed in 0..8 {
            let after = open(&disk.crash(seed), options(0), Some(id(1, 0))).await.unwrap();
            assert!(!holds(&disk.crash(seed), "secret"));
            let found = view(&after.log).await;
            assert_eq!((found.vote, found.last), (Some(Vote::new(3, 2)), Some(id(1, 0))));
        }
    }
}

#[tokio::test]
async fn a_segment_without_changes_is_not_sealed() {
    let disk = SimulatedDisk::new();
    let Open { log, .. } = open(&disk, options(0), None).await.unwrap();
    log.seal().await.unwrap();
    assert_eq!(segments(&disk), ["00000001.log"]);
    append(&log, entries([0])).await.unwrap();
    log.seal().await.unwrap();
    log.seal().await.unwrap();
    assert_eq!(segments(&disk), ["00000001.log", "00000002.log"]);
}

#[tokio::test]
async fn a_segment_that_cannot_be_removed_is_removed_later() {
    for fault in [Fault::Before, Fault::During] {
        let disk = SimulatedDisk::new();
        let Open { mut log, saved } = open(&disk, options(0), None).await.unwrap();
        append(&log, entries([0])).await.unwrap();
        saved.send_replace(Some(id(1, 0)));
        log.seal().await.unwrap();
        disk.fail(1, fault);
        log.purge(id(1, 0)).await.unwrap();
        settle().await;
        assert_eq!(segments(&disk).len(), if fault == Fault::Before { 2 } else { 1 });
        disk.fail(1, Fault::Before);
        let error = log.seal().await.unwrap_err();
        assert!(error.to_string().contains("simulated"), "{error}");
        log.seal().await.unwrap();
        assert_eq!(segments(&disk), ["00000002.log"]);
        assert_eq!(log.figures().on_disk(), disk.contents("00000002.log").unwrap().len() as u64);
        assert!(log.failed().borrow().is_none());
        append(&log, entries([1])).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_failed_write_ends_the_log() {
    for fault in [Fault::Before, Fault::During] {
        let disk = SimulatedDisk::new();
        let Open { mut log, .. } = open(&disk, options(0), None).await.unwrap();
        append(&log, entries([0])).await.unwrap();
        let failed = log.failed();
        disk.fail(1, fault);
        append(&log, entries([1])).await.unwrap_err();
        let error = failed.borrow().clone().unwrap();
        assert!(error.contains("00000001.log") && error.contains("a simulated failure"), "{error}");

        let (calls, before) = (disk.calls(), view(&log).await);
        append(&log, entries([2])).await.unwrap_err();
        log.save_vote(&Vote::new(9, 2)).await.unwrap_err();
        log.save_committed(Some(id(1, 0))).await.unwrap_err();
        log.truncate(id(1, 0)).await.unwrap_err();
        log.purge(id(1, 0)).await.unwrap_err();
        assert_eq!(log.seal().await.unwrap_err().to_string(), error);
        log.close().await.unwrap_err();
        settle().await;
        assert_eq!(disk.calls(), calls, "nothing is written after a failed write");
        assert_eq!(view(&log).await, before, "nothing changes in memory either");
    }
}

#[tokio::test]
async fn a_closed_log_takes_no_changes_and_keeps_what_nobody_waited_for() {
    let disk = SimulatedDisk::new();
    let Open { mut log, .. } = open(&disk, options(0), None).await.unwrap();
    append(&log, entries(0..3)).await.unwrap();
    log.save_committed(Some(id(1, 2))).await.unwrap();
    log.close().await.unwrap();
    append(&log, entries([3])).await.unwrap_err();
    assert_eq!(log.seal().await.unwrap_err().to_string(), "the log is closed");
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(view(&after.log).await.committed, Some(id(1, 2)));
}

#[tokio::test]
async fn a_folder_can_be_opened_again_as_soon_as_its_log_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    for start in 0..20 {
        let disk = WORLD.disk(folder.path()).await.unwrap();
        let log = open(&disk, options(0), None).await.unwrap().log;
        append(&log, entries([start])).await.unwrap();
        assert_eq!(view(&log).await.last, Some(id(1, start)));
        drop(disk);
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_led_must_be_elected_again() {
    let disk = SimulatedDisk::new();
    for node in [super::NODE, 2] {
        let Open { mut log, .. } = open(&disk, options(0), None).await.unwrap();
        log.save_vote(&Vote::new_committed(node + 5, node)).await.unwrap();
        let after = open(&disk.crash(0), options(0), None).await.unwrap();
        let vote = view(&after.log).await.vote.unwrap();
        let expected = Vote { committed: node != super::NODE, ..Vote::new(node + 5, node) };
        assert_eq!(vote, expected);
        log.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_large_append_is_written_in_several_frames() {
    let disk = SimulatedDisk::new();
    let Open { log, .. } = open(&disk, options(4 << 20), None).await.unwrap();
    let large = |index| entry(id(1, index), vec![7; 900_000]);
    append(&log, (0..10).map(large).collect()).await.unwrap();
    assert_eq!(segments(&disk).len(), 3);
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(view(&after.log).await.entries, (0..10).map(large).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_entry_longer_than_a_segment_gets_one_of_its_own_length() {
    let disk = SimulatedDisk::new();
    let Open { log, .. } = open(&disk, options(4_096), None).await.unwrap();
    let all = vec![entry(id(1, 0), "a"), entry(id(1, 1), vec![7; 100_000]), entry(id(1, 2), "b")];
    for entry in &all {
        append(&log, vec![entry.clone()]).await.unwrap();
    }
    let lens = segments(&disk).iter().map(|name| disk.contents(name).unwrap().len()).sum::<usize>();
    assert!((104_000..106_000).contains(&lens), "{lens}");
    assert_eq!(log.figures().on_disk(), lens as u64);
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(view(&after.log).await.entries, all);
    assert_eq!(after.log.figures().on_disk(), lens as u64);
}

#[tokio::test]
async fn entries_that_cannot_be_written_are_refused_and_the_log_goes_on() {
    let disk = SimulatedDisk::new();
    let disks = [Some(disk.clone()), None];
    for disk in disks {
        let log = match &disk {
            Some(disk) => open(disk, options(0), None).await.unwrap().log,
            None => Log::memory(&*WORLD),
        };
        append(&log, entries(0..3)).await.unwrap();
        let before = view(&log).await;
        append(&log, vec![entry(id(1, 3), "a"), entry(id(1, 4), vec![0; MAX_ENTRY])])
            .await
            .unwrap_err();
        append(&log, entries([3, 3])).await.unwrap_err();
        append(&log, entries([2])).await.unwrap_err();
        assert_eq!(view(&log).await, before);
        append(&log, vec![entry(id(1, 3), vec![0; MAX_ENTRY - 100])]).await.unwrap();
        assert!(log.failed().borrow().is_none());
    }
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(indexes(&view(&after.log).await), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_read_for_another_node_returns_what_fits_into_one_call() {
    let mut log = Log::memory(&*WORLD);
    let large = |index, len| entry(id(1, index), vec![0; len]);
    append(&log, (0..8).map(|index| large(index, MAX_READ * 3 / 10)).collect()).await.unwrap();
    append(&log, vec![large(8, MAX_READ * 3 / 2)]).await.unwrap();
    let mut read = async |from, to| {
        let entries = log.limited_get_log_entries(from, to).await.unwrap();
        entries.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 9).await, [0, 1, 2]);
    assert_eq!(read(0, 2).await, [0, 1]);
    assert_eq!(read(6, 9).await, [6, 7]);
    assert_eq!(read(8, 9).await, [8], "at least one entry is returned");
    assert_eq!(read(9, 20).await, [0; 0]);
    assert_eq!(read(5, 5).await, [0; 0]);
    log.purge(id(1, 4)).await.unwrap();
    let missing = log.limited_get_log_entries(3, 9).await.unwrap();
    assert_eq!(missing, [], "the read stops at a missing entry");
}

#[tokio::test]
async fn entries_in_a_snapshot_are_dropped_when_the_log_is_opened() {
    let disk = SimulatedDisk::new();
    let log = open(&disk, options(0), None).await.unwrap().log;
    append(&log, entries(0..5)).await.unwrap();
    log.close().await.unwrap();
    // The snapshot's term may be older than that of the last entry, if that was never committed.
    for snapshot in [id(1, 2), id(0, 4), id(0, 7)] {
        let disk = disk.crash(0);
        let log = open(&disk, options(0), Some(snapshot)).await.unwrap().log;
        let found = view(&log).await;
        let last = if snapshot.index < 4 { id(1, 4) } else { snapshot };
        assert_eq!((found.purged, found.last), (Some(snapshot), Some(last)));
        assert_eq!(indexes(&found), if snapshot.index < 4 { vec![3, 4] } else { vec![] });
        append(&log, entries([last.index + 1])).await.unwrap();
        let log = open(&disk.crash(0), options(0), Some(snapshot)).await.unwrap().log;
        assert_eq!(view(&log).await.last, Some(id(1, last.index + 1)));
    }
}

#[tokio::test]
async fn figures_count_bytes() {
    let disk = SimulatedDisk::new();
    let times = watch::Sender::new(0);
    let counted = times.clone();
    let written = std::sync::Arc::new(move |_| counted.send_modify(|times| *times += 1));
    let Open { log, .. } = open(&disk, Options { written, ..options(0) }, None).await.unwrap();
    assert_eq!((log.figures().appended(), log.figures().written()), (0, 0));
    append(&log, vec![entry(id(1, 0), vec![1; 100])]).await.unwrap();
    let appended = log.figures().appended();
    assert!((100..200).contains(&appended), "{appended}");
    assert!((100..200).contains(&log.figures().written()));
    assert_eq!(*times.borrow(), 1);
    let after = open(&disk.crash(0), options(0), None).await.unwrap();
    assert_eq!(after.log.figures().appended(), appended);
}

#[tokio::test]
async fn changes_that_wait_are_written_with_one_sync() {
    let disk = SimulatedDisk::new();
    let times = watch::Sender::new(0);
    let counted = times.clone();
    let written = std::sync::Arc::new(move |_| counted.send_modify(|times| *times += 1));
    let options = Options { written, ..Options::default() };
    let Open { log, .. } = open(&disk, options, None).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|index| {
            let log = log.clone();
            Runtime::spawn(async move { append(&log, entries([index])).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(*times.borrow() <= 2, "{}", *times.borrow());
}

#[tokio::test]
async fn a_log_is_founded_once() {
    // Opening fails at each call, and a crash follows. Then it is opened again.
    for call in 1.. {
        let disk = SimulatedDisk::new();
        disk.fail_from(call);
        let opened = open(&disk, options(0), None).await;
        for seed in 0..20 {
            let disk = disk.crash(seed);
            let after = open(&disk, options(0), None).await.unwrap();
            append(&after.log, entries([0])).await.unwrap();
            assert_eq!(disk.names(), ["00000001.log", "identity"]);
        }
        if opened.is_ok() {
            assert!(call > 15, "{call}");
            break;
        }
    }
}

#[tokio::test]
async fn a_log_that_was_founded_and_is_gone_is_refused() {
    let disk = SimulatedDisk::new();
    open(&disk, options(0), None).await.unwrap();
    disk.delete("00000001.log");
    let before = disk.names();
    let error = open(&disk, options(0), None).await.err().unwrap().to_string();
    assert!(error.contains("00000001.log") && error.contains("missing"), "{error}");
    assert_eq!(disk.names(), before, "no new log is begun");
}

#[tokio::test]
async fn an_identity_from_before_the_founding_does_not_replace_a_log() {
    let disk = SimulatedDisk::new();
    Identity::open(&disk, super::CLUSTER, super::NODE).await.unwrap();
    let old = disk.contents("identity").unwrap();
    let log = open(&disk, options(0), None).await.unwrap().log;
    append(&log, entries([0])).await.unwrap();
    log.close().await.unwrap();
    disk.replace("identity", old);
    let error = open(&disk, options(0), None).await.err().unwrap();
    assert_eq!(error.file(), "identity");
}
