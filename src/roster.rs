//! The members of a group, each with their stint.
//!
//! An ordered map whose clone is O(1): a B+ tree of exact-size arrays, each of them shared until it
//! changes. A small group is one array, and nothing else. It is a tree of our own, because an
//! audience is walked for every signal there is: in `imbl`'s `OrdMap` of a million members, whose
//! leaves have room for 16, a step took 30 ns (10 ns at ten thousand), and an entry 23 bytes.

use std::hint::black_box;
use std::iter::{self, FusedIterator};
use std::slice;
use std::sync::Arc;

use crate::id::Stint;

/// The most entries of a leaf. A change copies one, which takes less time than to find it; and with
/// 8-byte ids it is as large as an allocation can be that glibc keeps at hand for each thread.
///
/// Small in this crate's own tests, so that small rosters are deep trees.
const LEAF: usize = if cfg!(test) { 8 } else { 62 };

/// The most children of a branch. With a snapshot alive, a change copies one branch of each level
/// and counts a reference for every child, wherever in the memory that lies.
const FAN: usize = if cfg!(test) { 8 } else { 32 };

/// Who is in a group, in ascending order. Cloning it is O(1).
#[derive(Clone)]
pub(crate) struct Roster<U> {
    root: Node<U>,
    len: usize,
}

#[derive(Clone)]
enum Node<U> {
    Leaf(Arc<[(U, Stint)]>),
    Branch(Arc<[Child<U>]>),
}

/// A part of a branch: the users from `low` on, and those below it too if it is the first part.
#[derive(Clone)]
struct Child<U> {
    low: U,
    node: Node<U>,
}

impl<U: Ord + Clone> Roster<U> {
    /// Of one member.
    pub(crate) fn new(user: U, stint: Stint) -> Self {
        Roster { root: Node::Leaf(Arc::new([(user, stint)])), len: 1 }
    }

    /// Of these, who come in strictly ascending order. O(n).
    pub(crate) fn from_ascending(entries: &[(U, Stint)]) -> Self {
        let leaves = entries.chunks(LEAF).filter_map(|entries| {
            let (low, _) = entries.first()?;
            Some(Child { low: low.clone(), node: Node::Leaf(entries.into()) })
        });
        let mut level: Vec<Child<U>> = leaves.collect();
        while level.len() > 1 {
            let branches = level.chunks(FAN).filter_map(|children| {
                let low = children.first()?.low.clone();
                Some(Child { low, node: Node::Branch(children.into()) })
            });
            level = branches.collect();
        }
        let root = level.pop().map_or_else(|| Node::Leaf(Arc::new([])), |child| child.node);
        Roster { root, len: entries.len() }
    }

    /// O(1).
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// O(log n).
    pub(crate) fn get(&self, user: &U) -> Option<Stint> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Branch(children) => node = &children.get(place(children, user))?.node,
                Node::Leaf(entries) => {
                    let at = search(entries, user).ok()?;
                    return entries.get(at).map(|(_, stint)| *stint);
                }
            }
        }
    }

    /// O(log n).
    pub(crate) fn contains(&self, user: &U) -> bool {
        self.get(user).is_some()
    }

    /// Takes in a user who is no member. O(log n).
    pub(crate) fn insert(&mut self, user: U, stint: Stint) {
        if let Some(right) = self.root.insert(user, stint) {
            // The first of a branch has no lower bound, so any user stands for one.
            let left = Child { low: right.low.clone(), node: self.root.clone() };
            self.root = Node::Branch(Arc::new([left, right]));
        }
        self.len = self.len.saturating_add(1);
    }

    /// Takes a member out. O(log n).
    pub(crate) fn remove(&mut self, user: &U) {
        if !self.root.remove(user) {
            return;
        }
        self.len = self.len.saturating_sub(1);
        while let Node::Branch(children) = &self.root
            && let [only] = &**children
        {
            self.root = only.node.clone();
        }
    }

    /// The members in ascending order. O(1) to take; a step is O(1), amortised.
    pub(crate) fn iter(&self) -> Iter<'_, U> {
        Iter { front: Walk::new(&self.root), back: Walk::new(&self.root), left: self.len }
    }

    /// The members after `user`, who need not be one, in ascending order. O(log n) to take; a step
    /// is O(1), amortised.
    pub(crate) fn after(&self, user: &U) -> impl Iterator<Item = (&U, Stint)> {
        let mut walk = Walk::<'_, U, false>::new(&self.root);
        walk.skip_through(user);
        iter::from_fn(move || walk.step())
    }
}

