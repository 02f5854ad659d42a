//! The commands beyond those of the first chat API, and what a client may send with every command.

use std::time::Duration;

use disband_server::Options;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{World, small_limits, type_and_from};

const ALICE: u64 = 1;
const BOB: u64 = 2;
const CAROL: u64 = 3;

#[track_caller]
fn refused(reply: (u16, Value), code: u16, reason: &str) {
    let found = (reply.0, &reply.1["msg"], &reply.1["data"]["reason"]);
    assert_eq!(found, (code, &json!(format!("GRPS_{code}")), &json!(reason)), "{}", reply.1);
}

#[tokio::test]
async fn a_member_with_the_right_rank_adds_users_to_a_closed_group() {
    let world = World::new().await;
    world.post_ok(ALICE, "/x/group/create/7", json!({ "admission": "closed" })).await;
    refused(world.post(BOB, "/x/group/join/7", json!({})).await, 403, "closed");
    let mut bob = world.socket(BOB, "").await;
    let added = world.post_ok(ALICE, "/x/group/add/7/2", json!({})).await;
    assert!(added["stint"].is_u64(), "{added}");
    assert_eq!(type_and_from(&bob.frame().await), ("memberjoin", "2"));
    assert_eq!(World::ok(world.get(BOB, "/x/group/state/7").await)["stint"], added["stint"]);
    refused(world.post(BOB, "/x/group/add/7/3", json!({})).await, 403, "not_admin");
    refused(world.post(ALICE, "/x/group/add/7/2", json!({})).await, 409, "already_member");
    world.stop().await;
}

#[tokio::test]
async fn a_muted_member_can_not_post_until_the_mute_is_lifted() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB]).await;
    let mut bob = world.socket(BOB, "").await;
    let state = World::ok(world.get(BOB, "/x/group/state/7").await);
    assert!(state.get("muted").is_none(), "{state}");
    world.post_ok(ALICE, "/x/group/mute/7/2", json!({})).await;
    let frame = bob.frame().await;
    assert_eq!((type_and_from(&frame), &frame["until"]), (("mute", "2"), &Value::Null));
    refused(world.post(BOB, "/x/group/post/7", json!({ "message": "x" })).await, 403, "muted");
    let state = World::ok(world.get(BOB, "/x/group/state/7").await);
    assert_eq!(state["muted"], json!({ "by": "1", "until": null }));
    let groups = World::ok(world.get(BOB, "/x/user/groups").await);
    assert_eq!(groups[0]["muted"]["by"], "1");
    assert!(World::ok(world.get(ALICE, "/x/group/state/7").await).get("muted").is_none());

    world.post_ok(ALICE, "/x/group/unmute/7/2", json!({})).await;
    world.post_ok(BOB, "/x/group/post/7", json!({ "message": "x" })).await;
    refused(world.post(ALICE, "/x/group/unmute/7/2", json!({})).await, 409, "not_muted");
    refused(world.post(BOB, "/x/group/mute/7/1", json!({})).await, 403, "not_admin");
    let past = world.post(ALICE, "/x/group/mute/7/2", json!({ "until": 1 })).await;
    refused(past, 409, "already_expired");
    let far = 9_000_000_000_000_u64;
    world.post_ok(ALICE, "/x/group/mute/7/2", json!({ "until": far })).await;
    assert_eq!(World::ok(world.get(BOB, "/x/group/state/7").await)["muted"]["until"], far);
    world.stop().await;
}

