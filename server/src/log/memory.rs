//! The contents of the log in memory.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ops::{Bound, RangeBounds};

use openraft::EntryPayload;

use super::frame::MAX_CONTENT;
use super::record::{Marks, Record, index, next_index};
use crate::raft::{Entry, LogId, Vote};

/// The longest encoded entry. An entry has about 1 MiB at most, so only a mistake reaches this.
pub(crate) const MAX_ENTRY: usize = MAX_CONTENT / 2;

/// The entries since the last purge, and the marks.
#[derive(Default)]
pub(crate) struct Memory {
    /// In ascending order of their indexes. An entry's content is encoded, so this is small.
    entries: VecDeque<Entry>,
    marks: Marks,
}

/// Why a record cannot follow the ones before it.
pub(crate) type Contradiction = &'static str;

impl Memory {
    pub(crate) fn new(marks: Marks) -> Memory {
        Memory { entries: VecDeque::new(), marks }
    }

    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    pub(crate) fn set_vote(&mut self, vote: Vote) {
        self.marks.vote = Some(vote);
    }

    pub(crate) fn set_committed(&mut self, committed: Option<LogId>) {
        self.marks.committed = committed;
    }

    /// Appends entries, all or none, and returns about how many bytes they have when they are
    /// encoded. Entries may be missing before the first: openraft's own tests append such ones.
    ///
    /// # Errors
    /// An entry is not after the one before it, or is too long to be written.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<u64> {
        let (mut last, mut total) = (index(self.marks.last), 0);
        for entry in entries {
            let bytes = encoded_bytes(entry);
            if Some(entry.log_id.index) <= last {
                return Err(io::Error::other("an entry is not after the one before it"));
            }
            if bytes > MAX_ENTRY {
                let what =
                    format!("an entry has {bytes} bytes, and {MAX_ENTRY} at most can be written");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
            }
            (last, total) = (Some(entry.log_id.index), total + bytes as u64);
        }
        self.marks.last = entries.last().map(|entry| entry.log_id).or(self.marks.last);
        self.entries.extend(entries.iter().cloned());
        Ok(total)
    }

    /// Removes the entries from `from` on. Returns them, and the entry that is now the last.
    pub(crate) fn truncate(&mut self, from: u64) -> (VecDeque<Entry>, Option<LogId>) {
        let removed = self.entries.split_off(self.position(from));
        if !removed.is_empty() {
            let last = self.entries.back().map(|entry| entry.log_id);
            self.marks.last = last.or(self.marks.purged);
        }
        (removed, self.marks.last)
    }

    /// Removes the entries up to `upto`, and returns them.
    pub(crate) fn purge(&mut self, upto: LogId) -> VecDeque<Entry> {
        if self.marks.purged < Some(upto) {
            self.marks.purged = Some(upto);
        }
        if index(self.marks.last) <= Some(upto.index) {
            self.marks.last = Some(upto);
        }
        let count = self.position(next_index(Some(upto)));
        // The cost is that of moving the smaller part.
        if count <= self.entries.len() / 2 {
            self.entries.drain(..count).collect()
        } else {
            let rest = self.entries.split_off(count);
            mem::replace(&mut self.entries, rest)
        }
    }

    /// The entries with these indexes.
    pub(crate) fn range(&self, range: impl RangeBounds<u64>) -> impl Iterator<Item = &Entry> {
        let start = match range.start_bound() {
            Bound::Included(start) => self.position(*start),
            Bound::Excluded(start) => self.position(start.saturating_add(1)),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => self.position(end.saturating_add(1)),
            Bound::Excluded(end) => self.position(*end),
            Bound::Unbounded => self.entries.len(),
        };
        self.entries.range(start..end.max(start))
    }

    /// The position of the first entry whose index is not below this one.
    fn position(&self, index: u64) -> usize {
        self.entries.partition_point(|entry| entry.log_id.index < index)
    }

    /// Applies a record that was read from disk.
    pub(crate) fn apply(&mut self, record: Record) -> Result<(), Contradiction> {
        match record {
            Record::Entry(entry) => {
                if entry.log_id.index != next_index(self.marks.last) {
                    return Err("entries are missing before an entry");
                }
                if Some(entry.log_id) <= self.marks.last {
                    return Err("an entry is of an earlier term than the one before it");
                }
                self.marks.last = Some(entry.log_id);
                self.entries.push_back(entry);
                Ok(())
            }
            Record::Truncated { from, last } => {
                // Entries before the first segment are not in memory. So the record names the last
                // entry.
                let before = self.marks.last;
                self.truncate(from);
                self.marks.last = last;
                if next_index(last) > from || index(last) > index(before) {
                    return Err("a truncation names a wrong last entry");
                }
                match self.entries.back() {
                    Some(entry) if Some(entry.log_id) != last => {
                        Err("a truncation names a wrong last entry")
                    }
                    _ => Ok(()),
                }
            }
            Record::Purged(upto) => {
                // A snapshot of a leader replaces a shorter log, whatever its last entries are.
                let inside = index(self.marks.last) > Some(upto.index);
                if inside && self.id_at(upto.index).is_some_and(|id| id != upto) {
                    return Err("a purge names an entry that is not in the log");
                }
                self.purge(upto);
                Ok(())
            }
            record @ (Record::Vote(_) | Record::Committed(_) | Record::Sealed { .. }) => {
                self.marks.apply(&record);
                Ok(())
            }
        }
    }

    /// The id of the entry with this index, if the entry is in memory.
    pub(crate) fn id_at(&self, index: u64) -> Option<LogId> {
        self.range(index..=index).next().map(|entry| entry.log_id)
    }

    /// About how many bytes all entries have when they are encoded.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| encoded_bytes(entry) as u64).sum()
    }
}