impl<U: Ord + Clone> Node<U> {
    /// Returns what was split off, if there was no room.
    fn insert(&mut self, user: U, stint: Stint) -> Option<Child<U>> {
        match self {
            Node::Leaf(entries) => {
                let (Ok(at) | Err(at)) = search(entries, &user);
                let right = grow(entries, at, (user, stint), LEAF)?;
                let (low, _) = right.first()?;
                Some(Child { low: low.clone(), node: Node::Leaf(right) })
            }
            Node::Branch(children) => {
                let at = place(children, &user);
                let split = Arc::make_mut(children).get_mut(at)?.node.insert(user, stint)?;
                let right = grow(children, at.saturating_add(1), split, FAN)?;
                let low = right.first()?.low.clone();
                Some(Child { low, node: Node::Branch(right) })
            }
        }
    }

    /// Returns whether there was such a user.
    fn remove(&mut self, user: &U) -> bool {
        match self {
            Node::Leaf(entries) => {
                let Ok(at) = search(entries, user) else { return false };
                let (before, rest) = entries.split_at_checked(at).unwrap_or((entries, &[]));
                let left = before.iter().chain(rest.iter().skip(1)).cloned();
                *entries = left.collect();
                true
            }
            Node::Branch(children) => {
                let at = place(children, user);
                let Some(child) = Arc::make_mut(children).get_mut(at) else { return false };
                let removed = child.node.remove(user);
                if child.node.is_sparse() {
                    unite(children, at);
                }
                removed
            }
        }
    }

    /// Whether a neighbour could take it in. What was just split or united is far from it.
    fn is_sparse(&self) -> bool {
        match self {
            Node::Leaf(entries) => entries.len() < LEAF / 4,
            Node::Branch(children) => children.len() < FAN / 4,
        }
    }

    /// The two as one, if there is room; `low` bounds the second one from below.
    fn with(&self, low: &U, next: &Self) -> Option<Self> {
        match (self, next) {
            (Node::Leaf(these), Node::Leaf(those)) => {
                let both = these.iter().chain(those.iter()).cloned();
                (these.len().saturating_add(those.len()) <= LEAF)
                    .then(|| Node::Leaf(both.collect()))
            }
            (Node::Branch(these), Node::Branch(those)) => {
                let (first, others) = those.split_first()?;
                // It has been the first, with no bound of its own.
                let first = Child { low: low.clone(), node: first.node.clone() };
                let all = these.iter().cloned().chain([first]).chain(others.iter().cloned());
                (these.len().saturating_add(those.len()) <= FAN)
                    .then(|| Node::Branch(all.collect()))
            }
            _ => None,
        }
    }
}

/// Which of its children a user belongs to.
fn place<U: Ord>(children: &[Child<U>], user: &U) -> usize {
    children.partition_point(|child| child.low <= *user).saturating_sub(1)
}

fn search<U: Ord>(entries: &[(U, Stint)], user: &U) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| other.cmp(user))
}

/// Puts `new` into an array, and splits off the upper half if that makes more than `most`: if `new`
/// is the last, only that, for where ids ascend nothing will come between.
fn grow<T: Clone>(array: &mut Arc<[T]>, at: usize, new: T, most: usize) -> Option<Arc<[T]>> {
    let (before, after) = array.split_at_checked(at).unwrap_or((array, &[]));
    let grown = before.iter().cloned().chain([new]).chain(after.iter().cloned());
    if array.len() < most {
        *array = grown.collect();
        return None;
    }
    let mut grown: Vec<T> = grown.collect();
    let right = grown.split_off(if after.is_empty() { most } else { most / 2 });
    *array = grown.into();
    Some(right.into())
}

/// Reads a little of each leaf that a walk is about to come to. The leaves lie anywhere: to wait for
/// all of them at once takes hardly longer than to wait for one.
fn fetch<U>(children: &[Child<U>]) {
    for child in children {
        if let Node::Leaf(entries) = &child.node {
            black_box(entries.first().map(|(_, stint)| *stint));
        }
    }
}

