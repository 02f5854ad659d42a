//! The log of a group: its chat history.
//!
//! Entries are stored in blocks of [`BLOCK`]. New entries go into the last block, which is *open*; the
//! others are *closed* and full. Measured with user ids of 8
//! bytes and without the texts, a log of one entry takes 192 bytes, and a log of a million 51 bytes an
//! entry.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Seq, Stint};
use crate::map::Map;
use crate::sums::Sums;
use crate::time::Timestamp;

/// Entries in a closed block, which is also the most that a post copies when a clone shares the log.
const BLOCK: u64 = 32;

/// The most blocks freed by one command. A post adds 1/32 of a block, so four keep up.
const FREED: usize = 4;

/// One message in a group's log. [`Engine::history`](crate::Engine::history) has an example.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<U> {
    /// When it was posted. Never earlier than the entry before it.
    pub at: Timestamp,
    /// Who posted it.
    pub author: U,
    /// The text, shared with the signal of the post. Empty after it was erased.
    pub message: Arc<str>,
    /// The next stint at the time of the post: members who joined earlier have a smaller one. It is
    /// stored per entry, so that members need no field.
    before: Stint,
    /// Few entries are changed, so this is a pointer.
    change: Option<Arc<Change<U>>>,
}

impl<U> Entry<U> {
    pub(crate) const fn posted(at: Timestamp, author: U, message: Arc<str>, before: Stint) -> Self {
        Entry { at, author, message, before, change: None }
    }

    /// When the author last changed the text; `None` if they did not, or if it was erased.
    /// [`Engine::edit`](crate::Engine::edit) has an example.
    #[must_use]
    pub fn edited(&self) -> Option<Timestamp> {
        match self.change.as_deref() {
            Some(Change::Edited(at)) => Some(*at),
            _ => None,
        }
    }

    /// Who erased the text, if it was erased. [`Engine::edit`](crate::Engine::edit) has an example.
    #[must_use]
    pub fn erased_by(&self) -> Option<&U> {
        match self.change.as_deref() {
            Some(Change::Erased(by)) => Some(by),
            _ => None,
        }
    }

    fn bytes(&self) -> u64 {
        self.message.len() as u64
    }
}

/// The last change of an entry's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change<U> {
    /// The author changed it at that time.
    Edited(Timestamp),
    /// That user erased it.
    Erased(U),
}

/// How much was dropped from a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) entries: u64,
    /// Bytes of their messages.
    pub(crate) bytes: u64,
}

/// How much of a log is kept: the number of entries, and their age in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) entries: Option<u64>,
    pub(crate) ms: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Log<U> {
    /// The number of the first entry that was not dropped. Its block is freed when all of its entries
    /// are dropped.
    first: u64,
    /// The time of the last entry, dropped or not.
    last_at: Timestamp,
    /// Closed blocks, by the number of their first entry.
    blocks: Map<u64, Arc<[Entry<U>]>>,
    /// The number of the first entry in `open`.
    open_from: u64,
    open: Vec<Entry<U>>,
    /// The bytes of the messages in each closed block, by the number of the block.
    block_bytes: Sums,
    /// Bytes of the messages of all entries that were not dropped.
    bytes: u64,
}

impl<U: Clone> Log<U> {
    pub(crate) const fn new() -> Self {
        Log {
            first: 0,
            last_at: Timestamp(0),
            blocks: Map::new(),
            open_from: 0,
            open: Vec::new(),
            block_bytes: Sums::new(),
            bytes: 0,
        }
    }

    /// Builds a log of these entries. `first` is the number of the first one. O(n log² n).
    pub(crate) fn restore(first: Seq, last_at: Timestamp, entries: Vec<Entry<U>>) -> Self {
        let mut log = Log { first: first.0, last_at, open_from: first.0, ..Log::new() };
        for entry in entries {
            log.push(entry);
        }
        log
    }

    /// Appends a message, and returns its number and its time: the later of `now` and the time of the
    /// entry before it. O(1), and O(log² n) once per 32 entries.
    pub(crate) fn append(
        &mut self,
        author: U,
        message: Arc<str>,
        before: Stint,
        now: Timestamp,
    ) -> (Seq, Timestamp) {
        let seq = self.next();
        let at = self.last_at.max(now);
        self.last_at = at;
        self.push(Entry::posted(at, author, message, before));
        (seq, at)
    }

