//! The engine behind a lock, in two handlers of axum. Without arguments the program serves on a
//! random loopback port, sends a few requests to itself, and ends. With an address it serves there
//! until it is stopped.
//!
//! `cargo run -p disband-hosts --bin http`

#![allow(clippy::disallowed_methods, reason = "the host reads the clock")]

use std::{error::Error, sync::Arc, sync::Mutex, sync::PoisonError, time::SystemTime};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use disband::{Command, Engine, GroupId, Timestamp, UserId, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Host = State<Arc<Mutex<Engine>>>;
type Answer = Result<Response, StatusCode>;

async fn join(host: Host, Path(group): Path<GroupId>, headers: HeaderMap) -> Answer {
    Ok(apply(&host, Command::Join { user: user_of(&headers)?, group }))
}

async fn leave(host: Host, Path(group): Path<GroupId>, headers: HeaderMap) -> Answer {
    Ok(apply(&host, Command::Leave { user: user_of(&headers)?, group, stint: None }))
}

/// The header stands in for authentication: a client can claim to be any user. A real server checks
/// a token or a session here.
fn user_of(headers: &HeaderMap) -> Result<UserId, StatusCode> {
    let user = headers.get("x-user-id").and_then(|value| value.to_str().ok()?.parse().ok());
    user.ok_or(StatusCode::UNAUTHORIZED)
}

fn apply(engine: &Mutex<Engine>, command: Command<UserId, GroupId>) -> Response {
    let (result, now) = {
        // The engine does not panic, so it is consistent even if the lock is poisoned.
        let mut engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::from(SystemTime::now());
        // A server that delivers signals puts them into queues here. Under the lock they are in the
        // order of the commands. The program `actor` has such queues.
        (engine.apply(command, now), now)
    };
    let reply = wire::reply(&result, now);
    let status = StatusCode::from_u16(reply.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = (status, Json(reply)).into_response();
    // A large dissolved group takes many milliseconds to free, so another thread does it.
    tokio::task::spawn_blocking(move || drop(result));
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::default();
    let now = Timestamp::from(SystemTime::now());
    engine.create(UserId(808080), GroupId(6228482), now)?.ignore_signals();
    let routes = Router::new()
        .route("/x/group/join/{group_id}", post(join))
        .route("/x/group/leave/{group_id}", post(leave))
        .with_state(Arc::new(Mutex::new(engine)));
    let argument = std::env::args().nth(1);
    let listener = TcpListener::bind(argument.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let server = tokio::spawn(async { axum::serve(listener, routes).await });
    if argument.is_some() {
        return Ok(server.await??);
    }

    for (operation, user, status) in [
        ("join", "808081", "200 OK"),
        ("join", "nobody", "401 Unauthorized"),
        ("leave", "808080", "200 OK"),
        ("leave", "808081", "404 Not Found"),
    ] {
        let path = format!("/x/group/{operation}/6228482");
        let headers = format!("host: {address}\r\nx-user-id: {user}\r\nconnection: close");
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("POST {path} HTTP/1.1\r\n{headers}\r\n\r\n").as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        let body = response.split_once("\r\n\r\n").ok_or("no body")?.1;
        println!("POST {path} as {user}: {status} {body}");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{response}");
    }
    Ok(())
}
