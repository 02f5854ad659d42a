//! A JavaScript client of the chat API, run in Node.

use std::process::Command;

use serde_json::{Value, json};

use crate::world::{World, skip_without, type_and_from};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_javascript_client_of_the_chat_api_works() {
    let Ok(node) = Command::new("node").arg("--version").output() else {
        return skip_without("Node");
    };
    assert!(node.status.success());
    let world = World::new().await;
    world.group(6228482, 808080, [808081]).await;
    // The client opens the member's WebSocket, then sends the owner's leave.
    let (owner, member) = (world.token(808080).await, world.token(808081).await);
    let leave = format!("http://{}/x/group/leave/6228482?id={owner}", world.address);
    let host = format!("{}/ws", world.address);
    let output = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg("--experimental-websocket")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/client.mjs"))
            .args([leave, host, member, "2".into()])
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reply = json!({ "status": 200, "body": { "ok": true, "code": 200, "msg": "OK" } });
    assert_eq!(result["reply"], reply);
    let received = result["received"].as_array().unwrap();
    let signals: Vec<_> = received.iter().map(type_and_from).collect();
    assert_eq!(signals, [("memberkick", "808080"), ("historypurge", "808080")]);
    assert_eq!(received[0]["groupid"], "6228482");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_javascript_client_that_closes_its_socket_sees_a_clean_end() {
    if Command::new("node").arg("--version").output().is_err() {
        return skip_without("Node");
    }
    let world = World::new().await;
    let url = format!("ws://{}/ws?id={}", world.address, world.token(808080).await);
    let output = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg("--experimental-websocket")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/close.mjs"))
            .arg(url)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result, json!({ "code": 1000, "wasClean": true }));
    world.stop().await;
}
