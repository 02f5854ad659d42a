//! `GET /ws`: sends a user's signals over a WebSocket.
//!
//! The server only sends; commands go over HTTP. It does not store signals for a client that is not
//! connected. So after each connect, a client reads the state of its groups, and then applies the
//! signals that are newer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use disband::SignalKey;
use futures_util::SinkExt;
use serde::Deserialize;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, interval_at, timeout};

use crate::connections::{Close, Form, Full, Subscription};
use crate::http::extract::{Authenticated, Query};
use crate::http::reply::Reply;
use crate::service::Service;

/// The time between two pings. A client that has not answered by the next ping is disconnected.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest message from a client, in bytes. A client only sends pings, pongs and close frames.
const MAX_RECEIVED: usize = 4096;

/// How many bytes may wait to be written. The longest frame has a message of 65,536 bytes, and JSON
/// may need six bytes for each of them.
const MAX_UNSENT: usize = 1 << 20;

#[derive(Deserialize)]
pub(crate) struct Params {
    /// If not 0, each frame has its group's version.
    #[serde(default)]
    versions: u8,
    /// If not 0, the user also receives the signals that they caused.
    #[serde(default)]
    own: u8,
}

pub(crate) async fn open(
    State(service): State<Arc<Service>>,
    Authenticated(user): Authenticated,
    Query(params): Query<Params>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return Reply::error(rejection.status(), rejection.body_text()).into_response();
        }
    };
    // Subscribe before the connection is confirmed, so that the client misses no signal after that.
    let form = Form { versions: params.versions != 0, own: params.own != 0 };
    let subscription = match service.connections.subscribe(user, form) {
        Ok(subscription) => subscription,
        Err(full) => {
            let code = match full {
                Full::Closed(_) | Full::Node => StatusCode::SERVICE_UNAVAILABLE,
                Full::User => StatusCode::TOO_MANY_REQUESTS,
            };
            let reply = Reply::error(code, full).retry_after(Duration::from_secs(1));
            return reply.into_response();
        }
    };
    // Signals up to this one may still arrive in the queue. Drop them: the state that the client
    // will read includes them.
    let last = service.last_signal();
    upgrade
        .read_buffer_size(MAX_RECEIVED)
        .write_buffer_size(MAX_RECEIVED)
        .max_write_buffer_size(MAX_UNSENT)
        .max_message_size(MAX_RECEIVED)
        .max_frame_size(MAX_RECEIVED)
        .on_upgrade(move |socket| serve(socket, subscription, last))
}

/// How a connection ends.
enum End {
    /// The client is too slow, or does not read any more: no frame can reach it.
    Broken,
    /// The client sent a close frame.
    ByClient,
    /// The server sends this close frame.
    ByServer(Close),
}

async fn serve(mut socket: WebSocket, mut subscription: Subscription, last: SignalKey) {
    let Subscription { frames, overflowed, close, .. } = &mut subscription;
    let overflowed = async {
        // An error means that the node closes all sockets. `send_frames` handles that: its queue ends.
        if overflowed.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let end = tokio::select! {
        biased;
        // The client is too slow. Do not wait to send it a close frame.
        () = overflowed => End::Broken,
        end = send_frames(&mut socket, frames, last) => {
            end.unwrap_or_else(|| End::ByServer(*close.get().unwrap_or(&Close::STOPPING)))
        }
    };
    // The queue would only fill up.
    subscription.unsubscribe();
    if let End::ByServer(Close { code, reason }) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        if !matches!(timeout(HEARTBEAT, socket.send(Message::Close(Some(frame)))).await, Ok(Ok(())))
        {
            return;
        }
    }
    if !matches!(end, End::Broken) {
        // The close handshake: receiving sends the answer to a close frame from the client, or waits
        // for the client's answer. Without that, the client would see an abnormal end (1006).
        let handshake = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = timeout(CLOSE_TIMEOUT, handshake).await;
    }
}

/// Sends frames and pings until the connection has to end. Returns `None` when the queue has ended.
/// Skips frames of signals up to `last`.
async fn send_frames(
    socket: &mut WebSocket,
    frames: &mut Receiver<(SignalKey, Utf8Bytes)>,
    last: SignalKey,
) -> Option<End> {
    let closing = |code, reason| Some(End::ByServer(Close { code, reason }));
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut answered = true;
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            biased;
            received = socket.recv() => match received {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => answered = true,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return closing(close_code::UNSUPPORTED, "commands go over HTTP");
                }
                Some(Err(_)) => return closing(close_code::PROTOCOL, "not understood"),
                Some(Ok(Message::Close(_))) | None => return Some(End::ByClient),
            },
            count = frames.recv_many(&mut waiting, 64) => {
                if count == 0 {
                    return None;
                }
                let newer = waiting.drain(..).filter(|(key, _)| *key > last);
                let newer = newer.map(|(_, frame)| frame);
                if !matches!(timeout(HEARTBEAT, send(socket, newer)).await, Ok(Ok(()))) {
                    return Some(End::Broken);
                }
            }
            _ = heartbeat.tick() => {
                if !answered {
                    return closing(close_code::POLICY, "no answer to a ping");
                }
                answered = false;
                let ping = socket.send(Message::Ping(Bytes::new()));
                if !matches!(timeout(HEARTBEAT, ping).await, Ok(Ok(()))) {
                    return Some(End::Broken);
                }
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
