//! Keeps the log short and old texts off the disk: takes snapshots by size and by time, writes them, and
//! watches the free space.

use std::sync::Arc;
use std::time::Duration;

use openraft::Raft;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use crate::clock::{ClockWatch, Step};
use crate::disk::Disk;
use crate::health::{Health, Reason};
use crate::log::Log;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::options::Options;
use crate::outside::Outside;
use crate::raft::{SnapshotMeta, TypeConfig};
use crate::state::State;
use crate::world::World;

/// How often the keeper looks.
const TICK: Duration = Duration::from_millis(250);

/// How long after a snapshot could not be written the next one is taken.
const RETRY: Duration = Duration::from_secs(10);

/// Without a disk, a snapshot is taken after this many bytes at the latest: it costs nothing, and the log
/// is in memory.
const IN_MEMORY: u64 = 4 << 20;

/// The keeper of one node.
pub(crate) struct Keeper<W: World> {
    world: W,
    clock: ClockWatch,
    raft: Raft<TypeConfig>,
    state: Arc<State>,
    log: Log,
    disk: Option<W::Disk>,
    outside: Arc<dyn Outside>,
    built: mpsc::Receiver<(SnapshotMeta, Machine)>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    options: Options,
    /// How many bytes the log had taken at the last snapshot.
    bytes: u64,
    /// When the next snapshot is taken at the latest, if there is anything to forget.
    due: Instant,
    /// When the next snapshot may be taken at the earliest, after one could not be written.
    not_before: Instant,
}

impl<W: World> Keeper<W> {
    pub(crate) fn new(
        node: Node<W>,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
        options: Options,
    ) -> Keeper<W> {
        let Node { world, raft, state, log, disk, outside, built, .. } = node;
        let now = Instant::now();
        let clock = ClockWatch::new(world.wall(), now);
        Keeper {
            world,
            clock,
            raft,
            state,
            log,
            disk,
            outside,
            built,
            health,
            metrics,
            options,
            bytes: 0,
            // At once: a server that is often started again would otherwise never come to forget.
            due: now,
            not_before: now,
        }
    }

    /// Runs until openraft ends.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                built = self.built.recv() => match built {
                    Some((meta, machine)) => self.save(meta, machine).await,
                    None => return,
                },
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        let figures = self.log.figures();
        self.metrics.log_bytes.set(figures.on_disk());
        self.metrics.log_written_bytes.set(figures.written());
        self.metrics.last_applied.set(self.state.index());
        let (kept, corrections) =
            self.state.with(|machine| (machine.kept_answers(), machine.corrections()));
        self.metrics.kept_answers.set(kept as u64);
        if self.metrics.clock_corrections.get() < corrections {
            self.metrics.clock_corrections.set(corrections);
            warn!("the clock was set back by more than ten seconds");
        }
        self.look_at_disk().await;
        match self.clock.look(self.world.wall(), Instant::now()) {
            Some(Step::Forward(ms)) => warn!(ms, "the wall clock was set forward"),
            Some(Step::Back(ms)) => warn!(ms, "the wall clock was set back"),
            None => {}
        }
        let every = match &self.disk {
            Some(_) => self.options.snapshot_every,
            None => self.options.snapshot_every.min(IN_MEMORY),
        };
        let now = Instant::now();
        let more = self.log.figures().appended().saturating_sub(self.bytes);
        let (full, old) = (more >= every, more > 0 && now >= self.due);
        if (full || old) && now >= self.not_before {
            self.take().await;
        }
    }

    async fn look_at_disk(&self) {
        let Some(disk) = &self.disk else { return };
        // If the free space is not known, the first write that fails will tell.
        let full = disk.free().await.is_ok_and(|free| free < self.options.min_free);
        if self.health.set(Reason::Full, full) {
            warn!(full, "the free space of the disk passed its minimum");
        }
    }

    /// Seals the segment, so that it can be removed, and takes a snapshot.
    async fn take(&mut self) {
        // A log that cannot create its next segment fails for good. The present one still has room.
        if let Some(disk) = &self.disk
            && disk.free().await.is_ok_and(|free| free < 2 * self.options.segment_bytes)
        {
            warn!("no snapshot: the disk has too little free space");
            self.metrics.snapshot_failures.inc();
            self.retry();
            return;
        }
        self.bytes = self.log.figures().appended();
        self.due = Instant::now() + period(self.options.forget_after);
        if let Err(error) = self.log.seal().await {
            warn!(%error, "can't remove old files of the log");
            self.retry();
        }
        let _ = self.raft.trigger().snapshot().await;
    }

    /// Writes a snapshot. Then the log removes the segments that the snapshot replaces.
    async fn save(&mut self, meta: SnapshotMeta, machine: Machine) {
        if self.disk.is_none() {
            return;
        }
        let outside = Arc::clone(&self.outside);
        let mut saving = outside.save(&meta, machine);
        let saved = loop {
            tokio::select! {
                biased;
                saved = &mut saving => break saved,
                () = sleep(TICK) => self.look_at_disk().await,
            }
        };
        match saved {
            Ok(()) => info!(upto = meta.snapshot_id, "wrote a snapshot"),
            Err(error) => {
                warn!(%error, "can't write a snapshot: the log grows until one can be written");
                self.metrics.snapshot_failures.inc();
                self.retry();
            }
        }
    }

    /// Lets the next snapshot be taken soon.
    fn retry(&mut self) {
        // Any byte in the log makes it due.
        self.bytes = 0;
        self.not_before = Instant::now() + RETRY;
        self.due = self.not_before;
    }
}

/// How often a snapshot is taken. A text that is erased just after a snapshot is in a segment that the
/// next snapshot may leave, because the segment also has later entries. The one after it removes the
/// segment. So three periods must fit into the time.
fn period(forget_after: Duration) -> Duration {
    forget_after / 3
}
