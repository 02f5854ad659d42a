//! The one place that names the persistent collections.
//!
//! A [`Map`] is ordered, and cloning it is O(1): the clone shares everything, and a later change of
//! either copies only the path to what it touches. Up to [`FEW`] entries lie in one exact-size
//! array; beyond that the map is a B+ tree of `imbl`. An `imbl` node has room for 16 entries
//! however few there are, and most maps are small: eight entries take 38 bytes each in a tree
//! and 20 in an array (an allocation's overhead included, 8-byte ids). A lone entry needs no
//! allocation at all.
//!
//! Looking never copies; changing a map that a clone shares always does, even where nothing
//! changes in the end. So: look first, and only then `get_mut`, `insert` or `remove`.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Bound;
use std::slice;
use std::sync::Arc;

use im::OrdMap;
use im::shared_ptr::DefaultSharedPtr;

/// The most entries an array holds. At 33 a tree takes 47 bytes an entry to the array's 17, and a
/// full array is copied in about 0.2 µs: past that, copying costs more than the memory is worth.
const FEW: usize = 32;

/// A tree that shrinks to this many entries becomes an array again; below [`FEW`], lest a map
/// that hovers there is converted with every change.
const FEW_AGAIN: usize = FEW / 2;

/// An ordered map whose clone is O(1).
#[derive(Clone)]
pub(crate) struct Map<K, V>(Form<K, V>);

#[derive(Clone)]
enum Form<K, V> {
    Empty,
    One((K, V)),
    Few(Arc<[(K, V)]>),
    Many(OrdMap<K, V>),
}

impl<K, V> Map<K, V> {
    pub(crate) const fn new() -> Self {
        Map(Form::Empty)
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        match self.view() {
            View::Few(entries) => entries.len(),
            View::Many(tree) => tree.len(),
        }
    }

    /// O(1).
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn view(&self) -> View<'_, K, V> {
        match &self.0 {
            Form::Empty => View::Few(&[]),
            Form::One(entry) => View::Few(slice::from_ref(entry)),
            Form::Few(entries) => View::Few(entries),
            Form::Many(tree) => View::Many(tree),
        }
    }
}

/// A map to look at: an array, however it is stored, or a tree.
enum View<'a, K, V> {
    Few(&'a [(K, V)]),
    Many(&'a OrdMap<K, V>),
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// Of entries that come in strictly ascending order of their keys. O(n).
    pub(crate) fn from_ascending(mut entries: Vec<(K, V)>) -> Self {
        Map(match entries.len() {
            0 | 1 => entries.pop().map_or(Form::Empty, Form::One),
            ..=FEW => Form::Few(entries.into()),
            _ => Form::Many(entries.into_iter().collect()),
        })
    }

    /// O(log n).
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self.view() {
            View::Few(entries) => match search(entries, key) {
                Ok(at) => entries.get(at).map(|(_, value)| value),
                Err(_) => None,
            },
            View::Many(tree) => tree.get(key),
        }
    }

    /// O(log n).
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value to change, un-shared from every clone. O(log n).
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let entry = match &mut self.0 {
            Form::Empty => None,
            Form::One(entry) => (entry.0 == *key).then_some(entry),
            Form::Few(entries) => match search(entries, key) {
                Ok(at) => Arc::make_mut(entries).get_mut(at),
                Err(_) => None,
            },
            Form::Many(tree) => return tree.get_mut(key),
        };
        entry.map(|(_, value)| value)
    }

    /// Puts `value` under `key`, and returns what stood there before. O(log n).
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Form::Many(tree) = &mut self.0 {
            return tree.insert(key, value);
        }
        if let Some(old) = self.get_mut(&key) {
            return Some(std::mem::replace(old, value));
        }
        let View::Few(entries) = self.view() else {
            return None;
        };
        let (before, after) = match search(entries, &key) {
            Ok(at) | Err(at) => entries.split_at_checked(at).unwrap_or((entries, &[])),
        };
        let grown = before.iter().cloned().chain([(key, value)]).chain(after.iter().cloned());
        self.0 = match entries.len() {
            0 => grown.last().map_or(Form::Empty, Form::One),
            FEW.. => Form::Many(grown.collect()),
            _ => Form::Few(grown.collect()),
        };
        None
    }

    /// Takes the entry of `key` out. O(log n).
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        if let Form::Many(tree) = &mut self.0 {
            let removed = tree.remove(key);
            if tree.len() <= FEW_AGAIN {
                self.0 = Form::Few(tree.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
            }
            return removed;
        }
        let View::Few(entries) = self.view() else {
            return None;
        };
        let at = search(entries, key).ok()?;
        let (before, rest) = entries.split_at_checked(at)?;
        let ((_, removed), after) = rest.split_first()?;
        let removed = removed.clone();
        let mut left = before.iter().cloned().chain(after.iter().cloned());
        self.0 = match entries.len() {
            0..=2 => left.next().map_or(Form::Empty, Form::One),
            _ => Form::Few(left.collect()),
        };
        Some(removed)
    }

    /// The entry with the smallest key. O(log n).
    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        match self.view() {
            View::Few(entries) => pair(entries.first()),
            View::Many(tree) => pair(tree.get_min()),
        }
    }

    /// The first entry past `key`, whether `key` is there or not. O(log n).
    pub(crate) fn after(&self, key: &K) -> Option<(&K, &V)> {
        match self.view() {
            View::Few(entries) => {
                let at = entries.partition_point(|(k, _)| k <= key);
                pair(entries.get(at))
            }
            View::Many(tree) => tree.range::<_, K>((Bound::Excluded(key), Bound::Unbounded)).next(),
        }
    }

    /// The last entry that does not lie past `key`. O(log n).
    pub(crate) fn at_or_before(&self, key: &K) -> Option<(&K, &V)> {
        match self.view() {
            View::Few(entries) => {
                let past = entries.partition_point(|(k, _)| k <= key);
                pair(entries.split_at_checked(past).and_then(|(upto, _)| upto.last()))
            }
            View::Many(tree) => tree.get_prev(key),
        }
    }

    /// All entries in ascending order of their keys. O(1) to take.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        match self.view() {
            View::Few(entries) => Iter::Few(entries.iter()),
            View::Many(tree) => Iter::Many(tree.iter()),
        }
    }
}

fn search<K: Ord, V>(entries: &[(K, V)], key: &K) -> Result<usize, usize> {
    entries.binary_search_by(|(k, _)| k.cmp(key))
}

fn pair<K, V>(entry: Option<&(K, V)>) -> Option<(&K, &V)> {
    entry.map(|(key, value)| (key, value))
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Map::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for Map<K, V> {}

/// The entries of a [`Map`], in ascending order of their keys.
pub(crate) enum Iter<'a, K, V> {
    Few(slice::Iter<'a, (K, V)>),
    Many(im::ordmap::Iter<'a, K, V, DefaultSharedPtr>),
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        match self {
            Iter::Few(walk) => Iter::Few(walk.clone()),
            Iter::Many(walk) => Iter::Many(walk.clone()),
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Few(walk) => pair(walk.next()),
            Iter::Many(walk) => walk.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Iter::Few(walk) => walk.size_hint(),
            Iter::Many(walk) => walk.size_hint(),
        }
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Few(walk) => pair(walk.next_back()),
            Iter::Many(walk) => walk.next_back(),
        }
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}
impl<K, V> FusedIterator for Iter<'_, K, V> {}

#[cfg(test)]
mod tests;
