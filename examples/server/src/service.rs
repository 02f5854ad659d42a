//! The engine behind a lock, and its three threads.
//!
//! ```text
//! requests --lock--> engine, batch --committer: disk--> replies
//!                                        |
//!                                        '--dispatcher--> sockets' queues
//! ```
//!
//! Under the lock, a command is applied and appended to the current batch in one step. So the
//! records on disk and the signals are in the order of the commands.
//!
//! - The committer takes the whole batch, writes and syncs it (if there is a disk), and then
//!   releases its signals and its replies. Only then are its commands committed.
//! - The dispatcher puts each signal into the queues of its recipients. The more recipients, the
//!   longer this takes. So it has its own thread, and the committer waits for it only when
//!   [`BACKLOG`] batches are queued.
//! - The reclaim thread frees large values, such as the members of a dissolved group.

use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use disband::{Command, Engine, GroupId, Refusal, Signal, SignalKey, UserId, wire};
use tokio::sync::oneshot;
use tracing::error;

use crate::answer::Answer;
use crate::clock;
use crate::connections::Connections;
use crate::journal::{self, Storage};
use crate::metrics::Metrics;
use crate::token::Tokens;

/// How many batches of signals may wait for the dispatcher. When there are more, the committer
/// waits.
const BACKLOG: usize = 64;

type Signals = Vec<Signal<UserId, GroupId>>;
type Garbage = Box<dyn Send>;

/// The state that all routes share.
pub(crate) struct Service {
    core: Mutex<Core>,
    /// Notified when a command enters the batch, and at shutdown.
    arrived: Condvar,
    pub(crate) connections: Arc<Connections>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Tokens,
    /// Values to free on the reclaim thread.
    reclaim: mpsc::Sender<Garbage>,
}

struct Core {
    engine: Engine,
    /// The engine as of the last sync. `None` without a disk.
    durable: Option<Engine>,
    /// The key of the last signal of a committed batch.
    committed: SignalKey,
    batch: Batch,
    /// The server is stopping: no more commands.
    closing: bool,
    /// A write or a sync has failed: no more commands.
    failed: bool,
}

/// Commands that were applied, but are not yet committed. They are synced together.
#[derive(Default)]
struct Batch {
    records: Vec<u8>,
    signals: Signals,
    /// One per command. Dropping a sender tells its request that the commit failed.
    replies: Vec<oneshot::Sender<()>>,
}

/// The committer and the dispatcher, to be joined at shutdown.
#[derive(Debug)]
pub(crate) struct Threads([JoinHandle<()>; 2]);

impl Threads {
    /// Waits until all accepted commands are on disk and their signals are in the queues.
    pub(crate) fn join(self) {
        for thread in self.0 {
            let _ = thread.join();
        }
    }
}

