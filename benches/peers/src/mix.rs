//! A service at work: how many commands a second, and how long the slowest take.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;

use crate::clock::Clock;
use crate::peer::{Peer, Step};
use crate::script::{Mix, Scale};

/// The latencies of single commands, in nanoseconds, and the time that all of them took.
#[derive(Debug, Clone)]
pub struct Latencies {
    pub peer: &'static str,
    pub each: Histogram<u64>,
    pub all: Duration,
}

impl Latencies {
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.all.as_secs_f64()
    }
}

/// Runs the mix. What was dissolved is freed by another thread, as a server would.
pub fn measure<P: Peer>(mut peer: P, scale: Scale, clock: Clock, bar: &ProgressBar) -> Latencies {
    const SEED: u64 = 1;
    let mut mix = Mix::new(scale, SEED);
    peer.fill(&mut mix.setup());
    let steps: Vec<Step> = (0..scale.commands).map(|_| mix.step()).collect();
    drop(mix);
    peer.catch_up();

    // Up to an hour, to three digits.
    let mut each = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("bounds in order");
    let (dissolved, to_free) = mpsc::channel::<P::Output>();
    let freeing = thread::spawn(move || to_free.into_iter().for_each(drop));
    let (all, ()) = clock.time_of(|| {
        for (done, step) in steps.into_iter().enumerate() {
            let (took, output) = clock.time(&mut peer, step);
            each.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            if P::is_large(&output) {
                dissolved.send(output).expect("the other thread waits for it");
            }
            if done % 4_096 == 0 {
                bar.inc(4_096);
            }
        }
    });
    drop(dissolved);
    freeing.join().expect("freeing does not fail");
    Latencies { peer: P::NAME, each, all }
}