/// Makes one of the child at `at` and a neighbour, if one has room.
fn unite<U: Ord + Clone>(children: &mut Arc<[Child<U>]>, at: usize) {
    for first in [Some(at), at.checked_sub(1)].into_iter().flatten() {
        let (before, rest) = children.split_at_checked(first).unwrap_or((children, &[]));
        let [one, next, after @ ..] = rest else { continue };
        if let Some(node) = one.node.with(&next.low, &next.node) {
            let both = Child { low: one.low.clone(), node };
            let all = before.iter().cloned().chain([both]).chain(after.iter().cloned());
            *children = all.collect();
            return;
        }
    }
}

impl<U: Ord + Clone> PartialEq for Roster<U> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<U: Ord + Clone> Eq for Roster<U> {}

/// The members of a [`Roster`], in ascending order.
pub(crate) struct Iter<'a, U> {
    front: Walk<'a, U, false>,
    back: Walk<'a, U, true>,
    /// How many lie between the two.
    left: usize,
}

/// A way through a tree from one end.
struct Walk<'a, U, const BACK: bool> {
    /// Where it has yet to go down.
    down: Option<&'a Node<U>>,
    leaf: slice::Iter<'a, (U, Stint)>,
    /// What is left of the branches above the leaf.
    above: Vec<slice::Iter<'a, Child<U>>>,
}

impl<'a, U, const BACK: bool> Walk<'a, U, BACK> {
    fn new(root: &'a Node<U>) -> Self {
        Walk { down: Some(root), leaf: [].iter(), above: Vec::new() }
    }

    fn take<I: DoubleEndedIterator>(from: &mut I) -> Option<I::Item> {
        if BACK { from.next_back() } else { from.next() }
    }

    #[inline]
    fn step(&mut self) -> Option<(&'a U, Stint)> {
        loop {
            if let Some((user, stint)) = Self::take(&mut self.leaf) {
                return Some((user, *stint));
            }
            self.leaf = self.next_leaf()?;
        }
    }

    fn next_leaf(&mut self) -> Option<slice::Iter<'a, (U, Stint)>> {
        loop {
            match self.down.take() {
                Some(Node::Leaf(entries)) => return Some(entries.iter()),
                Some(Node::Branch(children)) => {
                    fetch(children);
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

impl<U: Ord> Walk<'_, U, false> {
    /// Goes on behind `user`, from a new walk.
    fn skip_through(&mut self, user: &U) {
        while let Some(node) = self.down.take() {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.partition_point(|(member, _)| member <= user);
                    self.leaf = entries.get(at..).unwrap_or_default().iter();
                }
                Node::Branch(children) => {
                    let mut rest = children.get(place(children, user)..).unwrap_or_default().iter();
                    self.down = rest.next().map(|child| &child.node);
                    self.above.push(rest);
                }
            }
        }
    }
}

impl<U, const BACK: bool> Clone for Walk<'_, U, BACK> {
    fn clone(&self) -> Self {
        Walk { down: self.down, leaf: self.leaf.clone(), above: self.above.clone() }
    }
}

impl<U> Clone for Iter<'_, U> {
    fn clone(&self) -> Self {
        Iter { front: self.front.clone(), back: self.back.clone(), left: self.left }
    }
}

impl<'a, U> Iterator for Iter<'a, U> {
    type Item = (&'a U, Stint);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.front.step()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// Leaf by leaf, without a look up at every step.
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, start: B, mut with: F) -> B {
        let mut folded = start;
        loop {
            let entries = self.front.leaf.by_ref().take(self.left);
            self.left = self.left.saturating_sub(entries.len());
            folded = entries.fold(folded, |so_far, (user, stint)| with(so_far, (user, *stint)));
            match self.front.next_leaf() {
                Some(leaf) if self.left > 0 => self.front.leaf = leaf,
                _ => return folded,
            }
        }
    }
}

impl<U> DoubleEndedIterator for Iter<'_, U> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.back.step()
    }
}

