//! `GET /ws`: a user's signals, as they happen.
//!
//! A socket only tells. Whatever happens while it is away is not kept for it: a client that connects
//! reads the state of its groups, each at its version, and then follows.

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

use crate::answer::{Answer, Asked, Caller};
use crate::connections::Subscription;
use crate::service::Service;

/// How often a socket is asked whether somebody is there. Twice without an answer, and it is closed.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// What a client may send at most: pings, pongs, and why it closes.
const RECEIVED: usize = 4096;

/// How much may wait to be written. The longest frame is a message of 65,536 bytes, each of them six
/// in JSON.
const UNSENT: usize = 1 << 20;

/// How many sockets there may be.
const SOCKETS: usize = 100_000;

#[derive(Deserialize)]
pub(crate) struct Form {
    /// Anything but 0 for frames with their group's version.
    #[serde(default)]
    versions: u8,
}

pub(crate) async fn open(
    State(service): State<Arc<Service>>,
    Caller(user): Caller,
    Asked(form): Asked<Form>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return Answer::error(rejection.status(), rejection.body_text()).into_response();
        }
    };
    if service.connections.len() >= SOCKETS {
        return Answer::unavailable("too many sockets").into_response();
    }
    // Before the client hears that it is connected: it misses nothing from then on.
    let subscription = service.connections.subscribe(user, form.versions != 0);
    // What was told before that may still be on its way: it is in the state that the client reads.
    let told = service.told();
    upgrade
        .read_buffer_size(RECEIVED)
        .write_buffer_size(RECEIVED)
        .max_write_buffer_size(UNSENT)
        .max_message_size(RECEIVED)
        .max_frame_size(RECEIVED)
        .on_upgrade(move |socket| serve(socket, subscription, told))
}

async fn serve(mut socket: WebSocket, mut subscription: Subscription, told: SignalKey) {
    let Subscription { frames, given_up, .. } = &mut subscription;
    let given_up = async {
        // If it never comes, the queue ends in another way.
        if given_up.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // It can't keep up, so there is no use in telling it.
        () = given_up => {}
        close = converse(&mut socket, frames, told) => {
            if let Some(frame) = close {
                let _ = timeout(HEARTBEAT, socket.send(Message::Close(Some(frame)))).await;
            }
        }
    }
}

/// Returns what to say at the end, if there is somebody to say it to.
async fn converse(
    socket: &mut WebSocket,
    frames: &mut Receiver<(SignalKey, Utf8Bytes)>,
    told: SignalKey,
) -> Option<CloseFrame> {
    let closing = |code, reason: &'static str| Some(CloseFrame { code, reason: reason.into() });
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut heard = true;
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => heard = true,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return closing(close_code::UNSUPPORTED, "commands go over HTTP");
                }
                Some(Err(_)) => return closing(close_code::PROTOCOL, "not understood"),
                Some(Ok(Message::Close(_))) | None => return None,
            },
            count = frames.recv_many(&mut waiting, 64) => {
                if count == 0 {
                    return closing(close_code::AWAY, "the server is going down");
                }
                let news = waiting.drain(..).filter(|(key, _)| *key > told).map(|(_, frame)| frame);
                timeout(HEARTBEAT, send(socket, news)).await.ok()?.ok()?;
            }
            _ = heartbeat.tick() => {
                if !heard {
                    return closing(close_code::POLICY, "no answer to a ping");
                }
                heard = false;
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
