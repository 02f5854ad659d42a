//! The connected sockets, each with its queue of frames to send. A frame is a signal as JSON.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use axum::extract::ws::Utf8Bytes;
use disband::{SignalKey, wire};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use crate::metrics::Metrics;
use crate::name::Name;
use crate::types::Signal;

/// How many frames may wait for one socket. A socket that exceeds this is disconnected.
pub const QUEUE: usize = 256;

/// The maximum number of open sockets.
const MAX_SOCKETS: usize = 100_000;

/// The maximum number of open sockets of one user.
pub(crate) const MAX_PER_USER: usize = 64;

/// After this many sockets, a delivery lets other tasks run. The sockets that it woke are among them.
const WOKEN: usize = 16;

/// After this many users, a delivery lets other tasks run, even if none of them is connected.
const VISITED: usize = 256;

/// All sockets, by user.
#[derive(Debug)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    /// Held during a delivery, so that signals reach a socket in the order of the calls.
    order: tokio::sync::Mutex<()>,
    /// Open sockets, including those that get no more frames but are not closed yet.
    open: AtomicUsize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Table {
    sockets: BTreeMap<Name, Vec<Outlet>>,
    /// The number of the next socket.
    next: u64,
    /// Why no socket can be opened, if none can.
    closed: Option<Close>,
}

/// The content of a WebSocket's close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Close {
    /// 1013: the node does not know all signals.
    pub(crate) const MISSED: Close = Close { code: 1013, reason: "signals are missing" };
    /// 1001: the server goes away.
    pub(crate) const STOPPING: Close = Close { code: 1001, reason: "the server is stopping" };
    /// 1013: try again later.
    pub(crate) const NO_LEADER: Close = Close { code: 1013, reason: "this node has no leader" };
}

/// What a socket receives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// Frames have the group's version.
    pub(crate) versions: bool,
    /// The socket also receives signals that its own user caused.
    pub(crate) own: bool,
}

/// Why a socket cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("{}", .0.reason)]
    Closed(Close),
    #[error("too many sockets")]
    Node,
    #[error("at most {MAX_PER_USER} sockets of one user may be open")]
    User,
}

/// The sending end of a socket's queue.
#[derive(Debug)]
struct Outlet {
    /// Distinguishes the sockets of one user.
    number: u64,
    form: Form,
    queue: mpsc::Sender<(SignalKey, Utf8Bytes)>,
    overflowed: oneshot::Sender<()>,
    close: Arc<OnceLock<Close>>,
}

