//! Clients that send invalid data, or none.

use std::time::Duration;

use disband_server::Options;
use futures_util::SinkExt;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::world::{World, unlimited};

#[tokio::test]
async fn an_invalid_request_gets_a_4xx_status_and_a_reason() {
    let world = World::new().await;
    world.group(7, 1, [2]).await;
    let token = world.token(2).await;
    let post = |path: &'static str, body: &'static str| (Method::POST, path, body, 400);
    for (method, path, body, code) in [
        post("/x/group/leave/7", "{"),
        post("/x/group/leave/7", "[]"),
        post("/x/group/leave/7", r#"{"stnit":1}"#),
        post("/x/group/leave/7", r#"{"stint":-1}"#),
        post("/x/group/leave/a%0Ab", "{}"),
        post("/x/group/leave/%FF", "{}"),
        post("/x/group/kick/7/%00", "{}"),
        post("/x/group/edit/7/one", r#"{"message":"x"}"#),
        post("/x/group/edit/7/0", "{}"),
        post("/x/group/erase/7/-1", "{}"),
        post("/x/group/erase/7/18446744073709551616", "{}"),
        post("/x/group/mute/7/1", r#"{"until":"tomorrow"}"#),
        post("/x/group/unmute/7/1", r#"{"until":1}"#),
        post("/x/group/add/7/1", r#"{"rank":"admin"}"#),
        post("/x/group/dissolve/7", r#"{"note":7}"#),
        post("/x/group/dissolve/7", r#"{"successor":""}"#),
        post("/x/group/dissolve/7", r#"{"successor":9}"#),
        post("/x/group/leave/7?own=yes", "{}"),
        (Method::GET, "/x/group/state/7?consistency=eventual", "", 400),
        (Method::GET, "/x/group/members/7?after=", "", 400),
        post("/x/group/rank/7/1", r#"{"rank":"king"}"#),
        post("/x/group/post/7", "{}"),
        post("/x/group/post/7", "\"\u{0}\""),
        (Method::GET, "/x/group/history/7?limit=-1", "", 400),
        (Method::GET, "/x/group/leave/7", "", 405),
        (Method::DELETE, "/x/user/groups", "", 405),
        (Method::POST, "/x/group/leave", "{}", 404),
        (Method::GET, "/etc/passwd", "", 404),
        (Method::GET, "/ws", "", 400),
    ] {
        let body = (!body.is_empty()).then(|| body.as_bytes().to_vec());
        let (status, reply) = world.try_send(method, Some(&token), path, body).await.unwrap();
        assert_eq!(
            (status, &reply["msg"]),
            (code, &json!(format!("HTTP_{code}"))),
            "{path} {reply}"
        );
        assert!(!reply["data"]["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        World::ok(world.get(2, "/x/group/state/7").await)["members"],
        2,
        "nothing must change"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_fully_received() {
    let world = World::new().await;
    let token = world.token(1).await;
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    let head = format!(
        "POST /x/group/post/7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 100000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    let mut rest = vec![0; 4096];
    let count = stream.read(&mut rest).await.unwrap();
    let rest = String::from_utf8_lossy(&rest[..count]);
    assert!(rest.contains(r#""code":413,"data":{"reason":"#), "{rest}");
    // Without a Content-Length, the body is refused when it reaches the limit.
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    let head = format!(
        "POST /x/group/post/7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..9 {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    world.stop().await;
}

#[tokio::test]
async fn bytes_that_are_not_http_are_refused_with_400() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_data_over_its_websocket_is_disconnected() {
    let world = World::new().await;
    for (message, code) in [
        (Message::text(r#"{"leave":7}"#), 1003),
        (Message::binary(vec![0; 100]), 1003),
        (Message::text("x".repeat(5000)), 1002),
    ] {
        let mut socket = world.socket(1, "").await;
        socket.0.send(message).await.unwrap();
        assert_eq!(socket.read_to_end().await, (vec![], Some(code)));
    }
    // An invalid frame: reserved bits are set.
    let mut socket = world.socket(1, "").await;
    let MaybeTlsStream::Plain(stream) = socket.0.get_mut() else { unreachable!() };
    stream.write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(socket.read_to_end().await, (vec![], Some(1002)));
    // A ping is allowed: the socket stays open.
    let mut socket = world.socket(1, "").await;
    socket.0.send(Message::Ping(vec![1].into())).await.unwrap();
    world.group(7, 1, [2]).await;
    assert_eq!(socket.frame().await["type"], "memberjoin");
    world.stop().await;
}

#[tokio::test]
async fn a_thousand_silent_connections_are_closed_after_the_header_timeout() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let header_timeout = Duration::from_secs(2);
    let options = Options { config: unlimited(), header_timeout, ..Options::default() };
    let world = World::with(options).await;
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(TcpStream::connect(&world.address).await.unwrap());
    }
    world.group(7, 1, [2]).await;
    for mut stream in silent {
        let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "a silent connection is still open");
    }
    // Use a new client: idle connections of the old one may be closed, too.
    World::at(world.address.clone()).post_ok(2, "/x/group/leave/7", json!({})).await;
    world.stop().await;
}
