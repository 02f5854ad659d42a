//! Records: the changes of the log, as they are written.

use serde::{Deserialize, Serialize};

use crate::raft::{Entry, LogId, Vote};

/// A change of the log. A frame contains one or more of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Record {
    /// An entry after the last one.
    Entry(Entry),
    /// The entries from this index on are not part of the log any more. `last` is the last one that
    /// is. The bytes of the entries stay until their segment is removed.
    Truncated { from: u64, last: Option<LogId> },
    /// The vote.
    Vote(Vote),
    /// The entries up to this one are in a snapshot that is on disk.
    Purged(LogId),
    /// The entries up to this one are committed.
    Committed(Option<LogId>),
    /// The segment ends. The log goes on in the segment with this number.
    Sealed { next: u64 },
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a record is made of values that can be encoded")
    }

    /// Decodes the records of a frame. `None` if the bytes are not records.
    pub(crate) fn decode_all(mut content: &[u8]) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        while !content.is_empty() {
            let (record, rest) = postcard::take_from_bytes(content).ok()?;
            records.push(record);
            content = rest;
        }
        Some(records)
    }
}

/// What the log has come to: everything but the entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    pub(crate) vote: Option<Vote>,
    /// The entries up to this one were removed.
    pub(crate) purged: Option<LogId>,
    /// The entries up to this one are committed.
    pub(crate) committed: Option<LogId>,
    /// The last entry, even if it was removed.
    pub(crate) last: Option<LogId>,
}

impl Marks {
    /// The marks after a record. Entries that follow from the record are not checked.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Entry(entry) => self.last = Some(entry.log_id),
            Record::Truncated { last, .. } => self.last = *last,
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::Purged(upto) => {
                self.purged = self.purged.max(Some(*upto));
                if index(self.last) <= Some(upto.index) {
                    self.last = Some(*upto);
                }
            }
            Record::Committed(committed) => self.committed = *committed,
            Record::Sealed { .. } => {}
        }
    }
}

/// The index of an entry.
pub(crate) fn index(id: Option<LogId>) -> Option<u64> {
    id.map(|id| id.index)
}

/// The index of the entry after this one.
pub(crate) fn next_index(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index.saturating_add(1))
}
