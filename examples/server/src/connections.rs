//! The connected sockets, each with its queue of frames to send. A frame is a signal as JSON.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::ws::Utf8Bytes;
use disband::{GroupId, Signal, SignalKey, UserId, wire};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::Metrics;

/// How many frames may wait for one socket. A socket that exceeds this is disconnected.
pub const QUEUE: usize = 256;

/// All sockets, by user.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// Open sockets, including those that were disconnected as too slow but are not closed yet.
    open: AtomicUsize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Table {
    sockets: HashMap<UserId, Vec<Outlet>>,
    /// The number of the next socket.
    next: u64,
    closed: bool,
}

/// The sending end of a socket's queue.
#[derive(Debug)]
struct Outlet {
    /// Distinguishes the sockets of one user.
    number: u64,
    /// Whether frames have the group's version.
    versions: bool,
    queue: mpsc::Sender<(SignalKey, Utf8Bytes)>,
    overflowed: oneshot::Sender<()>,
}

/// The receiving end of a socket's queue. Dropping it unsubscribes the socket.
#[derive(Debug)]
pub(crate) struct Subscription {
    user: UserId,
    number: u64,
    /// The frames to send, in order. The queue ends when it overflows, or when the server stops.
    pub(crate) frames: mpsc::Receiver<(SignalKey, Utf8Bytes)>,
    /// Resolves to `Ok` when a frame does not fit in the queue, to `Err` when the server stops.
    pub(crate) overflowed: oneshot::Receiver<()>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Connections { table: Mutex::default(), open: AtomicUsize::new(0), metrics }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no code panics while it holds this lock")
    }

    /// How many sockets are open.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether no socket is open.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Subscribes a socket to all signals for `user` from now on. With `versions`, each frame has
    /// its group's version.
    pub(crate) fn subscribe(self: &Arc<Self>, user: UserId, versions: bool) -> Subscription {
        let (queue, frames) = mpsc::channel(QUEUE);
        let (overflow, overflowed) = oneshot::channel();
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        // After `close`, nothing holds the sending end, so the new queue ends at once.
        if !table.closed {
            let outlet = Outlet { number, versions, queue, overflowed: overflow };
            table.sockets.entry(user).or_default().push(outlet);
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.sockets.inc();
        Subscription { user, number, frames, overflowed, connections: Arc::clone(self) }
    }

    /// Puts a signal into the queue of each connected user in its audience (the users the signal is
    /// for). The signal is serialised once per form, not once per socket. A socket whose queue is
    /// full is disconnected, so that no other socket waits for it.
    pub(crate) fn deliver(&self, signal: &Signal<UserId, GroupId>) {
        let frames = Frames::new(signal);
        let mut table = self.table();
        // Walk the smaller set: the audience or the connected users.
        if signal.audience.len() < table.sockets.len() {
            for user in &signal.audience {
                self.send(&mut table, *user, &frames);
            }
        } else {
            let connected: Vec<_> = table
                .sockets
                .keys()
                .filter(|user| signal.audience.contains(user))
                .copied()
                .collect();
            for user in connected {
                self.send(&mut table, user, &frames);
            }
        }
    }

    fn send(&self, table: &mut Table, user: UserId, frames: &Frames<'_>) {
        let Some(outlets) = table.sockets.get_mut(&user) else { return };
        let slow = outlets.extract_if(.., |outlet| {
            self.metrics.frames.inc();
            let full = outlet.queue.try_send((frames.signal.key, frames.get(outlet.versions)));
            matches!(full, Err(mpsc::error::TrySendError::Full(_)))
        });
        for outlet in slow {
            self.metrics.slow_sockets.inc();
            let _ = outlet.overflowed.send(());
        }
        if outlets.is_empty() {
            table.sockets.remove(&user);
        }
    }

    /// Ends every queue. Each socket sends the frames left in its queue, then closes.
    pub(crate) fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        table.sockets.clear();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        if let Some(outlets) = table.sockets.get_mut(&self.user) {
            outlets.retain(|outlet| outlet.number != self.number);
            if outlets.is_empty() {
                table.sockets.remove(&self.user);
            }
        }
        drop(table);
        self.connections.metrics.sockets.dec();
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A signal as JSON, without and with the group's version. Each form is serialised on first use.
struct Frames<'a> {
    signal: &'a Signal<UserId, GroupId>,
    plain: std::cell::OnceCell<Utf8Bytes>,
    versioned: std::cell::OnceCell<Utf8Bytes>,
}

impl<'a> Frames<'a> {
    fn new(signal: &'a Signal<UserId, GroupId>) -> Self {
        Frames { signal, plain: Default::default(), versioned: Default::default() }
    }

    /// The frame in one form. All sockets share the same bytes: the clone is a reference count.
    fn get(&self, versions: bool) -> Utf8Bytes {
        if versions {
            let frame = || text(&wire::VersionedFrame::from(self.signal));
            self.versioned.get_or_init(frame).clone()
        } else {
            self.plain.get_or_init(|| text(&wire::Frame::from(self.signal))).clone()
        }
    }
}

fn text(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).expect("a frame has string keys and no floats").into()
}
