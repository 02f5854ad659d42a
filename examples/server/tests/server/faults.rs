//! What is kept after a crash, a full disk, a failed sync or a damaged file.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use disband::{Engine, GroupId, Page, Timestamp, UserId};
use disband_server_example::{Journal, JournalError, Options, Server, Storage, Tokens};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::world::{World, unlimited};

const SNAPSHOT_EVERY: u64 = 64 << 20;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), serde_json::to_string(&unlimited()).unwrap())
        .unwrap();
    folder
}

fn options(folder: &TempDir) -> Options {
    Options { config: unlimited(), data: Some(folder.path().join("data")), ..Options::default() }
}

/// Starts the server in another process. `shell` is shell code that runs first, for example to set
/// limits.
fn spawn(folder: &Path, shell: &str, more: &[&str]) -> (Child, World) {
    let mut child = Command::new("bash")
        .args([
            "-c",
            &format!("{shell} exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_disband-server-example"),
        ])
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
    let address = line
        .trim()
        .strip_prefix("listening on http://")
        .expect("the server prints its address")
        .to_owned();
    (child, World::at(address))
}

fn recover(folder: &Path) -> Engine {
    let (engine, _) = Journal::open(&folder.join("data"), unlimited(), SNAPSHOT_EVERY).unwrap();
    engine.check().unwrap();
    engine
}