#[tokio::test]
async fn edited_and_erased_messages_are_marked_in_the_history() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB]).await;
    let mut alice = world.socket(ALICE, "").await;
    for message in ["one", "two", "three"] {
        world.post_ok(BOB, "/x/group/post/7", json!({ "message": message })).await;
        alice.frame().await;
    }
    world.post_ok(BOB, "/x/group/edit/7/1", json!({ "message": "zwei" })).await;
    let frame = alice.frame().await;
    assert_eq!(
        (type_and_from(&frame), &frame["seq"], &frame["message"]),
        (("messageedit", "2"), &json!(1), &json!("zwei"))
    );
    world.post_ok(ALICE, "/x/group/erase/7/2", json!({})).await;
    let history = World::ok(world.get(BOB, "/x/group/history/7").await);
    let keys = |nth: usize| history[nth].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(2), ["at", "from", "message", "seq"], "an unchanged entry");
    assert_eq!(keys(1), ["at", "edited", "from", "message", "seq"]);
    assert_eq!(keys(0), ["at", "erased_by", "from", "message", "seq"]);
    assert_eq!(history[1]["message"], "zwei");
    assert_eq!(history[1]["edited"], frame["at"]);
    assert_eq!((&history[0]["message"], &history[0]["erased_by"]), (&json!(""), &json!("1")));

    let edit = |seq: u64| (format!("/x/group/edit/7/{seq}"), json!({ "message": "x" }));
    let (path, body) = edit(1);
    refused(world.post(ALICE, &path, body).await, 403, "not_author");
    let (path, body) = edit(2);
    refused(world.post(BOB, &path, body).await, 409, "already_erased");
    let (path, body) = edit(3);
    refused(world.post(BOB, &path, body).await, 404, "no_such_entry");
    refused(world.post(ALICE, "/x/group/erase/7/2", json!({})).await, 409, "already_erased");
    world.stop().await;
}

#[tokio::test]
async fn a_dissolution_tells_its_note_and_its_successor() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB]).await;
    let mut bob = world.socket(BOB, "").await;
    let farewell = json!({ "note": "we move", "successor": "the new place" });
    refused(world.post(BOB, "/x/group/dissolve/7", farewell.clone()).await, 403, "not_owner");
    let reply = world.post(ALICE, "/x/group/dissolve/7", farewell).await;
    assert_eq!(reply, (200, json!({ "ok": true, "code": 200, "msg": "OK" })));
    assert_eq!(type_and_from(&bob.frame().await), ("memberkick", "1"));
    let purge = bob.frame().await;
    assert_eq!(type_and_from(&purge), ("historypurge", "1"));
    assert_eq!((&purge["note"], &purge["successor"]), (&json!("we move"), &json!("the new place")));
    let (code, reply) = world.post(BOB, "/x/group/join/7", json!({})).await;
    assert_eq!(
        (code, &reply["data"]["note"], &reply["data"]["successor"]),
        (404, &json!("we move"), &json!("the new place"))
    );
    world.stop().await;
}

#[tokio::test]
async fn all_options_can_be_set_and_read() {
    let world = World::new().await;
    world.group(7, ALICE, []).await;
    let options = json!({
        "owner_exit": "succeed", "history": "full", "keep_entries": 10, "keep_ms": 1000,
        "admission": "closed", "add": "member", "post": "admin", "announce": "staff"
    });
    world.post_ok(ALICE, "/x/group/options/7", options.clone()).await;
    assert_eq!(World::ok(world.get(ALICE, "/x/group/state/7").await)["options"], options);
    world.stop().await;
}

#[tokio::test]
async fn a_reply_says_what_the_command_caused_only_if_the_client_asks() {
    let world = World::new().await;
    world.group(7, ALICE, [BOB]).await;
    let mut bob = world.socket(BOB, "&versions=1").await;
    let (_, reply) = world.post(ALICE, "/x/group/post/7?own=1", json!({ "message": "x" })).await;
    let frame = bob.frame().await;
    let caused = json!({
        "key": frame["key"], "groupid": "7", "version": frame["version"], "seq": 0
    });
    let expected = json!({
        "ok": true, "code": 200, "msg": "OK", "data": { "seq": 0 }, "caused": [caused]
    });
    assert_eq!(reply, expected);

    let (_, reply) = world.post(ALICE, "/x/group/kick/7/2?own=1", json!({})).await;
    let frame = bob.frame().await;
    let caused = json!({ "key": frame["key"], "groupid": "7", "version": frame["version"] });
    assert_eq!(reply["caused"], json!([caused]));

    for query in ["", "?own=0"] {
        let path = format!("/x/group/post/7{query}");
        let (_, reply) = world.post(ALICE, &path, json!({ "message": "x" })).await;
        assert!(reply.get("caused").is_none(), "{reply}");
    }
    let (_, reply) = world.post(ALICE, "/x/group/leave/7?own=1", json!({})).await;
    let caused = reply["caused"].as_array().unwrap();
    assert_eq!(caused.len(), 2, "a kick and a purge: {reply}");
    let (_, reply) = world.post(ALICE, "/x/group/leave/7?own=1", json!({})).await;
    assert!(reply.get("caused").is_none(), "a refusal causes nothing: {reply}");
    world.stop().await;
}

