//! Measures the load that the server can take, over loopback, with and without a disk.
//!
//! `cargo run --release -p disband-server-example --example load`
//!
//! There are a thousand users in groups of ten, each with a WebSocket. First, clients post
//! messages; then, clients leave and join. Each client waits for the reply before its next request.
//! The server and its clients share the cores of this machine, so the numbers include the work of
//! both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use disband::{Config, Quotas};
use disband_server_example::{Options, Server};
use futures_util::StreamExt;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;

/// Measures commands per second, and how long a command takes, over loopback.
#[derive(Parser)]
struct Arguments {
    /// Users, each with a WebSocket.
    #[arg(long, default_value_t = 1000)]
    sockets: u64,
    /// Clients that send requests at the same time.
    #[arg(long, default_value_t = 64)]
    clients: u64,
    /// Duration of each measurement, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

const PER_GROUP: u64 = 10;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Load {
    arguments: Arguments,
    http: reqwest::Client,
    root: String,
    tokens: Vec<String>,
}

impl Load {
    async fn post(&self, user: u64, path: &str, body: &Value) -> Result<Value, Failure> {
        let token = &self.tokens[user as usize];
        let request = self.http.post(format!("{}{path}", self.root)).bearer_auth(token);
        let reply: Value = request.json(body).send().await?.json().await?;
        if reply["ok"] != json!(true) {
            return Err(format!("{path}: {reply}").into());
        }
        Ok(reply)
    }

    /// Runs `work` for all clients at the same time. Returns the commands per second, and the time
    /// that each command took.
    async fn measure<F>(
        self: &Arc<Self>,
        work: impl Fn(Arc<Load>, u64) -> F,
    ) -> Result<(f64, Histogram<u64>), Failure>
    where
        F: Future<Output = Result<Histogram<u64>, Failure>> + Send + 'static,
    {
        let start = Instant::now();
        let tasks: Vec<_> = (0..self.arguments.clients)
            // Spread the clients over the groups. Skip the first user of each, who owns it.
            .map(|client| {
                let user = client * PER_GROUP % self.arguments.sockets
                    + 1
                    + client * PER_GROUP / self.arguments.sockets;
                tokio::spawn(work(Arc::clone(self), user))
            })
            .collect();
        let mut all = Histogram::new(3)?;
        for task in tasks {
            all.add(task.await??)?;
        }
        Ok((all.len() as f64 / start.elapsed().as_secs_f64(), all))
    }

    fn end(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.arguments.seconds)
    }
}

async fn posts(load: Arc<Load>, user: u64) -> Result<Histogram<u64>, Failure> {
    let (mut times, end) = (Histogram::new(3)?, load.end());
    let path = format!("/x/group/post/{}", user / PER_GROUP);
    while Instant::now() < end {
        let start = Instant::now();
        load.post(user, &path, &json!({ "message": "how do you do" })).await?;
        times.record(start.elapsed().as_micros() as u64)?;
    }
    Ok(times)
}

async fn leaves(load: Arc<Load>, user: u64) -> Result<Histogram<u64>, Failure> {
    let (mut times, end) = (Histogram::new(3)?, load.end());
    let group = user / PER_GROUP;
    while Instant::now() < end {
        for verb in ["leave", "join"] {
            let start = Instant::now();
            load.post(user, &format!("/x/group/{verb}/{group}"), &json!({})).await?;
            times.record(start.elapsed().as_micros() as u64)?;
        }
    }
    Ok(times)
}

async fn run(arguments: Arguments, data: bool) -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(".")?;
    let server = Server::start(Options {
        config: Config { quotas: Quotas::UNLIMITED, ..Config::default() },
        data: data.then(|| folder.path().join("data")),
        ..Options::default()
    })
    .await?;
    let address = server.address();
    let http = reqwest::Client::new();
    let mut tokens = Vec::new();
    for user in 0..arguments.sockets {
        let login = http.post(format!("http://{address}/stand-in/login"));
        let reply: Value =
            login.json(&json!({ "user": user.to_string() })).send().await?.json().await?;
        tokens.push(reply["data"]["token"].as_str().ok_or("no token")?.to_owned());
    }
    let load = Arc::new(Load { arguments, http, root: format!("http://{address}"), tokens });
    let frames = Arc::new(AtomicU64::new(0));
    let stopping = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for user in 0..load.arguments.sockets {
        let verb = if user % PER_GROUP == 0 { "create" } else { "join" };
        load.post(user, &format!("/x/group/{verb}/{}", user / PER_GROUP), &json!({})).await?;
        let url = format!("ws://{address}/ws?id={}", load.tokens[user as usize]);
        let (mut socket, _) = connect_async(url).await?;
        let (frames, stopping) = (Arc::clone(&frames), Arc::clone(&stopping));
        readers.push(tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    frames.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(
                stopping.load(Ordering::Relaxed),
                "the server closed a socket that was too slow"
            );
        }));
    }
    let storage = if data { "on disk" } else { "in memory" };
    for what in ["post", "leave, join"] {
        let before = frames.load(Ordering::Relaxed);
        let start = Instant::now();
        let (rate, times) = match what {
            "post" => load.measure(posts).await?,
            _ => load.measure(leaves).await?,
        };
        let signals =
            (frames.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
        let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "| {what}, {storage} | {rate:.0} | {:.1} ms | {:.1} ms | {:.1} ms | {signals:.0} |",
            ms(0.5),
            ms(0.99),
            ms(1.0)
        );
    }
    stopping.store(true, Ordering::Relaxed);
    server.stop().await;
    for reader in readers {
        reader.await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    println!("| | commands per second | p50 | p99 | slowest | signals per second |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for data in [false, true] {
        run(Arguments::parse(), data).await?;
    }
    Ok(())
}
