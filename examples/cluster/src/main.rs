//! `cargo run --release -p disband-cluster`: three replicas, a leader killed at its work, and what is left.

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

/// Three replicas on loopback; the leader is killed at its work, and nothing is lost.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// One replica, until it is killed.
    Replica(Replica),
    /// Measures it all: some three minutes.
    Figures {
        /// How many members the largest group has.
        #[arg(long, default_value_t = 1_000_000)]
        members: u64,
    },
}

#[derive(Args)]
struct Replica {
    /// Its number.
    #[arg(long)]
    id: u64,
    /// All of them: `1=ADDRESS,2=ADDRESS,3=ADDRESS`.
    #[arg(long, value_delimiter = ',', value_parser = replica)]
    replicas: Vec<(u64, String)>,
    /// Where it keeps what it has.
    #[arg(long)]
    folder: PathBuf,
    /// How many Raft groups there are; the same for all, and for good.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(Shard).range(1..=SLOTS.into()))]
    shards: Shard,
    /// Make the replicas a cluster: said to one of them, when it starts for the first time.
    #[arg(long)]
    found: bool,
    /// After so many entries, each of up to 256 commands, a snapshot is taken.
    #[arg(long, default_value_t = 5_000)]
    snapshot_every: u64,
    /// Don't wait for the disk: what was answered is gone if the process is killed. To see what it costs.
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
    let result = match Arguments::parse().what {
        Some(What::Replica(replica)) => take_part(replica).await,
        Some(What::Figures { members }) => figures::measure(members).await,
        None => show().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("disband-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn take_part(arguments: Replica) -> Result<(), Failure> {
    let replicas: BTreeMap<_, _> = arguments.replicas.into_iter().collect();
    let node = Node::start(Options {
        id: arguments.id,
        replicas: replicas.clone(),
        folder: arguments.folder,
        shards: arguments.shards,
        durability: if arguments.lazy { Durability::Lazy } else { Durability::Synced },
        // Whoever calls is trusted, and measured.
        config: Config { quotas: Quotas::UNLIMITED, ..Config::default() },
        snapshot_every: arguments.snapshot_every,
    })
    .await?;
    if arguments.found {
        node.found(&replicas).await?;
    }
    std::future::pending().await
}

const CLIENTS: u64 = 64;
const COMMANDS: u64 = 10_000;
const CROWD: u64 = 5_000;
const TALK: GroupId = GroupId(1);
const PARTY: GroupId = GroupId(2);
const OWNER: UserId = UserId(1);

async fn done(client: &mut Client, command: Command<UserId, GroupId>) -> Result<(), Failure> {
    match client.send(command).await? {
        Answer::Done { code: 200, .. } => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

async fn fill(local: &Local, group: GroupId, members: u64) -> Result<(), Failure> {
    let mut owner = local.client();
    done(&mut owner, Command::Create { owner: OWNER, group, options: None }).await?;
    let mut joining = Vec::new();
    for part in 0..CLIENTS {
        let mut client = local.client();
        joining.push(tokio::spawn(async move {
            for user in (2 + part..=members).step_by(CLIENTS as usize) {
                done(&mut client, Command::Join { user: UserId(user), group }).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for part in joining {
        part.await??;
    }
    Ok(())
}

async fn show() -> Result<(), Failure> {
    // One shard, so that all that happens waits for the one leader who is killed.
    let mut local = Local::start(env::current_exe()?, 1, &[])?;
    println!("three replicas: {:?}", local.replicas());
    fill(&local, TALK, 1 + CLIENTS).await?;
    fill(&local, PARTY, CROWD).await?;
    println!("{CROWD} members in a group that is to end, {CLIENTS} clients who talk in another");

    let answered = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut talking = Vec::new();
    for part in 0..CLIENTS {
        let (mut client, answered) = (local.client(), Arc::clone(&answered));
        talking.push(tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for nth in (part..COMMANDS).step_by(CLIENTS as usize) {
                let sent = Instant::now();
                let message = format!("number {nth}").into();
                let author = UserId(2 + part);
                done(&mut client, Command::Post { author, group: TALK, message }).await?;
                longest = longest.max(sent.elapsed());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failure>(longest)
        }));
    }
    while answered.load(Ordering::Relaxed) < COMMANDS / 2 {
        sleep(Duration::from_millis(1)).await;
    }
    // With a session, and the leader known, there is nothing between the command and its kill.
    let mut owner = local.client();
    let message = "goodbye".into();
    done(&mut owner, Command::Post { author: OWNER, group: PARTY, message }).await?;
    let leader = owner.leader(0).await?;
    let ending = tokio::spawn(async move {
        let sent = Instant::now();
        done(&mut owner, Command::Leave { user: OWNER, group: PARTY, stint: None }).await?;
        Ok::<_, Failure>(sent.elapsed())
    });
    // On its way, and not yet on the disk; tokio's own sleep may take as long as the answer.
    thread::sleep(Duration::from_micros(300));
    local.kill(leader)?;
    println!("replica {leader} led, and is killed in the middle of it");
    let waited = ending.await??;
    let mut longest = Duration::ZERO;
    for part in talking {
        longest = longest.max(part.await??);
    }
    let took = start.elapsed();
    local.restart(leader)?;

    let mut client = local.client();
    let talk = client.read(TALK).await?.ok_or("the talk is lost")?;
    let party = client.read(PARTY).await?;
    println!("{COMMANDS} messages were answered, {} are there", talk.next_seq);
    println!("the group of {CROWD} is {}", if party.is_none() { "gone" } else { "still there" });
    println!(
        "the dissolution was answered after {waited:.1?}, the slowest message after {longest:.1?}"
    );
    println!("{:.0} commands a second, that wait included", COMMANDS as f64 / took.as_secs_f64());
    let digest = client.agreement(0).await?;
    println!(
        "all three hold the same {} entries, byte for byte",
        digest.applied.unwrap_or_default()
    );
    if talk.next_seq != COMMANDS || party.is_some() {
        return Err("something was lost, or done twice".into());
    }
    if let Some(violation) = digest.violation {
        return Err(format!("what they hold is not sound: {violation}").into());
    }
    Ok(())
}
