//! Pages of history and of members, and how fresh reads are.

use std::time::{Duration, Instant};

use disband_server::Options;
use serde_json::{Value, json};

use crate::world::{World, unlimited};

const ALICE: u64 = 1;

/// The numbers of the entries in a page.
fn seqs(page: &Value) -> Vec<u64> {
    page.as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_history_is_bounded_in_bytes() {
    let world = World::new().await;
    world.group(7, ALICE, []).await;
    let message = "x".repeat(65_536);
    for _ in 0..1000 {
        world.post_ok(ALICE, "/x/group/post/7", json!({ "message": message })).await;
    }
    // Four messages of 64 KiB are 256 KiB.
    let start = Instant::now();
    let page = World::ok(world.get(ALICE, "/x/group/history/7?limit=1000").await);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(seqs(&page), [999, 998, 997, 996]);
    // A client reads on until a page is empty.
    let (mut before, mut read) = (1000, Vec::new());
    loop {
        let path = format!("/x/group/history/7?limit=1000&before={before}");
        let page = seqs(&World::ok(world.get(ALICE, &path).await));
        let Some(last) = page.last() else { break };
        before = *last;
        read.extend(page);
    }
    assert!(read.into_iter().eq((0..1000).rev()), "each entry once");
    world.stop().await;
}

#[tokio::test]
async fn a_page_ends_before_the_message_that_would_exceed_256_kib() {
    let mut config = unlimited();
    config.limits.message_bytes = None;
    let world = World::with(Options { config, ..Options::default() }).await;
    world.group(7, ALICE, []).await;
    for bytes in [10, 1, 262_144, 262_144, 400_000, 5, 5] {
        let body = json!({ "message": "x".repeat(bytes) });
        world.post_ok(ALICE, "/x/group/post/7", body).await;
    }
    for (before, expected) in [(7, vec![6, 5]), (5, vec![4]), (4, vec![3]), (3, vec![2])] {
        let path = format!("/x/group/history/7?before={before}");
        assert_eq!(seqs(&World::ok(world.get(ALICE, &path).await)), expected, "{before}");
    }
    assert_eq!(seqs(&World::ok(world.get(ALICE, "/x/group/history/7?before=2").await)), [1, 0]);
    let none = World::ok(world.get(ALICE, "/x/group/history/7?before=0").await);
    assert_eq!(none, json!([]));
    let none = World::ok(world.get(ALICE, "/x/group/history/7?limit=0").await);
    assert_eq!(none, json!([]));
    world.stop().await;
}

#[tokio::test]
async fn a_page_of_members_has_at_most_a_thousand() {
    let world = World::new().await;
    world.group(7, ALICE, 2..=1_001).await;
    let page = World::ok(world.get(ALICE, "/x/group/members/7?limit=99999").await);
    assert_eq!(page["members"].as_array().unwrap().len(), 1000);
    let page = World::ok(world.get(ALICE, "/x/group/members/7?limit=99999&after=1000").await);
    assert_eq!(page["members"][0]["user"], "1001");
    let page = World::ok(world.get(ALICE, "/x/group/members/7?after=1001").await);
    assert_eq!(page["members"], json!([]), "the last page is empty");
    world.stop().await;
}

#[tokio::test]
async fn a_user_in_many_groups_gets_them_all_in_the_order_of_joining() {
    let world = World::new().await;
    for group in (0..600).rev() {
        world.post_ok(ALICE, &format!("/x/group/create/{group}"), json!({})).await;
    }
    let groups = World::ok(world.get(ALICE, "/x/user/groups").await);
    let groups = groups.as_array().unwrap().iter().map(|view| view["groupid"].clone());
    assert!(groups.eq((0..600).rev().map(|group: u64| json!(group.to_string()))));
    world.stop().await;
}

#[tokio::test]
async fn every_read_takes_a_consistency() {
    let world = World::new().await;
    world.group(7, ALICE, []).await;
    world.post_ok(ALICE, "/x/group/post/7", json!({ "message": "x" })).await;
    for path in ["user/groups", "group/state/7", "group/members/7", "group/history/7"] {
        let plain = World::ok(world.get(ALICE, &format!("/x/{path}")).await);
        for consistency in ["local", "linearizable"] {
            let path = format!("/x/{path}?consistency={consistency}");
            assert_eq!(World::ok(world.get(ALICE, &path).await), plain, "{path}");
        }
        let path = format!("/x/{path}?consistency=some");
        let (code, reply) = world.get(ALICE, &path).await;
        assert_eq!((code, &reply["msg"]), (400, &json!("HTTP_400")), "{path}");
    }
    world.stop().await;
}
