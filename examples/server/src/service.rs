//! The engine behind a lock, and the three threads that serve it.
//!
//! ```text
//! requests --lock--> engine, batch --committer: disk--> replies
//!                                        |
//!                                        '--dispatcher--> sockets' queues
//!                                              |
//!                     undertaker <-------------'   frees what dissolved groups leave
//! ```
//!
//! A command is applied and takes its place in the batch in one step, under the lock; so batches, and
//! what comes of them, are in the order of the commands. The committer takes the batch whole, has it
//! on disk, and then releases replies and signals together. Fanning a signal out takes as long as it
//! has recipients, so it is nothing that a command or a sync waits for.

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

/// How many batches of signals may wait for the dispatcher before the committer waits for it.
const BACKLOG: usize = 64;

type Signals = Vec<Signal<UserId, GroupId>>;
type Garbage = Box<dyn Send>;

/// All that the routes need.
pub(crate) struct Service {
    core: Mutex<Core>,
    /// The batch is no longer empty, or the end has come.
    arrived: Condvar,
    /// Who is connected.
    pub(crate) connections: Arc<Connections>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Tokens,
    undertaker: mpsc::Sender<Garbage>,
}

struct Core {
    engine: Engine,
    /// The engine as of what is on disk; `None` if nothing is kept there.
    durable: Option<Engine>,
    /// The last signal of the commands that were answered.
    told: SignalKey,
    batch: Batch,
    closing: bool,
    failed: bool,
}

/// Commands that were applied, and await the disk together.
#[derive(Default)]
struct Batch {
    records: Vec<u8>,
    signals: Signals,
    /// Dropped, they say that it failed.
    replies: Vec<oneshot::Sender<()>>,
}

/// The threads, to be awaited at the end.
#[derive(Debug)]
pub(crate) struct Threads([JoinHandle<()>; 2]);

impl Threads {
    /// Waits until all that was accepted is on disk and in the queues.
    pub(crate) fn join(self) {
        for thread in self.0 {
            let _ = thread.join();
        }
    }
}

impl Service {
    /// Begins with `engine`, and keeps commands in `storage`, if there is one.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        engine: Engine,
        storage: Option<Box<dyn Storage>>,
        tokens: Tokens,
    ) -> io::Result<(Arc<Service>, Threads)> {
        let metrics = Arc::new(Metrics::new());
        let (undertaker, garbage) = mpsc::channel::<Garbage>();
        let core = Core {
            durable: storage.is_some().then(|| engine.clone()),
            engine,
            told: SignalKey(0),
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
            undertaker,
        });
        let (signals, dispatched) = mpsc::sync_channel::<Signals>(BACKLOG);
        let named = |name: &str| thread::Builder::new().name(name.into());
        // It ends when the last of those who send to it does, and nobody waits for it.
        named("undertaker").spawn(move || garbage.into_iter().for_each(drop))?;
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
        // The engine does not panic, so a lock is poisoned by nothing that matters to it.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a command. The answer comes when it is certain: with a disk, when it is there.
    pub(crate) async fn submit(&self, command: Command<UserId, GroupId>) -> Answer {
        let operation = command.kind();
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
                // It touched nothing, so it needs no place in the order, nor on disk.
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
        self.bury(result);
        match released.await {
            Ok(()) => answer,
            Err(_) => self.core().unavailable(),
        }
    }

    /// The state that may be shown: nothing in it can be lost any more. A clone, to read from without
    /// the lock.
    pub(crate) fn view(&self) -> Engine {
        let core = self.core();
        core.durable.as_ref().unwrap_or(&core.engine).clone()
    }

    /// The last signal that is in what may be shown: who reads the state from now on has it.
    pub(crate) fn told(&self) -> SignalKey {
        self.core().told
    }

    /// Whether commands are accepted, or why not.
    pub(crate) fn health(&self) -> Answer {
        let core = self.core();
        if core.closing || core.failed { core.unavailable() } else { Answer::ok() }
    }

    /// From now on no command is accepted; those that were are carried through.
    pub(crate) fn close(&self) {
        self.core().closing = true;
        self.arrived.notify_one();
    }

    /// Frees something elsewhere: a dissolved group of a million takes a while.
    fn bury(&self, dead: impl Send + 'static) {
        // It can only fail if that thread is gone, and then it is freed here.
        let _ = self.undertaker.send(Box::new(dead));
    }

    fn commit(&self, mut storage: Option<Box<dyn Storage>>, signals: &mpsc::SyncSender<Signals>) {
        while let Some((batch, engine)) = self.next_batch(storage.is_some()) {
            if let (Some(storage), Some(engine)) = (&mut storage, engine) {
                let start = Instant::now();
                if let Err(error) = storage.append(&batch.records) {
                    error!(%error, "commands can't be kept: no more of them until a new start");
                    // `batch` goes, and so its senders of replies.
                    self.fail();
                    continue;
                }
                self.metrics.syncs.observe(start.elapsed().as_secs_f64());
                storage.settled(&engine);
                let old = self.core().durable.replace(engine);
                self.bury(old);
            }
            if let Some(last) = batch.signals.last() {
                self.core().told = last.key;
                // The dispatcher ends after this thread.
                let _ = signals.send(batch.signals);
            }
            for reply in batch.replies {
                let _ = reply.send(());
            }
        }
    }

    /// What has arrived, and the engine with all of it; `None` at the end.
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

    /// Back to what is on disk. Nobody has been told of anything after it.
    fn fail(&self) {
        let mut core = self.core();
        core.failed = true;
        if let Some(durable) = core.durable.clone() {
            let lost = (mem::replace(&mut core.engine, durable), mem::take(&mut core.batch));
            drop(core);
            self.bury(lost);
        }
    }

    fn dispatch(&self, batches: mpsc::Receiver<Signals>) {
        for signals in batches {
            for signal in &signals {
                self.connections.deliver(signal);
            }
            // An audience may be the last to hold a dissolved group's members.
            self.bury(signals);
        }
    }
}

impl Core {
    fn unavailable(&self) -> Answer {
        Answer::unavailable(if self.failed {
            "commands can't be kept on disk"
        } else {
            "the server is going down"
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
