//! Commands that come together go through the log together.
//!
//! openraft syncs what one write appends before it looks at the next: a write for each command would be
//! a sync for each. So one write is under way at a time, and the next one takes what has come meanwhile.

use std::time::Duration;

use openraft::Raft;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::machine::{Answer, Proposal};
use crate::types::TypeConfig;
use crate::wire::Response;

/// How many commands are in one entry at most. A replica carries them out under one lock.
const TOGETHER: usize = 256;

/// How many may wait; more than these wait at the door.
const QUEUE: usize = 4096;

/// How long one write may take: a leader without a majority would wait for one for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the commands of one shard come together.
pub(crate) struct Proposer {
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    proposal: Proposal,
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
        let (reply, response) = oneshot::channel();
        // If that task is gone it has dropped `reply`.
        let _ = self.queue.send(Waiting { proposal, reply }).await;
        match response.await {
            Ok(Ok(answer)) => Response::Answer(answer),
            Ok(Err(Unwritten::Elsewhere(leader))) => Response::Elsewhere(leader),
            Ok(Err(Unwritten::Unknown(why))) => Response::Unknown(why),
            Err(_) => Response::Unknown("this replica stops".into()),
        }
    }
}

async fn write_all(raft: Raft<TypeConfig>, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, TOGETHER).await > 0 {
        let (proposals, replies): (Vec<_>, Vec<_>) =
            waiting.drain(..).map(|Waiting { proposal, reply }| (proposal, reply)).unzip();
        let answers = match write(&raft, proposals).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(why) => vec![Err(why); replies.len()],
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who has gone does not want to know.
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
