//! Freeing large values on another thread, so that a thread that runs Python does not wait for it.
//!
//! The thread is started when it is first needed. It does not use Python, so it never holds the GIL. It
//! is never joined: when the process ends, it ends.

use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;

use disband::{Dissolved, ForgottenCells, Id, Signal, Summary};
use disband_dynamic::{AnyAudience, AnyDissolved, AnyOutcome, Kept};
use pyo3::prelude::*;

use crate::ids::each;

/// From this weight on a value is large.
static LARGE: AtomicU64 = AtomicU64::new(1_000);

/// The most values that wait for the thread. More are freed where they are dropped, so that a program
/// that makes garbage faster than one thread frees it does not run out of memory.
const WAITING: usize = 1_000;

static RECLAIMER: Mutex<Option<Reclaimer>> = Mutex::new(None);

/// How many values were sent to the thread, and how many it has freed.
static SENT: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// A value that is freed on another thread if freeing it takes long when it is dropped.
pub(crate) struct Freed<T: Weigh> {
    value: Option<T>,
    since: Option<Since>,
}

/// How long freeing a value may take: about the number of members and entries in it.
pub(crate) trait Weigh: Send + 'static {
    fn weight(&self) -> u64;
}

impl<T: Weigh> Freed<T> {
    /// A value that nothing else shares.
    pub(crate) const fn new(value: T) -> Self {
        Freed { value: Some(value), since: None }
    }

    /// A value that an engine shares: what the engine still holds is not freed with the value.
    pub(crate) const fn shared(value: T, since: Since) -> Self {
        Freed { value: Some(value), since: Some(since) }
    }

    /// A part of this value, which the same engine shares.
    pub(crate) fn part<P: Weigh>(&self, part: P) -> Freed<P> {
        Freed { value: Some(part), since: self.since.clone() }
    }
}

impl<T: Weigh> Deref for Freed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Freed { value: Some(value), .. } = self else {
            unreachable!("there is a value until the drop")
        };
        value
    }
}

impl<T: Weigh> Freed<T> {
    pub(crate) fn get_mut(&mut self) -> &mut T {
        let Freed { value: Some(value), .. } = self else {
            unreachable!("there is a value until the drop")
        };
        value
    }
}

impl<T: Weigh> Drop for Freed<T> {
    fn drop(&mut self) {
        let large = LARGE.load(Relaxed);
        let lost = self.since.as_ref().map_or(u64::MAX, Since::lost);
        if let Some(value) = self.value.take_if(|value| lost >= large && value.weight() >= large) {
            free_elsewhere(Box::new(value));
        }
    }
}

/// The weight of what an engine no longer holds, of all that it ever held. Small things count as a number
/// for each command.
pub(crate) struct Losses(Arc<AtomicU64>);

/// A time in the life of an engine.
#[derive(Clone)]
pub(crate) struct Since {
    losses: Arc<AtomicU64>,
    before: u64,
}

/// The most that a command lets go of, if it dissolves no group: a few nodes of the maps and blocks of
/// the log.
const STEP: u64 = 100;

impl Losses {
    pub(crate) fn new() -> Self {
        Losses(Arc::new(AtomicU64::new(0)))
    }

    /// The present time. What the engine holds now counts as lost once it is lost later.
    pub(crate) fn since(&self) -> Since {
        Since { losses: self.0.clone(), before: self.0.load(Relaxed) }
    }

    /// Counts what the engine lost by the commands of an outcome.
    pub(crate) fn count(&self, outcome: &AnyOutcome) {
        fn lost<U: Id, G>(kept: &Kept<U, G>) -> u64 {
            let weight = |group: &Dissolved<U>| {
                let Summary { members, entries } = group.summary();
                members.saturating_add(entries)
            };
            let steps = STEP.saturating_mul(kept.replies().len() as u64);
            steps.saturating_add(sum(kept.dissolved().map(weight)))
        }
        self.0.fetch_add(each!(outcome, AnyOutcome(kept) => lost(kept)), Relaxed);
    }

    /// Counts all that the engine held: it is closed.
    pub(crate) fn count_all(&self) {
        self.0.store(u64::MAX, Relaxed);
    }
}

