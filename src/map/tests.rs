//! Compares the map with `BTreeMap`, through every form and back, with small nodes and with nodes of
//! the sizes that the engine uses.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::{FEW, FEW_AGAIN, Form, Map};
use crate::tree::{Children, Node};

fn assert_same<const LEAF: usize, const FAN: usize>(
    map: &Map<u16, u32, LEAF, FAN>,
    model: &BTreeMap<u16, u32>,
) {
    assert!(map.is_sound());
    assert_eq!(map.len(), model.len());
    assert_eq!(map.is_empty(), model.is_empty());
    assert!(map.iter().eq(model));
    assert!(map.iter().rev().eq(model.iter().rev()));
    assert_eq!(map.first(), model.first_key_value());
    assert_eq!(map.last(), model.last_key_value());
    let sum = map.iter().fold(0, |sum, (key, _)| sum + u64::from(*key));
    assert_eq!(sum, model.keys().map(|key| u64::from(*key)).sum::<u64>());
    // Every key and its neighbours; a sample of them if there are thousands.
    let step = model.len() / 300 + 1;
    let keys = model.keys().step_by(step).flat_map(|key| [key.saturating_sub(1), *key, key + 1]);
    for key in [0].into_iter().chain(keys) {
        assert_eq!(map.get(&key), model.get(&key));
        assert_eq!(map.contains(&key), model.contains_key(&key));
        match map.find_by(&key, |value| *value) {
            Ok(spot) => assert_eq!(map.at(&spot), model.get(&key)),
            Err(_) => assert!(!model.contains_key(&key)),
        }
        assert_eq!(map.at_or_before(&key), model.range(..=key).next_back());
        let after = model.range((Bound::Excluded(key), Bound::Unbounded));
        assert!(map.iter_after(Some(&key)).take(100).eq(after.take(100)));
    }
}

/// Pseudo-random numbers (splitmix64), the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Runs of one kind of change, so that a map grows deep and shrinks again.
type Runs = Vec<(u8, Vec<(u16, u32)>)>;

fn runs(random: &mut Random, keys: u64, length: u64) -> Runs {
    let mut run = || {
        let kind = random.below(4) as u8;
        let changes = (0..random.below(length))
            .map(|_| (random.below(keys) as u16, random.below(1 << 32) as u32));
        (kind, changes.collect())
    };
    let mut runs = vec![run()];
    for _ in 0..6 {
        runs.push(run());
    }
    runs
}

fn assert_behaves<const LEAF: usize, const FAN: usize>(start: u16, runs: &Runs) {
    let entries: Vec<(u16, u32)> = (0..start).map(|key| (key * 2, 7)).collect();
    let mut map = Map::<u16, u32, LEAF, FAN>::from_ascending(entries.clone());
    let mut model: BTreeMap<u16, u32> = entries.into_iter().collect();
    assert_same(&map, &model);
    for (kind, changes) in runs {
        let before = (map.clone(), model.clone());
        for (key, value) in changes {
            match kind {
                0 => assert_eq!(map.insert(*key, *value), model.insert(*key, *value)),
                1 => assert_eq!(map.remove(key), model.remove(key)),
                2 => assert_eq!(map.remove_first(), model.pop_first()),
                _ => match map.find(key) {
                    Ok(spot) => *map.at_mut(&spot).unwrap() = *value,
                    Err(spot) => map.insert_at(&spot, *key, *value),
                },
            }
            if *kind > 2 {
                model.insert(*key, *value);
            }
        }
        assert_same(&map, &model);
        assert_same(&before.0, &before.1);
        assert_eq!(before.0 == map, before.1 == model);
    }
}

/// 256 random histories, through every form and back.
#[test]
fn equals_btree_map_with_small_nodes() {
    for case in 0..256 {
        let random = &mut Random::new(case);
        let (start, runs) = (random.below(300) as u16, runs(random, 300, 200));
        assert_behaves::<4, 4>(start, &runs);
        assert_behaves::<8, 8>(start, &runs);
    }
}

#[test]
fn equals_btree_map_with_nodes_of_the_engine_s_sizes() {
    for case in 0..24 {
        let random = &mut Random::new(case);
        let (start, runs) = (random.below(6_000) as u16, runs(random, 12_000, 3_000));
        assert_behaves::<62, 32>(start, &runs);
        assert_behaves::<24, 32>(start, &runs);
        assert_behaves::<16, 32>(start, &runs);
    }
}

