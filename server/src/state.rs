//! The machine as this node has it, and who waits for what it applies.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use disband::SignalKey;
use openraft::EntryPayload;
use tokio::sync::{oneshot, watch};

use crate::answer::Answer;
use crate::machine::{Change, Effects, Machine, Response};
use crate::raft::{Entry, LogId, Membership, SnapshotMeta};
use crate::requests::RequestId;
use crate::types::Engine;
use crate::unanswered::Unanswered;
use crate::under_way::Place;

/// Where the answer to a command goes.
pub(crate) struct Reply {
    pub(crate) sender: oneshot::Sender<Result<Answer, Unanswered>>,
    /// The command counts as under way until it has its answer.
    pub(crate) place: Place,
}

impl Reply {
    pub(crate) fn send(self, answer: Result<Answer, Unanswered>) {
        // The next command of the user may follow at once.
        drop(self.place);
        // Nobody waits if the client has gone.
        let _ = self.sender.send(answer);
    }
}

/// The applied state of one node. All tasks of the node share it.
pub(crate) struct State {
    applied: Mutex<Applied>,
    /// Who waits for the requests of this node, by serial number.
    waiting: Mutex<BTreeMap<u64, Reply>>,
    /// This node, and how often it has started.
    node: (u64, u64),
    /// The index of the last applied entry.
    index: watch::Sender<u64>,
}

/// A clone is O(1), except for the membership, which is a few nodes.
#[derive(Clone)]
pub(crate) struct Applied {
    pub(crate) machine: Machine,
    /// The last entry that the machine has applied.
    pub(crate) last: Option<LogId>,
    pub(crate) membership: Membership,
    /// The key of the last signal.
    pub(crate) last_signal: SignalKey,
}

impl Applied {
    /// The state of a snapshot.
    pub(crate) fn from_snapshot(meta: &SnapshotMeta, machine: Machine) -> Applied {
        let (last, membership) = (meta.last_log_id, meta.last_membership.clone());
        Applied { machine, last, membership, last_signal: SignalKey(0) }
    }

    /// What describes this state as a snapshot.
    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
            snapshot_id: self.last.map_or_else(|| "empty".to_owned(), |last| last.to_string()),
        }
    }
}

impl State {
    /// The state of a node that has started this often.
    pub(crate) fn new(applied: Applied, node: u64, start: u64) -> State {
        let index = watch::Sender::new(applied.last.map_or(0, |last| last.index));
        let (applied, waiting) = (Mutex::new(applied), Mutex::default());
        State { applied, waiting, node: (node, start), index }
    }

    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().expect("the engine does not panic")
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Reply>> {
        self.waiting.lock().expect("no code panics while it holds this lock")
    }

    /// A clone of the whole state. O(1).
    pub(crate) fn get(&self) -> Applied {
        self.applied().clone()
    }

    /// A clone of the engine, for reads. O(1).
    pub(crate) fn engine(&self) -> Engine {
        self.applied().machine.engine().clone()
    }

    /// The key of the last signal. A clone that is taken later includes it.
    pub(crate) fn last_signal(&self) -> SignalKey {
        self.applied().last_signal
    }

    /// Looks at the machine without a clone. Applying waits meanwhile, so it must be short.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        look(&self.applied().machine)
    }

    /// The index of the last applied entry.
    pub(crate) fn index(&self) -> u64 {
        *self.index.borrow()
    }

    /// Waits until this entry is applied.
    pub(crate) async fn wait_for(&self, index: u64) {
        let mut applied = self.index.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = applied.wait_for(|applied| *applied >= index).await;
    }

    /// Replaces the state by that of a snapshot, and returns the old one.
    pub(crate) fn replace(&self, new: Applied) -> Applied {
        let index = new.last.map_or(0, |last| last.index);
        let old = std::mem::replace(&mut *self.applied(), new);
        self.index.send_replace(index);
        old
    }

    /// Applies an entry. The responses go to those of this node who wait for them. Returns what else
    /// there is to do: signals to deliver, and values to free.
    ///
    /// # Errors
    /// The entry was written by a version that this one does not understand.
    pub(crate) fn apply(&self, entry: Entry) -> Result<Effects, postcard::Error> {
        let index = entry.log_id.index;
        let change = match &entry.payload {
            EntryPayload::Normal(encoded) => Some(Change::decode(&encoded.0)?),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        };
        let mut effects = Effects::default();
        {
            // The lock is held for a whole entry, so no reader sees half of it.
            let mut applied = self.applied();
            applied.last = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                applied.membership = Membership::new(Some(entry.log_id), membership);
            }
            if let Some(change) = change {
                effects = applied.machine.apply(change);
            }
            if let Some(signal) = effects.signals.last() {
                applied.last_signal = signal.key;
            }
        }
        self.respond(effects.responses.drain(..));
        // Most of the time nobody waits, and then nothing is woken.
        self.index.send_replace(index);
        Ok(effects)
    }

    fn respond(&self, responses: impl Iterator<Item = (RequestId, Response)>) {
        let mut waiting = self.waiting();
        for (id, response) in responses {
            if (id.node, id.start) == self.node
                && let Some(reply) = waiting.remove(&id.serial)
            {
                reply.send(response.map_err(Unanswered::from));
            }
        }
    }

    /// The id of a request of this node.
    pub(crate) fn request_id(&self, serial: u64) -> RequestId {
        let (node, start) = self.node;
        RequestId { node, start, serial }
    }

    /// Waits for the response to a request of this node.
    pub(crate) fn wait(&self, serial: u64, reply: Reply) {
        self.waiting().insert(serial, reply);
    }

    /// Stops waiting for a request. Returns whoever still waited.
    pub(crate) fn give_up(&self, serial: u64) -> Option<Reply> {
        self.waiting().remove(&serial)
    }
}
