//! Hands signals to the connections, on a task of its own: no command waits for its recipients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use disband::Event;
use tokio::sync::mpsc;
use tracing::warn;

use crate::connections::{Close, Connections};
use crate::types::Signal;
use crate::world::World;

/// How many batches of signals may wait. A batch has the signals of one log entry.
const BACKLOG: usize = 1024;

/// The sending end of the dispatcher's queue.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    queue: mpsc::Sender<Vec<Signal>>,
    /// Whether signals were not queued.
    missed: Arc<AtomicBool>,
}

impl Dispatcher {
    /// A dispatcher, and its task. The task ends when all clones of the dispatcher are dropped and its
    /// queue is empty.
    pub(crate) fn new<W: World>(
        world: &W,
        connections: Arc<Connections>,
    ) -> (Dispatcher, impl Future<Output = ()> + Send + 'static + use<W>) {
        let (queue, batches) = mpsc::channel(BACKLOG);
        let missed = Arc::new(AtomicBool::new(false));
        let task = Task { world: world.clone(), batches, missed: Arc::clone(&missed), connections };
        (Dispatcher { queue, missed }, task.run())
    }

    /// Queues signals. If the queue is full, all connections are closed instead: their clients connect
    /// again, and read the state, which includes what they missed.
    pub(crate) fn send(&self, signals: Vec<Signal>) {
        if self.queue.try_send(signals).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Closes all connections, because there are signals that nobody knows.
    pub(crate) fn skip(&self) {
        self.missed.store(true, Ordering::Release);
        // Wakes the task. If the queue is full, it is awake.
        let _ = self.queue.try_send(Vec::new());
    }
}

struct Task<W> {
    world: W,
    batches: mpsc::Receiver<Vec<Signal>>,
    missed: Arc<AtomicBool>,
    connections: Arc<Connections>,
}

impl<W: World> Task<W> {
    async fn run(mut self) {
        while let Some(signals) = self.batches.recv().await {
            if self.missed.swap(false, Ordering::AcqRel) {
                warn!("sockets missed signals: closing all of them");
                self.free(signals);
                while let Ok(more) = self.batches.try_recv() {
                    self.free(more);
                }
                self.connections.end_all(Close::MISSED).await;
                continue;
            }
            for signal in &signals {
                self.connections.deliver(signal).await;
            }
            self.free(signals);
        }
    }

    /// The audience may hold the last reference to the members of a group that ended.
    fn free(&self, signals: Vec<Signal>) {
        if signals.iter().any(|signal| matches!(signal.event, Event::HistoryPurge { .. })) {
            self.world.free(signals);
        }
    }
}
