//! Measures the server beside `examples/server` and a minimal server in Node, all over loopback.
//!
//! ```sh
//! cargo build --release -p disband-server -p disband-server-example
//! cargo run --release -p disband-server --example figures
//! ```
//!
//! Each server runs in a process of its own. Its CPU time is that of the process, so the clients do not
//! count. The rates and the times to an answer depend on the clients too: all share the same cores.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is a client")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Measures CPU, rates and times to an answer.
#[derive(Parser, Clone)]
struct Arguments {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Users with a WebSocket in the measurements that have them.
    #[arg(long, default_value_t = 1000)]
    sockets: u64,
    /// WebSockets in the large group.
    #[arg(long, default_value_t = 10_000)]
    crowd: u64,
    /// Commands before the restart is measured.
    #[arg(long, default_value_t = 1_000_000)]
    history: u64,
    /// How many clients send commands at the same time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    clients: Vec<u64>,
    /// Which part to measure; all of them if not given.
    #[arg(long)]
    part: Option<Part>,
    /// Everything small, to see that it works.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Commands,
    Crowd,
    Restart,
}

const PER_GROUP: u64 = 10;

/// A server in a process of its own.
struct Server {
    name: &'static str,
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this workspace, beside this one.
fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().and_then(Path::parent).ok_or("no folder")?;
    let path = folder.join(name);
    if path.exists() { Ok(path) } else { Err(format!("build it first: {}", path.display()).into()) }
}

impl Server {
    fn start(name: &'static str, mut command: Command) -> Result<Server> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").ok_or("no address")?;
        Ok(Server { name, address: address.to_owned(), child })
    }

    fn disband(name: &'static str, file: &str, folder: Option<&Path>) -> Result<Server> {
        let config = std::env::temp_dir().join(format!("figures-{}.json", std::process::id()));
        let mut written = fs::File::create(&config)?;
        let config_value = disband::Config {
            quotas: disband::Quotas::UNLIMITED,
            instance: 7,
            ..disband::Config::default()
        };
        written.write_all(serde_json::to_string(&config_value)?.as_bytes())?;
        let mut command = Command::new(program(file)?);
        command.args(["--listen", "127.0.0.1:0", "--config"]).arg(config);
        if let Some(folder) = folder {
            command.arg("--data").arg(folder);
        }
        Server::start(name, command)
    }

    fn node() -> Result<Server> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        if !folder.join("node_modules/ws").exists() {
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-save", "--no-package-lock", "ws@8"]).current_dir(&folder);
            npm.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        }
        let mut command = Command::new("node");
        command.arg(folder.join("minimal.mjs"));
        Server::start("Node, nothing checked", command)
    }

    /// The CPU time of the process.
    fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<_> = stat.rsplit_once(") ").ok_or("stat")?.1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

/// One connection that sends one request after the other.
struct Client {
    stream: TcpStream,
    token: String,
    buffer: Vec<u8>,
}

impl Client {
    async fn new(address: &str, user: u64) -> Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream, token: String::new(), buffer: Vec::new() };
        let body = format!(r#"{{"user":"{user}"}}"#);
        let reply = client.post("/stand-in/login", &body).await?;
        let reply: Value = serde_json::from_slice(&reply)?;
        reply["data"]["token"].as_str().ok_or("no token")?.clone_into(&mut client.token);
        Ok(client)
    }

    async fn post(&mut self, path: &str, body: &str) -> Result<Vec<u8>> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(body) = whole(&self.buffer)? {
                return Ok(body.to_vec());
            }
        }
    }

    async fn ok(&mut self, path: &str, body: &str) -> Result<()> {
        let reply = self.post(path, body).await?;
        if reply.starts_with(br#"{"ok":true"#) {
            Ok(())
        } else {
            Err(format!("{path}: {}", String::from_utf8_lossy(&reply)).into())
        }
    }
}

/// The body of a reply, if all of it is there.
fn whole(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
    let body = &bytes[end + 4..];
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let len: usize = rest.split("\r\n").next().unwrap_or_default().parse()?;
        return Ok((body.len() >= len).then(|| &body[..len]));
    }
    // Node answers in one chunk.
    let Some(at) = body.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
    let len = usize::from_str_radix(std::str::from_utf8(&body[..at])?, 16)?;
    let whole = body.len() >= at + 2 + len + 2 + 5;
    Ok(whole.then(|| &body[at + 2..at + 2 + len]))
}