    fn push(&mut self, entry: Entry<U>) {
        self.bytes = self.bytes.saturating_add(entry.bytes());
        if self.open.len() as u64 >= BLOCK {
            let next = self.next().0;
            self.block_bytes.change(block_number(self.open_from), 0, bytes_of(&self.open));
            self.blocks.insert(self.open_from, std::mem::take(&mut self.open).into());
            self.open_from = next;
        }
        self.open.push(entry);
    }

    /// The number of the first entry that was not dropped. O(1).
    pub(crate) fn first(&self) -> Seq {
        Seq(self.first)
    }

    /// Bytes of the messages of all entries that were not dropped. O(1).
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The time of the last entry, dropped or not. O(1).
    pub(crate) fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// The number that the next entry gets. O(1).
    pub(crate) fn next(&self) -> Seq {
        Seq(self.open_from.saturating_add(self.open.len() as u64))
    }

    /// How many entries there are, including those past their retention that are not dropped yet.
    /// O(1).
    pub(crate) fn len(&self) -> u64 {
        self.next().0.saturating_sub(self.first)
    }

    /// The number of the first entry within its retention. O(log² n), or O(log n) if no entry is past
    /// its retention.
    pub(crate) fn first_live(&self, keep: Retention, now: Timestamp) -> Seq {
        let range = self.first_within(keep.entries)..self.next().0;
        Seq(match keep.ms {
            None => range.start,
            Some(ms) => self.first_where(range, |entry| now.is_before(entry.at, ms)),
        })
    }

    /// The number of the first entry within a retention by count.
    fn first_within(&self, entries: Option<u64>) -> u64 {
        let by_count = entries.map_or(0, |entries| self.next().0.saturating_sub(entries));
        self.first.max(by_count)
    }

    /// The entry `seq`, if it is within its retention and was posted after the stint `since` began, if
    /// one is given. O(log n).
    pub(crate) fn live(
        &self,
        seq: Seq,
        keep: Retention,
        since: Option<Stint>,
        now: Timestamp,
    ) -> Option<&Entry<U>> {
        let entry = self.get(seq.0)?;
        let is_live = seq.0 >= self.first_within(keep.entries)
            && keep.ms.is_none_or(|ms| now.is_before(entry.at, ms))
            && since.is_none_or(|stint| entry.before > stint);
        is_live.then_some(entry)
    }

    /// Drops up to `most` of the entries past their retention, the oldest first. Each call frees a few
    /// of the dropped blocks. O(log² n) for any `most`.
    pub(crate) fn drop_expired(&mut self, keep: Retention, now: Timestamp, most: u64) -> Dropped {
        let live = self.first_live(keep, now).0;
        let entries = live.saturating_sub(self.first).min(most);
        let first = self.first.saturating_add(entries);
        let bytes = self.bytes_in(self.first..first);
        self.first = first;
        self.bytes = self.bytes.saturating_sub(bytes);
        for _ in 0..FREED {
            match self.blocks.first() {
                Some((from, block)) if from.saturating_add(block.len() as u64) <= self.first => {
                    self.block_bytes.forget(block_number(*from));
                    self.blocks.remove_first();
                }
                _ => break,
            }
        }
        Dropped { entries, bytes }
    }

    /// Bytes of the messages of a range of entries. O(log² n).
    fn bytes_in(&self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let Range { start, end } = range;
        let (Some((first, head)), Some((last, tail))) = (self.block(start), self.block(end)) else {
            return 0;
        };
        let part = |from: u64, entries, range: Range<u64>| {
            let within = |seq: u64| usize::try_from(seq.saturating_sub(from)).unwrap_or(usize::MAX);
            let part = <[Entry<U>]>::get(entries, within(range.start)..within(range.end));
            part.map_or(0, bytes_of)
        };
        if first == last {
            return part(first, head, range);
        }
        let whole = self.block_bytes.sum(block_number(first).saturating_add(1), block_number(last));
        part(first, head, start..first.saturating_add(head.len() as u64))
            .saturating_add(whole)
            .saturating_add(part(last, tail, last..end))
    }

    /// Replaces the text of an entry, if there is such an entry. The log does not hold the old text any
    /// more. O(log² n); while a clone shares the log, the entry's block is copied.
    pub(crate) fn rewrite(&mut self, seq: Seq, message: Arc<str>, change: Change<U>) {
        let known = self.get(seq.0).filter(|_| seq.0 >= self.first);
        let Some(old) = known.map(Entry::bytes) else { return };
        let Some(entry) = self.get_mut(seq.0) else { return };
        entry.message = message;
        entry.change = Some(Arc::new(change));
        let new = entry.bytes();
        self.bytes = self.bytes.saturating_sub(old).saturating_add(new);
        if let Some((from, _)) = self.block(seq.0).filter(|(from, _)| *from < self.open_from) {
            self.block_bytes.change(block_number(from), old, new);
        }
    }