#[tokio::test]
async fn a_request_with_an_invalid_key_is_refused_and_changes_nothing() {
    let world = World::new().await;
    world.group(7, ALICE, []).await;
    let key = "Idempotency-Key";
    let long = "k".repeat(129);
    let wrong: [&[(&str, &str)]; 5] = [
        &[(key, "")],
        &[(key, "\"\"")],
        &[(key, "two words")],
        &[(key, &long)],
        &[(key, "one"), (key, "two")],
    ];
    for headers in wrong {
        let body = json!({ "message": "x" });
        let (code, _, reply) = world.post_with(ALICE, "/x/group/post/7", headers, body).await;
        assert_eq!((code, &reply["msg"]), (400, &json!("HTTP_400")), "{headers:?}");
        assert!(reply["data"]["reason"].as_str().unwrap().contains("Idempotency-Key"), "{reply}");
    }
    assert_eq!(World::ok(world.get(ALICE, "/x/group/state/7").await)["next_seq"], 0);
    for headers in [[(key, "\"a\"")], [(key, &long[1..])]] {
        let body = json!({ "message": "x" });
        let (code, _, reply) = world.post_with(ALICE, "/x/group/post/7", &headers, body).await;
        assert_eq!(code, 200, "{reply}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_longest_message_fits_and_a_body_of_600_kb_does_not() {
    let world = World::new().await;
    world.group(7, ALICE, []).await;
    // JSON needs six bytes for each of these characters.
    let longest = "\u{1}".repeat(65_536);
    world.post_ok(ALICE, "/x/group/post/7", json!({ "message": longest })).await;
    let edit = "/x/group/edit/7/0";
    world.post_ok(ALICE, edit, json!({ "message": longest })).await;
    let too_long = json!({ "message": "x".repeat(65_537) });
    refused(world.post(ALICE, edit, too_long).await, 413, "over_limit");
    for path in ["/x/group/post/7", edit] {
        let (code, reply) =
            world.post(ALICE, path, json!({ "message": "x".repeat(600_000) })).await;
        assert_eq!((code, &reply["msg"]), (413, &json!("HTTP_413")), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408() {
    let world = World::new().await;
    let token = world.token(ALICE).await;
    let mut stream = TcpStream::connect(&world.address).await.unwrap();
    let head = format!(
        "POST /x/group/create/7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 2\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    read.expect("the connection must be closed").unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""msg":"HTTP_408""#), "{answer}");
    assert_eq!(world.get(ALICE, "/x/group/state/7").await.0, 404, "nothing must change");
    world.stop().await;
}

#[tokio::test]
async fn new_operations_are_counted_and_their_limits_hold() {
    let world = World::with(Options { config: small_limits(), ..Options::default() }).await;
    world.group(7, ALICE, [BOB]).await;
    world.post_ok(ALICE, "/x/group/add/7/3", json!({})).await;
    refused(world.post(ALICE, "/x/group/add/7/4", json!({})).await, 413, "over_limit");
    world.post_ok(CAROL, "/x/group/post/7", json!({ "message": "x" })).await;
    let long = json!({ "message": "12345678901" });
    refused(world.post(CAROL, "/x/group/edit/7/0", long).await, 413, "over_limit");
    let metrics = world.metrics().await;
    for line in [
        r#"disband_commands_total{operation="add",code="200"} 1"#,
        r#"disband_commands_total{operation="add",code="413"} 1"#,
        r#"disband_commands_total{operation="edit",code="413"} 1"#,
        "disband_answered_without_entry_total 0",
        "disband_log_bytes 0",
        "disband_snapshot_failures 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("\ndisband_last_applied "), "{metrics}");
    world.stop().await;
}

#[tokio::test]
async fn a_node_that_works_is_healthy_and_ready() {
    let world = World::new().await;
    let ok = json!({ "ok": true, "code": 200, "msg": "OK" });
    for path in ["/healthz", "/readyz"] {
        let reply = world.try_send(Method::GET, None, path, None).await.unwrap();
        assert_eq!(reply, (200, ok.clone()), "{path}");
    }
    world.stop().await;
}
