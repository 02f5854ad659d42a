//! Whole nodes in a simulated world: one seed gives the same trace, byte for byte.
//!
//! Tokio chooses the branches of a `select!` at random, also in openraft. Only with the flag
//! `tokio_unstable` does it do so from a seed:
//! `RUSTFLAGS="--cfg tokio_unstable" cargo test -p disband-server --test determinism`
#![cfg(tokio_unstable)]
#![allow(clippy::disallowed_methods, reason = "the simulated world uses tokio's tasks")]

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use disband::{Config, Quotas, Timestamp};
use disband_server::simulated::SimulatedDisk;
use disband_server::world::{Listener, World};
use disband_server::{Options, Server, Together};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use turmoil::net::{TcpListener, TcpStream};

/// The port for clients, and the one for other nodes.
const HTTP: u16 = 80;
const RAFT: u16 = 81;

/// When the simulation begins, in milliseconds since 1970.
const BEGIN: u64 = 1_700_000_000_000;

/// What happened, with the time of the simulation.
type Trace = Arc<Mutex<Vec<String>>>;

/// The world of one node.
#[derive(Clone)]
struct Simulated {
    random: Arc<Mutex<u64>>,
    disk: SimulatedDisk,
}

struct SimulatedListener(TcpListener);

impl Listener for SimulatedListener {
    type Stream = TcpStream;

    fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }
}

impl World for Simulated {
    type Disk = SimulatedDisk;
    type Listener = SimulatedListener;
    type Stream = TcpStream;

    fn wall(&self) -> Timestamp {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        Timestamp(BEGIN + elapsed.as_millis() as u64)
    }

    fn random(&self) -> u64 {
        let mut state = self.random.lock().unwrap();
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 11
    }

    fn memory(&self) -> u64 {
        4 << 30
    }