    /// The block of entry `seq`, and the number of the block's first entry. O(log n).
    fn block(&self, seq: u64) -> Option<(u64, &[Entry<U>])> {
        if seq >= self.open_from {
            return Some((self.open_from, &self.open));
        }
        self.blocks.at_or_before(&seq).map(|(from, block)| (*from, &**block))
    }

    /// An entry that was not dropped, or whose block is not freed yet.
    fn get(&self, seq: u64) -> Option<&Entry<U>> {
        self.block(seq).and_then(|block| entry_in(block, seq))
    }

    /// The entry `seq`, to change it.
    fn get_mut(&mut self, seq: u64) -> Option<&mut Entry<U>> {
        if seq >= self.open_from {
            let at = usize::try_from(seq.checked_sub(self.open_from)?).ok()?;
            return self.open.get_mut(at);
        }
        let from = *self.blocks.at_or_before(&seq)?.0;
        let spot = self.blocks.find(&from).ok()?;
        let at = usize::try_from(seq.checked_sub(from)?).ok()?;
        Arc::make_mut(self.blocks.at_mut(&spot)?).get_mut(at)
    }

    /// The first number in `range` whose entry satisfies `wanted`, or the end of the range. All entries
    /// after the first such entry must satisfy it too. O(log n) if that is the first one, else
    /// O(log² n).
    fn first_where(&self, range: Range<u64>, wanted: impl Fn(&Entry<U>) -> bool) -> u64 {
        let Range { mut start, mut end } = range;
        let mut probe = start;
        while start < end {
            if self.get(probe).is_some_and(&wanted) {
                end = probe;
            } else {
                start = probe.saturating_add(1);
            }
            probe = start.midpoint(end);
        }
        start
    }

    /// The page of the entries from `first` on that were posted after the stint `since` began, if one
    /// is given. O(log n), or O(log² n) if that stint began within the page.
    pub(crate) fn page(&self, page: Page, first: Seq, since: Option<Stint>) -> History<'_, U> {
        let first = first.0.max(self.first);
        let to = page.before.map_or(self.next(), |before| before.min(self.next())).0.max(first);
        let from = to.saturating_sub(page.limit).max(first);
        let from = match since {
            None => from,
            Some(stint) => self.first_where(from..to, |entry| entry.before > stint),
        };
        History::new(self, from..to)
    }

    /// Every entry. O(1).
    pub(crate) fn all(&self) -> History<'_, U> {
        History::new(self, self.first..self.next().0)
    }

    /// Whether times never decrease, no block is empty, the numbers are dense, the bytes are counted
    /// right, and erased entries have no text. O(n log n).
    pub(crate) fn is_consistent(&self, next_stint: Stint) -> bool {
        let start = self.blocks.first().map_or(self.open_from, |(from, _)| *from);
        let mut expected = start;
        for (from, block) in self.blocks.iter() {
            if *from != expected || block.is_empty() {
                return false;
            }
            expected = expected.saturating_add(block.len() as u64);
        }
        let change_is_sound = |entry: &Entry<U>| match entry.change.as_deref() {
            None => true,
            Some(Change::Edited(at)) => *at >= entry.at,
            Some(Change::Erased(_)) => entry.message.is_empty(),
        };
        let mut entries = self.all().rev().map(|(_, entry)| (entry.at, entry.before));
        expected == self.open_from
            && self.blocks.is_sound()
            && self.block_bytes.is_sound(
                self.blocks.iter().map(|(from, block)| (block_number(*from), bytes_of(block))),
            )
            && start <= self.first
            && self.first <= self.next().0
            && self.all().all(|(_, entry)| change_is_sound(entry))
            && self.all().map(|(_, entry)| entry.bytes()).sum::<u64>() == self.bytes
            && entries.clone().is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1)
            && entries.all(|(at, before)| at <= self.last_at && before <= next_stint)
    }
}

/// Compares the entries; how they are divided into blocks does not matter.
impl<U: Clone + PartialEq> PartialEq for Log<U> {
    fn eq(&self, other: &Self) -> bool {
        self.next() == other.next() && self.last_at == other.last_at && self.all().eq(other.all())
    }
}

impl<U: Clone + Eq> Eq for Log<U> {}

/// Every closed block has [`BLOCK`] entries, so adjacent blocks have adjacent numbers.
const fn block_number(from: u64) -> u64 {
    from / BLOCK
}

fn bytes_of<U>(entries: &[Entry<U>]) -> u64 {
    entries.iter().map(Entry::bytes).fold(0, u64::saturating_add)
}

