//! Measures the time of a command.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Step};

/// A clock that subtracts the time that reading it takes.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    overhead: Duration,
}

impl Clock {
    #[must_use]
    pub fn calibrated() -> Clock {
        let readings = (0..10_001).map(|_| Instant::now().elapsed()).collect();
        Clock { overhead: median(readings) }
    }

    /// Runs a command. Returns the time of `Peer::run` alone, and the output. Never inlined, so
    /// that all calls for one peer run the same machine code.
    #[inline(never)]
    pub fn time<P: Peer>(&self, peer: &mut P, step: Step) -> (Duration, P::Output) {
        let start = Instant::now();
        let output = black_box(peer.run(black_box(step)));
        let took = start.elapsed();
        (took.saturating_sub(self.overhead), output)
    }

    /// Runs any other work, and returns its time and its result.
    pub fn time_of<T>(&self, work: impl FnOnce() -> T) -> (Duration, T) {
        let start = Instant::now();
        let result = black_box(work());
        (start.elapsed().saturating_sub(self.overhead), result)
    }
}

/// The median. For an even number of times, the upper of the two in the middle.
///
/// # Panics
/// If `times` is empty.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
