//! The iterators of a [`Map`](crate::map::Map).

use std::hint::black_box;
use std::iter::FusedIterator;
use std::slice;
use std::sync::Arc;

use crate::tree::{Child, Node, child_of};

/// The entries of a map in ascending order of keys, from both ends.
pub(crate) struct Iter<'a, K, V, const LEAF: usize, const FAN: usize> {
    front: Walk<'a, K, V, LEAF, FAN, false>,
    back: Walk<'a, K, V, LEAF, FAN, true>,
    /// How many entries are between the two.
    left: usize,
}

impl<'a, K, V, const LEAF: usize, const FAN: usize> Iter<'a, K, V, LEAF, FAN> {
    /// The entries of a map that is one array.
    pub(crate) fn of_array(entries: &'a [(K, V)]) -> Self {
        Iter { front: Walk::of_array(entries), back: Walk::of_array(entries), left: entries.len() }
    }

    /// The entries of a tree that has `len` of them.
    pub(crate) fn of_tree(root: &'a Node<K, V, LEAF, FAN>, len: usize) -> Self {
        Iter { front: Walk::of_tree(root), back: Walk::of_tree(root), left: len }
    }
}

/// The entries of a map from one end: from the last if `BACK`.
pub(crate) struct Walk<'a, K, V, const LEAF: usize, const FAN: usize, const BACK: bool> {
    /// The node to descend into next.
    down: Option<&'a Node<K, V, LEAF, FAN>>,
    leaf: slice::Iter<'a, (K, V)>,
    /// The remaining children of each branch above the leaf.
    above: Vec<slice::Iter<'a, Child<K, V, LEAF, FAN>>>,
}

impl<'a, K, V, const LEAF: usize, const FAN: usize, const BACK: bool>
    Walk<'a, K, V, LEAF, FAN, BACK>
{
    pub(crate) fn of_array(entries: &'a [(K, V)]) -> Self {
        Walk { down: None, leaf: entries.iter(), above: Vec::new() }
    }

    pub(crate) fn of_tree(root: &'a Node<K, V, LEAF, FAN>) -> Self {
        Walk { down: Some(root), leaf: [].iter(), above: Vec::new() }
    }

    fn take<I: DoubleEndedIterator>(from: &mut I) -> Option<I::Item> {
        if BACK { from.next_back() } else { from.next() }
    }

    #[inline]
    fn step(&mut self) -> Option<(&'a K, &'a V)> {
        loop {
            if let Some((key, value)) = Self::take(&mut self.leaf) {
                return Some((key, value));
            }
            self.leaf = self.next_leaf()?;
        }
    }

    fn next_leaf(&mut self) -> Option<slice::Iter<'a, (K, V)>> {
        loop {
            match self.down.take() {
                Some(Node::Leaf(entries)) => return Some(entries.iter()),
                Some(Node::Branch(children)) => {
                    fetch_leaves(children);
                    self.above.push(children.iter());
                }
                None => match Self::take(self.above.last_mut()?) {
                    Some(child) => self.down = Some(&child.node),
                    None => _ = self.above.pop(),
                },
            }
        }
    }
}

impl<K: Ord, V, const LEAF: usize, const FAN: usize> Walk<'_, K, V, LEAF, FAN, false> {
    /// Skips all entries up to and including `key`. Only for a walk that has not begun. O(log n).
    pub(crate) fn skip_through(&mut self, key: &K) {
        let past = |entries: &[(K, V)]| entries.partition_point(|(other, _)| other <= key);
        let array = self.leaf.as_slice();
        self.leaf = array.get(past(array)..).unwrap_or_default().iter();
        while let Some(node) = self.down.take() {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.get(past(entries)..).unwrap_or_default().iter();
                }
                Node::Branch(children) => {
                    let from = child_of(children, key);
                    let mut rest = children.get(from..).unwrap_or_default().iter();
                    self.down = rest.next().map(|child| &child.node);
                    self.above.push(rest);
                }
            }
        }
    }
}

/// Reads the first bytes of each leaf that a walk will visit. The leaves are anywhere in memory, and
/// fetching all of them in parallel takes hardly longer than fetching one.
fn fetch_leaves<K, V, const LEAF: usize, const FAN: usize>(children: &[Child<K, V, LEAF, FAN>]) {
    for child in children {
        if let Node::Leaf(entries) = &child.node {
            black_box(Arc::strong_count(entries));
        }
    }
}

impl<'a, K, V, const LEAF: usize, const FAN: usize> Iterator for Walk<'a, K, V, LEAF, FAN, false> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.step()
    }
}

impl<K, V, const LEAF: usize, const FAN: usize, const BACK: bool> Clone
    for Walk<'_, K, V, LEAF, FAN, BACK>
{
    fn clone(&self) -> Self {
        Walk { down: self.down, leaf: self.leaf.clone(), above: self.above.clone() }
    }
}

impl<K, V, const LEAF: usize, const FAN: usize> Clone for Iter<'_, K, V, LEAF, FAN> {
    fn clone(&self) -> Self {
        Iter { front: self.front.clone(), back: self.back.clone(), left: self.left }
    }
}

impl<'a, K, V, const LEAF: usize, const FAN: usize> Iterator for Iter<'a, K, V, LEAF, FAN> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.front.step()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// Walks leaf by leaf, without checking for a next leaf at every step.
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, start: B, mut with: F) -> B {
        let mut folded = start;
        loop {
            let entries = self.front.leaf.by_ref().take(self.left);
            self.left = self.left.saturating_sub(entries.len());
            folded = entries.fold(folded, |so_far, (key, value)| with(so_far, (key, value)));
            if self.left == 0 {
                return folded;
            }
            match self.front.next_leaf() {
                Some(leaf) => self.front.leaf = leaf,
                None => return folded,
            }
        }
    }
}

impl<K, V, const LEAF: usize, const FAN: usize> DoubleEndedIterator for Iter<'_, K, V, LEAF, FAN> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.back.step()
    }
}

impl<K, V, const LEAF: usize, const FAN: usize> ExactSizeIterator for Iter<'_, K, V, LEAF, FAN> {}
impl<K, V, const LEAF: usize, const FAN: usize> FusedIterator for Iter<'_, K, V, LEAF, FAN> {}
