//! A service at work: how many commands it runs in a second, and how long the slowest take.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::ProgressBar;

use crate::clock::Clock;
use crate::peer::{Peer, Step};
use crate::rows::Measure;
use crate::script::{Mix, Scale};

/// How far the engine's clock advances with each command. At this pace the default rate limits
/// refuse no command, not even where one owner is alone in a group and posts all its messages.
pub const MS_PER_COMMAND: u64 = 20;

/// After how many commands a snapshot is replaced, if the peer is measured with a snapshot alive.
pub const COMMANDS_PER_SNAPSHOT: usize = 65_536;

/// The latencies of single commands, in nanoseconds, and the time of the whole run.
#[derive(Debug, Clone)]
pub struct Latencies {
    pub each: Histogram<u64>,
    pub all: Duration,
}

impl Latencies {
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.all.as_secs_f64()
    }
}

/// Runs the mix. Another thread frees the dissolved groups, as in a server. All other outputs and
/// the snapshots are freed between commands: this counts in the time of the run, not in the
/// latencies.
#[derive(Debug)]
pub struct Service<'a> {
    pub scale: Scale,
    pub clock: Clock,
    pub bar: &'a ProgressBar,
}

impl Measure for Service<'_> {
    type Figures = Latencies;

    fn of<P: Peer>(&self, mut peer: P) -> Latencies {
        const SEED: u64 = 1;
        const COMMANDS_PER_TICK: usize = 4_096;
        let mut mix = Mix::new(self.scale, SEED);
        peer.fill(&mut mix.setup());
        let one_in = peer.one_in();
        let commands = self.scale.commands / one_in;
        let steps: Vec<Step> = (0..commands).map(|_| mix.step()).collect();
        drop(mix);
        peer.catch_up();

        // Latencies of up to an hour, with three significant digits.
        let mut each =
            Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are valid");
        let (free_later, to_free) = mpsc::channel::<P::Output>();
        let freeing = thread::spawn(move || to_free.into_iter().for_each(drop));
        let (all, ()) = self.clock.time_of(|| {
            for (done, step) in steps.into_iter().enumerate() {
                if done % COMMANDS_PER_SNAPSHOT == 0 {
                    peer.snapshot();
                }
                if done % COMMANDS_PER_TICK == 0 {
                    self.bar.inc(COMMANDS_PER_TICK as u64 * one_in);
                }
                // `run` itself advances the clock by a millisecond.
                peer.wait(MS_PER_COMMAND - 1);
                let (took, output) = self.clock.time(&mut peer, step);
                each.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                if let Some(output) = peer.keep(output)
                    && P::is_large(&output)
                {
                    free_later.send(output).expect("the freeing thread runs");
                }
            }
        });
        drop(free_later);
        freeing.join().expect("the freeing thread does not panic");
        Latencies { each, all }
    }
}
