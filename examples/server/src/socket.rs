//! `GET /ws`: sends a user's signals over a WebSocket.
//!
//! The server only sends; commands go over HTTP. It does not store signals for a client that is not
//! connected. So after each connect, a client reads the state of its groups, and then applies the
//! signals that are newer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use disband::SignalKey;
use futures_util::SinkExt;
use serde::Deserialize;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, interval_at, timeout};

use crate::answer::{Answer, Authenticated, Query};
use crate::connections::Subscription;
use crate::service::Service;

/// The time between two pings. A client that has not answered by the next ping is disconnected.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The longest message from a client, in bytes. A client only sends pings, pongs and close frames.
const MAX_RECEIVED: usize = 4096;

/// How many bytes may wait to be written. The longest frame has a message of 65,536 bytes, and JSON
/// may need six bytes for each of them.
const MAX_UNSENT: usize = 1 << 20;

/// The maximum number of open WebSockets.
const MAX_SOCKETS: usize = 100_000;

#[derive(Deserialize)]
pub(crate) struct Params {
    /// If not 0, each frame has its group's version.
    #[serde(default)]
    versions: u8,
}

pub(crate) async fn open(
    State(service): State<Arc<Service>>,
    Authenticated(user): Authenticated,
    Query(params): Query<Params>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return Answer::error(rejection.status(), rejection.body_text()).into_response();
        }
    };
    if service.connections.len() >= MAX_SOCKETS {
        return Answer::unavailable("too many sockets").into_response();
    }
    // Subscribe before the connection is confirmed, so that the client misses no signal after that.
    let subscription = service.connections.subscribe(user, params.versions != 0);
    // Signals up to this one may still arrive in the queue. Drop them: the state that the client
    // will read includes them.
    let committed = service.last_committed();
    upgrade
        .read_buffer_size(MAX_RECEIVED)
        .write_buffer_size(MAX_RECEIVED)
        .max_write_buffer_size(MAX_UNSENT)
        .max_message_size(MAX_RECEIVED)
        .max_frame_size(MAX_RECEIVED)
        .on_upgrade(move |socket| serve(socket, subscription, committed))
}

async fn serve(mut socket: WebSocket, mut subscription: Subscription, committed: SignalKey) {
    let Subscription { frames, overflowed, .. } = &mut subscription;
    let overflowed = async {
        // An error means that the server is stopping. `send_frames` handles that: its queue ends.
        if overflowed.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // The client is too slow. Do not wait to send it a close frame.
        () = overflowed => {}
        close = send_frames(&mut socket, frames, committed) => {
            if let Some(frame) = close {
                let _ = timeout(HEARTBEAT, socket.send(Message::Close(Some(frame)))).await;
            }
        }
    }
}

/// Sends frames and pings until the connection has to end. Returns the close frame to send, if any.
/// Skips frames of signals up to `committed`.
async fn send_frames(
    socket: &mut WebSocket,
    frames: &mut Receiver<(SignalKey, Utf8Bytes)>,
    committed: SignalKey,
) -> Option<CloseFrame> {
    let closing = |code, reason: &'static str| Some(CloseFrame { code, reason: reason.into() });
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut answered = true;
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => answered = true,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return closing(close_code::UNSUPPORTED, "commands go over HTTP");
                }
                Some(Err(_)) => return closing(close_code::PROTOCOL, "not understood"),
                Some(Ok(Message::Close(_))) | None => return None,
            },
            count = frames.recv_many(&mut waiting, 64) => {
                if count == 0 {
                    return closing(close_code::AWAY, "the server is stopping");
                }
                let newer = waiting.drain(..).filter(|(key, _)| *key > committed);
                let newer = newer.map(|(_, frame)| frame);
                timeout(HEARTBEAT, send(socket, newer)).await.ok()?.ok()?;
            }
            _ = heartbeat.tick() => {
                if !answered {
                    return closing(close_code::POLICY, "no answer to a ping");
                }
                answered = false;
                let ping = socket.send(Message::Ping(Bytes::new()));
                timeout(HEARTBEAT, ping).await.ok()?.ok()?;
            }
        }
    }
}

async fn send(
    socket: &mut WebSocket,
    frames: impl Iterator<Item = Utf8Bytes>,
) -> Result<(), axum::Error> {
    for frame in frames {
        socket.feed(Message::Text(frame)).await?;
    }
    socket.flush().await
}
