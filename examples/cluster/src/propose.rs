//! Puts commands that arrive at about the same time into one log entry.
//!
//! openraft syncs each write before it starts the next, so one write for each command would cost
//! one sync for each. Instead one write runs at a time, and the next one takes all commands that
//! arrived meanwhile.

use std::time::Duration;

use openraft::Raft;
use openraft::error::{ClientWriteError, RaftError};
use postcard::experimental::serialized_size;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::machine::{Answer, Proposal};
use crate::types::TypeConfig;
use crate::wire::{MAX_CALL, Response};

/// The most commands in one entry. An entry is also full when it reaches [`MAX_CALL`] bytes. A
/// replica carries out a whole entry while it holds one lock.
const MAX_BATCH: usize = 256;

/// The longest command in bytes: twice the longest message that an engine accepts by default. A
/// command too long to be sent to the other replicas would block the log.
const MAX_COMMAND: usize = 128 << 10;

/// How many commands the queue holds. When it is full, further callers wait until there is room.
const QUEUE: usize = 4096;

/// How long one write may take, and how long a command waits for its answer. Without this limit a
/// leader without a majority would wait for ever.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Collects the commands of one shard, and writes them to the log.
pub(crate) struct Proposer {
    queue: mpsc::Sender<Queued>,
}

struct Queued {
    proposal: Proposal,
    bytes: usize,
    reply: oneshot::Sender<Result<Answer, ProposeError>>,
}

/// Why a command has no answer. All commands of an entry get the same error.
#[derive(Clone)]
enum ProposeError {
    NotLeader(Option<u64>),
    Unknown(String),
}

impl Proposer {
    /// Starts the task that writes. The task ends when the proposer is dropped.
    pub(crate) fn new(raft: Raft<TypeConfig>) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(raft, receiver));
        Proposer { queue }
    }

    pub(crate) async fn propose(&self, proposal: Proposal) -> Response {
        let bytes = match serialized_size(&proposal) {
            Ok(bytes) if bytes <= MAX_COMMAND => bytes,
            Ok(bytes) => {
                return Response::Refused(format!("a command of {bytes} bytes is too long"));
            }
            Err(error) => return Response::Refused(error.to_string()),
        };
        let (reply, response) = oneshot::channel();
        let answered = async {
            // If the task has ended, this drops `reply`, and `response` then gives an error.
            let _ = self.queue.send(Queued { proposal, bytes, reply }).await;
            response.await
        };
        match timeout(TIMEOUT, answered).await {
            Ok(Ok(Ok(answer))) => Response::Answer(answer),
            Ok(Ok(Err(ProposeError::NotLeader(leader)))) => Response::NotLeader(leader),
            Ok(Ok(Err(ProposeError::Unknown(why)))) => Response::Unknown(why),
            Ok(Err(_)) => Response::Unknown("this replica is stopping".into()),
            Err(elapsed) => Response::Unknown(elapsed.to_string()),
        }
    }
}

async fn write_all(raft: Raft<TypeConfig>, mut queue: mpsc::Receiver<Queued>) {
    while let Some(first) = queue.recv().await {
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH
            && bytes < MAX_CALL
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.bytes;
            batch.push(next);
        }
        // Skip commands whose caller no longer waits. A client that still wants an answer sends its
        // command again.
        batch.retain(|queued| !queued.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        let (proposals, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|queued| (queued.proposal, queued.reply)).unzip();
        let answers = match write(&raft, proposals).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(why) => vec![Err(why); replies.len()],
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            let _ = reply.send(answer);
        }
    }
}

async fn write(
    raft: &Raft<TypeConfig>,
    proposals: Vec<Proposal>,
) -> Result<Vec<Answer>, ProposeError> {
    match timeout(TIMEOUT, raft.client_write(proposals)).await {
        Ok(Ok(written)) => Ok(written.data),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
            Err(ProposeError::NotLeader(to.leader_id))
        }
        Ok(Err(error)) => Err(ProposeError::Unknown(error.to_string())),
        Err(elapsed) => Err(ProposeError::Unknown(elapsed.to_string())),
    }
}
