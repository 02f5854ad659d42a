//! The nodes of a persistent B+ tree, and how they change. The engine uses them through
//! [`Map`](crate::map::Map).
//!
//! Every node is an array of fixed capacity behind an `Arc`. A change copies those nodes on its path
//! that a clone shares, and changes the other nodes in place.
//!
//! The invariants of a tree, which [`Node::is_sound`] verifies:
//! - keys ascend strictly within a leaf and from one leaf to the next;
//! - child `i` of a branch holds only keys in `low_i .. low_(i+1)`. The first child has no lower
//!   bound: its `low` has no meaning and is never compared;
//! - all leaves have the same depth, and none is empty;
//! - a branch has at least two children, and no node has more than its capacity.

use std::borrow::Borrow;
use std::hint::black_box;
use std::sync::Arc;

use arrayvec::ArrayVec;

pub(crate) enum Node<K, V, const LEAF: usize, const FAN: usize> {
    Leaf(Arc<ArrayVec<(K, V), LEAF>>),
    Branch(Arc<Children<K, V, LEAF, FAN>>),
}

pub(crate) type Children<K, V, const LEAF: usize, const FAN: usize> =
    ArrayVec<Child<K, V, LEAF, FAN>, FAN>;

/// A child of a branch.
#[derive(Clone)]
pub(crate) struct Child<K, V, const LEAF: usize, const FAN: usize> {
    /// A lower bound of its keys. It has no meaning in the first child of a branch.
    pub(crate) low: K,
    pub(crate) node: Node<K, V, LEAF, FAN>,
}

impl<K, V, const LEAF: usize, const FAN: usize> Clone for Node<K, V, LEAF, FAN> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(entries) => Node::Leaf(Arc::clone(entries)),
            Node::Branch(children) => Node::Branch(Arc::clone(children)),
        }
    }
}

/// The position of an entry, or the position where a missing key belongs. It is valid until an entry
/// is added or removed. Changing a value keeps it valid.
///
/// With a spot, a command searches a key once: its guards read the value there, and its change needs
/// no second search.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spot {
    /// Which child to follow at each level: one byte per level, the root's is the lowest. Sixteen
    /// levels are enough: with the engine's `FAN` of 32, each branch below the root has at least 8
    /// children, so a deeper tree would not fit into memory.
    steps: u128,
    /// The index in the leaf.
    pub(crate) at: usize,
}

impl Spot {
    /// A spot in a map that is one array.
    pub(crate) fn in_array(at: usize) -> Self {
        Spot { at, ..Spot::default() }
    }

    pub(crate) fn steps(&self) -> u128 {
        self.steps
    }
}

impl<K: Ord, V, const LEAF: usize, const FAN: usize> Node<K, V, LEAF, FAN> {
    /// The spot of `key`, or the spot where it belongs. `glance` reads a part of a value. O(log n).
    pub(crate) fn find<Q: Ord + ?Sized, R>(
        &self,
        key: &Q,
        glance: impl Fn(&V) -> R,
    ) -> Result<Spot, Spot>
    where
        K: Borrow<Q>,
    {
        let (mut spot, mut level) = (Spot::default(), 0_u32);
        let mut node = self;
        loop {
            match node {
                Node::Branch(children) => {
                    fetch(children, |child| matches!(child.node, Node::Leaf(_)));
                    let child = child_of(children, key);
                    spot.steps |= (child as u128).wrapping_shl(level);
                    level = level.saturating_add(8);
                    let Some(child) = children.get(child) else { return Err(spot) };
                    node = &child.node;
                }
                Node::Leaf(entries) => {
                    fetch(entries, |(_, value)| glance(value));
                    return match search(entries, key) {
                        Ok(at) => Ok(Spot { at, ..spot }),
                        Err(at) => Err(Spot { at, ..spot }),
                    };
                }
            }
        }
    }

    /// The entry of `key`. O(log n).
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&(K, V)>
    where
        K: Borrow<Q>,
    {
        let mut node = self;
        loop {
            match node {
                Node::Branch(children) => node = &children.get(child_of(children, key))?.node,
                Node::Leaf(entries) => return entries.get(search(entries, key).ok()?),
            }
        }
    }

