//! Measures a cluster on this machine. Compare the figures with one another, not with those of
//! other machines.

use std::env;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use disband::{Command, Config, GroupId, Quotas, Timestamp, UserId};
use disband_cluster::{Answer, Local, Machine, Proposal, Replica, Shard, TypeConfig, event_sender};
use hdrhistogram::Histogram;
use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, RaftSnapshotBuilder};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::{Failure, send_ok};

const OWNER: UserId = UserId(1);

/// How long each throughput is measured.
const MEASURE_TIME: Duration = Duration::from_secs(4);

/// The number of groups that the commands are spread over.
const GROUPS: u64 = 64;

pub(crate) async fn measure(members: u64) -> Result<(), Failure> {
    println!("| disk | shards | clients | commands a second | p50 | p99 | slowest |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (disk, extra_args) in [("synced", &[][..]), ("not synced", &["--lazy"])] {
        for shards in [1, 4] {
            for clients in [1, 64, 256] {
                let times = throughput(shards, clients, extra_args).await?;
                let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
                println!(
                    "| {disk} | {shards} | {clients} | {:.0} | {:.2} ms | {:.2} ms | {:.0} ms |",
                    times.len() as f64 / MEASURE_TIME.as_secs_f64(),
                    ms(0.5),
                    ms(0.99),
                    ms(1.0)
                );
            }
        }
    }
    println!(
        "\nlongest time without any answer after a leader was killed (64 clients, five kills): {}",
        leader_deaths().await?
    );
    large_groups(members).await?;
    one_machine(members).await
}

/// Starts a cluster that takes no snapshots by itself.
fn start(shards: Shard, extra_args: &[&str]) -> Result<Local, Failure> {
    let extra_args: Vec<_> = [extra_args, &["--snapshot-every", "1000000000"]].concat();
    Ok(Local::start(env::current_exe()?, shards, &extra_args)?)
}

/// Clients that post until they are stopped. Each measures how long its commands take.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<Histogram<u64>, Failure>>>,
}