impl Service {
    /// Starts the threads. Commands are kept in `storage`, if there is one.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start(
        engine: Engine,
        storage: Option<Box<dyn Storage>>,
        tokens: Tokens,
    ) -> io::Result<(Arc<Service>, Threads)> {
        let metrics = Arc::new(Metrics::new());
        let (reclaim, garbage) = mpsc::channel::<Garbage>();
        let core = Core {
            durable: storage.is_some().then(|| engine.clone()),
            engine,
            committed: SignalKey(0),
            batch: Batch::default(),
            closing: false,
            failed: false,
        };
        let service = Arc::new(Service {
            core: Mutex::new(core),
            arrived: Condvar::new(),
            connections: Arc::new(Connections::new(Arc::clone(&metrics))),
            metrics,
            tokens,
            reclaim,
        });
        let (signals, dispatched) = mpsc::sync_channel::<Signals>(BACKLOG);
        let named = |name: &str| thread::Builder::new().name(name.into());
        // This thread ends when the service is dropped. It is not joined.
        named("reclaim").spawn(move || garbage.into_iter().for_each(drop))?;
        let threads = Threads([
            named("committer").spawn({
                let service = Arc::clone(&service);
                move || service.commit(storage, &signals)
            })?,
            named("dispatcher").spawn({
                let service = Arc::clone(&service);
                move || service.dispatch(dispatched)
            })?,
        ]);
        Ok((service, threads))
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // The engine does not panic, so it is consistent even if the lock is poisoned.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a command, and answers when it is committed: with a disk, when it is synced.
    pub(crate) async fn submit(&self, command: Command<UserId, GroupId>) -> Answer {
        let operation = command.operation();
        let answer = self.apply(command).await;
        self.metrics.answered(operation, answer.code());
        answer
    }

    async fn apply(&self, command: Command<UserId, GroupId>) -> Answer {
        let (result, now, released) = {
            let mut core = self.core();
            if core.closing || core.failed {
                return core.unavailable();
            }
            let now = clock::now();
            let before = core.batch.records.len();
            if core.durable.is_some() {
                journal::record(&mut core.batch.records, &command, now);
            }
            let mut result = core.engine.apply(command, now);
            if matches!(result, Err(Refusal::TooFast { .. })) {
                // The command changed nothing, so it need not be on disk, nor wait for the batch.
                core.batch.records.truncate(before);
                return Answer::of(&result, now);
            }
            if let Ok(outcome) = &mut result {
                core.batch.signals.append(&mut outcome.signals);
            }
            let (reply, released) = oneshot::channel();
            core.batch.replies.push(reply);
            (result, now, released)
        };
        self.arrived.notify_one();
        let answer = Answer::of(&result, now);
        self.free_later(result);
        match released.await {
            Ok(()) => answer,
            Err(_) => self.core().unavailable(),
        }
    }

    /// The state to read from: with a disk, only what is synced and cannot be lost. It is a clone,
    /// so reading holds no lock.
    pub(crate) fn view(&self) -> Engine {
        let core = self.core();
        core.durable.as_ref().unwrap_or(&core.engine).clone()
    }

    /// The key of the last committed signal. The state from [`view`](Self::view) includes all
    /// signals up to it.
    pub(crate) fn last_committed(&self) -> SignalKey {
        self.core().committed
    }

    /// 200 while commands are accepted, else 503 with the reason.
    pub(crate) fn health(&self) -> Answer {
        let core = self.core();
        if core.closing || core.failed { core.unavailable() } else { Answer::ok() }
    }

    /// Accepts no more commands. Those already accepted are still committed.
    pub(crate) fn close(&self) {
        self.core().closing = true;
        self.arrived.notify_one();
    }

    /// Frees a value on the reclaim thread: freeing a dissolved group of a million takes a while.
    fn free_later(&self, garbage: impl Send + 'static) {
        // If that thread has ended, the value is freed here.
        let _ = self.reclaim.send(Box::new(garbage));
    }

    fn commit(&self, mut storage: Option<Box<dyn Storage>>, signals: &mpsc::SyncSender<Signals>) {
        while let Some((batch, engine)) = self.next_batch(storage.is_some()) {
            if let (Some(storage), Some(engine)) = (&mut storage, engine) {
                let start = Instant::now();
                if let Err(error) = storage.append(&batch.records) {
                    error!(%error, "commands can't be written: all are refused until a restart");
                    // After this, `batch` is dropped, and its requests are answered 503.
                    self.fail();
                    continue;
                }
                self.metrics.syncs.observe(start.elapsed().as_secs_f64());
                storage.committed(&engine);
                let old = self.core().durable.replace(engine);
                self.free_later(old);
            }
            if let Some(last) = batch.signals.last() {
                self.core().committed = last.key;
                // The dispatcher ends after this thread, so sending cannot fail.
                let _ = signals.send(batch.signals);
            }
            for reply in batch.replies {
                let _ = reply.send(());
            }
        }
    }

    /// Waits for commands. Returns the batch, and with `clone` a clone of the engine that includes
    /// it. Returns `None` when the service is closed and the batch is empty.
    fn next_batch(&self, clone: bool) -> Option<(Batch, Option<Engine>)> {
        let mut core = self.core();
        while core.batch.replies.is_empty() {
            if core.closing {
                return None;
            }
            core = self.arrived.wait(core).unwrap_or_else(PoisonError::into_inner);
        }
        Some((mem::take(&mut core.batch), clone.then(|| core.engine.clone())))
    }

    /// Restores the engine as of the last sync. No later command was answered, and no later signal
    /// was sent.
    fn fail(&self) {
        let mut core = self.core();
        core.failed = true;
        if let Some(durable) = core.durable.clone() {
            let lost = (mem::replace(&mut core.engine, durable), mem::take(&mut core.batch));
            drop(core);
            self.free_later(lost);
        }
    }

    fn dispatch(&self, batches: mpsc::Receiver<Signals>) {
        for signals in batches {
            for signal in &signals {
                self.connections.deliver(signal);
            }
            // An audience may hold the last reference to a dissolved group's members.
            self.free_later(signals);
        }
    }
}

impl Core {
    fn unavailable(&self) -> Answer {
        Answer::unavailable(if self.failed {
            "can't write commands to disk"
        } else {
            "the server is stopping"
        })
    }
}

impl Answer {
    fn of<T: wire::Answer>(
        result: &disband::CommandResult<T, UserId, GroupId>,
        now: disband::Timestamp,
    ) -> Answer {
        let retry = match result {
            Err(Refusal::TooFast { retry_at }) => Some(retry_at.since(now)),
            _ => None,
        };
        let reply = wire::reply(result, now);
        Answer::new(reply.code(), &reply).retry_after(retry)
    }
}
