//! The persistent map in which the engine keeps all its state.
//!
//! A [`Map`] is ordered, and cloning it is O(1). The clone shares all entries with the original. A
//! later change of one of them copies only the path to the entry that changes. A single entry is
//! stored in the map itself, without an allocation. Up to [`FEW`] entries are one array of exactly
//! their size. A map that grows further becomes a B+ tree ([`tree`](crate::tree)), and an array again
//! when it shrinks to [`FEW_AGAIN`].
//!
//! Reading never copies. `at_mut` copies whatever a clone shares on the path, even if the caller then
//! changes nothing. So callers read first, and call it only for an actual change.

use std::borrow::Borrow;
use std::fmt;
use std::slice;
use std::sync::Arc;

use crate::tree::{self, Child, Node, Spot};
use crate::walk::{Iter, Walk};

/// The most entries of an array. Most maps are small, and a tree node would reserve more space.
const FEW: usize = 32;

/// A tree that shrinks to this many entries becomes an array again. It is lower than [`FEW`], so that
/// a map near that size is not converted with every change.
const FEW_AGAIN: usize = FEW / 2;

/// The default sizes of leaves and branches.
const USUAL_LEAF: usize = 62;
const USUAL_FAN: usize = 32;

/// The iterators of a map with nodes of the default sizes.
pub(crate) type MapIter<'a, K, V> = Iter<'a, K, V, USUAL_LEAF, USUAL_FAN>;
pub(crate) type MapWalk<'a, K, V> = Walk<'a, K, V, USUAL_LEAF, USUAL_FAN, false>;

/// An ordered map whose clone is O(1).
///
/// A leaf has at most `LEAF` entries and a branch at most `FAN` children. While a clone is alive, a
/// change copies one leaf and one branch of each level, and increments the reference count of each
/// child of those branches, which can be anywhere in memory. Adding to or removing from an array
/// always copies it; changing a value in it copies it only while a clone shares it.
#[derive(Clone)]
pub(crate) struct Map<K, V, const LEAF: usize = USUAL_LEAF, const FAN: usize = USUAL_FAN>(
    Form<K, V, LEAF, FAN>,
);

#[derive(Clone)]
enum Form<K, V, const LEAF: usize, const FAN: usize> {
    Empty,
    One((K, V)),
    Few(Arc<[(K, V)]>),
    Many { root: Node<K, V, LEAF, FAN>, len: usize },
}

impl<K, V, const LEAF: usize, const FAN: usize> Map<K, V, LEAF, FAN> {
    pub(crate) const fn new() -> Self {
        Map(Form::Empty)
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        match self.view() {
            View::Array(entries) => entries.len(),
            View::Tree(_, len) => len,
        }
    }

    /// O(1).
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.0, Form::Empty)
    }

    fn view(&self) -> View<'_, K, V, LEAF, FAN> {
        match &self.0 {
            Form::Empty => View::Array(&[]),
            Form::One(entry) => View::Array(slice::from_ref(entry)),
            Form::Few(entries) => View::Array(entries),
            Form::Many { root: Node::Leaf(entries), .. } => View::Array(entries),
            Form::Many { root, len } => View::Tree(root, *len),
        }
    }

    /// The first entry. O(log n).
    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        pair(match self.view() {
            View::Array(entries) => entries.first(),
            View::Tree(root, _) => root.first(),
        })
    }

    /// The last entry. O(log n).
    pub(crate) fn last(&self) -> Option<(&K, &V)> {
        pair(match self.view() {
            View::Array(entries) => entries.last(),
            View::Tree(root, _) => root.last(),
        })
    }

    /// The value at a spot that [`find`](Self::find) returned. O(log n), without comparing keys.
    pub(crate) fn at(&self, spot: &Spot) -> Option<&V> {
        match self.view() {
            View::Array(entries) => entries.get(spot.at),
            View::Tree(root, _) => root.at(spot),
        }
        .map(|(_, value)| value)
    }

    /// All entries in ascending order of keys. O(1) to begin; a step is O(1), amortised.
    pub(crate) fn iter(&self) -> Iter<'_, K, V, LEAF, FAN> {
        match self.view() {
            View::Array(entries) => Iter::of_array(entries),
            View::Tree(root, len) => Iter::of_tree(root, len),
        }
    }
}