impl Load {
    /// Creates these groups, and spreads this many clients over them.
    async fn begin(local: &Local, clients: u64, groups: Range<u64>) -> Result<Load, Failure> {
        let mut owner = local.client();
        for group in groups.clone().map(GroupId) {
            send_ok(&mut owner, Command::Create { owner: OWNER, group, options: None }).await?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        // All clients begin to post at once, when all have joined.
        let start = Arc::new(Barrier::new(clients as usize + 1));
        for (nth, group) in (0..clients).zip(groups.map(GroupId).cycle()) {
            let user = UserId(1_000_000_000 + nth);
            let mut client = local.client();
            send_ok(&mut client, Command::Join { user, group }).await?;
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let start = Arc::clone(&start);
            tasks.push(tokio::spawn(async move {
                let mut times = Histogram::new(3)?;
                start.wait().await;
                while !stop.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    let message = "how do you do".into();
                    send_ok(&mut client, Command::Post { author: user, group, message }).await?;
                    times.record(sent.elapsed().as_micros() as u64)?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(times)
            }));
        }
        start.wait().await;
        Ok(Load { stop, answered, clients: tasks })
    }

    /// The longest time without an answer to any client, until `is_over` returns true. Precise to
    /// one or two milliseconds, as it checks that often.
    async fn longest_gap(&self, is_over: impl Fn() -> bool) -> Duration {
        let (mut last, mut since) = (0, Instant::now());
        let mut longest = Duration::ZERO;
        while !is_over() {
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
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Histogram::new(3)?;
        for client in self.clients {
            all.add(client.await??)?;
        }
        Ok(all)
    }
}

async fn throughput(
    shards: Shard,
    clients: u64,
    extra_args: &[&str],
) -> Result<Histogram<u64>, Failure> {
    let local = start(shards, extra_args)?;
    let load = Load::begin(&local, clients, 0..GROUPS).await?;
    sleep(MEASURE_TIME).await;
    load.end().await
}

async fn leader_deaths() -> Result<String, Failure> {
    let mut local = start(1, &[])?;
    let load = Load::begin(&local, 64, 0..1).await?;
    let mut gaps = Vec::new();
    for _ in 0..5 {
        sleep(Duration::from_secs(2)).await;
        let leader = local.client().leader(0).await?;
        local.kill(leader)?;
        let end = Instant::now() + Duration::from_secs(4);
        gaps.push(load.longest_gap(|| Instant::now() > end).await);
        local.restart(leader)?;
    }
    load.end().await?;
    gaps.sort_unstable();
    Ok(gaps.iter().map(|gap| format!("{} ms", gap.as_millis())).collect::<Vec<_>>().join(", "))
}

/// Two groups of this many members in one shard, without waiting for the disk. Measures how long
/// answers are delayed by a snapshot of both groups, and by the dissolution of each.
async fn large_groups(members: u64) -> Result<(), Failure> {
    const CLIENTS: u64 = 256;
    let local = start(1, &["--lazy"])?;
    let groups = [GroupId(1_000), GroupId(1_001)];
    let mut owner = local.client();
    for group in groups {
        send_ok(&mut owner, Command::Create { owner: OWNER, group, options: None }).await?;
    }
    let mut joining = Vec::new();
    for worker in 0..CLIENTS {
        let mut client = local.client();
        joining.push(tokio::spawn(async move {
            for user in (2 + worker..=members).step_by(CLIENTS as usize) {
                for group in groups {
                    send_ok(&mut client, Command::Join { user: UserId(user), group }).await?;
                }
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in joining {
        task.await??;
    }
    let load = Load::begin(&local, 16, 0..1).await?;
    sleep(Duration::from_secs(2)).await;
    let end = Instant::now() + Duration::from_secs(3);
    let without = load.longest_gap(|| Instant::now() > end).await;
    let leader = owner.leader(0).await?;
    owner.take_snapshot(leader, 0).await?;
    let end = Instant::now() + Duration::from_secs(10);
    let snapshot = load.longest_gap(|| Instant::now() > end).await;
    println!(
        "\nlongest time without any answer: {without:.1?} in 3 s without a snapshot; \
         {snapshot:.1?} in the 10 s after a snapshot of {} memberships was begun",
        2 * members
    );
    load.end().await?;
    let load = Load::begin(&local, 16, 1..2).await?;
    let mut dissolved = Vec::new();
    for group in groups {
        let sent = Instant::now();
        send_ok(&mut owner, Command::Leave { user: OWNER, group, stint: None }).await?;
        dissolved.push(format!("{:.1?}", sent.elapsed()));
        // The clients keep posting while the replicas free the members.
        sleep(Duration::from_millis(500)).await;
    }
    let times = load.end().await?;
    println!(
        "\nthe dissolutions of two groups of {members} members were answered after {}; messages \
         meanwhile after {:.1} ms (p50), {:.1} ms (p99), {:.1} ms (the slowest of {})",
        dissolved.join(", "),
        times.value_at_quantile(0.5) as f64 / 1000.0,
        times.value_at_quantile(0.99) as f64 / 1000.0,
        times.max() as f64 / 1000.0,
        times.len()
    );
    Ok(())
}

/// One replica's machine, without network or log, with two groups of this many members. Measures
/// how long it takes for each message, with and without a snapshot being written at the same time.
async fn one_machine(members: u64) -> Result<(), Failure> {
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
    let mut replica = Replica::open(folder.path(), machine, event_sender())?;
    let mut index = 0;
    let mut execute = async |replica: &mut Replica, command| {
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
    // At most twenty thousand messages a second.
    let pause = || thread::sleep(Duration::from_micros(50));
    let (mut without, mut with) = (Histogram::new(3)?, Histogram::new(3)?);
    let end = Instant::now() + MEASURE_TIME;
    while Instant::now() < end {
        without.record(execute(&mut replica, message()).await?)?;
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
        with.record(execute(&mut replica, message()).await?)?;
        pause();
    }
    let elapsed = built.await??;
    let us = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "\na clone of the machine takes {:.2} µs (median), {:.1} µs at most of 10,000; \
         a snapshot of {} memberships was written in {elapsed:.1?}\n",
        us(&clones, 0.5),
        us(&clones, 1.0),
        2 * members
    );
    println!("| a message, carried out by the machine | p50 | p99.9 | slowest | of |");
    println!("| --- | --- | --- | --- | --- |");
    for (when, times) in [("before any snapshot", &without), ("while a snapshot is written", &with)]
    {
        println!(
            "| {when} | {:.1} µs | {:.1} µs | {:.0} µs | {} |",
            us(times, 0.5),
            us(times, 0.999),
            us(times, 1.0),
            times.len()
        );
    }
    // Dissolve a small group first: this starts the thread that frees, outside the measurement.
    let small = GroupId(3);
    execute(&mut replica, Command::Create { owner: OWNER, group: small, options: None }).await?;
    let leave = |group| Command::Leave { user: OWNER, group, stint: None };
    execute(&mut replica, leave(small)).await?;
    let elapsed = execute(&mut replica, leave(group)).await? as f64 / 1000.0;
    println!(
        "\nthe dissolution of a group of {members} members was carried out in {elapsed:.1} µs"
    );
    Ok(())
}
