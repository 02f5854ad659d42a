//! A map whose entries expire, and are cleaned a few at a time.

use std::borrow::Borrow;
use std::fmt::Debug;

use crate::map::Map;
use crate::tree::Spot;
use crate::walk::Iter;

/// Leaves are small because keys are long: a change in a leaf moves the entries behind it.
const LEAF: usize = 24;
const FAN: usize = 32;

/// The entries of a [`Timed`] in ascending order of keys.
pub(crate) type TimedIter<'a, K, V> = Iter<'a, K, V, LEAF, FAN>;

/// The order in which entries are cleaned.
pub(crate) trait Due<K> {
    /// What entries are ordered by: a time, or a count.
    type At: Ord + Copy + Debug;
    /// What `due` depends on, apart from the entry.
    type Terms;

    /// The place of the entry in the order of cleaning: a time or a count. The caller of
    /// [`clean`](Timed::clean) decides which places are over. `None` if the entry is never cleaned.
    fn due(&self, key: &K, terms: &Self::Terms) -> Option<Self::At>;

    /// Reads a part of the value, for [`Map::find_by`]. The default reads nothing. It is worth
    /// overriding where there are many entries and look-ups come in random order.
    fn glance(&self) -> u64 {
        0
    }
}

/// A map, and the order in which its entries are due.
///
/// If two entries are due at once, the smaller key is first. So the order depends on the entries
/// alone, and an engine restored from a snapshot cleans in the same order as the original.
#[derive(Debug, Clone)]
pub(crate) struct Timed<K, V: Due<K>> {
    of: Map<K, V, LEAF, FAN>,
    /// Derived from `of`: one key for each entry that can be due.
    by_due: Map<(V::At, K), (), LEAF, FAN>,
}

impl<K: Ord + Clone, V: Due<K> + Clone> Timed<K, V> {
    pub(crate) const fn new() -> Self {
        Timed { of: Map::new(), by_due: Map::new() }
    }

    /// Builds it from entries in strictly ascending order of keys. O(n log n).
    pub(crate) fn from_ascending(entries: Vec<(K, V)>, terms: &V::Terms) -> Self {
        let queued = |(key, value): &(K, V)| Some(((value.due(key, terms)?, key.clone()), ()));
        let mut by_due: Vec<_> = entries.iter().filter_map(queued).collect();
        by_due.sort_unstable();
        Timed { of: Map::from_ascending(entries), by_due: Map::from_ascending(by_due) }
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    /// All entries, including those that are due and not cleaned yet.
    pub(crate) fn iter(&self) -> TimedIter<'_, K, V> {
        self.of.iter()
    }

    /// O(log n).
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.of.get(key)
    }

    /// The spot of `key`, or the spot where it belongs. O(log n).
    pub(crate) fn find(&self, key: &K) -> Result<Spot, Spot> {
        self.of.find_by(key, V::glance)
    }

    /// The value at a spot. O(log n), without comparing keys.
    pub(crate) fn at(&self, spot: &Spot) -> Option<&V> {
        self.of.at(spot)
    }

    /// Inserts an entry, or replaces its value, at the spot that [`find`](Self::find) returned for its
    /// key. O(log n).
    pub(crate) fn put(&mut self, found: Result<Spot, Spot>, key: K, value: V, terms: &V::Terms) {
        let due = value.due(&key, terms);
        match found {
            Err(spot) => self.of.insert_at(&spot, key.clone(), value),
            Ok(spot) => {
                let Some(old) = self.of.at_mut(&spot) else { return };
                let was_due = std::mem::replace(old, value).due(&key, terms);
                if was_due == due {
                    return;
                }
                if let Some(at) = was_due {
                    self.by_due.remove(&(at, key.clone()));
                }
            }
        }
        if let Some(at) = due {
            self.by_due.insert((at, key), ());
        }
    }

    /// Removes the entry of `key`, if there is one. O(log n).
    pub(crate) fn remove(&mut self, key: &K, terms: &V::Terms) {
        let Some(value) = self.take(key) else { return };
        if let Some(at) = value.due(key, terms) {
            self.by_due.remove(&(at, key.clone()));
        }
    }

    fn take(&mut self, key: &K) -> Option<V> {
        let spot = self.find(key).ok()?;
        self.of.remove_at(&spot).map(|(_, value)| value)
    }

    /// When the next entry is due. O(log n).
    pub(crate) fn next_due(&self) -> Option<V::At> {
        self.first_due().map(|(at, _)| *at)
    }

    /// The entry that is due first. O(log n).
    pub(crate) fn first_due(&self) -> Option<&(V::At, K)> {
        self.by_due.first().map(|(key, ())| key)
    }

    /// The entry that is due last. O(log n).
    pub(crate) fn last_due(&self) -> Option<&(V::At, K)> {
        self.by_due.last().map(|(key, ())| key)
    }

    /// The entries that are due after `last`, or all that can be due, in that order. O(log n) to
    /// begin.
    pub(crate) fn due_after(&self, last: Option<&(V::At, K)>) -> impl Iterator<Item = &(V::At, K)> {
        self.by_due.iter_after(last).map(|(key, ())| key)
    }

    /// Removes up to `most` entries for which `is_over` holds, in the order in which they are due.
    /// O(most · log n).
    pub(crate) fn clean(&mut self, most: usize, is_over: impl Fn(V::At) -> bool) {
        for _ in 0..most {
            if !self.next_due().is_some_and(&is_over) {
                return;
            }
            if let Some(((_, key), ())) = self.by_due.remove_first() {
                self.take(&key);
            }
        }
    }

    /// Whether both maps are correct and have the same entries. O(n log n).
    pub(crate) fn is_sound(&self, terms: &V::Terms) -> bool {
        let queued = |(key, value): (&K, &V)| Some((value.due(key, terms)?, key.clone()));
        let (mut count, mut all_known) = (0_usize, true);
        for key in self.of.iter().filter_map(queued) {
            count = count.saturating_add(1);
            all_known &= self.by_due.contains(&key);
        }
        all_known && count == self.by_due.len() && self.of.is_sound() && self.by_due.is_sound()
    }
}