    /// The last entry whose key is `key` or smaller. O(log n).
    pub(crate) fn at_or_before(&self, key: &K) -> Option<&(K, V)> {
        let (mut node, mut previous) = (self, None);
        loop {
            match node {
                Node::Branch(children) => {
                    let (before, from) = children.split_at_checked(child_of(children, key))?;
                    previous = before.last().map(|child| &child.node).or(previous);
                    node = &from.first()?.node;
                }
                Node::Leaf(entries) => {
                    let past = entries.partition_point(|(other, _)| other <= key);
                    let (upto, _) = entries.split_at_checked(past)?;
                    return upto.last().or_else(|| previous?.last());
                }
            }
        }
    }
}

impl<K, V, const LEAF: usize, const FAN: usize> Node<K, V, LEAF, FAN> {
    /// The entry at a spot. O(log n), without comparing keys.
    pub(crate) fn at(&self, spot: &Spot) -> Option<&(K, V)> {
        let (mut node, mut steps) = (self, spot.steps);
        loop {
            match node {
                Node::Branch(children) => node = &children.get(next_step(&mut steps))?.node,
                Node::Leaf(entries) => return entries.get(spot.at),
            }
        }
    }

    /// The first entry. O(log n).
    pub(crate) fn first(&self) -> Option<&(K, V)> {
        let mut node = self;
        loop {
            match node {
                Node::Branch(children) => node = &children.first()?.node,
                Node::Leaf(entries) => return entries.first(),
            }
        }
    }

    /// The last entry. O(log n).
    pub(crate) fn last(&self) -> Option<&(K, V)> {
        let mut node = self;
        loop {
            match node {
                Node::Branch(children) => node = &children.last()?.node,
                Node::Leaf(entries) => return entries.last(),
            }
        }
    }
}

impl<K: Clone, V: Clone, const LEAF: usize, const FAN: usize> Node<K, V, LEAF, FAN> {
    /// Builds a tree of entries in strictly ascending order of keys. O(n).
    pub(crate) fn from_ascending(entries: impl ExactSizeIterator<Item = (K, V)>) -> Self {
        let mut level: Vec<Child<K, V, LEAF, FAN>> =
            in_arrays(entries).filter_map(|entries| Child::of_leaf(entries)).collect();
        while level.len() > 1 {
            level = in_arrays(level.into_iter())
                .filter_map(|children| Child::of_branch(children))
                .collect();
        }
        level.pop().map_or_else(|| Node::Leaf(Arc::default()), |child| child.node)
    }

    /// The value at a spot, to change it. Copies what a clone shares on the path. O(log n).
    pub(crate) fn at_mut(&mut self, spot: &Spot) -> Option<&mut V> {
        let (mut node, mut steps) = (self, spot.steps);
        loop {
            match node {
                Node::Branch(children) => {
                    node = &mut own(children).get_mut(next_step(&mut steps))?.node;
                }
                Node::Leaf(entries) => {
                    return Arc::make_mut(entries).get_mut(spot.at).map(|(_, value)| value);
                }
            }
        }
    }

    /// Inserts an entry at the spot where its key belongs. If this node was full, it is split, and
    /// the new right part is returned. `is_last` says whether this node is the rightmost of its
    /// level. O(log n).
    pub(crate) fn insert(
        &mut self,
        mut steps: u128,
        at: usize,
        entry: (K, V),
        is_last: bool,
    ) -> Option<Child<K, V, LEAF, FAN>> {
        // A branch that is split must leave two children on each side, and a step is one byte.
        const { assert!(LEAF >= 2 && FAN >= 4 && FAN <= 256) };
        match self {
            Node::Leaf(entries) => {
                // If keys arrive in ascending order, the last leaf stays full, since no later key
                // belongs there.
                let keep = if is_last { LEAF } else { LEAF / 2 };
                Child::of_leaf(grow(Arc::make_mut(entries), at, entry, keep)?)
            }
            Node::Branch(children) => {
                let child = next_step(&mut steps);
                let children = own(children);
                let next = child.saturating_add(1);
                let is_last_child = is_last && next == children.len();
                let split =
                    children.get_mut(child)?.node.insert(steps, at, entry, is_last_child)?;
                // As in a leaf, but the new branch needs two children at least: a quarter moves.
                let keep = if is_last { FAN.saturating_sub(FAN / 4) } else { FAN / 2 };
                Child::of_branch(grow(children, next, split, keep)?)
            }
        }
    }

