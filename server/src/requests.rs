//! The ids that nodes give to requests, so that each is carried out once.
//!
//! A node that does not know whether its request reached the log sends it again. The machine keeps, for
//! the present start of each node, which of the last 4,096 serial numbers were used.

use im::OrdMap;
use serde::{Deserialize, Serialize};

/// How many serial numbers of each node are remembered.
pub(crate) const WINDOW: u64 = 4096;

const WORDS: usize = (WINDOW / 64) as usize;

/// Identifies a request: which node took it, how often that node had started, and its number since
/// then, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RequestId {
    pub(crate) node: u64,
    pub(crate) start: u64,
    pub(crate) serial: u64,
}

/// Whether a request was carried out before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is new, and from now on it counts as carried out.
    New,
    /// It was carried out. Its node has the answer already.
    Repeated,
    /// It is too old to tell. A node does not have so many requests under way, so nobody waits for the
    /// answer; the request must not be carried out.
    TooOld,
}

/// The used serial numbers of all nodes. A clone is O(1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requests(OrdMap<u64, Window>);

/// The used serial numbers of one start of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    start: u64,
    /// The highest used serial number.
    highest: u64,
    /// Whether each of the last numbers is used, at bit `serial % WINDOW`.
    used: Vec<u64>,
}

impl Requests {
    /// Marks a request as carried out, unless it already is. O(1), and O(log nodes) to find the node.
    pub(crate) fn begin(&mut self, id: RequestId) -> Seen {
        match self.0.get_mut(&id.node) {
            Some(window) if id.start < window.start => Seen::TooOld,
            Some(window) if id.start == window.start => window.begin(id.serial),
            // The first request since the node started again: nobody waits for the older ones.
            _ => {
                let mut window = Window { start: id.start, highest: 0, used: vec![0; WORDS] };
                let seen = window.begin(id.serial);
                self.0.insert(id.node, window);
                seen
            }
        }
    }

    /// Every node with its window, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Window)> {
        self.0.iter().map(|(node, window)| (*node, window))
    }

    /// The same from its parts. Returns `None` if they are not in order or a window is not valid.
    pub(crate) fn from_parts(parts: Vec<(u64, Window)>) -> Option<Requests> {
        let ascending = parts.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let valid = parts.iter().all(|(_, window)| window.is_valid());
        (ascending && valid).then(|| Requests(parts.into_iter().collect()))
    }
}

impl Window {
    fn begin(&mut self, serial: u64) -> Seen {
        if serial > self.highest {
            let skipped = (serial - self.highest).min(WINDOW);
            for number in serial - skipped + 1..=serial {
                self.set(number, false);
            }
            self.highest = serial;
        } else if serial == 0 || self.highest - serial >= WINDOW {
            return Seen::TooOld;
        } else if self.is_used(serial) {
            return Seen::Repeated;
        }
        self.set(serial, true);
        Seen::New
    }

    fn is_used(&self, serial: u64) -> bool {
        let (word, bit) = place(serial);
        self.used[word] & bit != 0
    }

    fn set(&mut self, serial: u64, used: bool) {
        let (word, bit) = place(serial);
        if used {
            self.used[word] |= bit;
        } else {
            self.used[word] &= !bit;
        }
    }

    fn is_valid(&self) -> bool {
        self.used.len() == WORDS && self.highest > 0 && self.is_used(self.highest)
    }
}

/// The word and the bit of a serial number.
fn place(serial: u64) -> (usize, u64) {
    let at = serial % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(start: u64, serial: u64) -> RequestId {
        RequestId { node: 1, start, serial }
    }

    proptest! {
        /// The model remembers every serial number.
        #[test]
        fn each_request_is_new_once(
            serials in prop::collection::vec(
                prop_oneof![8 => 1..200_u64, 1 => 4_000..4_300_u64, 1 => 8_000..8_400_u64],
                1..300,
            ),
        ) {
            let (mut requests, mut model) = (Requests::default(), BTreeSet::new());
            for serial in serials {
                let highest = model.last().copied().unwrap_or(0);
                let expected = if serial + WINDOW <= highest {
                    Seen::TooOld
                } else if model.insert(serial) {
                    Seen::New
                } else {
                    Seen::Repeated
                };
                prop_assert_eq!(requests.begin(id(1, serial)), expected, "{}", serial);
                let parts: Vec<_> =
                    requests.iter().map(|(node, window)| (node, window.clone())).collect();
                prop_assert_eq!(Requests::from_parts(parts), Some(requests.clone()));
            }
        }
    }

    #[test]
    fn requests_of_an_earlier_start_are_too_old() {
        let mut requests = Requests::default();
        assert_eq!(requests.begin(id(1, 5)), Seen::New);
        assert_eq!(requests.begin(id(2, 1)), Seen::New);
        assert_eq!(requests.begin(id(1, 6)), Seen::TooOld);
        assert_eq!(requests.begin(id(2, 1)), Seen::Repeated);
        assert_eq!(requests.begin(RequestId { node: 2, start: 1, serial: 1 }), Seen::New);
        assert_eq!(requests.begin(id(2, 0)), Seen::TooOld);
    }

    #[test]
    fn a_jump_over_the_whole_window_forgets_it() {
        let mut requests = Requests::default();
        assert_eq!(requests.begin(id(1, 1)), Seen::New);
        assert_eq!(requests.begin(id(1, u64::MAX)), Seen::New);
        assert_eq!(requests.begin(id(1, 1)), Seen::TooOld);
        // The same bit as 1 had, but not used.
        assert_eq!(requests.begin(id(1, u64::MAX - 4094)), Seen::New);
        assert_eq!(requests.begin(id(1, u64::MAX - 4095)), Seen::New);
        assert_eq!(requests.begin(id(1, u64::MAX - 4096)), Seen::TooOld);
    }

    #[test]
    fn parts_that_are_not_valid_are_refused() {
        let window = Window { start: 1, highest: 3, used: vec![0b1000; 1] };
        assert_eq!(Requests::from_parts(vec![(1, window.clone())]), None, "a short window");
        let unused = Window { used: vec![0; WORDS], ..window.clone() };
        assert_eq!(Requests::from_parts(vec![(1, unused)]), None, "the highest is not used");
        let mut used = vec![0; WORDS];
        used[0] = 0b1000;
        let valid = Window { used, ..window };
        assert!(Requests::from_parts(vec![(1, valid.clone())]).is_some());
        assert_eq!(Requests::from_parts(vec![(1, valid.clone()), (1, valid)]), None, "twice");
    }
}