/// The receiving end of a socket's queue. Dropping it unsubscribes the socket.
#[derive(Debug)]
pub(crate) struct Subscription {
    user: Name,
    number: u64,
    /// The frames to send, in order. The queue ends when it overflows, or when the node closes all
    /// sockets.
    pub(crate) frames: mpsc::Receiver<(SignalKey, Utf8Bytes)>,
    /// Resolves to `Ok` when a frame does not fit in the queue, to `Err` when the node closes all
    /// sockets.
    pub(crate) overflowed: oneshot::Receiver<()>,
    /// How to close the socket after its queue has ended.
    pub(crate) close: Arc<OnceLock<Close>>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let open = AtomicUsize::new(0);
        Connections { table: Mutex::default(), order: tokio::sync::Mutex::default(), open, metrics }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no code panics while it holds this lock")
    }

    /// How many sockets are open.
    pub(crate) fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Subscribes a socket to all signals for `user` from now on.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        user: Name,
        form: Form,
    ) -> Result<Subscription, Full> {
        let (queue, frames) = mpsc::channel(QUEUE);
        let (overflow, overflowed) = oneshot::channel();
        let close = Arc::default();
        let mut table = self.table();
        if let Some(closed) = table.closed {
            return Err(Full::Closed(closed));
        }
        if self.len() >= MAX_SOCKETS {
            return Err(Full::Node);
        }
        let number = table.next;
        let outlets = table.sockets.entry(user.clone()).or_default();
        if outlets.len() >= MAX_PER_USER {
            return Err(Full::User);
        }
        let close_later = Arc::clone(&close);
        outlets.push(Outlet { number, form, queue, overflowed: overflow, close: close_later });
        table.next += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.sockets.inc();
        let connections = Arc::clone(self);
        Ok(Subscription { user, number, frames, overflowed, close, connections })
    }

    /// Puts a signal into the queue of each connected user in its audience (the users the signal is
    /// for), and of those sockets of the user who caused it that asked for it. The signal is
    /// serialised once per form, not once per socket. A socket whose queue is full is disconnected, so
    /// that no other socket waits for it.
    ///
    /// A large audience takes a while, so this gives way to other tasks again and again. A socket that
    /// was subscribed before gets the signal once, after all signals of earlier calls. A socket that
    /// is subscribed meanwhile may get it.
    pub(crate) async fn deliver(&self, signal: &Signal) {
        let _order = self.order.lock().await;
        let frames = Frames::new(signal);
        // Walk the smaller set: the audience or the connected users.
        let by_audience = {
            let mut table = self.table();
            if !signal.audience.contains(signal.actor()) {
                self.send(&mut table, signal.actor(), &frames, |form| form.own);
            }
            signal.audience.len() < table.sockets.len()
        };
        let mut last = None;
        loop {
            last = if by_audience {
                self.to_audience(&frames, last.as_ref())
            } else {
                self.to_connected(&frames, last.as_ref())
            };
            if last.is_none() {
                return;
            }
            yield_now().await;
        }
    }

    /// Delivers to some of the audience, beginning after the user `last`. Returns the last user of
    /// them, or `None` at the end.
    fn to_audience(&self, frames: &Frames<'_>, last: Option<&Name>) -> Option<Name> {
        let mut table = self.table();
        let (mut woken, mut visited) = (0, 0);
        for user in frames.signal.audience.iter_after(last) {
            woken += self.send(&mut table, user, frames, |_| true);
            visited += 1;
            if woken >= WOKEN || visited >= VISITED {
                return Some(user.clone());
            }
        }
        None
    }

    /// The same, but walks the connected users.
    fn to_connected(&self, frames: &Frames<'_>, last: Option<&Name>) -> Option<Name> {
        let mut table = self.table();
        let from = last.map_or(Unbounded, Excluded);
        let page = table.sockets.range::<Name, _>((from, Unbounded)).map(|(user, _)| user);
        let page: Vec<Name> = page.take(VISITED).cloned().collect();
        let mut woken = 0;
        for user in &page {
            if frames.signal.audience.contains(user) {
                woken += self.send(&mut table, user, frames, |_| true);
                if woken >= WOKEN {
                    return Some(user.clone());
                }
            }
        }
        // A page that is not full is the last one.
        page.into_iter().nth(VISITED - 1)
    }

    /// Sends to the sockets of a user that have such a form. Returns how many these are.
    fn send(
        &self,
        table: &mut Table,
        user: &Name,
        frames: &Frames<'_>,
        which: impl Fn(Form) -> bool,
    ) -> usize {
        let Some(outlets) = table.sockets.get_mut(user) else { return 0 };
        let mut sent = 0;
        let slow = outlets.extract_if(.., |outlet| {
            if !which(outlet.form) {
                return false;
            }
            sent += 1;
            self.metrics.frames.inc();
            let frame = (frames.signal.key, frames.get(outlet.form.versions));
            matches!(outlet.queue.try_send(frame), Err(mpsc::error::TrySendError::Full(_)))
        });
        for outlet in slow {
            self.metrics.slow_sockets.inc();
            let _ = outlet.overflowed.send(());
        }
        if outlets.is_empty() {
            table.sockets.remove(user);
        }
        sent
    }

    /// Ends every queue, and lets no new socket in until [`open`](Self::open). Each socket sends the
    /// frames left in its queue, then this close frame.
    pub(crate) async fn close(&self, close: Close) {
        {
            let mut table = self.table();
            if table.closed != Some(Close::STOPPING) {
                table.closed = Some(close);
            }
        }
        self.end_all(close).await;
    }

    /// Ends every queue. Each socket sends the frames left in its queue, then this close frame. New sockets
    /// are let in as before.
    pub(crate) async fn end_all(&self, close: Close) {
        let sockets = std::mem::take(&mut self.table().sockets);
        let mut woken = 0;
        for outlet in sockets.into_values().flatten() {
            let _ = outlet.close.set(close);
            drop(outlet);
            woken += 1;
            if woken % WOKEN == 0 {
                yield_now().await;
            }
        }
    }

    /// Lets new sockets in again, unless the server is stopping.
    pub(crate) fn open(&self) {
        let mut table = self.table();
        if table.closed != Some(Close::STOPPING) {
            table.closed = None;
        }
    }
}

impl Subscription {
    /// Ends the subscription. The socket still counts as open until `self` is dropped.
    pub(crate) fn unsubscribe(&self) {
        let mut table = self.connections.table();
        if let Some(outlets) = table.sockets.get_mut(&self.user) {
            outlets.retain(|outlet| outlet.number != self.number);
            if outlets.is_empty() {
                table.sockets.remove(&self.user);
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.unsubscribe();
        self.connections.metrics.sockets.dec();
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A signal as JSON, without and with the group's version. Each form is serialised on first use.
struct Frames<'a> {
    signal: &'a Signal,
    plain: OnceCell<Utf8Bytes>,
    versioned: OnceCell<Utf8Bytes>,
}

impl<'a> Frames<'a> {
    fn new(signal: &'a Signal) -> Self {
        Frames { signal, plain: OnceCell::new(), versioned: OnceCell::new() }
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

#[cfg(test)]
mod tests;
