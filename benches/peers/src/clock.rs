//! The time that a command takes.

#![allow(clippy::disallowed_methods, reason = "measuring is reading the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Step};

/// A clock that knows what reading it costs.
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

    /// Runs a command, and takes the time of that alone. One piece of code for each peer, however
    /// often it is called.
    #[inline(never)]
    pub fn time<P: Peer>(&self, peer: &mut P, step: Step) -> (Duration, P::Output) {
        let start = Instant::now();
        let output = black_box(peer.run(black_box(step)));
        let took = start.elapsed();
        (took.saturating_sub(self.overhead), output)
    }

    /// The time of anything else.
    pub fn time_of<T>(&self, work: impl FnOnce() -> T) -> (Duration, T) {
        let start = Instant::now();
        let result = black_box(work());
        (start.elapsed().saturating_sub(self.overhead), result)
    }
}

/// # Panics
/// If there are no times.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
