//! What a replica tells those who follow it.

use std::sync::Arc;

use disband::{Event, GroupId, Signal, UserId};
use tokio::sync::broadcast;

use crate::free;

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

impl News {
    /// Whether a group has ended with it.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, News::Signal(Signal { event: Event::HistoryPurge { .. }, .. }))
    }
}

/// Whoever hears it last would have to free whoever was in a group that has ended.
impl Drop for News {
    fn drop(&mut self) {
        if self.is_end()
            && let News::Signal(signal) = self
        {
            free::later(signal.audience.clone());
        }
    }
}

/// Where the news of a shard are told.
pub type Teller = broadcast::Sender<Arc<News>>;

/// One who tells nobody yet.
#[must_use]
pub fn teller() -> Teller {
    broadcast::Sender::new(BACKLOG)
}