/// Compares the entries only: the order in which they are due is derived from them.
impl<K: Ord + Clone, V: Due<K> + Clone + PartialEq> PartialEq for Timed<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

impl<K: Ord + Clone, V: Due<K> + Clone + Eq> Eq for Timed<K, V> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Until(Option<u32>);

    impl Due<u8> for Until {
        type At = u32;
        type Terms = ();

        fn due(&self, _: &u8, (): &()) -> Option<u32> {
            self.0
        }
    }

    fn timed() -> Timed<u8, Until> {
        let entries = vec![(1, Until(Some(9))), (2, Until(None)), (3, Until(Some(5)))];
        Timed::from_ascending(entries, &())
    }

    #[test]
    fn clean_removes_the_first_due_and_at_most_the_given_number() {
        let mut timed = timed();
        timed.clean(9, |due| due <= 4);
        assert_eq!(timed.len(), 3);
        timed.clean(1, |due| due <= 9);
        assert_eq!((timed.len(), timed.get(&3)), (2, None));
        timed.clean(9, |due| due <= 9);
        assert_eq!((timed.len(), timed.next_due()), (1, None));
        assert!(timed.is_sound(&()));
    }

    #[test]
    fn replacing_an_entry_changes_when_it_is_due() {
        let mut timed = timed();
        for (key, due) in [(3, Some(10)), (1, None), (2, Some(7)), (4, Some(8))] {
            timed.put(timed.find(&key), key, Until(due), &());
            assert!(timed.is_sound(&()));
        }
        let order: Vec<_> = timed.due_after(None).copied().collect();
        assert_eq!(order, [(7, 2), (8, 4), (10, 3)]);
        let later: Vec<_> = timed.due_after(Some(&(7, 9))).copied().collect();
        assert_eq!(later, [(8, 4), (10, 3)]);
        timed.remove(&4, &());
        timed.remove(&9, &());
        assert!(timed.is_sound(&()));
        assert_eq!(timed.len(), 3);
    }

    #[test]
    fn an_entry_in_only_one_of_the_maps_is_unsound() {
        assert!(timed().is_sound(&()));
        let broken = |change: fn(&mut Timed<u8, Until>)| {
            let mut timed = timed();
            change(&mut timed);
            !timed.is_sound(&())
        };
        assert!(broken(|timed| _ = timed.of.remove(&3)));
        assert!(broken(|timed| _ = timed.by_due.remove(&(5, 3))));
        assert!(broken(|timed| {
            timed.by_due.remove(&(5, 3));
            timed.by_due.insert((6, 3), ());
        }));
        assert!(broken(|timed| _ = timed.by_due.insert((6, 2), ())));
    }
}