/// How often each message is in the history of group 7, which user 1 owns.
fn messages(engine: &Engine) -> HashMap<String, usize> {
    let page = Page::newest(u64::MAX);
    let mut messages = HashMap::new();
    for (_, entry) in engine.history(&UserId(1), &GroupId(7), page, Timestamp(0)).unwrap() {
        *messages.entry(entry.message.to_string()).or_default() += 1;
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_answered_command() {
    const ROUNDS: usize = 20;
    const PER_ROUND: usize = 500;
    let folder = folder();
    let answered = Arc::new(Mutex::new(HashSet::new()));
    let sent = Arc::new(AtomicUsize::new(0));
    for round in 0..ROUNDS {
        // The threshold is small, so that new generations begin during the test.
        let (mut child, world) = spawn(folder.path(), "", &["--snapshot-every", "40000"]);
        let world = Arc::new(world);
        if round == 0 {
            world.group(7, 1, 2..10).await;
        }
        let clients: Vec<_> = (2..10u64)
            .map(|client| {
                let (world, answered, sent) =
                    (Arc::clone(&world), Arc::clone(&answered), Arc::clone(&sent));
                tokio::spawn(async move {
                    let token = world.token(client).await;
                    for nth in 0.. {
                        let message = format!("{client} in round {round}, number {nth}");
                        sent.fetch_add(1, Ordering::Relaxed);
                        let body = json!({ "message": message }).to_string().into();
                        let path = "/x/group/post/7";
                        match world.try_send(Method::POST, Some(&token), path, Some(body)).await {
                            Ok((200, _)) => _ = answered.lock().unwrap().insert(message),
                            Ok(other) => panic!("{other:?}"),
                            Err(_) => return,
                        }
                    }
                })
            })
            .collect();
        // Kill each round at a different moment.
        while sent.load(Ordering::Relaxed) < (round + 1) * PER_ROUND {
            sleep(Duration::from_micros(100 + 37 * round as u64)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for client in clients {
            client.await.unwrap();
        }
        let recovered = messages(&recover(folder.path()));
        let answered = answered.lock().unwrap();
        assert!(answered.iter().all(|message| recovered.contains_key(message)), "round {round}");
        assert!(recovered.values().all(|times| *times == 1), "round {round}: applied twice");
        assert!(answered.len() >= round * PER_ROUND, "{}", answered.len());
    }
    let generations = fs::read_dir(folder.path().join("data")).unwrap().count();
    assert!(generations <= 6, "old generations must be removed: {generations} files");
    assert!(!folder.path().join("data/0.log").exists(), "a new generation must have begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_gives_503_and_undoes_the_refused_command() {
    let folder = folder();
    let (mut child, world) = spawn(folder.path(), "trap '' XFSZ; ulimit -f 200;", &[]);
    world.group(7, 1, [2]).await;
    let mut socket = world.socket(1, "").await;
    let mut answered = 0;
    let refused = loop {
        let message = format!("{answered} {}", "x".repeat(5000));
        let (status, reply) = world.post(2, "/x/group/post/7", json!({ "message": message })).await;
        if status != 200 {
            break (status, reply);
        }
        answered += 1;
        assert!(answered < 1000);
    };
    assert_eq!((refused.0, &refused.1["msg"]), (503, &json!("HTTP_503")));
    for path in ["/x/group/join/7", "/x/group/create/8"] {
        assert_eq!(world.post(3, path, json!({})).await.0, 503, "{path}");
    }
    assert_eq!(world.try_send(Method::GET, None, "/healthz", None).await.unwrap().0, 503);
    let state = World::ok(world.get(2, "/x/group/state/7").await);
    assert_eq!(
        (&state["next_seq"], &state["members"]),
        (&json!(answered), &json!(2)),
        "reads must still work"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        socket.read_to_end().await.0.len(),
        answered,
        "a refused command must send no signal"
    );
    let recovered = messages(&recover(folder.path()));
    assert_eq!(recovered.len(), answered, "a refused command must not be recovered");
}

/// A storage that fails after this number of appends.
struct Failing(u32);

impl Storage for Failing {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("fsync failed"))?;
        Ok(())
    }
}

#[tokio::test]
async fn a_failed_fsync_gives_503_and_undoes_the_command() {
    let storage: Option<Box<dyn Storage>> = Some(Box::new(Failing(2)));
    let engine = Engine::new(unlimited());
    let server = Server::with(engine, storage, Tokens::new().unwrap(), Options::default()).await;
    let world = World::of(server.unwrap());
    world.group(7, 1, [2]).await;
    let mut socket = world.socket(2, "").await;
    let (status, reply) = world.post(1, "/x/group/leave/7", json!({})).await;
    assert_eq!((status, &reply["msg"]), (503, &json!("HTTP_503")));
    assert_eq!(World::ok(world.get(1, "/x/group/state/7").await)["members"], 2);
    assert_eq!(world.post(2, "/x/group/leave/7", json!({})).await.0, 503);
    world.stop().await;
    assert_eq!(socket.read_to_end().await, (vec![], Some(1001)), "no signal must be sent");
}

#[tokio::test]
async fn an_incomplete_last_frame_is_cut_off_and_other_damage_is_reported() {
    let folder = folder();
    let world = World::with(options(&folder)).await;
    world.group(7, 1, [2]).await;
    for nth in 0..3 {
        world.post_ok(1, "/x/group/post/7", json!({ "message": nth.to_string() })).await;
    }
    world.stop().await;
    let log = folder.path().join("data/0.log");
    let whole = fs::read(&log).unwrap();
    assert_eq!(messages(&recover(folder.path())).len(), 3);

    // Cut 1 to 11 bytes off the end of the last frame.
    let frame = 12 + u32::from_le_bytes(whole[8..12].try_into().unwrap()) as usize;
    assert!(whole.len() > 8 + 2 * frame, "several frames");
    for cut in 1..12 {
        fs::write(&log, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(messages(&recover(folder.path())).len(), 2, "{cut} bytes missing");
        let len = fs::metadata(&log).unwrap().len() as usize;
        assert!(len < whole.len() - cut, "the incomplete frame must be cut off: {len}");
    }
    // The file has grown, but the data of the next frame was not written.
    let mut blank = whole.clone();
    blank.extend([0; 4096]);
    fs::write(&log, &blank).unwrap();
    assert_eq!(messages(&recover(folder.path())).len(), 3);
    assert_eq!(fs::read(&log).unwrap(), whole);

    // Flip a bit in each byte but the last 20: damage in the records of the last frame cannot be
    // distinguished from an incomplete frame. All other damage must be an error, not a shorter
    // history.
    for at in 0..whole.len() - 20 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&log, &bytes).unwrap();
        match Journal::open(&folder.path().join("data"), unlimited(), SNAPSHOT_EVERY) {
            Err(JournalError::Damaged { path, at: place, .. }) => {
                assert!(path == log && place <= at as u64, "{at}: {place}");
            }
            Ok((engine, _)) => {
                let count = messages(&engine).len();
                assert!(count == 2 && at > 8 + 2 * frame, "byte {at}: no error, {count} messages");
            }
            Err(other) => panic!("{other}"),
        }
    }
    fs::write(&log, &whole).unwrap();

    let snapshot = folder.path().join("data/0.snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&snapshot, &bytes).unwrap();
    let error =
        Journal::open(&folder.path().join("data"), unlimited(), SNAPSHOT_EVERY).unwrap_err();
    assert!(error.to_string().contains("0.snapshot: byte 12: the checksum"), "{error}");
    fs::remove_file(&snapshot).unwrap();
    let error =
        Journal::open(&folder.path().join("data"), unlimited(), SNAPSHOT_EVERY).unwrap_err();
    assert!(error.to_string().contains("without the snapshot"), "{error}");
}

#[tokio::test]
async fn a_data_folder_is_locked_by_one_server_and_survives_a_restart() {
    let folder = folder();
    let world = World::with(options(&folder)).await;
    world.group(7, 1, [2]).await;
    let token = world.token(2).await;
    let error = Server::start(options(&folder)).await.unwrap_err();
    assert!(error.to_string().ends_with("in use by another process"), "{error}");
    let before = World::ok(world.get(2, "/x/group/state/7").await);
    world.stop().await;
    let world = World::with(options(&folder)).await;
    let path = "/x/group/state/7";
    let after = world.try_send(Method::GET, Some(&token), path, None).await.unwrap();
    assert_eq!(World::ok(after), before, "a token must be valid after a restart");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_sends_queued_signals_and_exits_with_status_0() {
    let folder = folder();
    let (mut child, world) = spawn(folder.path(), "", &[]);
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
    assert_eq!(messages(&recover(folder.path())).len(), 100);
}
