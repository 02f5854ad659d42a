//! The signals that clients receive over WebSockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use disband_server::QUEUE;
use serde_json::{Value, json};

use crate::world::{World, type_and_from};

const ALICE: u64 = 1;
const BOB: u64 = 2;
const CAROL: u64 = 3;
const DAVE: u64 = 4;

#[tokio::test]
async fn only_the_remaining_members_receive_the_signal_of_a_leave() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB, CAROL]).await;
    let mut sockets = Vec::new();
    for user in [ALICE, BOB, CAROL, DAVE] {
        sockets.push(world.socket(user, "").await);
    }
    world.post_ok(BOB, "/x/group/leave/7", json!({})).await;
    world.stop().await;
    let [alice, bob, carol, dave] = &mut sockets[..] else { unreachable!() };
    for socket in [alice, carol] {
        let (frames, _) = socket.read_to_end().await;
        let frame = frames[0].as_object().unwrap();
        assert_eq!(frame.keys().collect::<Vec<_>>(), ["from", "groupid", "key", "type"]);
        assert_eq!(
            (type_and_from(&frames[0]), &frame["groupid"]),
            (("memberleave", "2"), &json!("7"))
        );
        assert_eq!(frames.len(), 1);
    }
    for socket in [bob, dave] {
        assert_eq!(
            socket.read_to_end().await,
            (vec![], Some(1001)),
            "no signal, then a close frame"
        );
    }
}

#[tokio::test]
async fn signals_arrive_in_the_order_of_the_commands() {
    let world = Arc::new(World::new().await);
    world.group(7, ALICE, [BOB]).await;
    let mut plain = world.socket(ALICE, "").await;
    let mut versioned = world.socket(ALICE, "&versions=1").await;
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                world.post_ok(100 + client, "/x/group/join/7", json!({})).await;
                for _ in 0..20 {
                    world.post_ok(100 + client, "/x/group/post/7", json!({ "message": "x" })).await;
                }
                world.post_ok(100 + client, "/x/group/leave/7", json!({})).await;
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let (mut seq, mut version, mut last_key) = (0, None, String::new());
    for _ in 0..8 * 22 {
        let (frame, with) = (plain.frame().await, versioned.frame().await);
        assert_eq!(frame["key"], with["key"]);
        let key = frame["key"].as_str().unwrap().to_owned();
        assert!(last_key < key, "keys must ascend");
        last_key = key;
        let now = with["version"].as_u64().unwrap();
        if type_and_from(&frame).0 == "message" {
            assert_eq!((&frame["seq"], Some(now)), (&json!(seq), version), "{frame}");
            seq += 1;
        } else {
            assert!(version.is_none_or(|before| now == before + 1), "{with}");
            version = Some(now);
        }
    }
    assert_eq!(seq, 160);
}

#[tokio::test]
async fn a_kicked_user_receives_the_memberkick_signal() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB, CAROL]).await;
    let (mut bob, mut carol) = (world.socket(BOB, "").await, world.socket(CAROL, "").await);
    world.post_ok(ALICE, "/x/group/kick/7/2", json!({})).await;
    assert_eq!(type_and_from(&bob.frame().await), ("memberkick", "2"));
    assert_eq!(type_and_from(&carol.frame().await), ("memberkick", "2"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_thousand_members_receives_a_dissolution_once() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let world = World::new().await;
    world.group(7, ALICE, 1000..2000).await;
    let mut sockets = Vec::new();
    for user in 1000..2000 {
        sockets.push(world.socket(user, "").await);
    }
    let mut owner = world.socket(ALICE, "").await;
    world.post_ok(ALICE, "/x/group/leave/7", json!({})).await;
    world.stop().await;
    let mut first = None;
    for socket in &mut sockets {
        let (frames, code) = socket.read_to_end().await;
        assert_eq!(
            frames.iter().map(type_and_from).collect::<Vec<_>>(),
            [("memberkick", "1"), ("historypurge", "1")]
        );
        assert_eq!(code, Some(1001));
        assert_eq!(
            first.get_or_insert_with(|| frames.clone()),
            &frames,
            "all members must receive the same frames"
        );
    }
    assert_eq!(
        owner.read_to_end().await.0,
        Vec::<Value>::new(),
        "the owner receives only the reply"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_disconnected_and_does_not_delay_the_others() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB, CAROL]).await;
    let mut slow = world.socket(BOB, "").await;
    let mut quick = world.socket(CAROL, "").await;
    let message = "x".repeat(60_000);
    // More than the queue and the kernel's buffers can hold.
    let posts = QUEUE as u64 + 400;
    let reader = tokio::spawn(async move {
        for seq in 0..posts {
            assert_eq!(quick.frame().await["seq"], json!(seq));
        }
    });
    for _ in 0..posts {
        world.post_ok(ALICE, "/x/group/post/7", json!({ "message": message })).await;
    }
    reader.await.unwrap();
    let metrics = world.metrics().await;
    assert!(metrics.contains("disband_slow_sockets_total 1\n"), "{metrics}");
    assert!(metrics.contains("disband_sockets 1\n") || metrics.contains("disband_sockets 0\n"));
    let (frames, code) = slow.read_to_end().await;
    assert!((frames.len() as u64) < posts, "the slow socket must be disconnected");
    assert_eq!(code, None, "the server must not wait to send a close frame");
    // The slow client reconnects, reads the state, and receives new signals.
    let page = World::ok(world.get(BOB, "/x/group/history/7?limit=1").await);
    assert_eq!(page[0]["seq"], json!(posts - 1));
    let mut again = world.socket(BOB, "").await;
    world.post_ok(ALICE, "/x/group/post/7", json!({ "message": "y" })).await;
    assert_eq!(again.frame().await["seq"], json!(posts));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reconnects_misses_no_signal() {
    let world = Arc::new(World::new().await);
    world.group(7, ALICE, [BOB]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let busy = tokio::spawn({
        let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                world.post_ok(CAROL, "/x/group/join/7", json!({})).await;
                world.post_ok(CAROL, "/x/group/leave/7", json!({})).await;
            }
        }
    });
    for _ in 0..50 {
        let mut socket = world.socket(BOB, "&versions=1").await;
        let state = World::ok(world.get(BOB, "/x/group/state/7").await);
        let mut version = state["version"].as_u64().unwrap();
        let mut members = state["members"].as_u64().unwrap();
        let mut newer = 0;
        while newer < 5 {
            let frame = socket.frame().await;
            let now = frame["version"].as_u64().unwrap();
            // Skip the signals that the state includes. After them, no version may be missing.
            if now > version {
                assert_eq!(now, version + 1, "a gap");
                version = now;
                members =
                    if type_and_from(&frame).0 == "memberjoin" { members + 1 } else { members - 1 };
                assert!((2..=3).contains(&members), "the state and its signals must agree");
                newer += 1;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    busy.await.unwrap();
}
