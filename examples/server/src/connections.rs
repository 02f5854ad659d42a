//! Who is connected, and what waits to be sent to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::ws::Utf8Bytes;
use disband::{GroupId, Signal, SignalKey, UserId, wire};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::Metrics;

/// How many frames wait for one socket before it is given up.
pub const QUEUE: usize = 256;

/// All sockets, by user.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// Sockets that are open, those that were given up but have not ended yet among them.
    open: AtomicUsize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Table {
    sockets: HashMap<UserId, Vec<Outlet>>,
    next: u64,
    closed: bool,
}

/// Our end of a socket's queue.
#[derive(Debug)]
struct Outlet {
    number: u64,
    versions: bool,
    queue: mpsc::Sender<(SignalKey, Utf8Bytes)>,
    given_up: oneshot::Sender<()>,
}

/// A socket's end of its queue. It is connected until this is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    user: UserId,
    number: u64,
    /// What to send, in order. It ends when the server does.
    pub(crate) frames: mpsc::Receiver<(SignalKey, Utf8Bytes)>,
    /// Comes to pass when the queue has run over.
    pub(crate) given_up: oneshot::Receiver<()>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Connections { table: Mutex::default(), open: AtomicUsize::new(0), metrics }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing under this lock panics")
    }

    /// How many sockets are open.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether none is.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every signal from now on that is for `user` goes to this subscription. `versions` gives frames
    /// their group's version.
    pub(crate) fn subscribe(self: &Arc<Self>, user: UserId, versions: bool) -> Subscription {
        let (queue, frames) = mpsc::channel(QUEUE);
        let (give_up, given_up) = oneshot::channel();
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        // To one who comes after the end, the end comes at once.
        if !table.closed {
            let outlet = Outlet { number, versions, queue, given_up: give_up };
            table.sockets.entry(user).or_default().push(outlet);
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.sockets.inc();
        Subscription { user, number, frames, given_up, connections: Arc::clone(self) }
    }

    /// Puts a signal into the queues of all who are to hear of it, serialised once. A socket whose
    /// queue is full is given up: nobody waits for it.
    pub(crate) fn deliver(&self, signal: &Signal<UserId, GroupId>) {
        let frames = Frames::new(signal);
        let mut table = self.table();
        // Whichever are fewer: those who are to hear, or those who are here.
        if signal.audience.len() < table.sockets.len() {
            for user in &signal.audience {
                self.send(&mut table, *user, &frames);
            }
        } else {
            let here: Vec<_> = table
                .sockets
                .keys()
                .filter(|user| signal.audience.contains(user))
                .copied()
                .collect();
            for user in here {
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
            self.metrics.given_up.inc();
            let _ = outlet.given_up.send(());
        }
        if outlets.is_empty() {
            table.sockets.remove(&user);
        }
    }

    /// Ends every queue: what waits in them is sent, then the sockets close.
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

/// A signal as it goes over the sockets, each of its two forms serialised when it is first needed.
struct Frames<'a> {
    signal: &'a Signal<UserId, GroupId>,
    plain: std::cell::OnceCell<Utf8Bytes>,
    versioned: std::cell::OnceCell<Utf8Bytes>,
}

impl<'a> Frames<'a> {
    fn new(signal: &'a Signal<UserId, GroupId>) -> Self {
        Frames { signal, plain: Default::default(), versioned: Default::default() }
    }

    /// The same bytes for all sockets of one form: a clone counts a reference.
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
