//! What three replicas on this machine take: to compare with one another, not with other machines.

use std::env;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use disband::{Command, Config, GroupId, Quotas, Timestamp, UserId};
use disband_cluster::{Answer, Local, Machine, Proposal, Replica, Shard, TypeConfig, teller};
use hdrhistogram::Histogram;
use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, RaftSnapshotBuilder};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::{Failure, done};

const OWNER: UserId = UserId(1);

/// How long each rate is measured.
const LONG: Duration = Duration::from_secs(4);

/// How many groups the commands are spread over.
const GROUPS: u64 = 64;

pub(crate) async fn measure(members: u64) -> Result<(), Failure> {
    println!("| disk | shards | clients | commands a second | p50 | p99 | slowest |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (disk, more) in [("synced", &[][..]), ("not waited for", &["--lazy"])] {
        for shards in [1, 4] {
            for clients in [1, 64, 256] {
                let times = rate(shards, clients, more).await?;
                let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
                println!(
                    "| {disk} | {shards} | {clients} | {:.0} | {:.2} ms | {:.2} ms | {:.0} ms |",
                    times.len() as f64 / LONG.as_secs_f64(),
                    ms(0.5),
                    ms(0.99),
                    ms(1.0)
                );
            }
        }
    }
    println!("\nno answer for, at a leader's death (64 clients, five deaths): {}", gaps().await?);
    large(members).await?;
    alone(members).await
}

fn start(shards: Shard, more: &[&str]) -> Result<Local, Failure> {
    let more: Vec<_> = [more, &["--snapshot-every", "1000000000"]].concat();
    Ok(Local::start(env::current_exe()?, shards, &more)?)
}

/// Clients who post until they are told to stop; each gives how long its commands took.
struct Talk {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<Histogram<u64>, Failure>>>,
}

impl Talk {
    /// Each in one of these groups, which are founded for it.
    async fn begin(local: &Local, clients: u64, groups: Range<u64>) -> Result<Talk, Failure> {
        let mut owner = local.client();
        for group in groups.clone().map(GroupId) {
            done(&mut owner, Command::Create { owner: OWNER, group, options: None }).await?;
        }
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let mut talking = Vec::new();
        // All at once, when all are there.
        let gate = Arc::new(Barrier::new(clients as usize + 1));
        for (nth, group) in (0..clients).zip(groups.map(GroupId).cycle()) {
            let user = UserId(1_000_000_000 + nth);
            let mut client = local.client();
            done(&mut client, Command::Join { user, group }).await?;
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            let gate = Arc::clone(&gate);
            talking.push(tokio::spawn(async move {
                let mut times = Histogram::new(3)?;
                gate.wait().await;
                while !over.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    let message = "how do you do".into();
                    done(&mut client, Command::Post { author: user, group, message }).await?;
                    times.record(sent.elapsed().as_micros() as u64)?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(times)
            }));
        }
        gate.wait().await;
        Ok(Talk { over, answered, clients: talking })
    }

