//! A group's chat history.
//!
//! Entries lie in blocks of [`BLOCK`], the last of them still open. Measured with user ids of 8 bytes
//! (the texts apart): a log of one entry takes 192 bytes, one of a million 51 bytes an entry.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Seq, Stint};
use crate::map::Map;
use crate::sums::Sums;
use crate::time::Timestamp;

/// Entries in a closed block: also the most that a post copies when a clone shares the log.
const BLOCK: u64 = 32;

/// Blocks freed at once, at most. One would do: a post adds a thirty-second of one.
const FREED: usize = 4;

/// One message in a group's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<U> {
    /// When it was posted, never before its predecessor.
    pub at: Timestamp,
    /// Who posted it.
    pub author: U,
    /// The text, shared with the signal that announced it. Empty once it was erased.
    pub message: Arc<str>,
    /// The stint that would have begun next when this was posted: whoever joined before has a
    /// smaller one. Stored per entry, so that members need no field.
    before: Stint,
    /// Few entries are changed, so a change lies behind a pointer.
    change: Option<Arc<Change<U>>>,
}

impl<U> Entry<U> {
    pub(crate) const fn posted(at: Timestamp, author: U, message: Arc<str>, before: Stint) -> Self {
        Entry { at, author, message, before, change: None }
    }

    /// When the author last changed the text; `None` if they did not, or if it was erased.
    #[must_use]
    pub fn edited(&self) -> Option<Timestamp> {
        match self.change.as_deref() {
            Some(Change::Edited(at)) => Some(*at),
            _ => None,
        }
    }

    /// Who erased the text, if somebody did.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change<U> {
    /// The author changed it, at that time.
    Edited(Timestamp),
    /// It was erased, by that user.
    Erased(U),
}

/// Entries that were dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) entries: u64,
    /// Bytes of their messages.
    pub(crate) bytes: u64,
}

/// How much of a log is kept: so many entries, for so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) entries: Option<u64>,
    pub(crate) ms: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Log<U> {
    /// The number of the first entry that was not dropped. The block it lies in goes when all of it
    /// was.
    first: u64,
    /// The time of the last entry, dropped or not.
    last_at: Timestamp,
    /// Closed blocks, each under the number of its first entry.
    blocks: Map<u64, Arc<[Entry<U>]>>,
    /// The number of the first entry in `open`.
    open_from: u64,
    open: Vec<Entry<U>>,
    /// The bytes of the messages in each closed block, under the block's number.
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

    /// A log of these entries, the first of them under the number `first`. O(n).
    pub(crate) fn restore(first: Seq, last_at: Timestamp, entries: Vec<Entry<U>>) -> Self {
        let mut log = Log { first: first.0, last_at, open_from: first.0, ..Log::new() };
        for entry in entries {
            log.push(entry);
        }
        log
    }

    /// Appends a message, and returns its number and its time: `now`, or its predecessor's if that
    /// is later. O(log n).
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

    /// How many entries there are, those past their retention but not yet dropped among them. O(1).
    pub(crate) fn len(&self) -> u64 {
        self.next().0.saturating_sub(self.first)
    }

    /// The first entry within its retention. O(log² n), or O(log n) if that is the first there is.
    pub(crate) fn first_live(&self, keep: Retention, now: Timestamp) -> Seq {
        let range = self.first_within(keep.entries)..self.next().0;
        Seq(match keep.ms {
            None => range.start,
            Some(ms) => self.first_where(range, |entry| now.is_before(entry.at, ms)),
        })
    }

    /// The first entry that is not past a retention by count.
    fn first_within(&self, entries: Option<u64>) -> u64 {
        let by_count = entries.map_or(0, |entries| self.next().0.saturating_sub(entries));
        self.first.max(by_count)
    }

    /// The entry `seq`, if it is within its retention and, if `since` names a stint, was posted since
    /// that began. O(log n).
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

    /// Drops up to `most` of the entries past their retention, the oldest first. Their blocks are
    /// freed a few at a time, now and with later drops. O(log² n), whatever `most`.
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

    /// Bytes of the messages of some entries. O(log² n).
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

    /// Gives an entry another text, if there is such an entry. The old one is no longer held here.
    /// O(log² n), and, while a clone shares it, a copy of the entry's block.
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

    /// The block that holds entry `seq`, and the number of its first entry. O(log n).
    fn block(&self, seq: u64) -> Option<(u64, &[Entry<U>])> {
        if seq >= self.open_from {
            return Some((self.open_from, &self.open));
        }
        self.blocks.at_or_before(&seq).map(|(from, block)| (*from, &**block))
    }

    /// An entry that was not dropped, or lies in a block that was not freed.
    fn get(&self, seq: u64) -> Option<&Entry<U>> {
        self.block(seq).and_then(|block| entry_in(block, seq))
    }

    /// The same, to change.
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

    /// The first entry of `range` for which `wanted` holds, where it holds for all that follow.
    /// O(log n) if it holds for the first one already, else O(log² n).
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

    /// The page of what lies at or past `first` and, if `since` names a stint, was posted since that
    /// began. Finding it costs O(log n), or O(log² n) if `since` began in the midst of it.
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

    /// Whether times never go back, no block is empty, the numbers are dense, the bytes are counted
    /// right, and of what was erased nothing is left. Walks the log.
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

/// The same entries, however they lie in blocks.
impl<U: Clone + PartialEq> PartialEq for Log<U> {
    fn eq(&self, other: &Self) -> bool {
        self.next() == other.next() && self.last_at == other.last_at && self.all().eq(other.all())
    }
}

impl<U: Clone + Eq> Eq for Log<U> {}

/// Every closed block has [`BLOCK`] entries, so blocks that follow one another have numbers that do.
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

/// Which part of a history to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only entries before this one; `None` for the newest.
    pub before: Option<Seq>,
    /// At most this many. Zero is an empty page; a huge page costs nothing until it is walked.
    pub limit: u64,
}