/// Opens a WebSocket and counts the bytes that arrive. Returns the task that reads.
async fn socket(address: &str, token: &str, bytes: Arc<AtomicU64>) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /ws?id={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 1024];
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err("no WebSocket".into());
        }
        head.extend_from_slice(&buffer[..count]);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&head).into());
    }
    tokio::spawn(async move {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
    });
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Post,
    LeaveJoin,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Post => "post",
            Work::LeaveJoin => "leave, join",
        }
    }

    /// The next command of a user: its path and body.
    fn next(self, user: u64, nth: u64) -> (String, &'static str) {
        let group = user / PER_GROUP;
        match self {
            Work::Post => (format!("/x/group/post/{group}"), r#"{"message":"how do you do"}"#),
            Work::LeaveJoin if nth.is_multiple_of(2) => (format!("/x/group/leave/{group}"), "{}"),
            Work::LeaveJoin => (format!("/x/group/join/{group}"), "{}"),
        }
    }
}

/// Groups of ten with these users.
async fn fill(server: &Server, users: u64, sockets: bool) -> Result<Arc<AtomicU64>> {
    let bytes = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for first in (0..users).step_by(PER_GROUP as usize) {
        let (address, bytes) = (server.address.clone(), Arc::clone(&bytes));
        tasks.spawn(async move {
            for user in first..(first + PER_GROUP).min(users) {
                let mut client = Client::new(&address, user).await?;
                let verb = if user % PER_GROUP == 0 { "create" } else { "join" };
                client.ok(&format!("/x/group/{verb}/{}", user / PER_GROUP), "{}").await?;
                if sockets {
                    socket(&address, &client.token, Arc::clone(&bytes)).await?;
                }
            }
            Result::Ok(())
        });
        if tasks.len() >= 64 {
            tasks.join_next().await.ok_or("a task")???;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(bytes)
}

struct Measured {
    commands: u64,
    rate: f64,
    cpu_us: f64,
    times: Histogram<u64>,
}

/// Lets this many clients work for a while. Each has a user of its own, who owns no group.
async fn measure(
    server: &Server,
    work: Work,
    clients: u64,
    users: u64,
    time: Duration,
) -> Result<Measured> {
    let mut tasks = JoinSet::new();
    let mut all = Vec::new();
    for client in 0..clients {
        let user = client * PER_GROUP % users + 1 + client * PER_GROUP / users;
        all.push((user, Client::new(&server.address, user).await?));
    }
    let (cpu, start) = (server.cpu()?, Instant::now());
    let end = start + time;
    for (user, mut client) in all {
        tasks.spawn(async move {
            let mut times = Histogram::new(3)?;
            // An even number of commands: after a leave comes a join.
            for nth in 0.. {
                if Instant::now() >= end && nth % 2 == 0 {
                    break;
                }
                let (path, body) = work.next(user, nth);
                let sent = Instant::now();
                client.ok(&path, body).await?;
                times.record(sent.elapsed().as_micros() as u64)?;
            }
            Result::Ok(times)
        });
    }
    let mut times = Histogram::new(3)?;
    while let Some(done) = tasks.join_next().await {
        times.add(done??)?;
    }
    let (elapsed, used) = (start.elapsed(), server.cpu()? - cpu);
    let commands = times.len();
    Ok(Measured {
        commands,
        rate: commands as f64 / elapsed.as_secs_f64(),
        cpu_us: used.as_secs_f64() * 1e6 / commands as f64,
        times,
    })
}

fn ms(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

/// CPU, rates and times of all servers.
async fn loads(arguments: &Arguments) -> Result<()> {
    println!("## Commands\n");
    println!("CPU is that of the server for one command.\n");
    for sockets in [false, true] {
        let with = if sockets {
            format!("{} WebSockets", arguments.sockets)
        } else {
            "no WebSockets".into()
        };
        println!("| {with} | clients | server | CPU | commands/s | p50 | p99 |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for (disk, work) in [
            (false, Work::Post),
            (false, Work::LeaveJoin),
            (true, Work::Post),
            (true, Work::LeaveJoin),
        ] {
            for &clients in &arguments.clients {
                let folder = tempfile::tempdir_in(".")?;
                let (new, old) = (folder.path().join("new"), folder.path().join("old"));
                let mut servers = vec![
                    Server::disband("disband-server", "disband-server", disk.then_some(&*new))?,
                    Server::disband(
                        "examples/server",
                        "disband-server-example",
                        disk.then_some(&*old),
                    )?,
                ];
                if !disk {
                    servers.push(Server::node()?);
                }
                let users = arguments.sockets.max(clients * 2).next_multiple_of(PER_GROUP);
                for server in &servers {
                    fill(server, users, sockets).await?;
                    let time = Duration::from_secs_f64(arguments.seconds);
                    let measured = measure(server, work, clients, users, time).await?;
                    println!(
                        "| {}, {} | {clients} | {} | {:.1} µs | {:.0} | {:.2} ms | {:.2} ms |",
                        work.name(),
                        if disk { "on disk" } else { "in memory" },
                        server.name,
                        measured.cpu_us,
                        measured.rate,
                        ms(&measured.times, 0.5),
                        ms(&measured.times, 0.99),
                    );
                }
            }
        }
        println!();
    }
    Ok(())
}

/// Small groups, quiet and while a large group is told something all the time.
async fn crowd(arguments: &Arguments) -> Result<()> {
    println!("## Small groups beside a large one\n");
    println!(
        "Eight clients post in small groups. Meanwhile a group of {} WebSockets is told something twice a second.\n",
        arguments.crowd
    );
    println!("| server | | commands/s | p50 | p99 |\n| --- | --- | --- | --- | --- |");
    let names =
        [("disband-server", "disband-server"), ("examples/server", "disband-server-example")];
    for (name, file) in names {
        let server = Server::disband(name, file, None)?;
        fill(&server, 1000, false).await?;
        let large = 1_000_000;
        let mut owner = Client::new(&server.address, large).await?;
        owner.ok(&format!("/x/group/create/{large}"), "{}").await?;
        drop(owner);
        let bytes = Arc::new(AtomicU64::new(0));
        for user in 1..=arguments.crowd {
            let mut client = Client::new(&server.address, large + user).await?;
            client.ok(&format!("/x/group/join/{large}"), "{}").await?;
            socket(&server.address, &client.token, Arc::clone(&bytes)).await?;
        }
        let time = Duration::from_secs_f64(arguments.seconds * 2.0);
        let print = |what: &str, measured: Measured| {
            println!(
                "| {name} | {what} | {:.0} | {:.2} ms | {:.2} ms |",
                measured.rate,
                ms(&measured.times, 0.5),
                ms(&measured.times, 0.99)
            );
        };
        print("quiet", measure(&server, Work::Post, 8, 1000, time).await?);
        let stop = Arc::new(AtomicBool::new(false));
        // The servers close connections that are idle for ten seconds.
        let mut owner = Client::new(&server.address, large).await?;
        let telling = tokio::spawn({
            let stop = Arc::clone(&stop);
            async move {
                while !stop.load(Ordering::Relaxed) {
                    owner.ok(&format!("/x/group/post/{large}"), r#"{"message":"hear"}"#).await?;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Result::Ok(())
            }
        });
        print("a large group is told", measure(&server, Work::Post, 8, 1000, time).await?);
        stop.store(true, Ordering::Relaxed);
        telling.await??;
    }
    println!();
    Ok(())
}

/// The bytes of all files of a folder that are not zero, and how long a restart takes.
async fn restart(arguments: &Arguments) -> Result<()> {
    println!("## Restart\n");
    println!("| server | commands | bytes of log for each | restart |\n| --- | --- | --- | --- |");
    let names =
        [("disband-server", "disband-server"), ("examples/server", "disband-server-example")];
    for (name, file) in names {
        let folder = tempfile::tempdir_in(".")?;
        let data = folder.path().join("data");
        let server = Server::disband(name, file, Some(&data))?;
        let users = 1280;
        fill(&server, users, false).await?;
        let (mut commands, mut written) = (0, 0);
        while commands < arguments.history {
            let before = written_bytes(&server, &data)?;
            let time = Duration::from_secs_f64(arguments.seconds);
            let measured = measure(&server, Work::Post, 128, users, time).await?;
            if written == 0 {
                tokio::time::sleep(Duration::from_millis(600)).await;
                written = (written_bytes(&server, &data)? - before) / measured.commands;
            }
            commands += measured.commands;
        }
        drop(server);
        let start = Instant::now();
        let server = Server::disband(name, file, Some(&data))?;
        println!("| {name} | {commands} | {written} | {:.2} s |", start.elapsed().as_secs_f64());
        drop(server);
    }
    Ok(())
}

/// How many bytes of log a server has written: by its own figures, or by the length of its log.
fn written_bytes(server: &Server, data: &Path) -> Result<u64> {
    if server.name == "examples/server" {
        return Ok(fs::metadata(data.join("0.log")).map_or(0, |file| file.len()));
    }
    let mut stream = std::net::TcpStream::connect(&server.address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let lines = BufReader::new(stream).lines();
    let found = lines
        .map_while(std::result::Result::ok)
        .find_map(|line| line.strip_prefix("disband_log_written_bytes ")?.parse().ok());
    found.ok_or_else(|| "no figure".into())
}

#[tokio::main]
async fn main() -> Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments =
            Arguments { seconds: 0.1, sockets: 100, crowd: 100, history: 1000, ..arguments };
    }
    let wants = |part| arguments.part.is_none_or(|wanted| wanted == part);
    if wants(Part::Commands) {
        loads(&arguments).await?;
    }
    if wants(Part::Crowd) {
        crowd(&arguments).await?;
    }
    if wants(Part::Restart) {
        restart(&arguments).await?;
    }
    Ok(())
}