fn form(map: &Map<u16, u32>) -> &'static str {
    match map.0 {
        Form::Empty => "empty",
        Form::One(_) => "one",
        Form::Few(_) => "few",
        Form::Many { .. } => "many",
    }
}

/// The sizes at which the form changes, on the way up to 40 entries and back.
#[test]
fn grows_and_shrinks_through_every_form() {
    let mut map = Map::new();
    let mut forms = vec![(0, form(&map))];
    for key in 0..40 {
        assert_eq!(map.insert(key, 0), None);
        forms.push((map.len(), form(&map)));
    }
    for key in 0..40 {
        assert_eq!(map.remove(&key), Some(0));
        assert_eq!(map.remove(&key), None);
        forms.push((map.len(), form(&map)));
    }
    forms.dedup_by_key(|(_, form)| *form);
    let up = [(0, "empty"), (1, "one"), (2, "few"), (FEW + 1, "many")];
    let down = [(FEW_AGAIN, "few"), (1, "one"), (0, "empty")];
    assert_eq!(forms, [&up[..], &down[..]].concat());
}

/// A key whose comparison fails the test if it is `NEVER`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key(u16);

const NEVER: Key = Key(u16::MAX);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        assert!(*self != NEVER && *other != NEVER, "a first child's bound was compared");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// When a root splits, its first child gets the bound of the second, and later splits put children
/// with lower bounds between the two. So the first child's bound has no meaning.
#[test]
fn the_bound_of_a_first_child_is_never_compared() {
    fn poison(node: &mut Node<Key, (), 8, 8>) {
        let Node::Branch(children) = node else { return };
        let children = Arc::make_mut(children);
        children[0].low = NEVER;
        children.iter_mut().for_each(|child| poison(&mut child.node));
    }
    let keys = || (0..1_000u32).map(|nth| Key((nth * 617 % 1_000) as u16));
    let mut map = Map::<Key, (), 8, 8>::new();
    for (nth, key) in keys().enumerate() {
        map.insert(key, ());
        if let Form::Many { root, .. } = &mut map.0
            && nth % 20 == 0
        {
            poison(root);
        }
    }
    assert!(map.is_sound());
    assert!(keys().all(|key| map.contains(&key) && map.at_or_before(&key) == Some((&key, &()))));
    assert!(
        keys().all(|key| map
            .iter_after(Some(&key))
            .next()
            .is_none_or(|(next, ())| next.0 == key.0 + 1))
    );
    for (nth, key) in keys().enumerate() {
        assert_eq!(map.remove(&key), Some(()));
        if let Form::Many { root, .. } = &mut map.0
            && nth % 20 == 0
        {
            poison(root);
        }
    }
    assert!(map.is_empty());
}

#[test]
fn a_shrinking_tree_merges_and_balances_nodes() {
    let mut map: Map<u16, u32, 8, 8> = Map::from_ascending((0..3_000).map(|key| (key, 0)));
    // Removals from the front empty one leaf after the other; then removals from everywhere.
    for key in 0..1_500 {
        assert_eq!(map.remove_first(), Some((key, 0)));
        assert!(key % 50 != 0 || map.is_sound());
    }
    for key in (1_500..3_000).filter(|key| key % 50 != 0) {
        assert_eq!(map.remove(&key), Some(0));
        assert!(key % 51 != 0 || map.is_sound());
    }
    assert!(map.iter().map(|(key, _)| *key).eq((1_500..3_000).step_by(50)));
    assert!(map.is_sound());
}

#[test]
fn both_ends_of_a_walk_meet() {
    let map: Map<u16, u32> = Map::from_ascending((0..100).map(|key| (key, 1)));
    let mut walk = map.iter();
    for nth in 0..50 {
        assert_eq!(walk.len(), 100 - 2 * usize::from(nth));
        assert_eq!(walk.next(), Some((&nth, &1)));
        assert_eq!(walk.next_back(), Some((&(99 - nth), &1)));
        let rest = walk.clone().fold(Vec::new(), |mut keys, (key, _)| {
            keys.push(*key);
            keys
        });
        assert_eq!(rest, (nth + 1..99 - nth).collect::<Vec<_>>());
    }
    assert_eq!((walk.next(), walk.next_back()), (None, None));
}