impl<U> ExactSizeIterator for Iter<'_, U> {}
impl<U> FusedIterator for Iter<'_, U> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn assert_same(roster: &Roster<u16>, model: &BTreeMap<u16, Stint>) {
        assert_eq!(roster.len(), model.len());
        let entries = || model.iter().map(|(user, stint)| (user, *stint));
        assert!(roster.iter().eq(entries()));
        assert!(roster.iter().rev().eq(entries().rev()));
        for user in 0..300 {
            assert_eq!(roster.get(&user), model.get(&user).copied());
            let next = model.range(user + 1..).map(|(user, stint)| (user, *stint));
            let after = roster.after(&user);
            assert!(if user % 16 == 0 { after.eq(next) } else { after.take(9).eq(next.take(9)) });
        }
        let mut walk = roster.iter();
        for (nth, expected) in entries().enumerate() {
            assert_eq!(walk.len(), model.len() - nth);
            let rest = walk.clone();
            assert!(nth % 16 != 0 || rest.eq(entries().skip(nth)), "from {nth} on");
            assert_eq!(walk.next(), Some(expected));
        }
        assert_eq!((walk.next(), walk.next_back()), (None, None));
    }

    /// How many branches lie above the leaves, which is the same everywhere.
    fn height(node: &Node<u16>) -> usize {
        match node {
            Node::Leaf(entries) => {
                assert!(entries.len() <= LEAF);
                0
            }
            Node::Branch(children) => {
                assert!((1..=FAN).contains(&children.len()));
                let mut heights: Vec<usize> =
                    children.iter().map(|child| height(&child.node)).collect();
                heights.dedup();
                let [below] = heights[..] else { panic!("leaves at heights {heights:?}") };
                below + 1
            }
        }
    }

    #[test]
    fn grows_by_splitting_and_shrinks_by_uniting() {
        let mut roster = Roster::new(0, Stint(0));
        for user in 1..1_000 {
            roster.insert(user, Stint(user.into()));
        }
        // Full leaves and branches, as the ids ascend: 125 leaves, 16, 2, 1.
        assert_eq!(height(&roster.root), 3);
        assert!(
            roster
                == Roster::from_ascending(
                    &(0..1_000).map(|user| (user, Stint(user.into()))).collect::<Vec<_>>()
                )
        );
        for user in (0..1_000).filter(|user| user % 50 != 0) {
            roster.remove(&user);
        }
        assert_eq!(roster.len(), 20);
        assert!(height(&roster.root) <= 2, "{}", height(&roster.root));
        for user in (0..1_000).filter(|user| user % 50 == 0) {
            roster.remove(&user);
        }
        assert_eq!((roster.len(), height(&roster.root)), (0, 0));
        assert_eq!(roster.iter().next(), None);
    }

    #[test]
    fn both_ends_meet() {
        let entries: Vec<_> = (0..100).map(|user| (user, Stint(1))).collect();
        let roster = Roster::from_ascending(&entries);
        let mut walk = roster.iter();
        for nth in 0..50 {
            assert_eq!(walk.next(), Some((&nth, Stint(1))));
            assert_eq!(walk.next_back(), Some((&(99 - nth), Stint(1))));
            let rest = walk.clone().fold(Vec::new(), |mut users, (user, _)| {
                users.push(*user);
                users
            });
            assert_eq!(rest, (nth + 1..99 - nth).collect::<Vec<_>>());
        }
        assert_eq!((walk.next(), walk.next_back()), (None, None));
    }

    #[test]
    fn a_stranger_s_removal_changes_nothing() {
        let mut roster = Roster::from_ascending(&[(1, Stint(1)), (3, Stint(2))]);
        roster.remove(&2);
        assert_eq!(roster.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(roster.len(), 2);
    }

    proptest! {
        #[test]
        fn is_std_s_map_and_leaves_its_clones_alone(
            start in 0u16..300,
            // Runs of one kind of change, so that it grows deep and shrinks again.
            runs in prop::collection::vec((any::<bool>(), prop::collection::vec(0u16..300, 0..200)), 1..8)
        ) {
            let entries: Vec<_> = (0..start).map(|user| (user, Stint(7))).collect();
            let mut roster = Roster::from_ascending(&entries);
            let mut model: BTreeMap<u16, Stint> = entries.into_iter().collect();
            for (nth, (comes, users)) in runs.into_iter().enumerate() {
                let before = (roster.clone(), model.clone());
                for user in users {
                    if !comes {
                        roster.remove(&user);
                        model.remove(&user);
                    } else if !roster.contains(&user) {
                        let stint = Stint(nth as u64);
                        roster.insert(user, stint);
                        model.insert(user, stint);
                    }
                }
                height(&roster.root);
                assert_same(&roster, &model);
                assert_same(&before.0, &before.1);
                prop_assert_eq!(before.0 == roster, before.1 == model);
            }
        }
    }
}
