//! Range sums over a long sequence of numbers that may change.
//!
//! A *node* of level 0 is a number of the sequence. A node of level 1 is the sum of [`FAN`] adjacent
//! numbers, a node of level 2 is the sum of `FAN` adjacent nodes of level 1, and so on. So a change
//! updates one node of each level, and a range sum reads fewer than `2 · FAN` nodes of each.

use crate::map::Map;

/// How many nodes one node of the next level sums.
const FAN: u64 = 64;

/// The numbers of a sequence and their sums. Numbers are appended at the end and removed at the
/// beginning.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    /// By level and index. A level exists if the level below has more than one node. A node that
    /// covers removed numbers may still count them; no sum uses it.
    nodes: Map<(u8, u64), u64, 24, 32>,
}

impl Sums {
    pub(crate) const fn new() -> Self {
        Sums { nodes: Map::new() }
    }

    /// Changes the number `at` from `old` to `new`. For an appended number `old` is 0. O(log² n).
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
                    // The first node of a new level starts from the first node below it.
                    let below = level.checked_sub(1).filter(|_| at == 0);
                    let first = below.and_then(|below| self.nodes.get(&(below, 0)));
                    let sum = first.map_or(new, |first| first.saturating_add(new));
                    self.nodes.insert_at(&spot, (level, at), sum);
                }
            }
            // The highest level has one node.
            if at == 0 && !self.nodes.contains(&(level.saturating_add(1), 0)) {
                return;
            }
            (level, at) = (level.saturating_add(1), at / FAN);
        }
    }

    /// The sum of the numbers in `from..to`. O(log² n).
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

    /// Removes the number `at`, which must be the oldest. O(log² n).
    pub(crate) fn forget(&mut self, at: u64) {
        let (mut level, mut at) = (0, at);
        self.nodes.remove(&(level, at));
        while at % FAN == FAN.saturating_sub(1) {
            (level, at) = (level.saturating_add(1), at / FAN);
            self.nodes.remove(&(level, at));
        }
    }

    /// Whether every sum is correct for these adjacent numbers. O(n log n).
    pub(crate) fn is_sound(&self, numbers: impl Iterator<Item = (u64, u64)> + Clone) -> bool {
        let Some((first, _)) = numbers.clone().next() else { return self.nodes.is_sound() };
        let mut expected = Sums::new();
        for (at, number) in numbers {
            expected.change(at, 0, number);
        }
        let covers_removed =
            |level: u8, at: u64| at.saturating_mul(FAN.saturating_pow(level.into())) < first;
        let used = |sums: &Sums| {
            let nodes = sums.nodes.iter().filter(|((level, at), _)| !covers_removed(*level, *at));
            nodes.map(|(node, sum)| (*node, *sum)).collect::<Vec<_>>()
        };
        self.nodes.is_sound() && used(self) == used(&expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::Random;

    /// Numbers are appended, changed and removed at random; each sum must be that of a plain list.
    #[test]
    fn sums_equal_those_of_a_list() {
        for case in 0..64 {
            let mut random = Random::new(case);
            let mut start = if case % 2 == 0 { 0 } else { random.below(10_000) };
            let (mut sums, mut list) = (Sums::new(), Vec::new());
            for _ in 0..1 + random.below(400) {
                let number = random.below(99);
                match random.below(6) {
                    0 if list.len() > 1 => {
                        let at = random.below(list.len() as u64);
                        sums.change(start + at, list[at as usize], number);
                        list[at as usize] = number;
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
                let (at, len) = (random.below(list.len() as u64), list.len() as u64);
                let (before, after) = list.split_at(at as usize);
                assert_eq!(sums.sum(start, start + at), before.iter().sum::<u64>());
                assert_eq!(sums.sum(start + at, start + len), after.iter().sum::<u64>());
            }
            let numbers = (start..).zip(list.iter().copied());
            assert!(sums.is_sound(numbers.clone()));
            sums.change(start, 0, 1);
            assert!(!sums.is_sound(numbers));
        }
    }
}
