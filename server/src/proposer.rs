//! Puts commands that arrive at about the same time into one log entry.
//!
//! openraft syncs one write before it starts the next. So one write runs at a time, and the next takes
//! all commands that arrived meanwhile.

use std::sync::Arc;
use std::time::Duration;

use disband::Timestamp;
use openraft::{BasicNode, Raft, RaftMetrics};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::error;

use crate::answer::Answer;
use crate::key::Key;
use crate::keys::Known;
use crate::machine::{Change, Content, Refused, Request, fingerprint};
use crate::metrics::Metrics;
use crate::node::is_ready;
use crate::raft::{Encoded, TypeConfig};
use crate::state::{Reply, State};
use crate::types::Command;
use crate::unanswered::Unanswered;
use crate::under_way::Place;
use crate::world::World;

/// The most commands in one entry. A node applies a whole entry while it holds one lock.
const MAX_BATCH: usize = 256;

/// The most commands that are looked at for one entry. Those that need no entry must not hold up the others.
const MAX_LOOKED_AT: usize = 1024;

/// The most bytes of text in one entry, but for its last command.
const MAX_TEXT: usize = 256 << 10;

/// How many commands may wait for their batch.
const QUEUE: usize = 4096;

/// How long a command may wait for its batch.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// How long one write may take.
const MAX_WRITE: Duration = Duration::from_secs(10);

/// A text longer than this is not written to the log if the leader knows that the command is refused.
const LONG_TEXT: usize = 256;

const NOT_LEADER: Unanswered = Unanswered::NotDone("this node is not the leader");

/// The sending end of the proposer's queue.
#[derive(Clone)]
pub(crate) struct Proposer {
    queue: mpsc::Sender<Queued>,
}

/// A command that waits for its batch.
struct Queued {
    command: Command,
    key: Option<Key>,
    since: Instant,
    reply: Reply,
}

impl Proposer {
    /// Starts the task. It ends when all clones of the proposer are dropped and its queue is empty.
    pub(crate) fn start<W: World>(
        world: &W,
        raft: Raft<TypeConfig>,
        state: Arc<State>,
        counters: Arc<Metrics>,
    ) -> Proposer {
        let (queue, queued) = mpsc::channel(QUEUE);
        let (metrics, world_clock) = (raft.metrics(), world.clone());
        let clock = Box::new(move || world_clock.wall());
        let writer = Writer { clock, raft, metrics, state, counters, serial: 0 };
        world.spawn(writer.run(queued));
        Proposer { queue }
    }

    /// Queues a command, and waits for its answer.
    pub(crate) async fn propose(
        &self,
        command: Command,
        key: Option<Key>,
        place: Place,
    ) -> Result<Answer, Unanswered> {
        let (sender, answer) = oneshot::channel();
        let reply = Reply { sender, place };
        let queued = Queued { command, key, since: Instant::now(), reply };
        if self.queue.try_send(queued).is_err() {
            return Err(Unanswered::NotDone("too many commands wait"));
        }
        // The writer drops a reply only if it ends while it has the command.
        answer.await.unwrap_or(Err(Unanswered::Unknown))
    }
}

struct Writer {
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    raft: Raft<TypeConfig>,
    metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>,
    state: Arc<State>,
    counters: Arc<Metrics>,
    /// The number of the last request.
    serial: u64,
}

/// The requests of the next entry.
#[derive(Default)]
struct Batch {
    requests: Vec<Request>,
    /// The bytes of their texts.
    text: usize,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        while let Some(first) = queue.recv().await {
            let (at, now) = ((self.clock)(), Instant::now());
            let mut batch = Batch::default();
            let mut next = Some(first);
            let mut looked_at = 0;
            let leads = is_ready(&self.metrics.borrow());
            while let Some(queued) = next {
                looked_at += 1;
                if leads {
                    self.admit(queued, at, now, &mut batch);
                } else {
                    queued.reply.send(Err(NOT_LEADER));
                }
                let full = batch.requests.len() >= MAX_BATCH
                    || batch.text >= MAX_TEXT
                    || looked_at >= MAX_LOOKED_AT;
                next = if full { None } else { queue.try_recv().ok() };
            }
            if !batch.requests.is_empty() {
                self.write(at, batch.requests).await;
            }
        }
    }

    /// Answers a command that needs no entry in the log, or adds it to the batch.
    fn admit(&mut self, queued: Queued, at: Timestamp, now: Instant, batch: &mut Batch) {
        let Queued { command, key, since, reply } = queued;
        if reply.sender.is_closed() {
            return;
        }
        if now.duration_since(since) > MAX_WAIT {
            reply.send(Err(Unanswered::NotDone("the command waited too long")));
            return;
        }
        match content(&self.state, command, key.as_ref(), at) {
            Err(answer) => {
                self.counters.answered_without_entry.inc();
                reply.send(answer);
            }
            Ok(content) => {
                batch.text += content.text();
                self.serial += 1;
                self.state.wait(self.serial, reply);
                let id = self.state.request_id(self.serial);
                batch.requests.push(Request { id, key, content });
            }
        }
    }

    async fn write(&self, at: Timestamp, requests: Vec<Request>) {
        let serials = requests.iter().map(|request| request.id.serial).collect::<Vec<_>>();
        let bytes = Change::Batch { at, requests }.encode();
        let written = self.raft.client_write(Encoded(bytes.into()));
        match timeout(MAX_WRITE, written).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error!(%error, "not known whether a batch of commands is written"),
            Err(_) => error!("a batch of commands took too long to write"),
        }
        // Even if this node does not lead any more, the entry may be in a log.
        for serial in serials {
            if let Some(reply) = self.state.give_up(serial) {
                reply.send(Err(Unanswered::Unknown));
            }
        }
    }
}

/// What to write to the log for a command, or its answer if it needs no entry: a command that came too
/// fast, or whose key is known, changes nothing.
fn content(
    state: &State,
    command: Command,
    key: Option<&Key>,
    at: Timestamp,
) -> Result<Content, Result<Answer, Unanswered>> {
    let (operation, user, group) = (command.operation(), command.actor(), command.group());
    let hash = key.map(|_| fingerprint(&command));
    let (now, known, admitted) = state.with(|machine| {
        let now = machine.time_for(at);
        let known = match (key, &hash) {
            (Some(key), Some(hash)) => machine.look_up(user, key, hash, now),
            _ => Known::New,
        };
        (now, known, machine.engine().admits(operation, user, group, now))
    });
    match known {
        Known::Answered(answer) => return Err(Ok(answer)),
        Known::Refused(refusal) => return Err(Err(refusal.into())),
        Known::New => {}
    }
    if let Err(refusal) = admitted {
        return Err(Ok(Answer { at: now, result: Err(refusal) }));
    }
    if text(&command) <= LONG_TEXT {
        return Ok(Content::Command(command));
    }
    match state.engine().preview(command.clone(), now) {
        Ok(_) => Ok(Content::Command(command)),
        Err(refusal) => Ok(Content::Refused(Box::new(Refused {
            user: user.clone(),
            group: group.cloned(),
            operation,
            refusal,
            fingerprint: hash,
        }))),
    }
}

/// The bytes of a command's text. Everything else in a command is short.
fn text(command: &Command) -> usize {
    match command {
        Command::Post { message, .. } | Command::Edit { message, .. } => message.len(),
        Command::Dissolve { note: Some(note), .. } => note.len(),
        _ => 0,
    }
}

impl Content {
    fn text(&self) -> usize {
        match self {
            Content::Command(command) => text(command),
            Content::Refused(_) => 0,
        }
    }
}
