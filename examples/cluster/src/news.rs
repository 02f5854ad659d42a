//! What a replica tells those who follow it.

use std::sync::Arc;

use disband::{GroupId, Signal, UserId};
use tokio::sync::broadcast;

/// How much a follower may be behind.
const BACKLOG: usize = 4096;

/// Something that happened in a shard.
#[derive(Debug)]
pub enum News {
    /// A group has begun. No signal says so: there is nobody to hear it.
    Founded(GroupId),
    /// The engine's signal.
    Signal(Signal<UserId, GroupId>),
    /// The replica has taken over another's snapshot. What happened until then it did not see, and
    /// can't tell.
    Missed,
}

/// Where the news of a shard are told.
pub type Teller = broadcast::Sender<Arc<News>>;

/// One who tells nobody yet.
#[must_use]
pub fn teller() -> Teller {
    broadcast::Sender::new(BACKLOG)
}