    /// The longest time without an answer to anybody, until `over`; looked at every millisecond or two,
    /// so no less than that.
    async fn longest_gap(&self, over: impl Fn() -> bool) -> Duration {
        let (mut last, mut since) = (0, Instant::now());
        let mut longest = Duration::ZERO;
        while !over() {
            sleep(Duration::from_millis(1)).await;
            longest = longest.max(since.elapsed());
            let now = self.answered.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        longest
    }

    async fn end(self) -> Result<Histogram<u64>, Failure> {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Histogram::new(3)?;
        for client in self.clients {
            all.add(client.await??)?;
        }
        Ok(all)
    }
}

async fn rate(shards: Shard, clients: u64, more: &[&str]) -> Result<Histogram<u64>, Failure> {
    let local = start(shards, more)?;
    let talk = Talk::begin(&local, clients, 0..GROUPS).await?;
    sleep(LONG).await;
    talk.end().await
}

async fn gaps() -> Result<String, Failure> {
    let mut local = start(1, &[])?;
    let talk = Talk::begin(&local, 64, 0..1).await?;
    let mut gaps = Vec::new();
    for _ in 0..5 {
        sleep(Duration::from_secs(2)).await;
        let leader = local.client().leader(0).await?;
        local.kill(leader)?;
        let end = Instant::now() + Duration::from_secs(4);
        gaps.push(talk.longest_gap(|| Instant::now() > end).await);
        local.restart(leader)?;
    }
    talk.end().await?;
    gaps.sort_unstable();
    Ok(gaps.iter().map(|gap| format!("{} ms", gap.as_millis())).collect::<Vec<_>>().join(", "))
}

/// Two groups of so many members in one shard, without waiting for the disk: a snapshot of both, and the
/// end of each.
async fn large(members: u64) -> Result<(), Failure> {
    const TOGETHER: u64 = 256;
    let local = start(1, &["--lazy"])?;
    let groups = [GroupId(1_000), GroupId(1_001)];
    let mut owner = local.client();
    for group in groups {
        done(&mut owner, Command::Create { owner: OWNER, group, options: None }).await?;
    }
    let mut joining = Vec::new();
    for part in 0..TOGETHER {
        let mut client = local.client();
        joining.push(tokio::spawn(async move {
            for user in (2 + part..=members).step_by(TOGETHER as usize) {
                for group in groups {
                    done(&mut client, Command::Join { user: UserId(user), group }).await?;
                }
            }
            Ok::<_, Failure>(())
        }));
    }
    for part in joining {
        part.await??;
    }
    let talk = Talk::begin(&local, 16, 0..1).await?;
    sleep(Duration::from_secs(2)).await;
    let end = Instant::now() + Duration::from_secs(3);
    let quiet = talk.longest_gap(|| Instant::now() > end).await;
    let leader = owner.leader(0).await?;
    owner.compact(leader, 0).await?;
    let end = Instant::now() + Duration::from_secs(10);
    let snapshot = talk.longest_gap(|| Instant::now() > end).await;
    println!(
        "\nno answer for, at most: {quiet:.1?} in 3 s; {snapshot:.1?} in the 10 s after a snapshot of \
         {} memberships was begun",
        2 * members
    );
    talk.end().await?;
    let talk = Talk::begin(&local, 16, 1..2).await?;
    let mut dissolved = Vec::new();
    for group in groups {
        let sent = Instant::now();
        done(&mut owner, Command::Leave { user: OWNER, group, stint: None }).await?;
        dissolved.push(format!("{:.1?}", sent.elapsed()));
        // While what it held is freed.
        sleep(Duration::from_millis(500)).await;
    }
    let times = talk.end().await?;
    println!(
        "\nthe dissolutions of two groups of {members} members were answered after {}; messages at that \
         time after {:.1} ms (median), {:.1} ms (99 of 100), {:.1} ms (the slowest of {})",
        dissolved.join(", "),
        times.value_at_quantile(0.5) as f64 / 1000.0,
        times.value_at_quantile(0.99) as f64 / 1000.0,
        times.max() as f64 / 1000.0,
        times.len()
    );
    Ok(())
}

/// One replica's machine without network or log: how long each message holds it, while a snapshot of two
/// groups of so many members is written and while none is.
async fn alone(members: u64) -> Result<(), Failure> {
    const SNAPSHOTS: u32 = 20;
    let mut machine = Machine::new(Config { quotas: Quotas::UNLIMITED, ..Config::default() });
    let Answer::Opened(session) = machine.apply(Proposal::Open).answer else { unreachable!() };
    let mut serial = 0;
    let mut next = |command| {
        serial += 1;
        Proposal::Do { at: Timestamp(serial), session, serial, command }
    };
    let groups = [GroupId(1), GroupId(2)];
    for group in groups {
        machine.apply(next(Command::Create { owner: OWNER, group, options: None }));
        for user in (2..=members).map(UserId) {
            machine.apply(next(Command::Join { user, group }));
        }
    }
    let mut clones = Histogram::<u64>::new(3)?;
    for _ in 0..10_000 {
        let since = Instant::now();
        let clone = black_box(&machine).clone();
        clones.record(since.elapsed().as_nanos() as u64)?;
        drop(clone);
    }

    let folder = tempfile::tempdir()?;
    let mut replica = Replica::open(folder.path(), machine, teller())?;
    let mut index = 0;
    let mut carry_out = async |replica: &mut Replica, command| {
        index += 1;
        let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
        let payload = EntryPayload::Normal(vec![next(command)]);
        let entry = Entry::<TypeConfig> { log_id, payload };
        let since = Instant::now();
        replica.apply([entry]).await?;
        Ok::<_, Failure>(since.elapsed().as_nanos() as u64)
    };
    let [group, _] = groups;
    let message = || Command::Post { author: OWNER, group, message: "how do you do".into() };
    // Some ten thousand a second.
    let pause = || thread::sleep(Duration::from_micros(50));
    let (mut without, mut with) = (Histogram::new(3)?, Histogram::new(3)?);
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        without.record(carry_out(&mut replica, message()).await?)?;
        pause();
    }
    let mut builder = replica.get_snapshot_builder().await;
    let built = tokio::spawn(async move {
        let since = Instant::now();
        for _ in 0..SNAPSHOTS {
            builder.build_snapshot().await?;
        }
        Ok::<_, Failure>(since.elapsed() / SNAPSHOTS)
    });
    while !built.is_finished() {
        with.record(carry_out(&mut replica, message()).await?)?;
        pause();
    }
    let took = built.await??;
    let us = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "\na clone of the machine takes {:.2} µs (median), {:.1} µs at most of 10,000; a snapshot of {} \
         memberships was written in {took:.1?}\n",
        us(&clones, 0.5),
        us(&clones, 1.0),
        2 * members
    );
    println!("| a message, carried out by the machine | p50 | p99.9 | slowest | of |");
    println!("| --- | --- | --- | --- | --- |");
    for (when, times) in [("before any snapshot", &without), ("while one is written", &with)] {
        println!(
            "| {when} | {:.1} µs | {:.1} µs | {:.0} µs | {} |",
            us(times, 0.5),
            us(times, 0.999),
            us(times, 1.0),
            times.len()
        );
    }
    // One that is small, so that the thread that frees is there.
    let small = GroupId(3);
    carry_out(&mut replica, Command::Create { owner: OWNER, group: small, options: None }).await?;
    let leave = |group| Command::Leave { user: OWNER, group, stint: None };
    carry_out(&mut replica, leave(small)).await?;
    let took = carry_out(&mut replica, leave(group)).await? as f64 / 1000.0;
    println!("\nthe dissolution of {members} members was carried out in {took:.1} µs");
    Ok(())
}
