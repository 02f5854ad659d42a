//! What the HTTP routes use of a node: commands, reads and signals.

use std::sync::Arc;

use disband::{SignalKey, Timestamp};

use crate::answer::Answer;
use crate::connections::Connections;
use crate::health::Health;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::proposer::Proposer;
use crate::reads::Reads;
use crate::state::State;
use crate::tokens::Tokens;
use crate::types::{Command, Engine};
pub(crate) use crate::unanswered::Unanswered;
use crate::under_way::UnderWay;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Consistency {
    /// It shows every command that was answered before the read began, by any node.
    #[default]
    Linearizable,
    /// It shows what this node has.
    Local,
}

/// The state that all routes share.
pub(crate) struct Service {
    pub(crate) state: Arc<State>,
    pub(crate) proposer: Proposer,
    pub(crate) reads: Reads,
    pub(crate) health: Arc<Health>,
    pub(crate) under_way: Arc<UnderWay>,
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Tokens,
}

impl Service {
    /// Carries out a command, and answers when it cannot be lost any more. The caller sets a time limit:
    /// dropping the future does not undo the command.
    ///
    /// # Errors
    /// The command has no answer. Only [`Unanswered::Unknown`] leaves open whether it is carried out.
    pub(crate) async fn submit(
        &self,
        command: Command,
        key: Option<Key>,
    ) -> Result<Answer, Unanswered> {
        self.health()?;
        let place = self.under_way.enter(command.actor())?;
        self.proposer.propose(command, key, place).await
    }

    /// The state to read from: a clone, so reading holds no lock.
    ///
    /// # Errors
    /// The node cannot tell whether its state is the newest.
    pub(crate) async fn view(&self, consistency: Consistency) -> Result<Engine, Unanswered> {
        if consistency == Consistency::Linearizable {
            self.reads.wait().await?;
        }
        Ok(self.state.engine())
    }

    /// The key of the last signal. A view that is taken later includes all signals up to it.
    pub(crate) fn last_signal(&self) -> SignalKey {
        self.state.last_signal()
    }

    /// The time of this node's clock.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Whether the node accepts commands.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn health(&self) -> Result<(), Unanswered> {
        self.health.check()
    }
}
