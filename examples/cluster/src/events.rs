//! The events that a replica publishes to its subscribers and to the `projection`.

use std::sync::Arc;

use disband::{Event, GroupId, Signal, UserId};
use tokio::sync::broadcast;

use crate::free::free_later;

/// How many events a subscriber may be behind. One that falls further behind loses the oldest
/// events and gets an error that says so.
const CAPACITY: usize = 4096;

/// Something that happened in a shard.
#[derive(Debug)]
pub enum ShardEvent {
    /// A group was created. The engine has no signal for this: the new group has nobody to send it
    /// to.
    GroupCreated(GroupId),
    /// A signal of the engine.
    Signal(Signal<UserId, GroupId>),
    /// The replica installed another replica's snapshot. It did not carry out the commands whose
    /// effects are in the snapshot, so it cannot publish their events.
    Missed,
}

impl ShardEvent {
    /// Whether this is the last signal of a dissolved group.
    pub(crate) fn ends_group(&self) -> bool {
        matches!(self, ShardEvent::Signal(Signal { event: Event::HistoryPurge { .. }, .. }))
    }
}

/// The audience (the users that a signal is for) may hold the last reference to the members of a
/// dissolved group. Without this, the receiver that drops the event last would have to free them.
impl Drop for ShardEvent {
    fn drop(&mut self) {
        if self.ends_group()
            && let ShardEvent::Signal(signal) = self
        {
            free_later(signal.audience.clone());
        }
    }
}

/// Publishes the events of one shard.
pub type EventSender = broadcast::Sender<Arc<ShardEvent>>;

/// A sender without subscribers.
#[must_use]
pub fn event_sender() -> EventSender {
    broadcast::Sender::new(CAPACITY)
}