    async fn disk(&self, _: &Path) -> io::Result<SimulatedDisk> {
        Ok(self.disk.clone())
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<SimulatedListener> {
        Ok(SimulatedListener(TcpListener::bind(address).await?))
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    fn free(&self, value: impl Send + 'static) {
        drop(value);
    }
}

fn log(trace: &Trace, what: impl std::fmt::Display) {
    let now = turmoil::sim_elapsed().unwrap_or_default().as_micros();
    trace.lock().unwrap().push(format!("{now} {what}"));
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
}

fn name(node: u64) -> String {
    format!("node-{node}")
}

fn options(node: u64, nodes: u64) -> Options {
    let together = (nodes > 1).then(|| Together {
        node,
        nodes: (1..=nodes).map(|node| (node, format!("{}:{RAFT}", name(node)))).collect(),
        listen: address(RAFT),
    });
    Options {
        listen: address(HTTP),
        config: Config { instance: 7, quotas: Quotas::UNLIMITED, ..Config::default() },
        data: Some(PathBuf::from("simulated")),
        segment_bytes: 64 << 10,
        snapshot_every: 4_000,
        min_free: 0,
        together,
        ..Options::default()
    }
}

/// Sends one request on a connection of its own. `None` if the node does not answer in time.
async fn request(
    node: u64,
    token: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = timeout(Duration::from_secs(6), async {
        let mut stream = TcpStream::connect((name(node), HTTP)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    });
    let answer = String::from_utf8(answer.await.ok()?.ok()?).unwrap();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, serde_json::from_str(body).ok()?))
}

async fn log_in(node: u64, user: u64) -> String {
    loop {
        let body = json!({ "user": user.to_string() });
        if let Some((200, reply)) = request(node, "", "POST", "/stand-in/login", &body).await {
            return reply["data"]["token"].as_str().unwrap().to_owned();
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sends commands, each to one node after the other until it is carried out.
async fn client(nodes: u64, trace: Trace) {
    let mut tokens = BTreeMap::new();
    for node in 1..=nodes {
        for user in 1..=3 {
            tokens.insert((node, user), log_in(node, user).await);
        }
    }
    let mut commands = vec![(1, "create/7".to_owned(), json!({}))];
    commands.extend((2..=3).map(|user| (user, "join/7".to_owned(), json!({}))));
    for nth in 0..60 {
        let message = json!({ "message": format!("{nth} {}", "x".repeat(50)) });
        commands.push((1 + nth % 3, "post/7".to_owned(), message));
    }
    commands.push((1, "leave/7".to_owned(), json!({})));
    for (user, path, body) in commands {
        let path = format!("/x/group/{path}");
        for attempt in 0.. {
            assert!(attempt < 400, "{path} is not carried out");
            let node = 1 + attempt % nodes;
            let answer = request(node, &tokens[&(node, user)], "POST", &path, &body).await;
            log(&trace, format_args!("{path} of {user} to {node}: {answer:?}"));
            match answer {
                // A command that was carried out before its answer was lost.
                Some((200 | 400 | 404 | 409, _)) => break,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Logs what a socket of user 3 gets from a node.
async fn listen(node: u64, trace: Trace) {
    let token = log_in(node, 3).await;
    loop {
        let stream = TcpStream::connect((name(node), HTTP)).await;
        if let Ok(stream) = stream {
            let url = format!("ws://{}/ws?id={token}", name(node));
            if let Ok((mut socket, _)) = tokio_tungstenite::client_async(url, stream).await {
                while let Some(Ok(message)) = socket.next().await {
                    log(&trace, format_args!("signal at {node}: {message}"));
                }
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Runs a cluster. With three nodes, the first is down for a while, with all that it had not synced lost.
fn run(nodes: u64, seed: u64) -> Vec<String> {
    let trace = Trace::default();
    let mut builder = turmoil::Builder::new();
    builder.rng_seed(seed).simulation_duration(Duration::from_secs(120));
    builder
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(9));
    let mut simulation = builder.build();
    let disks: BTreeMap<u64, Arc<Mutex<SimulatedDisk>>> =
        (1..=nodes).map(|node| (node, Arc::default())).collect();
    for (node, disk) in &disks {
        let (node, disk, trace) = (*node, Arc::clone(disk), Arc::clone(&trace));
        let random = Arc::new(Mutex::new(seed.wrapping_mul(1000) + node));
        simulation.host(name(node), move || {
            let present = disk.lock().unwrap().crash(seed);
            *disk.lock().unwrap() = present.clone();
            let (world, trace) =
                (Simulated { random: Arc::clone(&random), disk: present }, Arc::clone(&trace));
            async move {
                let server = Server::start(world, options(node, nodes)).await?;
                log(&trace, format_args!("node {node} has started"));
                std::future::pending::<()>().await;
                drop(server);
                Ok(())
            }
        });
    }
    for node in 1..=nodes {
        let trace = Arc::clone(&trace);
        simulation.host(format!("listener-{node}"), move || {
            let trace = Arc::clone(&trace);
            async move {
                listen(node, trace).await;
                Ok(())
            }
        });
    }
    let commands = client(nodes, Arc::clone(&trace));
    simulation.client("client", async move {
        commands.await;
        sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    if nodes > 1 {
        for (until, crash) in [(3, true), (6, false)] {
            while simulation.elapsed() < Duration::from_secs(until) {
                simulation.step().unwrap();
            }
            if crash {
                simulation.crash(name(1));
            } else {
                simulation.bounce(name(1));
            }
        }
    }
    simulation.run().unwrap();
    let mut trace = trace.lock().unwrap().clone();
    for (node, disk) in disks {
        let disk = disk.lock().unwrap();
        for file in disk.names() {
            let hash = blake3::hash(&disk.contents(&file).unwrap());
            trace.push(format!("node {node}, {file}: {hash}"));
        }
    }
    trace
}

fn check(nodes: u64) {
    let (first, second, other) = (run(nodes, 1), run(nodes, 1), run(nodes, 2));
    for (one, two) in first.iter().zip(&second) {
        assert_eq!(one, two);
    }
    assert_eq!(first.len(), second.len());
    assert_ne!(first, other, "the seed must matter");
    let told = |what: &str| first.iter().filter(|line| line.contains(what)).count();
    assert!(told("signal at 1") > 0 && told("\"historypurge\"") >= 1, "{first:#?}");
    assert!(told(".snapshot") >= 1, "a snapshot must be taken");
    assert_eq!(told("has started"), if nodes == 1 { 1 } else { 4 });
}

/// One test for both: runs in two threads at a time were seen to differ, so something in the process is
/// shared. In one thread they do not differ, also on a busy machine.
#[test]
fn the_same_seed_gives_the_same_trace() {
    check(1);
    check(3);
}
