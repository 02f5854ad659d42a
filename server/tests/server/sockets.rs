//! The WebSockets themselves: what they subscribe to, how they end, how many there may be.

use std::time::Duration;

use disband_server::Options;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::world::{World, type_and_from, unlimited};

const ALICE: u64 = 1;
const BOB: u64 = 2;

#[tokio::test]
async fn a_user_who_asks_receives_their_own_signals_on_all_devices() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB]).await;
    let mut phone = world.socket(ALICE, "&own=1").await;
    let mut laptop = world.socket(ALICE, "&own=1&versions=1").await;
    let mut old = world.socket(ALICE, "").await;
    let mut bob = world.socket(BOB, "&own=1").await;
    let body = json!({ "message": "mine" });
    let (_, reply) = world.post(ALICE, "/x/group/post/7?own=1", body).await;
    // The audience of a rank change has the actor: they receive it once, too.
    world.post_ok(ALICE, "/x/group/rank/7/2", json!({ "rank": "admin" })).await;
    world.post_ok(BOB, "/x/group/post/7", json!({ "message": "bob's" })).await;
    world.post_ok(ALICE, "/x/group/leave/7", json!({})).await;
    world.stop().await;
    let own = [
        ("message", "1"),
        ("rankchange", "2"),
        ("message", "2"),
        ("memberkick", "1"),
        ("historypurge", "1"),
    ];
    for (socket, versions) in [(&mut phone, false), (&mut laptop, true)] {
        let (frames, code) = socket.read_to_end().await;
        assert_eq!(frames.iter().map(type_and_from).collect::<Vec<_>>(), own);
        assert_eq!(frames[0]["key"], reply["caused"][0]["key"], "a client can drop its own echo");
        assert!(frames.iter().all(|frame| frame.get("version").is_some() == versions));
        assert_eq!(code, Some(1001));
    }
    let (frames, _) = old.read_to_end().await;
    assert_eq!(frames.iter().map(type_and_from).collect::<Vec<_>>(), own[1..3]);
    let (frames, _) = bob.read_to_end().await;
    assert_eq!(frames.iter().map(type_and_from).collect::<Vec<_>>(), own);
}

#[tokio::test]
async fn a_user_who_leaves_receives_their_own_leave_if_they_ask() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB]).await;
    let mut bob = world.socket(BOB, "&own=1").await;
    world.post_ok(BOB, "/x/group/leave/7", json!({})).await;
    assert_eq!(type_and_from(&bob.frame().await), ("memberleave", "2"));
    world.stop().await;
}

#[tokio::test]
async fn the_server_answers_the_close_handshake_of_a_client() {
    let world = World::new().await;
    for close in [None, Some(CloseFrame { code: 1000.into(), reason: "done".into() })] {
        let mut socket = world.socket(ALICE, "").await.0;
        socket.send(Message::Close(close.clone())).await.unwrap();
        // The answer repeats the code.
        let answer = timeout(Duration::from_secs(5), socket.next()).await.unwrap();
        match answer.expect("an answer").expect("an answer") {
            Message::Close(answer) => {
                assert_eq!(answer.map(|frame| frame.code), close.map(|frame| frame.code));
            }
            other => panic!("{other:?}"),
        }
        // Then the server ends the connection in an orderly way.
        let end = timeout(Duration::from_secs(5), socket.next()).await.unwrap();
        assert!(end.is_none(), "{end:?}");
    }
    for _ in 0..100 {
        if world.metrics().await.contains("disband_sockets 0\n") {
            return world.stop().await;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("a closed socket must not count as open");
}

#[tokio::test]
async fn a_client_that_never_answers_a_close_frame_does_not_hold_up_the_shutdown() {
    let world = World::new().await;
    let sockets = [world.socket(ALICE, "").await, world.socket(BOB, "").await];
    timeout(Duration::from_secs(4), world.stop()).await.expect("the server must stop");
    drop(sockets);
}

#[tokio::test]
async fn a_user_may_open_64_sockets() {
    let world = World::with(Options { config: unlimited(), ..Options::default() }).await;
    let mut sockets = Vec::new();
    for _ in 0..64 {
        sockets.push(world.socket(ALICE, "").await);
    }
    let token = world.token(ALICE).await;
    let url = format!("ws://{}/ws?id={token}", world.address);
    match connect_async(&url).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()["retry-after"], "1");
        }
        other => panic!("{other:?}"),
    }
    let other_user = world.socket(BOB, "").await;
    // A closed socket makes room for another.
    sockets.pop().unwrap().0.close(None).await.unwrap();
    let again = async {
        while connect_async(&url).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), again).await.expect("there must be room");
    drop(other_user);
    world.stop().await;
}