    /// Removes the entry at a spot. O(log n).
    pub(crate) fn remove(&mut self, mut steps: u128, at: usize) -> Option<(K, V)> {
        match self {
            Node::Leaf(entries) => Arc::make_mut(entries).pop_at(at),
            Node::Branch(children) => {
                let child = next_step(&mut steps);
                let children = own(children);
                let node = &mut children.get_mut(child)?.node;
                let removed = node.remove(steps, at);
                if node.is_sparse() {
                    mend(children, child);
                }
                removed
            }
        }
    }

    /// Whether the node is so small that it must be merged with a neighbour.
    fn is_sparse(&self) -> bool {
        match self {
            Node::Leaf(entries) => entries.len() < (LEAF / 4).max(1),
            Node::Branch(children) => children.len() < (FAN / 4).max(2),
        }
    }
}

impl<K: Clone, V, const LEAF: usize, const FAN: usize> Child<K, V, LEAF, FAN> {
    fn of_leaf(entries: ArrayVec<(K, V), LEAF>) -> Option<Self> {
        let low = entries.first()?.0.clone();
        Some(Child { low, node: Node::Leaf(Arc::new(entries)) })
    }

    fn of_branch(children: Children<K, V, LEAF, FAN>) -> Option<Self> {
        let low = children.first()?.low.clone();
        Some(Child { low, node: Node::Branch(Arc::new(children)) })
    }
}

/// The children of a branch, to change them. If a clone shares the branch, it is copied, which
/// increments the reference count of each child. The counts are stored with the children, anywhere in
/// memory. Reading all of them first lets the processor fetch them in parallel; the increments alone
/// would wait for one another.
fn own<K: Clone, V: Clone, const LEAF: usize, const FAN: usize>(
    children: &mut Arc<Children<K, V, LEAF, FAN>>,
) -> &mut Children<K, V, LEAF, FAN> {
    if Arc::strong_count(children) > 1 {
        for child in &**children {
            black_box(match &child.node {
                Node::Leaf(entries) => Arc::strong_count(entries),
                Node::Branch(children) => Arc::strong_count(children),
            });
        }
    }
    Arc::make_mut(children)
}

/// Merges the child at `at` with a neighbour. If the two do not fit into one node, their content is
/// divided evenly between them. O(FAN + LEAF).
fn mend<K: Clone, V: Clone, const LEAF: usize, const FAN: usize>(
    children: &mut Children<K, V, LEAF, FAN>,
    at: usize,
) {
    let first = at.min(children.len().saturating_sub(2));
    let Some(mut next) = children.pop_at(first.saturating_add(1)) else { return };
    let Some(one) = children.get_mut(first) else { return };
    match (&mut one.node, &mut next.node) {
        (Node::Leaf(these), Node::Leaf(those)) => {
            let those = Arc::make_mut(those);
            share(Arc::make_mut(these), those);
            if let Some((low, _)) = those.first() {
                next.low = low.clone();
            }
        }
        (Node::Branch(these), Node::Branch(those)) => {
            let those = own(those);
            // The first child of a branch has no bound of its own, so it takes the branch's.
            if let Some(child) = those.first_mut() {
                child.low = next.low.clone();
            }
            share(own(these), those);
            if let Some(child) = those.first() {
                next.low = child.low.clone();
            }
        }
        _ => {}
    }
    let is_empty = match &next.node {
        Node::Leaf(entries) => entries.is_empty(),
        Node::Branch(children) => children.is_empty(),
    };
    if !is_empty {
        let _ = children.try_insert(first.saturating_add(1), next);
    }
}

/// Moves the second array behind the first. If they do not fit into one array, moves items from the
/// longer one to the other until both have the same length.
fn share<T, const MOST: usize>(one: &mut ArrayVec<T, MOST>, next: &mut ArrayVec<T, MOST>) {
    let all = one.len().saturating_add(next.len());
    if all <= MOST {
        one.extend(next.drain(..));
    } else if let Some(missing) = (all / 2).checked_sub(one.len()) {
        one.extend(next.drain(..missing));
    } else {
        let mut moved: ArrayVec<T, MOST> = one.drain(all / 2..).collect();
        moved.extend(next.drain(..));
        *next = moved;
    }
}

