//! `cargo run --release -p disband-cluster`: starts three replicas, kills the leader while it
//! works, and checks that no command was lost.

mod figures;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use disband::{Command, Config, GroupId, Quotas, UserId};
use disband_cluster::{Answer, Client, Durability, Local, Node, Options, SLOTS, Shard};
use tokio::time::sleep;

/// Starts three replicas on loopback, kills the leader while it works, and checks that nothing is
/// lost.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Subcommand)]
enum Mode {
    /// Run one replica until it is killed.
    Replica(Replica),
    /// Measure throughput and latencies. Takes about three minutes.
    Figures {
        /// The number of members of the largest groups.
        #[arg(long, default_value_t = 1_000_000)]
        members: u64,
    },
}

#[derive(Args)]
struct Replica {
    /// The number of this replica.
    #[arg(long)]
    id: u64,
    /// All replicas: `1=ADDRESS,2=ADDRESS,3=ADDRESS`.
    #[arg(long, value_delimiter = ',', value_parser = replica)]
    replicas: Vec<(u64, String)>,
    /// The folder for this replica's data.
    #[arg(long)]
    folder: PathBuf,
    /// The number of shards (Raft groups). Must be the same for all replicas, and cannot change.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(Shard).range(1..=SLOTS.into()))]
    shards: Shard,
    /// Make the replicas a cluster. Only for one replica, when it starts for the first time.
    #[arg(long)]
    found: bool,
    /// Take a snapshot after this many log entries, each of up to 256 commands.
    #[arg(long, default_value_t = 5_000)]
    snapshot_every: u64,
    /// Don't wait for the disk: answered commands are lost if the process is killed. Only for
    /// measurements.
    #[arg(long)]
    lazy: bool,
}

fn replica(text: &str) -> Result<(u64, String), String> {
    let (id, address) = text.split_once('=').ok_or("not NUMBER=ADDRESS")?;
    Ok((id.parse().map_err(|error| format!("{error}"))?, address.to_owned()))
}

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().mode {
        Some(Mode::Replica(replica)) => run_replica(replica).await,
        Some(Mode::Figures { members }) => figures::measure(members).await,
        None => demo().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("disband-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_replica(arguments: Replica) -> Result<(), Failure> {
    let replicas: BTreeMap<_, _> = arguments.replicas.into_iter().collect();
    let node = Node::start(Options {
        id: arguments.id,
        replicas: replicas.clone(),
        folder: arguments.folder,
        shards: arguments.shards,
        durability: if arguments.lazy { Durability::Lazy } else { Durability::Synced },
        // No rate limits: all clients are trusted, and measurements must not be slowed down.
        config: Config { quotas: Quotas::UNLIMITED, ..Config::default() },
        snapshot_every: arguments.snapshot_every,
    })
    .await?;
    if arguments.found {
        node.initialize(&replicas).await?;
    }
    std::future::pending().await
}

const CLIENTS: u64 = 64;
const COMMANDS: u64 = 10_000;
const MEMBERS: u64 = 5_000;
const CHAT_GROUP: GroupId = GroupId(1);
const LARGE_GROUP: GroupId = GroupId(2);
const OWNER: UserId = UserId(1);

/// Sends a command that must succeed.
async fn send_ok(client: &mut Client, command: Command<UserId, GroupId>) -> Result<(), Failure> {
    match client.send(command).await? {
        Answer::Done { code: 200, .. } => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// Creates a group with this many members, the owner included.
async fn fill(local: &Local, group: GroupId, members: u64) -> Result<(), Failure> {
    let mut owner = local.client();
    send_ok(&mut owner, Command::Create { owner: OWNER, group, options: None }).await?;
    let mut joining = Vec::new();
    for worker in 0..CLIENTS {
        let mut client = local.client();
        joining.push(tokio::spawn(async move {
            for user in (2 + worker..=members).step_by(CLIENTS as usize) {
                send_ok(&mut client, Command::Join { user: UserId(user), group }).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in joining {
        task.await??;
    }
    Ok(())
}

async fn demo() -> Result<(), Failure> {
    // One shard, so that every command needs the leader that is killed.
    let mut local = Local::start(env::current_exe()?, 1, &[])?;
    println!("three replicas: {:?}", local.replicas());
    fill(&local, CHAT_GROUP, 1 + CLIENTS).await?;
    fill(&local, LARGE_GROUP, MEMBERS).await?;
    println!(
        "a group of {MEMBERS} members to dissolve; another group, where {CLIENTS} clients post"
    );

    let answered = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut posting = Vec::new();
    for worker in 0..CLIENTS {
        let (mut client, answered) = (local.client(), Arc::clone(&answered));
        posting.push(tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for nth in (worker..COMMANDS).step_by(CLIENTS as usize) {
                let sent = Instant::now();
                let message = format!("number {nth}").into();
                let author = UserId(2 + worker);
                send_ok(&mut client, Command::Post { author, group: CHAT_GROUP, message }).await?;
                longest = longest.max(sent.elapsed());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failure>(longest)
        }));
    }
    while answered.load(Ordering::Relaxed) < COMMANDS / 2 {
        sleep(Duration::from_millis(1)).await;
    }
    // This command opens the session and finds the leader, so that the `Leave` below is sent at
    // once.
    let mut owner = local.client();
    let message = "goodbye".into();
    send_ok(&mut owner, Command::Post { author: OWNER, group: LARGE_GROUP, message }).await?;
    let leader = owner.leader(0).await?;
    let ending = tokio::spawn(async move {
        let sent = Instant::now();
        // A stint is one unbroken membership of one user in one group. `None` means the current
        // one.
        send_ok(&mut owner, Command::Leave { user: OWNER, group: LARGE_GROUP, stint: None })
            .await?;
        Ok::<_, Failure>(sent.elapsed())
    });
    // After this sleep the command should be sent, but not yet on disk. tokio's sleep is too
    // coarse: it may take as long as the answer.
    thread::sleep(Duration::from_micros(300));
    local.kill(leader)?;
    println!("replica {leader}, the leader, was killed just after the owner's `leave` was sent");
    let waited = ending.await??;
    let mut longest = Duration::ZERO;
    for task in posting {
        longest = longest.max(task.await??);
    }
    let elapsed = start.elapsed();
    local.restart(leader)?;

    let mut client = local.client();
    let chat = client.read(CHAT_GROUP).await?.ok_or("the group of the messages is lost")?;
    let large = client.read(LARGE_GROUP).await?;
    println!("{COMMANDS} messages were answered, and the group has {}", chat.next_seq);
    println!(
        "the group of {MEMBERS} is {}",
        if large.is_none() { "dissolved" } else { "still there" }
    );
    println!(
        "the dissolution was answered after {waited:.1?}, the slowest message after {longest:.1?}"
    );
    println!(
        "{:.0} messages a second, the time without a leader included",
        COMMANDS as f64 / elapsed.as_secs_f64()
    );
    let digest = client.agreement(0).await?;
    println!(
        "all three replicas have applied {} entries, and their states are equal to the byte",
        digest.applied.unwrap_or_default()
    );
    if chat.next_seq != COMMANDS || large.is_some() {
        return Err("a command was lost, or carried out twice".into());
    }
    if let Some(violation) = digest.violation {
        return Err(format!("the replicas' state is invalid: {violation}").into());
    }
    Ok(())
}