impl Drop for Losses {
    fn drop(&mut self) {
        self.count_all();
    }
}

impl Since {
    fn lost(&self) -> u64 {
        self.losses.load(Relaxed).wrapping_sub(self.before)
    }
}

/// The thread, as seen from the others.
struct Reclaimer {
    /// The process of the thread. A process that was forked from it has no such thread.
    process: u32,
    values: SyncSender<Box<dyn Send>>,
}

impl Reclaimer {
    fn start(process: u32) -> Option<Self> {
        let (values, waiting) = mpsc::sync_channel::<Box<dyn Send>>(WAITING);
        let free = move || {
            for value in waiting {
                drop(value);
                FREED.fetch_add(1, Relaxed);
            }
        };
        thread::Builder::new().name("disband-reclaim".into()).spawn(free).ok()?;
        Some(Reclaimer { process, values })
    }
}

/// Frees a value on the thread; or here, if the thread cannot take it.
fn free_elsewhere(value: Box<dyn Send>) {
    // Another thread may have held the lock when the process was forked, so this must not wait.
    let Ok(mut reclaimer) = RECLAIMER.try_lock() else { return };
    let process = process::id();
    if reclaimer.as_ref().is_none_or(|running| running.process != process) {
        // After a fork the locks of the old channel may be held for ever, so it is not dropped.
        std::mem::forget(reclaimer.take());
        *reclaimer = Reclaimer::start(process);
    }
    let Some(running) = &*reclaimer else { return };
    let refused = running.values.try_send(value);
    drop(reclaimer);
    if refused.is_ok() {
        SENT.fetch_add(1, Relaxed);
    }
}

/// How many values were sent to the thread, and how many it has freed, in this process and in those that
/// it was forked from. For tests.
#[pyfunction(name = "_reclaimed")]
pub(crate) fn reclaimed() -> (u64, u64) {
    (SENT.load(Relaxed), FREED.load(Relaxed))
}

/// Sets from which weight on a value is freed on the thread, and returns the previous one. For tests and
/// measurements.
#[pyfunction(name = "_set_large")]
pub(crate) fn set_large(weight: u64) -> u64 {
    LARGE.swap(weight, Relaxed)
}

fn sum(weights: impl Iterator<Item = u64>) -> u64 {
    weights.fold(0, u64::saturating_add)
}

impl<U: Id + Send + Sync + 'static, G: Id + Send + Sync + 'static> Weigh for disband::Engine<U, G> {
    fn weight(&self) -> u64 {
        let stats = self.stats();
        sum([stats.memberships, stats.entries, stats.tombstones, stats.cells].into_iter())
    }
}

impl<U: Id + Send + Sync + 'static, G: Id + Send + Sync + 'static> Weigh for ForgottenCells<U, G> {
    fn weight(&self) -> u64 {
        self.len() as u64
    }
}

impl<U: Id + Send + Sync + 'static> Weigh for disband::Audience<U> {
    fn weight(&self) -> u64 {
        self.len() as u64
    }
}

impl<U: Id + Send + Sync + 'static> Weigh for disband::Group<U> {
    fn weight(&self) -> u64 {
        self.log_len().saturating_add(self.len() as u64)
    }
}

impl Weigh for AnyAudience {
    fn weight(&self) -> u64 {
        self.len() as u64
    }
}

impl Weigh for AnyDissolved {
    fn weight(&self) -> u64 {
        let summary = self.summary();
        summary.members.saturating_add(summary.entries)
    }
}

impl Weigh for AnyOutcome {
    fn weight(&self) -> u64 {
        fn weight<U: Id, G>(kept: &Kept<U, G>) -> u64 {
            let audience = |signal: &Signal<U, G>| signal.audience.len() as u64;
            let audiences = sum(kept.signals().iter().map(audience));
            let entries = sum(kept.dissolved().map(|group| group.summary().entries));
            audiences.saturating_add(entries).saturating_add(kept.replies().len() as u64)
        }
        each!(self, AnyOutcome(kept) => weight(kept))
    }
}
