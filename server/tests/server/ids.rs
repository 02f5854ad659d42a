//! Ids: any text of 1 to 64 bytes without control characters.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, segment, type_and_from};

#[tokio::test]
async fn any_text_is_an_id_of_a_user_and_of_a_group() {
    let world = World::new().await;
    let longest = "é".repeat(32);
    let ids = [
        "alice",
        "a b",
        "a.b.c",
        "...",
        "a/b?c#d&e=f",
        "%20",
        "+1",
        "~",
        "\"",
        "日本",
        "007",
        "7",
        "18446744073709551615",
        "18446744073709551616",
        &longest,
    ];
    let owner = "o w.n/er";
    for id in ids {
        let group = segment(id);
        world.post_ok(owner, &format!("/x/group/create/{group}"), json!({})).await;
        let mut socket = world.socket(owner, "").await;
        world.post_ok(id, &format!("/x/group/join/{group}"), json!({})).await;
        let frame = socket.frame().await;
        assert_eq!((type_and_from(&frame), &frame["groupid"]), (("memberjoin", id), &json!(id)));
        // The token works in the query, too, and without an encoding of its own.
        let token = world.token(id).await;
        let path = format!("/x/group/state/{group}?id={token}");
        let state = world.try_send(Method::GET, None, &path, None).await.unwrap();
        assert_eq!(World::ok(state)["groupid"], json!(id));
        world.post_ok(owner, &format!("/x/group/kick/{group}/{group}"), json!({})).await;
    }
    let mine = World::ok(world.get(owner, "/x/user/groups").await);
    let names: Vec<_> = mine.as_array().unwrap().iter().map(|view| &view["groupid"]).collect();
    assert_eq!(names, ids.map(|id| json!(id)).iter().collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test]
async fn ids_with_other_bytes_are_other_ids() {
    let world = World::new().await;
    world.post_ok("7", "/x/group/create/7", json!({})).await;
    assert_eq!(world.get("7", "/x/group/state/007").await.0, 404);
    world.post_ok("007", "/x/group/create/007", json!({})).await;
    let (code, reply) = world.get("007", "/x/group/state/7").await;
    assert_eq!((code, &reply["data"]["absence"]), (400, &json!("no_record")));
    assert_ne!(world.token("7").await, world.token("007").await);
    world.post_ok("18446744073709551616", "/x/group/join/7", json!({})).await;
    world.post_ok("b", "/x/group/join/7", json!({})).await;
    world.post_ok("10", "/x/group/join/7", json!({})).await;
    let members = |page: serde_json::Value| {
        let members = page["members"].as_array().unwrap().clone();
        members.iter().map(|m| m["user"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let page = World::ok(world.get("7", "/x/group/members/7").await);
    assert_eq!(members(page), ["7", "10", "18446744073709551616", "b"], "numbers come first");
    let page = World::ok(world.get("7", "/x/group/members/7?after=10").await);
    assert_eq!(members(page), ["18446744073709551616", "b"]);
    world.stop().await;
}

#[tokio::test]
async fn a_text_that_is_no_id_is_refused_with_400() {
    let world = World::new().await;
    world.group(7, 1, [2]).await;
    let token = world.token(1).await;
    let long = "x".repeat(65);
    for wrong in [&long, "%00", "a%0Ab", "%7F", "%C2%85", "%FF"] {
        for path in [
            format!("/x/group/create/{wrong}"),
            format!("/x/group/kick/7/{wrong}"),
            format!("/x/group/kick/{wrong}/2"),
        ] {
            let body = Some(b"{}".to_vec());
            let reply = world.try_send(Method::POST, Some(&token), &path, body).await.unwrap();
            assert_eq!((reply.0, &reply.1["msg"]), (400, &json!("HTTP_400")), "{path} {reply:?}");
        }
    }
    for path in ["/x/group/create/", "/x/group/kick/7/"] {
        let body = Some(b"{}".to_vec());
        let reply = world.try_send(Method::POST, Some(&token), path, body).await.unwrap();
        assert_eq!(reply.0, 404, "an empty segment is no route: {path}");
    }
    for user in ["", "a\nb", &long] {
        let body = Some(json!({ "user": user }).to_string().into());
        let reply = world.try_send(Method::POST, None, "/stand-in/login", body).await.unwrap();
        assert_eq!((reply.0, &reply.1["msg"]), (400, &json!("HTTP_400")), "{user:?}");
    }
    world.stop().await;
}
