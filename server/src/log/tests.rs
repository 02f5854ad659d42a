//! Tests of the log: what they share.

mod basics;
mod damage;
mod faults;
mod model;
mod suite;

use std::sync::LazyLock;

use bytes::Bytes;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::{CommittedLeaderId, EntryPayload, RaftLogReader};
use tokio::sync::watch;

use super::{Log, Options};
use crate::disk::{DataError, Disk};
use crate::identity::Identity;
use crate::raft::{Encoded, Entry, LogId, StorageError, Vote};
use crate::real::Real;

/// Each world has a thread, and some tests open thousands of logs.
static WORLD: LazyLock<Real> = LazyLock::new(|| Real::new().unwrap());

const CLUSTER: u64 = 7;
const NODE: u64 = 1;

fn id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 2), index)
}

fn entry(id: LogId, content: impl Into<Bytes>) -> Entry {
    Entry { log_id: id, payload: EntryPayload::Normal(Encoded(content.into())) }
}

/// Entries of term 1 with these indexes.
fn entries(indexes: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    indexes.into_iter().map(|index| entry(id(1, index), format!("text {index}"))).collect()
}

/// Options with segments that hold about `bytes` bytes.
fn options(bytes: u64) -> Options {
    Options { segment_bytes: bytes, ..Options::default() }
}

/// A log, and the sender that says what the snapshot on disk contains.
struct Open {
    log: Log,
    saved: watch::Sender<Option<LogId>>,
}

async fn open<D: Disk>(
    disk: &D,
    options: Options,
    snapshot: Option<LogId>,
) -> Result<Open, DataError> {
    let mut identity = Identity::open(disk, CLUSTER, NODE).await?;
    let (saved, receiver) = watch::channel(snapshot);
    let log = Log::open(&*WORLD, disk.clone(), &mut identity, options, receiver).await?;
    Ok(Open { log, saved })
}

/// Everything that can be read of a log.
#[derive(Debug, Clone, Default, PartialEq)]
struct View {
    entries: Vec<Entry>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    last: Option<LogId>,
}

async fn view(log: &Log) -> View {
    let mut log = log.clone();
    let state = log.get_log_state().await.unwrap();
    View {
        entries: log.try_get_log_entries(..).await.unwrap(),
        vote: log.read_vote().await.unwrap(),
        committed: log.read_committed().await.unwrap(),
        purged: state.last_purged_log_id,
        last: state.last_log_id,
    }
}

async fn append(log: &Log, entries: Vec<Entry>) -> Result<(), StorageError> {
    log.clone().blocking_append(entries).await
}

fn indexes(view: &View) -> Vec<u64> {
    view.entries.iter().map(|entry| entry.log_id.index).collect()
}