/// A map's entries for reading: an array, wherever it is stored, or a tree and its length.
enum View<'a, K, V, const LEAF: usize, const FAN: usize> {
    Array(&'a [(K, V)]),
    Tree(&'a Node<K, V, LEAF, FAN>, usize),
}

impl<K: Ord + Clone, V: Clone, const LEAF: usize, const FAN: usize> Map<K, V, LEAF, FAN> {
    /// Builds a map of entries in strictly ascending order of keys. O(n).
    pub(crate) fn from_ascending(
        entries: impl IntoIterator<Item = (K, V), IntoIter: ExactSizeIterator>,
    ) -> Self {
        let mut entries = entries.into_iter();
        Map(match entries.len() {
            0 | 1 => entries.next().map_or(Form::Empty, Form::One),
            ..=FEW => Form::Few(entries.collect()),
            len => Form::Many { root: Node::from_ascending(entries), len },
        })
    }

    /// The spot of `key`, or the spot where it belongs. O(log n).
    pub(crate) fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Spot, Spot>
    where
        K: Borrow<Q>,
    {
        self.find_by(key, |_| ())
    }

    /// The same, for a large map whose nodes are rarely in the processor's caches. `glance` reads a
    /// part of a value, so that the cache lines of a node are fetched in parallel.
    pub(crate) fn find_by<Q: Ord + ?Sized, R>(
        &self,
        key: &Q,
        glance: impl Fn(&V) -> R,
    ) -> Result<Spot, Spot>
    where
        K: Borrow<Q>,
    {
        match self.view() {
            View::Array(entries) => match tree::search(entries, key) {
                Ok(at) => Ok(Spot::in_array(at)),
                Err(at) => Err(Spot::in_array(at)),
            },
            View::Tree(root, _) => root.find(key, glance),
        }
    }

    /// O(log n).
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.view() {
            View::Array(entries) => entries.get(tree::search(entries, key).ok()?),
            View::Tree(root, _) => root.get(key),
        }
        .map(|(_, value)| value)
    }

    /// O(log n).
    pub(crate) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The value at a spot that [`find`](Self::find) returned, to change it. Copies what a clone
    /// shares on the path. O(log n), without comparing keys.
    pub(crate) fn at_mut(&mut self, spot: &Spot) -> Option<&mut V> {
        match &mut self.0 {
            Form::Empty => None,
            Form::One((_, value)) => Some(value),
            Form::Few(entries) => Arc::make_mut(entries).get_mut(spot.at).map(|(_, value)| value),
            Form::Many { root, .. } => root.at_mut(spot),
        }
    }

    /// Inserts an entry at the spot that [`find`](Self::find) returned for its missing key. O(log n),
    /// without comparing keys.
    pub(crate) fn insert_at(&mut self, spot: &Spot, key: K, value: V) {
        self.0 = match std::mem::replace(&mut self.0, Form::Empty) {
            Form::Empty => Form::One((key, value)),
            Form::One(entry) => {
                let both = if spot.at == 0 { [(key, value), entry] } else { [entry, (key, value)] };
                Form::Few(both.into())
            }
            Form::Few(entries) => {
                let (before, after) = entries.split_at_checked(spot.at).unwrap_or((&entries, &[]));
                let new = [(key, value)];
                let grown = before.iter().cloned().chain(new).chain(after.iter().cloned());
                if entries.len() < FEW {
                    Form::Few(grown.collect())
                } else {
                    let grown: Vec<_> = grown.collect();
                    Form::Many { len: grown.len(), root: Node::from_ascending(grown.into_iter()) }
                }
            }
            Form::Many { mut root, len } => {
                let split = root.insert(spot.steps(), spot.at, (key, value), true);
                if let Some(right) = split {
                    let left = Child { low: right.low.clone(), node: root };
                    root = Node::Branch(Arc::new([left, right].into_iter().collect()));
                }
                Form::Many { root, len: len.saturating_add(1) }
            }
        };
    }

    /// Removes the entry at a spot that [`find`](Self::find) returned. O(log n), without comparing
    /// keys.
    pub(crate) fn remove_at(&mut self, spot: &Spot) -> Option<(K, V)> {
        match &mut self.0 {
            Form::Empty => None,
            Form::One(_) => match std::mem::replace(&mut self.0, Form::Empty) {
                Form::One(entry) => Some(entry),
                _ => None,
            },
            Form::Few(entries) => {
                let (before, rest) = entries.split_at_checked(spot.at)?;
                let (removed, after) = rest.split_first()?;
                let removed = removed.clone();
                let mut left = before.iter().chain(after).cloned();
                self.0 = match entries.len() {
                    0..=2 => left.next().map_or(Form::Empty, Form::One),
                    _ => Form::Few(left.collect()),
                };
                Some(removed)
            }
            Form::Many { root, len } => {
                let removed = root.remove(spot.steps(), spot.at)?;
                *len = len.saturating_sub(1);
                let only = match root {
                    Node::Branch(children) => children.first().filter(|_| children.len() == 1),
                    Node::Leaf(_) => None,
                };
                if let Some(only) = only {
                    *root = only.node.clone();
                }
                if *len <= FEW_AGAIN {
                    let left = Iter::of_tree(root, *len);
                    self.0 = Form::Few(left.map(|(k, v)| (k.clone(), v.clone())).collect());
                }
                Some(removed)
            }
        }
    }

    /// Inserts an entry, and returns the value that it replaces, if any. O(log n).
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(spot) => self.at_mut(&spot).map(|old| std::mem::replace(old, value)),
            Err(spot) => {
                self.insert_at(&spot, key, value);
                None
            }
        }
    }

    /// Removes the entry of `key`, if there is one; copies nothing if there is none. O(log n).
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let spot = self.find(key).ok()?;
        self.remove_at(&spot).map(|(_, value)| value)
    }

    /// Removes the first entry. O(log n).
    pub(crate) fn remove_first(&mut self) -> Option<(K, V)> {
        self.remove_at(&Spot::default())
    }

    /// The last entry whose key is `key` or smaller. O(log n).
    pub(crate) fn at_or_before(&self, key: &K) -> Option<(&K, &V)> {
        pair(match self.view() {
            View::Array(entries) => {
                let past = entries.partition_point(|(other, _)| other <= key);
                entries.split_at_checked(past).and_then(|(upto, _)| upto.last())
            }
            View::Tree(root, _) => root.at_or_before(key),
        })
    }

    /// The entries with keys larger than `last`, which need not be in the map, in ascending order; all
    /// entries for `None`. O(log n) to begin; a step is O(1), amortised.
    pub(crate) fn iter_after(&self, last: Option<&K>) -> Walk<'_, K, V, LEAF, FAN, false> {
        let mut walk = match self.view() {
            View::Array(entries) => Walk::of_array(entries),
            View::Tree(root, _) => Walk::of_tree(root),
        };
        if let Some(last) = last {
            walk.skip_through(last);
        }
        walk
    }

    /// Whether the order and the structure of the whole map are correct. O(n).
    pub(crate) fn is_sound(&self) -> bool {
        match &self.0 {
            Form::Empty | Form::One(_) => true,
            Form::Few(entries) => {
                (2..=FEW).contains(&entries.len())
                    && entries.is_sorted_by(|(one, _), (next, _)| one < next)
            }
            Form::Many { root, len } => *len > FEW_AGAIN && root.is_sound() == Some(*len),
        }
    }
}

fn pair<K, V>(entry: Option<&(K, V)>) -> Option<(&K, &V)> {
    entry.map(|(key, value)| (key, value))
}

impl<K, V, const LEAF: usize, const FAN: usize> Default for Map<K, V, LEAF, FAN> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug, const LEAF: usize, const FAN: usize> fmt::Debug
    for Map<K, V, LEAF, FAN>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: PartialEq, V: PartialEq, const LEAF: usize, const FAN: usize> PartialEq
    for Map<K, V, LEAF, FAN>
{
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq, const LEAF: usize, const FAN: usize> Eq for Map<K, V, LEAF, FAN> {}

#[cfg(test)]
pub(crate) mod tests;
