//! The HTTP routes, and the refusals.

use disband_server::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, small_limits};

const ALICE: u64 = 1;
const BOB: u64 = 2;
const CAROL: u64 = 3;

#[tokio::test]
async fn every_group_and_user_route_works() {
    let world = World::new().await;
    let stint = world.post_ok(ALICE, "/x/group/create/7", json!({})).await["stint"].clone();
    let joined = world.post_ok(BOB, "/x/group/join/7", json!({})).await["stint"].clone();
    world.post_ok(CAROL, "/x/group/join/7", json!({})).await;
    assert_eq!(
        World::ok(world.get(BOB, "/x/group/state/7").await),
        json!({
            "groupid": "7", "version": stint.as_u64().unwrap() + 2, "owner": "1", "members": 3,
            "next_seq": 0, "stint": joined, "rank": "member",
            "options": {
                "owner_exit": "dissolve", "history": "from_join", "keep_entries": null, "keep_ms": null,
                "admission": "open", "add": "admin", "post": "member", "announce": "everyone"
            },
        })
    );

    for (nth, message) in ["one", "two", "three"].into_iter().enumerate() {
        let posted = world.post_ok(BOB, "/x/group/post/7", json!({ "message": message })).await;
        assert_eq!(posted, json!({ "seq": nth }));
    }
    let page = World::ok(world.get(ALICE, "/x/group/history/7?before=2&limit=1").await);
    assert_eq!(
        (&page[0]["seq"], &page[0]["from"], &page[0]["message"]),
        (&json!(1), &json!("2"), &json!("two"))
    );
    assert_eq!(page.as_array().unwrap().len(), 1);

    world.post_ok(ALICE, "/x/group/rank/7/2", json!({ "rank": "admin" })).await;
    let page = World::ok(world.get(ALICE, "/x/group/members/7?limit=2").await);
    let names = |page: &Value| {
        let members = page["members"].as_array().unwrap().clone();
        members.iter().map(|m| format!("{} {}", m["user"], m["rank"])).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), [r#""1" "owner""#, r#""2" "admin""#]);
    let page = World::ok(world.get(ALICE, "/x/group/members/7?after=2").await);
    assert_eq!(names(&page), [r#""3" "member""#]);

    world.post_ok(BOB, "/x/group/kick/7/3", json!({})).await;
    world.post_ok(BOB, "/x/group/ban/7/3", json!({ "until": null })).await;
    world.post_ok(BOB, "/x/group/unban/7/3", json!({})).await;
    world.post_ok(CAROL, "/x/group/join/7", json!({})).await;
    world.post_ok(ALICE, "/x/group/transfer/7/2", json!({})).await;
    world.post_ok(BOB, "/x/group/options/7", json!({ "owner_exit": "refuse" })).await;
    assert_eq!(world.post(BOB, "/x/group/leave/7", json!({})).await.0, 409);

    world.post_ok(CAROL, "/x/group/create/8", json!({})).await;
    let groups = World::ok(world.get(CAROL, "/x/user/groups").await);
    assert_eq!((&groups[0]["groupid"], &groups[1]["groupid"]), (&json!("7"), &json!("8")));
    let left = world.post_ok(CAROL, "/x/user/leave", json!({})).await;
    assert_eq!(
        left["groups"],
        json!([{ "groupid": "7", "outcome": "left" }, { "groupid": "8", "outcome": "dissolved" }])
    );
    assert_eq!(World::ok(world.get(CAROL, "/x/user/groups").await), json!([]));

    world.post_ok(BOB, "/x/group/dissolve/7", json!({})).await;
    let metrics = world.metrics().await;
    for line in [
        "disband_groups 0",
        "disband_tombstones 2",
        r#"disband_commands_total{operation="join",code="200"} 3"#,
        r#"disband_commands_total{operation="leave",code="409"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    world.stop().await;
}

#[tokio::test]
async fn replies_to_a_leave_match_the_chat_api() {
    let world = World::new().await;
    world.group(6228482, 808080, [808081]).await;
    let (status, body) = world.post(808081, "/x/group/leave/6228482", json!({})).await;
    assert_eq!((status, body), (200, json!({ "ok": true, "code": 200, "msg": "OK" })));
    let (status, body) = world.post(808081, "/x/group/leave/6228482", json!({})).await;
    assert_eq!(
        (status, &body["msg"], &body["data"]["absence"]),
        (400, &json!("GRPS_400"), &json!("left"))
    );
    let (status, body) = world.post(808081, "/x/group/leave/1", json!({})).await;
    assert_eq!(
        (status, body),
        (404, json!({ "ok": false, "code": 404, "msg": "GRPS_404", "data": {} }))
    );
    world.stop().await;
}

#[tokio::test]
async fn refusals_have_the_right_status_and_reason() {
    let world = World::with(Options { config: small_limits(), ..Options::default() }).await;
    world.group(7, ALICE, [BOB, CAROL]).await;
    world.post_ok(ALICE, "/x/group/create/8", json!({})).await;
    world.post_ok(ALICE, "/x/group/leave/8", json!({})).await;
    world.post_ok(ALICE, "/x/group/create/9", json!({})).await;
    world.post_ok(ALICE, "/x/group/ban/9/2", json!({})).await;
    let cases = [
        (BOB, "join/1", json!({}), 404, Value::Null),
        (BOB, "join/8", json!({}), 404, json!("dissolved")),
        (4, "leave/7", json!({}), 400, json!("not_member")),
        (BOB, "leave/7", json!({ "stint": 999 }), 400, json!("not_member")),
        (BOB, "kick/7/3", json!({}), 403, json!("not_admin")),
        (BOB, "dissolve/7", json!({}), 403, json!("not_owner")),
        (ALICE, "kick/7/1", json!({}), 403, json!("outranked")),
        (BOB, "join/9", json!({}), 403, json!("banned")),
        (ALICE, "kick/7/4", json!({}), 400, json!("target_not_member")),
        (BOB, "create/7", json!({}), 409, json!("group_exists")),
        (BOB, "create/8", json!({}), 409, json!("id_reserved")),
        (BOB, "join/7", json!({}), 409, json!("already_member")),
        (ALICE, "transfer/7/1", json!({}), 409, json!("already_owner")),
        (ALICE, "rank/7/2", json!({ "rank": "member" }), 409, json!("already_ranked")),
        (ALICE, "unban/7/2", json!({}), 409, json!("not_banned")),
        (ALICE, "ban/7/2", json!({ "until": 1 }), 409, json!("already_expired")),
        (4, "join/7", json!({}), 413, json!("over_limit")),
        (BOB, "post/7", json!({ "message": "12345678901" }), 413, json!("over_limit")),
    ];
    for (user, path, body, code, reason) in cases {
        let (status, reply) = world.post(user, &format!("/x/group/{path}"), body).await;
        assert_eq!(
            (status, &reply["code"], &reply["msg"], &reply["data"]["reason"]),
            (code, &json!(code), &json!(format!("GRPS_{code}")), &reason),
            "{path}: {reply}"
        );
    }
    for path in ["state/7", "members/7", "history/7"] {
        assert_eq!(world.get(4, &format!("/x/group/{path}")).await.0, 400, "{path}");
        let dissolved = path.replace('7', "8");
        let path = format!("/x/group/{dissolved}");
        assert_eq!(world.get(ALICE, &path).await.0, 404, "{dissolved}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_429_reply_says_when_to_retry() {
    let world = World::with(Options::default()).await;
    let mut last = (0, Value::Null);
    for _ in 0..4 {
        last = world.post(BOB, "/x/group/leave/7", json!({})).await;
    }
    assert_eq!((last.0, &last.1["msg"]), (429, &json!("GRPS_429")));
    let wait = last.1["data"]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=2000).contains(&wait), "{wait}");
    let token = world.token(BOB).await;
    let url = format!("http://{}/x/group/leave/7", world.address);
    let response = reqwest::Client::new().post(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "2");
    world.stop().await;
}

#[tokio::test]
async fn a_request_without_a_valid_token_is_refused_with_401() {
    let world = World::new().await;
    let other = World::new().await;
    world.group(7, ALICE, []).await;
    let token = world.token(ALICE).await;
    let forged = token.replacen('1', "2", 1);
    let foreign = other.token(ALICE).await;
    for wrong in [None, Some(""), Some(&*forged), Some(&*foreign)] {
        for (method, path) in [
            (Method::POST, "/x/group/leave/7"),
            (Method::GET, "/x/group/state/7"),
            (Method::GET, "/ws"),
        ] {
            let (status, reply) = world.try_send(method, wrong, path, None).await.unwrap();
            assert_eq!((status, &reply["msg"]), (401, &json!("HTTP_401")), "{path} {wrong:?}");
        }
    }
    // The token may be in the query instead of the header.
    let path = format!("/x/group/state/7?id={token}");
    assert_eq!(world.try_send(Method::GET, None, &path, None).await.unwrap().0, 200);
    other.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn the_page_and_the_health_check_need_no_token() {
    let world = World::new().await;
    let page = reqwest::get(format!("http://{}/", world.address)).await.unwrap();
    assert!(
        page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
    );
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(world.try_send(Method::GET, None, "/healthz", None).await.unwrap().0, 200);
    world.stop().await;
}
