//! What is kept after a crash, on a full disk, after a failed sync and with a damaged file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use disband_server::real::Real;
use disband_server::simulated::{Fault, SimulatedDisk};
use disband_server::{Options, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::simulated::start;
use crate::world::{World, unlimited};

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = serde_json::to_string(&unlimited()).unwrap();
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

fn options() -> Options {
    Options { config: unlimited(), ..Options::default() }
}

fn on_disk(folder: &TempDir) -> Options {
    Options { data: Some(folder.path().join("data")), ..options() }
}

/// Starts the server in another process.
fn spawn(folder: &Path, more: &[&str]) -> (Child, World) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_disband-server"))
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(folder.join("data"))
        .arg("--config")
        .arg(folder.join("config.json"))
        .args(more)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect("the address");
    (child, World::at(address.to_owned()))
}

/// How often each message is in the history of group 7, which user 1 owns.
async fn messages(world: &World) -> BTreeMap<String, usize> {
    let mut messages = BTreeMap::new();
    let mut before = u64::MAX;
    loop {
        let path = format!("/x/group/history/7?limit=1000&before={before}");
        let page = World::ok(world.get(1, &path).await);
        let entries = page.as_array().unwrap();
        let Some(last) = entries.last() else { return messages };
        before = last["seq"].as_u64().unwrap();
        for entry in entries {
            *messages.entry(entry["message"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
}

/// Sends a POST with an `Idempotency-Key`.
async fn post_with_key(
    world: &World,
    user: u64,
    path: &str,
    key: &str,
    body: &Value,
) -> reqwest::Result<(u16, Value)> {
    let url = format!("http://{}{path}", world.address);
    let request = world.http.post(url).bearer_auth(world.token(user).await);
    let response = request.header("Idempotency-Key", key).json(body).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

fn new_key() -> String {
    Uuid::now_v7().to_string()
}

/// Eight clients post until the process is killed, and send what was not answered again. In the end each
/// message is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_each_answered_command_is_there_once() {
    const ROUNDS: usize = 20;
    const PER_ROUND: usize = 400;
    let folder = folder();
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let sent = Arc::new(AtomicUsize::new(0));
    // What each client sent last without an answer.
    let mut open: Vec<Option<(String, String)>> = vec![None; 8];
    for round in 0..ROUNDS {
        // Small files and frequent snapshots, so that both happen during the test.
        let (mut child, world) = spawn(folder.path(), &["--snapshot-every", "60000"]);
        let world = Arc::new(world);
        if round == 0 {
            world.group(7, 1, 2..10).await;
        }
        for (client, token) in (2..10).zip(&mut open) {
            // Log in before the process is killed.
            world.token(client).await;
            let _ = token;
        }
        let clients: Vec<_> = (2..10_u64)
            .zip(open)
            .map(|(client, mut left)| {
                let (world, answered, sent) =
                    (Arc::clone(&world), Arc::clone(&answered), Arc::clone(&sent));
                tokio::spawn(async move {
                    for nth in 0.. {
                        let (key, message) = left.take().unwrap_or_else(|| {
                            (new_key(), format!("{client} in round {round}, number {nth}"))
                        });
                        sent.fetch_add(1, Ordering::Relaxed);
                        let body = json!({ "message": message });
                        match post_with_key(&world, client, "/x/group/post/7", &key, &body).await {
                            Ok((200, _)) => {
                                assert!(answered.lock().unwrap().insert(message), "answered twice");
                            }
                            Ok(other) => panic!("{other:?}"),
                            Err(_) => return Some((key, message)),
                        }
                    }
                    None
                })
            })
            .collect();
        while sent.load(Ordering::Relaxed) < (round + 1) * PER_ROUND {
            sleep(Duration::from_micros(100 + 37 * round as u64)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        open = Vec::new();
        for client in clients {
            open.push(client.await.unwrap());
        }
    }
    let (mut child, world) = spawn(folder.path(), &[]);
    for (client, left) in (2..10).zip(open) {
        let (key, message) = left.unwrap();
        let body = json!({ "message": message });
        let again = post_with_key(&world, client, "/x/group/post/7", &key, &body).await.unwrap();
        assert_eq!(again.0, 200, "{again:?}");
        answered.lock().unwrap().insert(message);
    }
    let found = messages(&world).await;
    let answered = answered.lock().unwrap();
    assert!(answered.len() > ROUNDS * PER_ROUND / 2, "{}", answered.len());
    assert!(found.values().all(|times| *times == 1), "a message is there twice");
    assert!(found.keys().eq(answered.iter()), "{} of {}", found.len(), answered.len());
    let files = fs::read_dir(folder.path().join("data")).unwrap().count();
    assert!(files <= 10, "old segments and snapshots must be removed: {files} files");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_is_sent_a_thousand_times_across_kills_is_there_once() {
    let folder = folder();
    let key = new_key();
    let body = json!({ "message": "once" });
    let mut first = None;
    for round in 0..5 {
        let (mut child, world) = spawn(folder.path(), &[]);
        if round == 0 {
            world.group(7, 1, []).await;
        }
        for _ in 0..200 {
            let answer = post_with_key(&world, 1, "/x/group/post/7", &key, &body).await.unwrap();
            assert_eq!(answer.0, 200);
            assert_eq!(first.get_or_insert_with(|| answer.1.clone()), &answer.1);
        }
        let other = json!({ "message": "another text" });
        let reused = post_with_key(&world, 1, "/x/group/post/7", &key, &other).await.unwrap();
        assert_eq!((reused.0, &reused.1["msg"]), (409, &json!("HTTP_409")));
        assert_eq!(messages(&world).await, BTreeMap::from([("once".to_owned(), 1)]));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_key_from_tomorrow_or_last_week_is_refused() {
    let world = World::with(options()).await;
    world.group(7, 1, []).await;
    let body = json!({ "message": "x" });
    let now = Uuid::now_v7().get_timestamp().unwrap().to_unix().0;
    const DAY: u64 = 24 * 60 * 60;
    for (seconds, code) in [(now + DAY, 400), (now - 7 * DAY, 410), (now, 200)] {
        let millis = seconds * 1000;
        let key = uuid::Builder::from_unix_timestamp_millis(millis, &[1; 10]).into_uuid();
        let answer = post_with_key(&world, 1, "/x/group/post/7", &key.to_string(), &body).await;
        let (status, reply) = answer.unwrap();
        assert_eq!(status, code, "{reply}");
        if code == 400 {
            assert!(reply["data"]["now"].as_u64().unwrap() / 1000 >= now, "{reply}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_flood_of_other_users_keys_forgets_no_key() {
    let world = World::with(options()).await;
    world.group(7, 1, 2..22).await;
    let key = new_key();
    let body = json!({ "message": "x" });
    let first = post_with_key(&world, 1, "/x/group/post/7", &key, &body).await.unwrap();
    for user in 2..22 {
        for _ in 0..100 {
            let answer = post_with_key(&world, user, "/x/group/post/7", &new_key(), &body).await;
            assert_eq!(answer.unwrap().0, 200);
        }
    }
    let again = post_with_key(&world, 1, "/x/group/post/7", &key, &body).await.unwrap();
    assert_eq!(again, first);
    world.stop().await;
}

/// The figure of a gauge or a counter in the metrics.
async fn metric(world: &World, name: &str) -> u64 {
    let metrics = world.metrics().await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

/// Waits until a condition holds.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if condition().await {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("not within ten seconds: {what}");
}

#[tokio::test]
async fn a_strangers_long_posts_take_few_bytes_of_the_log() {
    let disk = SimulatedDisk::new();
    let world = World::of(start(&disk, options()).await.unwrap());
    world.group(7, 1, [2]).await;
    let before = metric(&world, "disband_log_written_bytes").await;
    let long = json!({ "message": "x".repeat(500_000) });
    for (user, code) in [(3, 400), (2, 413)] {
        for _ in 0..50 {
            let (status, _) = world.post(user, "/x/group/post/7", long.clone()).await;
            assert_eq!(status, code);
        }
    }
    eventually("the figure is there", async || {
        metric(&world, "disband_log_written_bytes").await > before
    })
    .await;
    sleep(Duration::from_millis(600)).await;
    let written = metric(&world, "disband_log_written_bytes").await - before;
    assert!(written <= 100 * 150, "{} bytes for each refusal", written / 100);
    world.stop().await;
}

/// Notes of half a megabyte, all in one batch.
#[tokio::test]
async fn long_notes_of_dissolutions_neither_fill_nor_stop_the_log() {
    let disk = SimulatedDisk::new();
    let world = std::sync::Arc::new(World::of(start(&disk, options()).await.unwrap()));
    world.group(7, 1, 2..22).await;
    let note = json!({ "note": "x".repeat(500_000) });
    let before = metric(&world, "disband_log_written_bytes").await;
    let requests: Vec<_> = (2..22)
        .map(|user| {
            let (world, note) = (std::sync::Arc::clone(&world), note.clone());
            tokio::spawn(async move { world.post(user, "/x/group/dissolve/7", note).await.0 })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 403);
    }
    assert_eq!(world.post(1, "/x/group/dissolve/7", note).await.0, 413);
    world.post_ok(2, "/x/group/leave/7", json!({})).await;
    sleep(Duration::from_millis(600)).await;
    let written = metric(&world, "disband_log_written_bytes").await - before;
    assert!(written <= 22 * 600, "{written} bytes for 22 commands");
}

#[tokio::test]
async fn a_failed_sync_leaves_commands_unknown_and_refuses_all_later_ones() {
    let disk = SimulatedDisk::new();
    let world = World::of(start(&disk, options()).await.unwrap());
    world.group(7, 1, [2]).await;
    let mut socket = world.socket(2, "").await;
    // The next call of the disk is the write of the next command, or a look at the free space.
    for call in 1..=64 {
        disk.fail(call, Fault::During);
    }
    let (status, reply) = world.post(1, "/x/group/leave/7", json!({})).await;
    assert_eq!((status, &reply["msg"]), (504, &json!("HTTP_504")), "{reply}");
    disk.heal();
    let state = World::ok(world.get(1, "/x/group/state/7").await);
    assert_eq!(state["members"], 2, "reads go on");
    let (status, reply) = world.post(2, "/x/group/leave/7", json!({})).await;
    assert_eq!((status, &reply["data"]["reason"]), (503, &json!("can't write commands to disk")));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.try_send(Method::GET, None, path, None).await.unwrap().0, 503, "{path}");
    }
    world.stop().await;
    assert_eq!(socket.read_to_end().await, (vec![], Some(1001)), "no signal must be sent");
    // Whether the owner has left is open. What was answered is there.
    let world = World::of(start(&disk.crash(1), options()).await.unwrap());
    let (status, reply) = world.get(2, "/x/group/state/7").await;
    assert!(status == 404 || reply["data"]["members"] == 2, "{reply}");
    world.stop().await;
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_commands_until_there_is_room() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(Some(1 << 20));
    let options = Options { min_free: 1 << 19, ..options() };
    let world = World::of(crate::simulated::start_with(&disk, options).await.unwrap());
    world.group(7, 1, [2]).await;
    disk.set_capacity(Some(560_000));
    eventually("commands are refused", async || {
        world.post(2, "/x/group/post/7", json!({ "message": "x" })).await.0 == 503
    })
    .await;
    let (_, reply) = world.post(2, "/x/group/leave/7", json!({})).await;
    assert_eq!(reply["data"]["reason"], "the disk has too little free space");
    assert_eq!(World::ok(world.get(2, "/x/group/state/7").await)["members"], 2);
    disk.set_capacity(Some(2 << 20));
    eventually("commands are accepted", async || {
        world.post(2, "/x/group/post/7", json!({ "message": "x" })).await.0 == 200
    })
    .await;
    world.stop().await;
}

/// A start takes a snapshot and a new segment, for which there is no room.
#[tokio::test]
async fn a_start_on_a_nearly_full_disk_goes_on_when_there_is_room() {
    let disk = SimulatedDisk::new();
    let world = World::of(start(&disk, options()).await.unwrap());
    world.group(7, 1, [2]).await;
    world.stop().await;
    let used: usize = disk.names().iter().map(|name| disk.contents(name).unwrap().len()).sum();
    disk.set_capacity(Some(used as u64 + 30_000));
    let options = Options { min_free: 1 << 19, ..options() };
    let world = World::of(crate::simulated::start_with(&disk, options).await.unwrap());
    sleep(Duration::from_millis(600)).await;
    let (status, reply) = world.post(2, "/x/group/post/7", json!({ "message": "x" })).await;
    assert_eq!(status, 503);
    assert_eq!(reply["data"]["reason"], "the disk has too little free space");
    disk.set_capacity(None);
    eventually("commands are accepted", async || {
        world.post(2, "/x/group/post/7", json!({ "message": "x" })).await.0 == 200
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_full_disk_loses_no_answered_command() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(Some(200_000));
    let world = World::of(start(&disk, options()).await.unwrap());
    world.group(7, 1, [2]).await;
    let mut answered = 0;
    let refused = loop {
        let message = format!("{answered} {}", "x".repeat(5000));
        let (status, _) = world.post(2, "/x/group/post/7", json!({ "message": message })).await;
        if status != 200 {
            break status;
        }
        answered += 1;
        assert!(answered < 1000);
    };
    assert_eq!(refused, 504, "the command that did not fit is unknown");
    assert_eq!(world.post(3, "/x/group/join/7", json!({})).await.0, 503);
    assert_eq!(World::ok(world.get(2, "/x/group/state/7").await)["next_seq"], answered);
    world.stop().await;
    let after = disk.crash(1);
    after.set_capacity(None);
    let world = World::of(start(&after, options()).await.unwrap());
    let found = messages(&world).await.len();
    assert!(found == answered || found == answered + 1, "{found} of {answered}");
    world.stop().await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_stops_nothing_and_leaves_no_file() {
    let disk = SimulatedDisk::new();
    let options = Options { snapshot_every: 20_000, ..options() };
    let world = World::of(start(&disk, options.clone()).await.unwrap());
    world.group(7, 1, [2]).await;
    // Room for the next segment, but not for a snapshot of what will be posted.
    disk.set_capacity(Some(140_000));
    for nth in 0..12 {
        let message = format!("{nth} {}", "x".repeat(3000));
        world.post_ok(2, "/x/group/post/7", json!({ "message": message })).await;
    }
    eventually("the failure is counted", async || {
        metric(&world, "disband_snapshot_failures").await > 0
    })
    .await;
    world.post_ok(2, "/x/group/post/7", json!({ "message": "after" })).await;
    let names = disk.names();
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    disk.set_capacity(None);
    world.stop().await;
    let world = World::of(start(&disk, options).await.unwrap());
    assert_eq!(messages(&world).await.len(), 13);
    let newer = || disk.names().into_iter().filter(|name| name.ends_with(".snapshot"));
    let old: Vec<_> = newer().collect();
    eventually("a snapshot is written", async || {
        world.post_ok(2, "/x/group/post/7", json!({ "message": "x".repeat(5000) })).await;
        newer().any(|name| !old.contains(&name))
    })
    .await;
    world.stop().await;
}

/// Whether any file of the folder has these bytes.
fn is_on_disk(disk: &SimulatedDisk, text: &str) -> bool {
    disk.names().iter().any(|name| {
        let bytes = disk.contents(name).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Nobody sends anything after the erasure, so only time can remove the text.
#[tokio::test]
async fn erased_and_purged_texts_are_gone_from_the_disk_in_time() {
    let disk = SimulatedDisk::new();
    let forget_after = Duration::from_secs(6);
    let world = World::of(start(&disk, Options { forget_after, ..options() }).await.unwrap());
    world.group(7, 1, [2]).await;
    world.group(8, 1, [2]).await;
    for (group, message) in [(7, "to be erased"), (7, "to be edited"), (8, "to be purged")] {
        let path = format!("/x/group/post/{group}");
        world.post_ok(2, &path, json!({ "message": message })).await;
        assert!(is_on_disk(&disk, message));
    }
    world.post_ok(2, "/x/group/erase/7/0", json!({})).await;
    world.post_ok(2, "/x/group/edit/7/1", json!({ "message": "edited" })).await;
    world.post_ok(1, "/x/group/dissolve/8", json!({})).await;
    let erased = tokio::time::Instant::now();
    while ["to be erased", "to be edited", "to be purged"]
        .iter()
        .any(|text| is_on_disk(&disk, text))
    {
        assert!(erased.elapsed() < forget_after, "still on disk");
        sleep(Duration::from_millis(20)).await;
    }
    world.stop().await;
    let world = World::of(start(&disk, options()).await.unwrap());
    let page = World::ok(world.get(2, "/x/group/history/7").await);
    assert_eq!(page[0]["message"], "edited");
    world.stop().await;
}

/// Otherwise a server that is often started again would never come to forget.
#[tokio::test]
async fn a_start_forgets_what_was_erased_before() {
    let disk = SimulatedDisk::new();
    let world = World::of(start(&disk, options()).await.unwrap());
    world.group(7, 1, [2]).await;
    world.post_ok(2, "/x/group/post/7", json!({ "message": "to be erased" })).await;
    world.post_ok(2, "/x/group/erase/7/0", json!({})).await;
    world.stop().await;
    assert!(is_on_disk(&disk, "to be erased"));
    let world = World::of(start(&disk, options()).await.unwrap());
    eventually("the text is gone", async || !is_on_disk(&disk, "to be erased")).await;
    world.stop().await;
}

#[tokio::test]
async fn a_changed_file_is_named_or_harmless() {
    let disk = SimulatedDisk::new();
    let world =
        World::of(start(&disk, Options { snapshot_every: 2000, ..options() }).await.unwrap());
    world.group(7, 1, [2]).await;
    for nth in 0..30 {
        let message = format!("{nth} {}", "x".repeat(100));
        world.post_ok(2, "/x/group/post/7", json!({ "message": message })).await;
    }
    eventually("a snapshot is written", async || {
        disk.names().iter().any(|name| name.ends_with(".snapshot"))
    })
    .await;
    world.post_ok(2, "/x/group/post/7", json!({ "message": "after the snapshot" })).await;
    world.stop().await;
    let world = World::of(start(&disk, options()).await.unwrap());
    let whole = messages(&world).await;
    world.stop().await;
    assert_eq!(whole.len(), 31);

    let mut named = 0;
    for name in disk.names() {
        let bytes = disk.contents(&name).unwrap();
        let flipped = (0..bytes.len()).step_by(bytes.len() / 40 + 1).map(|at| {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            Some(flipped)
        });
        let shorter =
            (0..bytes.len()).step_by(bytes.len() / 20 + 1).map(|len| Some(bytes[..len].to_vec()));
        for changed in flipped.chain(shorter).chain([None]) {
            let copy = disk.copy();
            match changed {
                Some(changed) => copy.replace(&name, changed),
                None => copy.delete(&name),
            }
            match start(&copy, options()).await {
                Ok(server) => {
                    let world = World::of(server);
                    if name != "token.key" {
                        assert_eq!(messages(&world).await, whole, "{name}");
                    }
                    world.stop().await;
                }
                Err(error) => {
                    named += 1;
                    let error = error.to_string();
                    assert!(
                        error.contains(&name) || error.contains("is missing"),
                        "{name}: {error}"
                    );
                }
            }
        }
    }
    assert!(named > 100, "{named}");
}

#[tokio::test]
async fn a_data_folder_is_locked_by_one_server_and_survives_a_restart() {
    let folder = folder();
    let world = World::with(on_disk(&folder)).await;
    world.group(7, 1, [2]).await;
    let token = world.token(2).await;
    let other = Server::start(Real::new().unwrap(), on_disk(&folder)).await;
    let error = other.err().expect("the folder is in use").to_string();
    assert!(error.ends_with("in use by another process"), "{error}");
    let before = World::ok(world.get(2, "/x/group/state/7").await);
    world.stop().await;
    let world = World::with(on_disk(&folder)).await;
    let path = "/x/group/state/7";
    let after = world.try_send(Method::GET, Some(&token), path, None).await.unwrap();
    assert_eq!(World::ok(after), before, "a token must be valid after a restart");
    world.stop().await;
}

#[tokio::test]
async fn only_the_owner_of_a_data_folder_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let world = World::with(on_disk(&folder)).await;
    world.group(7, 1, [2]).await;
    world.stop().await;
    let data = folder.path().join("data");
    let files = fs::read_dir(&data).unwrap().map(|file| file.unwrap().path());
    let all: Vec<_> = files.chain([data]).collect();
    assert!(all.len() >= 5, "{all:?}");
    for path in all {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn the_configuration_may_change_at_each_start() {
    let folder = folder();
    let world = World::with(on_disk(&folder)).await;
    world.group(7, 1, [2]).await;
    world.post_ok(2, "/x/group/post/7", json!({ "message": "long" })).await;
    world.stop().await;
    let limits = disband::Limits { message_bytes: Some(2), ..disband::Limits::default() };
    let config = disband::Config { limits, ..unlimited() };
    let world = World::with(Options { config, ..on_disk(&folder) }).await;
    let (status, _) = world.post(2, "/x/group/post/7", json!({ "message": "long" })).await;
    assert_eq!(status, 413);
    world.stop().await;
    let other = disband::Config { instance: 99, ..unlimited() };
    let refused =
        Server::start(Real::new().unwrap(), Options { config: other, ..on_disk(&folder) });
    let error = refused.await.err().expect("another cluster").to_string();
    assert!(error.contains("instance number 99"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_sends_queued_signals_and_exits_with_status_0() {
    let folder = folder();
    let (mut child, world) = spawn(folder.path(), &[]);
    world.group(7, 1, [2]).await;
    let mut socket = world.socket(2, "").await;
    for nth in 0..100 {
        world.post_ok(1, "/x/group/post/7", json!({ "message": nth.to_string() })).await;
    }
    let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
    let (frames, code) = socket.read_to_end().await;
    assert_eq!((frames.len(), code), (100, Some(1001)), "queued signals must be sent");
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert!(timeout(Duration::from_secs(6), ended).await.unwrap().unwrap().success());
    let (mut child, world) = spawn(folder.path(), &[]);
    assert_eq!(messages(&world).await.len(), 100);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_folder_of_another_format_is_refused() {
    let folder = folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    // A folder of the first server.
    fs::write(folder.path().join("data/0.log"), b"disblog1").unwrap();
    fs::write(folder.path().join("data/0.snapshot"), b"disbsnp1").unwrap();
    let refused = Server::start(Real::new().unwrap(), on_disk(&folder)).await;
    let error = refused.err().expect("another format").to_string();
    assert!(error.contains("identity is missing") && error.contains("0.log"), "{error}");
}