/// Divides items into as few arrays as possible, all of about the same length.
fn in_arrays<T, const MOST: usize>(
    mut all: impl ExactSizeIterator<Item = T>,
) -> impl Iterator<Item = ArrayVec<T, MOST>> {
    let mut arrays = all.len().div_ceil(MOST.max(1));
    std::iter::from_fn(move || {
        let length = all.len().div_ceil(arrays.max(1));
        arrays = arrays.saturating_sub(1);
        (length > 0).then(|| all.by_ref().take(length).collect())
    })
}

/// Inserts `new` into an array. If the array is full, its upper half is split off and returned. If
/// `new` is the last item, only the items after the first `keep` are split off.
fn grow<T, const MOST: usize>(
    array: &mut ArrayVec<T, MOST>,
    at: usize,
    new: T,
    keep: usize,
) -> Option<ArrayVec<T, MOST>> {
    let at = at.min(array.len());
    let Err(full) = array.try_insert(at, new) else { return None };
    let split = if at == array.len() { keep } else { MOST / 2 };
    let mut right: ArrayVec<T, MOST> = array.drain(split..).collect();
    let _ = match at.checked_sub(split) {
        Some(at) if at > 0 || split == keep => right.try_insert(at, full.element()),
        _ => array.try_insert(at, full.element()),
    };
    Some(right)
}

/// Removes the first step from the steps of a [`Spot`].
fn next_step(steps: &mut u128) -> usize {
    let child = *steps as u8;
    *steps >>= 8;
    usize::from(child)
}

/// Reads a part of every cache line of an array, so that the processor fetches the lines in parallel.
/// A binary search alone waits for one line after the other, and in a large tree it spends most of
/// its time waiting.
pub(crate) fn fetch<T, R>(array: &[T], glance: impl Fn(&T) -> R) {
    const LINE: usize = 64;
    let per_line = LINE.checked_div(size_of::<T>()).unwrap_or(LINE).max(1);
    for item in array.iter().step_by(per_line) {
        black_box(glance(item));
    }
}

/// Which child of a branch a key belongs to.
pub(crate) fn child_of<K: Borrow<Q>, V, Q: Ord + ?Sized, const LEAF: usize, const FAN: usize>(
    children: &[Child<K, V, LEAF, FAN>],
    key: &Q,
) -> usize {
    let (mut from, mut to) = (0, children.len().saturating_sub(1));
    while from < to {
        // `slice::partition_point` would make one more comparison.
        let middle = from.midpoint(to);
        let next = children.get(middle.saturating_add(1));
        let is_past = next.is_none_or(|child| key < child.low.borrow());
        (from, to) = if is_past { (from, middle) } else { (middle.saturating_add(1), to) };
    }
    from
}

/// The index of `key` in a leaf, or the index where it belongs.
pub(crate) fn search<K: Borrow<Q>, V, Q: Ord + ?Sized>(
    entries: &[(K, V)],
    key: &Q,
) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| other.borrow().cmp(key))
}

impl<K: Ord, V, const LEAF: usize, const FAN: usize> Node<K, V, LEAF, FAN> {
    /// The number of entries, if the structure of the whole tree is correct. O(n).
    pub(crate) fn is_sound(&self) -> Option<usize> {
        self.measure(None, None).map(|(entries, _)| entries)
    }

    /// The numbers of entries and levels below this node, if they are correct and all keys are in
    /// `low..high`.
    fn measure(&self, low: Option<&K>, high: Option<&K>) -> Option<(usize, usize)> {
        match self {
            Node::Leaf(entries) => {
                let within = |(key, _): &(K, V)| {
                    low.is_none_or(|low| low <= key) && high.is_none_or(|high| key < high)
                };
                let sound = entries.is_sorted_by(|(one, _), (next, _)| one < next)
                    && entries.first().is_some_and(within)
                    && entries.last().is_some_and(within);
                sound.then_some((entries.len(), 0))
            }
            Node::Branch(children) => {
                let (mut entries, mut levels) = (0_usize, None);
                for (nth, child) in children.iter().enumerate() {
                    let low = if nth == 0 { low } else { Some(&child.low) };
                    let next = children.get(nth.saturating_add(1));
                    let high = next.map(|next| &next.low).or(high);
                    let (below, deep) = child.node.measure(low, high)?;
                    if levels.is_some_and(|levels| levels != deep) {
                        return None;
                    }
                    (entries, levels) = (entries.checked_add(below)?, Some(deep));
                }
                let levels = levels.filter(|_| children.len() > 1)?.checked_add(1)?;
                Some((entries, levels))
            }
        }
    }
}