/// About how many bytes an entry has when it is encoded.
pub(crate) fn encoded_bytes(entry: &Entry) -> usize {
    /// The most for the id, the kind and the length.
    const AROUND: usize = 40;
    AROUND
        + match &entry.payload {
            EntryPayload::Blank => 0,
            EntryPayload::Normal(content) => content.0.len(),
            // There are few of these.
            EntryPayload::Membership(membership) => {
                postcard::to_stdvec(membership).map_or(0, |bytes| bytes.len())
            }
        }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, 1), index)
    }

    fn entry(term: u64, index: u64) -> Record {
        Record::Entry(Entry { log_id: id(term, index), payload: EntryPayload::Blank })
    }

    /// A log with entries 0 to 4 of term 2, read from disk.
    fn five() -> Memory {
        let mut memory = Memory::default();
        (0..5).for_each(|index| memory.apply(entry(2, index)).unwrap());
        memory
    }

    #[test]
    fn records_that_contradict_the_ones_before_are_refused() {
        let truncated = |from, last| Record::Truncated { from, last };
        let wrong = "a truncation names a wrong last entry";
        for (record, expected) in [
            (entry(2, 5), Ok(())),
            (entry(2, 6), Err("entries are missing before an entry")),
            (entry(3, 4), Err("entries are missing before an entry")),
            (entry(1, 5), Err("an entry is of an earlier term than the one before it")),
            (truncated(2, Some(id(2, 1))), Ok(())),
            (truncated(0, None), Ok(())),
            (truncated(5, Some(id(2, 4))), Ok(())),
            (truncated(2, Some(id(2, 2))), Err(wrong)),
            (truncated(2, Some(id(1, 1))), Err(wrong)),
            (truncated(9, Some(id(2, 7))), Err(wrong)),
            (Record::Purged(id(2, 3)), Ok(())),
            (Record::Purged(id(1, 4)), Ok(())),
            (Record::Purged(id(1, 3)), Err("a purge names an entry that is not in the log")),
        ] {
            assert_eq!(five().apply(record.clone()), expected, "{record:?}");
        }
    }

    #[test]
    fn the_marks_of_records_are_those_of_the_memory() {
        let mut memory = five();
        let mut marks = memory.marks();
        for record in [
            Record::Vote(Vote::new(4, 1)),
            Record::Committed(Some(id(2, 2))),
            Record::Truncated { from: 3, last: Some(id(2, 2)) },
            entry(3, 3),
            Record::Purged(id(2, 1)),
            Record::Purged(id(2, 0)),
            Record::Purged(id(2, 3)),
            Record::Purged(id(4, 9)),
            entry(4, 10),
            Record::Sealed { next: 2 },
        ] {
            marks.apply(&record);
            memory.apply(record.clone()).unwrap();
            assert_eq!(memory.marks(), marks, "{record:?}");
        }
        assert_eq!((marks.purged, marks.last), (Some(id(4, 9)), Some(id(4, 10))));
    }

    #[test]
    fn a_purge_removes_a_few_or_most_entries() {
        for upto in 0..5 {
            let mut memory = five();
            let removed = memory.purge(id(2, upto));
            let indexes = |entries: &mut dyn Iterator<Item = &Entry>| {
                entries.map(|entry| entry.log_id.index).collect::<Vec<_>>()
            };
            assert_eq!(indexes(&mut removed.iter()), (0..=upto).collect::<Vec<_>>());
            assert_eq!(indexes(&mut memory.range(..)), (upto + 1..5).collect::<Vec<_>>());
        }
    }
}
