//! Metrics, in the text format that Prometheus reads.

use std::sync::atomic::AtomicU64;

use disband::Stats;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// A number that the program sets.
type Level = Gauge<u64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    code: u16,
}

/// All metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    pub(crate) sockets: Gauge,
    pub(crate) frames: Counter,
    pub(crate) slow_sockets: Counter,
    pub(crate) syncs: Histogram,
    /// Commands that were answered without an entry in the log.
    pub(crate) answered_without_entry: Counter,
    pub(crate) log_bytes: Level,
    pub(crate) log_written_bytes: Level,
    pub(crate) snapshot_failures: Level,
    pub(crate) last_applied: Level,
    pub(crate) kept_answers: Level,
    pub(crate) clock_corrections: Level,
    engine: [Level; 6],
}

/// Name and help text of the gauges in `Metrics::engine`, in the same order.
const LEVELS: [(&str, &str); 6] = [
    ("groups", "Living groups"),
    ("memberships", "Memberships in living groups"),
    ("entries", "Log entries in living groups"),
    ("tombstones", "Dissolved groups that are still remembered"),
    ("cells", "Rate-limit cells (a cell is the stored state of one rate limit)"),
    ("unswept", "Index entries of dissolved groups that are not yet removed"),
];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("disband");
        let metrics = Metrics {
            answers: Family::default(),
            sockets: Gauge::default(),
            frames: Counter::default(),
            slow_sockets: Counter::default(),
            syncs: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            answered_without_entry: Counter::default(),
            log_bytes: Level::default(),
            log_written_bytes: Level::default(),
            snapshot_failures: Level::default(),
            last_applied: Level::default(),
            kept_answers: Level::default(),
            clock_corrections: Level::default(),
            engine: Default::default(),
            registry: Registry::default(),
        };
        let what = "Answered commands";
        registry.register("commands", what, metrics.answers.clone());
        registry.register("sockets", "Open WebSockets", metrics.sockets.clone());
        let what = "Signals sent to a socket's queue, even if it was full";
        registry.register("frames", what, metrics.frames.clone());
        let what = "Sockets disconnected because they were too slow";
        registry.register("slow_sockets", what, metrics.slow_sockets.clone());
        let what = "Time to write and sync a batch of commands to disk";
        registry.register_with_unit("sync", what, Unit::Seconds, metrics.syncs.clone());
        let what =
            "Commands answered without an entry in the log: too fast, or their key was known";
        let refused = metrics.answered_without_entry.clone();
        registry.register("answered_without_entry", what, refused);
        registry.register("log_bytes", "Bytes of the log on disk", metrics.log_bytes.clone());
        let what = "Bytes written to the log since the start";
        registry.register("log_written_bytes", what, metrics.log_written_bytes.clone());
        let what = "Snapshots since the start that could not be written";
        registry.register("snapshot_failures", what, metrics.snapshot_failures.clone());
        let what = "Index of the last entry of the log that was applied";
        registry.register("last_applied", what, metrics.last_applied.clone());
        let what = "Answers kept for idempotency keys";
        registry.register("kept_answers", what, metrics.kept_answers.clone());
        let what = "How often the time of the commands was set back by more than ten seconds";
        registry.register("clock_corrections", what, metrics.clock_corrections.clone());
        for ((name, what), level) in LEVELS.iter().zip(&metrics.engine) {
            registry.register(*name, *what, level.clone());
        }
        Metrics { registry, ..metrics }
    }

    pub(crate) fn answered(&self, operation: disband::Operation, code: u16) {
        self.answers.get_or_create(&Answered { operation: operation.name(), code }).inc();
    }

    /// All metrics as text. `stats` gives the values of the engine's gauges.
    pub(crate) fn encode(&self, stats: &Stats) -> String {
        let Stats { groups, memberships, entries, tombstones, cells, unswept, .. } = *stats;
        let levels = [groups, memberships, entries, tombstones, cells, unswept];
        for (level, value) in self.engine.iter().zip(levels) {
            level.set(value);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}