impl Page {
    /// The newest `limit` entries.
    #[must_use]
    pub const fn newest(limit: u64) -> Page {
        Page { before: None, limit }
    }

    /// The `limit` entries before `seq`, as the last entry of one page leads to the next.
    #[must_use]
    pub const fn before(seq: Seq, limit: u64) -> Page {
        Page { before: Some(seq), limit }
    }
}

/// The entries of a page with their numbers, newest first. It borrows the engine alone.
///
/// A step costs O(1), save at the border of a block, where it costs O(log n).
pub struct History<'a, U> {
    log: &'a Log<U>,
    range: Range<u64>,
    /// The blocks that the two ends lie in.
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
    fn a_log_out_of_order_is_seen() {
        assert!(log().is_consistent(Stint(99)));
        assert!(Log::<u8>::new().is_consistent(Stint(0)));
        let broken = |change: fn(&mut Log<u8>)| {
            let mut log = log();
            change(&mut log);
            !log.is_consistent(Stint(99))
        };
        assert!(broken(|log| log.first = 101), "past its end");
        assert!(broken(|log| log.bytes = 1), "its bytes are counted wrong");
        assert!(broken(|log| log.block_bytes.change(1, 0, 1)), "those of a block are");
        assert!(broken(|log| _ = log.blocks.remove(&0)), "its first block is gone");
        assert!(broken(|log| _ = log.blocks.remove(&32)), "a hole");
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
    fn what_was_dropped_is_freed_block_by_block() {
        let mut log = log();
        let keep = Retention { entries: Some(4), ms: None };
        let dropped = log.drop_expired(keep, Timestamp(100), u64::MAX);
        assert_eq!(dropped, Dropped { entries: 93, bytes: 5 * 93 });
        assert_eq!((log.blocks.len(), log.bytes()), (0, 5 * 4));
        assert!(log.is_consistent(Stint(99)));
    }

    /// Texts of many lengths, changed before and while they are dropped from one end.
    #[test]
    fn the_bytes_of_any_stretch_are_counted() {
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
                let stretch = log.first + from as u64..log.first + to as u64;
                let expected = lengths[from..to.max(from)].iter().sum::<u64>();
                assert_eq!(log.bytes_in(stretch), expected);
            }
            log.drop_expired(everything, Timestamp(9_999), step % 17);
            assert!(log.is_consistent(Stint(3_000)));
        }
    }

    #[test]
    fn a_changed_entry_says_so_and_no_old_text_is_held() {
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
    fn equal_logs_have_the_same_entries_wherever_their_blocks_begin() {
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
