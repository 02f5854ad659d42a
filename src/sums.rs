//! Sums over neighbours in a long sequence of numbers, any of which may change.
//!
//! A *node* of level 0 is a number of the sequence. One of level 1 is the sum of [`FAN`] neighbours,
//! one of level 2 the sum of `FAN` of those, and so on. So a change reaches one node of each level,
//! and a sum takes few nodes of each.

use crate::map::Map;

/// Nodes that one node of the next level sums.
const FAN: u64 = 64;

/// The numbers of a sequence and their sums. New numbers come at its end, and the oldest are
/// forgotten.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    /// By level and index. A level exists once the level below has more than one node. A node that
    /// reaches back to forgotten numbers may still count them; no sum uses it.
    nodes: Map<(u8, u64), u64, 24, 32>,
}

impl Sums {
    pub(crate) const fn new() -> Self {
        Sums { nodes: Map::new() }
    }

    /// Changes the number `at` from `old` to `new`: from 0, if it is a new one. O(log² n).
    pub(crate) fn change(&mut self, at: u64, old: u64, new: u64) {
        let (mut level, mut at) = (0, at);
        loop {
            let node = self.nodes.find(&(level, at));
            match node {
                Ok(spot) => {
                    if let Some(sum) = self.nodes.at_mut(&spot) {
                        *sum = sum.saturating_sub(old).saturating_add(new);
                    }
                }
                Err(spot) => {
                    // The first node of a new level begins with what the first below it has.
                    let below = level.checked_sub(1).filter(|_| at == 0);
                    let first = below.and_then(|below| self.nodes.get(&(below, 0)));
                    let sum = first.map_or(new, |first| first.saturating_add(new));
                    self.nodes.insert_at(&spot, (level, at), sum);
                }
            }
            // The first node of the highest level is alone there.
            if at == 0 && !self.nodes.contains(&(level.saturating_add(1), 0)) {
                return;
            }
            (level, at) = (level.saturating_add(1), at / FAN);
        }
    }

    /// The sum of the numbers from `from` on, up to but without `to`. O(log² n).
    pub(crate) fn sum(&self, from: u64, to: u64) -> u64 {
        let (mut level, mut from, mut to, mut sum) = (0, from, to, 0_u64);
        while from < to {
            let (first, last) = (from.div_ceil(FAN), to / FAN);
            if first >= last {
                return sum.saturating_add(self.walk(level, from, to));
            }
            sum = sum
                .saturating_add(self.walk(level, from, first.saturating_mul(FAN)))
                .saturating_add(self.walk(level, last.saturating_mul(FAN), to));
            (level, from, to) = (level.saturating_add(1), first, last);
        }
        sum
    }

    /// The sum of fewer than `2 · FAN` nodes of a level.
    fn walk(&self, level: u8, from: u64, to: u64) -> u64 {
        let nodes = (from..to).filter_map(|at| self.nodes.get(&(level, at)));
        nodes.fold(0, |sum, node| sum.saturating_add(*node))
    }

    /// Forgets the number `at`, the oldest. O(log² n).
    pub(crate) fn forget(&mut self, at: u64) {
        let (mut level, mut at) = (0, at);
        self.nodes.remove(&(level, at));
        while at % FAN == FAN.saturating_sub(1) {
            (level, at) = (level.saturating_add(1), at / FAN);
            self.nodes.remove(&(level, at));
        }
    }

    /// Whether every sum is that of these numbers, which lie side by side. O(n log n).
    pub(crate) fn is_sound(&self, numbers: impl Iterator<Item = (u64, u64)> + Clone) -> bool {
        let Some((first, _)) = numbers.clone().next() else { return self.nodes.is_sound() };
        let mut made_anew = Sums::new();
        for (at, number) in numbers {
            made_anew.change(at, 0, number);
        }
        let reaches_back =
            |level: u8, at: u64| at.saturating_mul(FAN.saturating_pow(level.into())) < first;
        let used = |sums: &Sums| {
            let nodes = sums.nodes.iter().filter(|((level, at), _)| !reaches_back(*level, *at));
            nodes.map(|(node, sum)| (*node, *sum)).collect::<Vec<_>>()
        };
        self.nodes.is_sound() && used(self) == used(&made_anew)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers come at the end, change and are forgotten; sums are those of a plain list.
        #[test]
        fn sums_are_those_of_a_list(
            first in prop_oneof![Just(0), 0..10_000u64],
            steps in prop::collection::vec((0..6u8, any::<prop::sample::Index>(), 0..99u64), 1..400),
        ) {
            let (mut sums, mut list, mut start) = (Sums::new(), Vec::new(), first);
            for (step, index, number) in steps {
                match step {
                    0 if list.len() > 1 => {
                        let at = index.index(list.len());
                        sums.change(start + at as u64, list[at], number);
                        list[at] = number;
                    }
                    1 if list.len() > 1 => {
                        list.remove(0);
                        sums.forget(start);
                        start += 1;
                    }
                    _ => {
                        for _ in 0..=number {
                            sums.change(start + list.len() as u64, 0, number);
                            list.push(number);
                        }
                    }
                }
                let (from, to) = (index.index(list.len()), list.len());
                prop_assert_eq!(
                    sums.sum(start + from as u64, start + to as u64),
                    list[from..to].iter().sum::<u64>()
                );
                prop_assert_eq!(sums.sum(start, start + from as u64), list[..from].iter().sum::<u64>());
            }
            let numbers = (start..).zip(list.iter().copied());
            prop_assert!(sums.is_sound(numbers.clone()));
            sums.change(start, 0, 1);
            prop_assert!(!sums.is_sound(numbers));
        }
    }
}