fn entry_in<U>((from, entries): (u64, &[Entry<U>]), seq: u64) -> Option<&Entry<U>> {
    let at = usize::try_from(seq.checked_sub(from)?).ok()?;
    entries.get(at)
}

/// Which part of a log to read. [`Engine::history`](crate::Engine::history) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Only entries before this one; `None` begins at the newest.
    pub before: Option<Seq>,
    /// The most entries of the page. Zero is an empty page. A large limit costs nothing by itself:
    /// entries are read as you iterate.
    pub limit: u64,
}

impl Page {
    /// The newest `limit` entries. [`Engine::history`](crate::Engine::history) has an example.
    #[must_use]
    pub const fn newest(limit: u64) -> Page {
        Page { before: None, limit }
    }

    /// The `limit` entries before `seq`. The last entry of one page leads to the next page.
    /// [`Engine::history`](crate::Engine::history) has an example.
    #[must_use]
    pub const fn before(seq: Seq, limit: u64) -> Page {
        Page { before: Some(seq), limit }
    }
}

/// The entries of a page with their numbers, newest first. It borrows the engine or the dissolved
/// group, but not the reader or the page.
///
/// A step is O(1), and O(log n) once per 32 entries.
pub struct History<'a, U> {
    log: &'a Log<U>,
    range: Range<u64>,
    /// The blocks of the two ends.
    newest: (u64, &'a [Entry<U>]),
    oldest: (u64, &'a [Entry<U>]),
}

impl<'a, U: Clone> History<'a, U> {
    fn new(log: &'a Log<U>, range: Range<u64>) -> Self {
        History { log, range, newest: (0, &[]), oldest: (0, &[]) }
    }
}

fn step<'a, U: Clone>(
    log: &'a Log<U>,
    block: &mut (u64, &'a [Entry<U>]),
    seq: u64,
) -> Option<(Seq, &'a Entry<U>)> {
    if entry_in(*block, seq).is_none() {
        *block = log.block(seq)?;
    }
    entry_in(*block, seq).map(|entry| (Seq(seq), entry))
}

impl<'a, U: Clone> Iterator for History<'a, U> {
    type Item = (Seq, &'a Entry<U>);

    fn next(&mut self) -> Option<Self::Item> {
        let seq = self.range.next_back()?;
        step(self.log, &mut self.newest, seq)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.range.end.saturating_sub(self.range.start);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl<U: Clone> DoubleEndedIterator for History<'_, U> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let seq = self.range.next()?;
        step(self.log, &mut self.oldest, seq)
    }
}

impl<U: Clone> ExactSizeIterator for History<'_, U> {}
impl<U: Clone> FusedIterator for History<'_, U> {}

impl<U> Clone for History<'_, U> {
    fn clone(&self) -> Self {
        History { range: self.range.clone(), ..*self }
    }
}

impl<U> fmt::Debug for History<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("range", &self.range).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries 3 to 99, in blocks from 0 on.
    fn log() -> Log<u8> {
        let mut log = Log::new();
        for at in 0..100 {
            log.append(1, "hello".into(), Stint(at), Timestamp(at));
        }
        let keep = Retention { entries: Some(97), ms: None };
        assert_eq!(log.drop_expired(keep, Timestamp(100), 9), Dropped { entries: 3, bytes: 15 });
        log
    }

    #[test]
    fn is_consistent_finds_each_kind_of_damage() {
        assert!(log().is_consistent(Stint(99)));
        assert!(Log::<u8>::new().is_consistent(Stint(0)));
        let broken = |change: fn(&mut Log<u8>)| {
            let mut log = log();
            change(&mut log);
            !log.is_consistent(Stint(99))
        };
        assert!(broken(|log| log.first = 101), "past its end");
        assert!(broken(|log| log.bytes = 1), "a wrong count of bytes");
        assert!(broken(|log| log.block_bytes.change(1, 0, 1)), "a wrong count of a block's bytes");
        assert!(broken(|log| _ = log.blocks.remove(&0)), "a missing first block");
        assert!(broken(|log| _ = log.blocks.remove(&32)), "a missing block");
        assert!(broken(|log| _ = log.blocks.insert(0, Arc::new([]))), "an empty block");
        assert!(
            broken(|log| _ = log.blocks.insert(96, Arc::new([]))),
            "a closed block past the end"
        );
        assert!(broken(|log| log.open_from = 95), "two blocks overlap");
        assert!(
            broken(|log| {
                let block = log.blocks.remove(&32).unwrap_or_default();
                log.blocks.insert(40, block);
            }),
            "a block under a number that is not its first entry's"
        );
        assert!(broken(|log| log.open[2].at = Timestamp(0)), "a time goes back");
        assert!(broken(|log| log.open[2].before = Stint(0)), "a stint goes back");
        assert!(broken(|log| log.last_at = Timestamp(98)), "a time past the last");
        assert!(broken(|log| log.open[3].before = Stint(100)), "a stint not handed out");
        assert!(
            broken(|log| log.open[3].change = Some(Arc::new(Change::Erased(1)))),
            "an erased text that is there"
        );
        assert!(
            broken(|log| log.open[3].change = Some(Arc::new(Change::Edited(Timestamp(1))))),
            "an edit before the entry"
        );
    }

    #[test]
    fn dropped_blocks_are_freed() {
        let mut log = log();
        let keep = Retention { entries: Some(4), ms: None };
        let dropped = log.drop_expired(keep, Timestamp(100), u64::MAX);
        assert_eq!(dropped, Dropped { entries: 93, bytes: 5 * 93 });
        assert_eq!((log.blocks.len(), log.bytes()), (0, 5 * 4));
        assert!(log.is_consistent(Stint(99)));
    }

    /// Texts of many lengths, which are changed while entries are dropped.
    #[test]
    fn the_bytes_of_every_range_are_right() {
        let mut log = Log::new();
        let text = |bytes: u64| Arc::<str>::from("x".repeat((bytes % 7) as usize));
        for at in 0..3_000 {
            log.append(1, text(at), Stint(at), Timestamp(at));
        }
        let everything = Retention { entries: Some(0), ms: None };
        for step in 0..300 {
            log.rewrite(
                Seq(step * 7919 % 3_000),
                text(step * 31),
                Change::Edited(Timestamp(9_999)),
            );
            let lengths: Vec<u64> = log.all().rev().map(|(_, entry)| entry.bytes()).collect();
            for (from, to) in [(0, lengths.len()), (lengths.len() / 3, lengths.len() / 2), (1, 40)]
            {
                let range = log.first + from as u64..log.first + to as u64;
                let expected = lengths[from..to.max(from)].iter().sum::<u64>();
                assert_eq!(log.bytes_in(range), expected);
            }
            log.drop_expired(everything, Timestamp(9_999), step % 17);
            assert!(log.is_consistent(Stint(3_000)));
        }
    }

    #[test]
    fn a_changed_entry_is_marked_and_its_old_text_is_freed() {
        let mut log = log();
        let text = |log: &Log<u8>, seq| Arc::downgrade(&log.get(seq).unwrap().message);
        for seq in [40, 99] {
            let (before, clone) = (text(&log, seq), log.clone());
            log.rewrite(Seq(seq), "edited".into(), Change::Edited(Timestamp(200)));
            assert!(before.upgrade().is_some(), "the clone holds it");
            drop(clone);
            assert!(before.upgrade().is_none());
            let entry = log.get(seq).unwrap();
            assert_eq!((entry.edited(), entry.erased_by()), (Some(Timestamp(200)), None));
            assert_eq!(log.bytes(), 97 * 5 + 1);

            let before = text(&log, seq);
            log.rewrite(Seq(seq), Arc::default(), Change::Erased(7));
            assert!(before.upgrade().is_none());
            let entry = log.get(seq).unwrap();
            assert_eq!((entry.edited(), entry.erased_by()), (None, Some(&7)));
            assert!(log.is_consistent(Stint(99)));
            log.rewrite(Seq(seq), "hello".into(), Change::Edited(Timestamp(200)));
        }
        log.rewrite(Seq(100), "never".into(), Change::Erased(7));
        assert_eq!(log.len(), 97);
    }

    #[test]
    fn logs_with_the_same_entries_in_other_blocks_are_equal() {
        let log = log();
        let entries: Vec<_> = log.all().rev().map(|(_, entry)| entry.clone()).collect();
        let again = Log::restore(log.first(), log.last_at(), entries.clone());
        assert!(log == again);
        assert!(log != Log::restore(log.first(), Timestamp(100), entries.clone()), "a later end");
        assert!(log != Log::restore(Seq(4), log.last_at(), entries[1..].to_vec()), "one less");
        let mut other = entries;
        other[50].author = 2;
        assert!(log != Log::restore(log.first(), log.last_at(), other), "another author");
        let empty = |first| Log::<u8>::restore(Seq(first), Timestamp(0), Vec::new());
        assert!(empty(1) == empty(1) && empty(1) != empty(2));
    }
}
