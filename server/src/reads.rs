//! Linearisable reads.
//!
//! A read must show every command that was answered before it began, by any node. So the leader confirms
//! with a majority that it still leads; then the read waits until this node has applied what was committed
//! by then. One confirmation serves all reads that wait (section 6.4 of Ongaro's thesis on Raft).

use std::sync::Arc;

use openraft::Raft;
use tokio::sync::{mpsc, oneshot};

use crate::raft::TypeConfig;
use crate::state::State;
use crate::unanswered::Unanswered;
use crate::world::World;

/// How many reads may wait.
const QUEUE: usize = 4096;

type Waiting = oneshot::Sender<Result<(), Unanswered>>;

/// Lets reads wait until the state of this node is new enough.
#[derive(Clone)]
pub(crate) struct Reads {
    queue: mpsc::Sender<Waiting>,
    /// Whether this node is the only voter. Then no other node can have answered a command, and its own
    /// state includes all that it has answered.
    alone: bool,
}

impl Reads {
    /// Starts the task. It ends when all clones are dropped.
    pub(crate) fn start<W: World>(
        world: &W,
        raft: Raft<TypeConfig>,
        state: Arc<State>,
        alone: bool,
    ) -> Reads {
        let (queue, waiting) = mpsc::channel(QUEUE);
        world.spawn(confirm_all(raft, state, waiting));
        Reads { queue, alone }
    }

    /// Returns when the state of this node includes every command that was answered before.
    ///
    /// # Errors
    /// This node is not the leader, or it cannot reach a majority.
    pub(crate) async fn wait(&self) -> Result<(), Unanswered> {
        if self.alone {
            return Ok(());
        }
        let (reply, confirmed) = oneshot::channel();
        if self.queue.try_send(reply).is_err() {
            return Err(Unanswered::NotDone("too many reads wait"));
        }
        confirmed.await.unwrap_or(Err(Unanswered::NotDone("the node is stopping")))
    }
}

async fn confirm_all(
    raft: Raft<TypeConfig>,
    state: Arc<State>,
    mut queue: mpsc::Receiver<Waiting>,
) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, QUEUE).await > 0 {
        let confirmed = match raft.get_read_log_id().await {
            Ok((committed, _)) => {
                state.wait_for(committed.map_or(0, |committed| committed.index)).await;
                Ok(())
            }
            Err(_) => Err(Unanswered::NotDone("this node is not the leader")),
        };
        for reply in waiting.drain(..) {
            let _ = reply.send(confirmed.clone());
        }
    }
}
