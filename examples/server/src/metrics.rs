//! What is counted, in the form that Prometheus reads.

use std::sync::atomic::AtomicU64;

use disband::Stats;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Level = Gauge<u64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    code: u16,
}

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    pub(crate) sockets: Gauge,
    pub(crate) frames: Counter,
    pub(crate) given_up: Counter,
    pub(crate) syncs: Histogram,
    engine: [Level; 6],
}

/// What `Stats` has, in the order of `Metrics::engine`.
const LEVELS: [(&str, &str); 6] = [
    ("groups", "Living groups"),
    ("memberships", "Memberships in them"),
    ("entries", "Entries in their logs"),
    ("tombstones", "Dissolved groups that are remembered"),
    ("cells", "Rate-limit cells"),
    ("unswept", "Index entries of dissolved groups that wait for the sweep"),
];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("disband");
        let metrics = Metrics {
            answers: Family::default(),
            sockets: Gauge::default(),
            frames: Counter::default(),
            given_up: Counter::default(),
            syncs: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            engine: Default::default(),
            registry: Registry::default(),
        };
        let what = "Commands that were answered";
        registry.register("commands", what, metrics.answers.clone());
        registry.register("sockets", "Open WebSockets", metrics.sockets.clone());
        registry.register("frames", "Signals put into a socket's queue", metrics.frames.clone());
        let what = "Sockets that could not keep up, and were disconnected";
        registry.register("slow_sockets", what, metrics.given_up.clone());
        let what = "How long it took to have a group of commands on disk";
        registry.register_with_unit("sync", what, Unit::Seconds, metrics.syncs.clone());
        for ((name, what), level) in LEVELS.iter().zip(&metrics.engine) {
            registry.register(*name, *what, level.clone());
        }
        Metrics { registry, ..metrics }
    }

    pub(crate) fn answered(&self, operation: disband::Operation, code: u16) {
        self.answers.get_or_create(&Answered { operation: operation.name(), code }).inc();
    }

    /// Everything, as text.
    pub(crate) fn encode(&self, stats: &Stats) -> String {
        let Stats { groups, memberships, entries, tombstones, cells, unswept, .. } = *stats;
        let levels = [groups, memberships, entries, tombstones, cells, unswept];
        for (level, value) in self.engine.iter().zip(levels) {
            level.set(value);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes whatever is written");
        text
    }
}