#[test]
fn removing_a_missing_key_copies_nothing() {
    let mut map: Map<u16, u32> = Map::from_ascending((0..100).map(|key| (2 * key, 1)));
    let clone = map.clone();
    assert_eq!(map.remove(&3), None);
    let (Form::Many { root: one, .. }, Form::Many { root: other, .. }) = (&map.0, &clone.0) else {
        panic!("small maps")
    };
    let (Node::Branch(one), Node::Branch(other)) = (one, other) else { panic!("small maps") };
    assert!(Arc::ptr_eq(one, other));
}

#[test]
fn debug_prints_the_entries() {
    let map: Map<u16, u32> = Map::from_ascending(vec![(1, 10), (2, 20)]);
    assert_eq!(format!("{map:?}"), "{1: 10, 2: 20}");
}

/// `is_sound` finds each kind of damage.
#[test]
fn a_damaged_tree_is_unsound() {
    type Small = Map<u16, u32, 4, 4>;
    let sound = || Small::from_ascending((0..100).map(|key| (key, 0)));
    assert!(sound().is_sound());
    let broken = |damage: fn(&mut Node<u16, u32, 4, 4>, &mut usize)| {
        let mut map = sound();
        let Form::Many { root, len } = &mut map.0 else { panic!("a small map") };
        damage(root, len);
        !map.is_sound()
    };
    fn children(node: &mut Node<u16, u32, 4, 4>) -> &mut Children<u16, u32, 4, 4> {
        let Node::Branch(children) = node else { panic!("a leaf") };
        Arc::make_mut(children)
    }
    fn leaf(node: &mut Node<u16, u32, 4, 4>) -> &mut ArrayVec<(u16, u32), 4> {
        match node {
            Node::Leaf(entries) => Arc::make_mut(entries),
            branch => leaf(&mut children(branch)[1].node),
        }
    }
    assert!(broken(|_, len| *len += 1), "a wrong length");
    assert!(broken(|root, _| leaf(root).swap(0, 1)), "entries out of order");
    assert!(broken(|root, _| leaf(root)[0].0 = 0), "a key below the bound of its leaf");
    assert!(broken(|root, _| leaf(root).last_mut().unwrap().0 = 99), "a key past the next bound");
    assert!(broken(|root, len| *len -= leaf(root).drain(..).count()), "an empty leaf");
    assert!(broken(|root, _| children(root)[1].low += 1), "a bound past a key");
    assert!(broken(|root, _| children(root).swap(0, 1)), "children out of order");
    let flat = broken(|root, _| {
        let leaf = Node::Leaf(Arc::new(leaf(root).clone()));
        children(root)[1].node = leaf;
    });
    assert!(flat, "a leaf above the others");
    let lonely = broken(|root, len| {
        let child = &mut children(root)[1].node;
        *len -= children(child).drain(1..).map(|child| count(&child.node)).sum::<usize>();
    });
    assert!(lonely, "a branch of one child");
}

fn count(node: &Node<u16, u32, 4, 4>) -> usize {
    node.is_sound().unwrap()
}

/// A full leaf inside a tree is halved, even if the new key comes at its end. Otherwise keys that
/// descend into a gap would get a leaf each.
#[test]
fn keys_that_descend_into_a_gap_fill_leaves() {
    fn leaves<const LEAF: usize, const FAN: usize>(node: &Node<u16, u32, LEAF, FAN>) -> usize {
        match node {
            Node::Leaf(_) => 1,
            Node::Branch(children) => children.iter().map(|child| leaves(&child.node)).sum(),
        }
    }
    let mut map: Map<u16, u32> = Map::from_ascending((0..620).map(|key| (key, 0)));
    map.insert(10_000, 0);
    for key in (1_000..4_000).rev() {
        map.insert(key, 0);
    }
    let Form::Many { root, .. } = &map.0 else { panic!("a small map") };
    let leaves = leaves(root);
    assert!(leaves <= 4 * map.len() / 62, "{leaves} leaves of {} entries", map.len());
}
