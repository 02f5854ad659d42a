//! Commands that come together go through the log together.
//!
//! openraft syncs what one write appends before it looks at the next: a write for each command would be
//! a sync for each. So one write is under way at a time, and the next one takes what has come meanwhile.

use std::time::Duration;

use openraft::Raft;
use openraft::error::{ClientWriteError, RaftError};
use postcard::experimental::serialized_size;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::machine::{Answer, Proposal};
use crate::types::TypeConfig;
use crate::wire::{CALL, Response};

/// How many commands are in one entry at most; fewer if they are as many bytes as a call has. A replica
/// carries them out under one lock.
const TOGETHER: usize = 256;

/// The longest command that is taken: twice the longest message that an engine takes by default. One that
/// the replicas can't be sent would stop them all.
const LONGEST: usize = 128 << 10;

/// How many may wait; more than these wait at the door.
const QUEUE: usize = 4096;

/// How long a write may take, and how long a command waits for its own: a leader without a majority would
/// wait for one for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the commands of one shard come together.
pub(crate) struct Proposer {
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    proposal: Proposal,
    bytes: usize,
    reply: oneshot::Sender<Result<Answer, Unwritten>>,
}

/// Why there is no answer. All commands of an entry are told the same.
#[derive(Clone)]
enum Unwritten {
    Elsewhere(Option<u64>),
    Unknown(String),
}

impl Proposer {
    /// Ends with the last handle to it.
    pub(crate) fn new(raft: Raft<TypeConfig>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(raft, waiting));
        Proposer { queue }
    }

    pub(crate) async fn propose(&self, proposal: Proposal) -> Response {
        let bytes = match serialized_size(&proposal) {
            Ok(bytes) if bytes <= LONGEST => bytes,
            Ok(bytes) => return Response::Refused(format!("{bytes} bytes are too many")),
            Err(error) => return Response::Refused(error.to_string()),
        };
        let (reply, response) = oneshot::channel();
        let answered = async {
            // If that task is gone it has dropped `reply`.
            let _ = self.queue.send(Waiting { proposal, bytes, reply }).await;
            response.await
        };
        match timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(answer))) => Response::Answer(answer),
            Ok(Ok(Err(Unwritten::Elsewhere(leader)))) => Response::Elsewhere(leader),
            Ok(Ok(Err(Unwritten::Unknown(why)))) => Response::Unknown(why),
            Ok(Err(_)) => Response::Unknown("this replica stops".into()),
            Err(late) => Response::Unknown(late.to_string()),
        }
    }
}

async fn write_all(raft: Raft<TypeConfig>, mut queue: mpsc::Receiver<Waiting>) {
    while let Some(first) = queue.recv().await {
        let mut bytes = first.bytes;
        let mut together = vec![first];
        while together.len() < TOGETHER
            && bytes < CALL
            && let Ok(next) = queue.try_recv()
        {
            bytes += next.bytes;
            together.push(next);
        }
        // Who has gone does not want to know, and comes again if they do.
        together.retain(|waiting| !waiting.reply.is_closed());
        if together.is_empty() {
            continue;
        }
        let (proposals, replies): (Vec<_>, Vec<_>) =
            together.into_iter().map(|waiting| (waiting.proposal, waiting.reply)).unzip();
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
) -> Result<Vec<Answer>, Unwritten> {
    match timeout(PATIENCE, raft.client_write(proposals)).await {
        Ok(Ok(written)) => Ok(written.data),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
            Err(Unwritten::Elsewhere(to.leader_id))
        }
        Ok(Err(error)) => Err(Unwritten::Unknown(error.to_string())),
        Err(late) => Err(Unwritten::Unknown(late.to_string())),
    }
}
