//! A group's chat history.
//!
//! Entries lie in blocks of [`BLOCK`], the last of them still open. Measured with 32-byte entries
//! (the texts apart): a log of one entry takes 192 bytes, one of a million 35 bytes an entry. In
//! `imbl`'s `Vector` it is 1,048 bytes from the second entry on and 33 at a million, in its
//! `OrdMap` 688 and 91.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use crate::id::{Seq, Stint};
use crate::persistent::Map;
use crate::time::Timestamp;

/// Entries in a closed block: also the most that a post copies when a clone shares the log.
const BLOCK: usize = 32;

/// One message in a group's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<U> {
    /// When it was posted, never before its predecessor.
    pub at: Timestamp,
    /// Who posted it.
    pub author: U,
    /// The text, shared with the signal that announced it.
    pub message: Arc<str>,
    /// The stint that would have begun next when this was posted: whoever joined before has a
    /// smaller one. Eight bytes an entry spare eight bytes a member.
    before: Stint,
}

#[derive(Clone)]
pub(crate) struct Log<U> {
    /// Closed blocks, each under the number of its first entry.
    blocks: Map<u64, Arc<[Entry<U>]>>,
    /// The number of the first entry in `open`.
    open_from: u64,
    open: Vec<Entry<U>>,
}

impl<U: Clone> Log<U> {
    pub(crate) const fn new() -> Self {
        Log { blocks: Map::new(), open_from: 0, open: Vec::new() }
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
        let at = self.last().map_or(now, |last| last.at.max(now));
        if self.open.len() >= BLOCK {
            self.blocks.insert(self.open_from, std::mem::take(&mut self.open).into());
            self.open_from = seq.0;
        }
        self.open.push(Entry { at, author, message, before });
        (seq, at)
    }

    /// The number that the next entry gets. O(1).
    pub(crate) fn next(&self) -> Seq {
        Seq(self.open_from.saturating_add(self.open.len() as u64))
    }

    /// How many entries there are. O(1).
    pub(crate) fn len(&self) -> u64 {
        self.next().0
    }

    fn last(&self) -> Option<&Entry<U>> {
        self.open.last()
    }

    /// The block that holds entry `seq`, and the number of its first entry. O(log n).
    fn block(&self, seq: u64) -> Option<(u64, &[Entry<U>])> {
        if seq >= self.open_from {
            return Some((self.open_from, &self.open));
        }
        self.blocks.at_or_before(&seq).map(|(from, block)| (*from, &**block))
    }

    fn get(&self, seq: u64) -> Option<&Entry<U>> {
        self.block(seq).and_then(|block| entry_in(block, seq))
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

    /// The page, less what was posted before `stint` began. Finding it costs O(log n), or
    /// O(log² n) if `stint` began in the midst of it.
    pub(crate) fn since(&self, stint: Stint, page: Page) -> History<'_, U> {
        let to = page.before.map_or(self.next(), |before| before.min(self.next())).0;
        let from = to.saturating_sub(page.limit);
        History::new(self, self.first_where(from..to, |entry| entry.before > stint)..to)
    }

    /// Every entry. O(1).
    pub(crate) fn all(&self) -> History<'_, U> {
        History::new(self, 0..self.next().0)
    }

    /// Whether times never go back, no block is empty, and the numbers are dense. Walks the log.
    pub(crate) fn is_consistent(&self, next_stint: Stint) -> bool {
        let mut expected = 0_u64;
        for (from, block) in self.blocks.iter() {
            if *from != expected || block.is_empty() {
                return false;
            }
            expected = expected.saturating_add(block.len() as u64);
        }
        expected == self.open_from
            && self
                .all()
                .rev()
                .map(|(_, entry)| (entry.at, entry.before))
                .is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1)
            && self.last().is_none_or(|last| last.before <= next_stint)
    }
}

/// The same entries, however they lie in blocks.
impl<U: Clone + PartialEq> PartialEq for Log<U> {
    fn eq(&self, other: &Self) -> bool {
        self.all().eq(other.all())
    }
}

impl<U: Clone + Eq> Eq for Log<U> {}

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
