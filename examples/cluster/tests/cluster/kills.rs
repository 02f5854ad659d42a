//! Three replicas in three processes, which the tests kill with `kill -9`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use disband_cluster::{Answer, Client, ClientError, Local, Shard, shard_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::subscribers::Subscribers;

const CLIENTS: u64 = 64;
const KILLS: u64 = 20;
const OWNER: UserId = UserId(1);
const MEMBER: UserId = UserId(2);

fn local(shards: Shard) -> Local {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_disband-cluster"));
    Local::start(binary, shards, &["--snapshot-every", "50"]).unwrap()
}

/// Sends a command that must succeed, and returns the body of its reply.
async fn send_ok(client: &mut Client, command: Command<UserId, GroupId>) -> String {
    match client.send(command).await.unwrap() {
        Answer::Done { code: 200, body } => body.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_is_carried_out_once_while_twenty_leaders_are_killed() {
    let mut local = local(1);
    let group = GroupId(7);
    let mut client = local.client();
    send_ok(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    send_ok(&mut client, Command::Join { user: MEMBER, group }).await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // Clients hold a read lock while a command is under way. A write lock pauses all of them.
    let pause = Arc::new(RwLock::new(()));
    let mut tasks = Vec::new();
    for worker in 0..CLIENTS {
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        let (mut client, pause) = (local.client(), Arc::clone(&pause));
        tasks.push(tokio::spawn(async move {
            let user = UserId(10 + worker);
            send_ok(&mut client, Command::Join { user, group }).await;
            let mut seqs = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let _under_way = pause.read().await;
                let message = format!("{worker} {}", seqs.len()).into();
                let body =
                    send_ok(&mut client, Command::Post { author: user, group, message }).await;
                let reply: serde_json::Value = serde_json::from_str(&body).unwrap();
                seqs.push(reply["data"]["seq"].as_u64().unwrap());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            seqs
        }));
    }
    let subscribers = Subscribers::subscribe([(); 3].map(|()| local.client()), MEMBER).await;
    let mut changes = subscribers.changes().await;
    let mut before = client.read(group).await.unwrap().unwrap().next_seq;
    let mut compared = 0;
    let mut seed = 7u64;
    for kill in 0..KILLS {
        // Kill the leader after a pseudo-random number of further answers.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = answered.load(Ordering::Relaxed) + 100 + (seed >> 33) % 2000;
        timeout(Duration::from_secs(30), async {
            while answered.load(Ordering::Relaxed) < until {
                sleep(Duration::from_micros(200)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("no command is answered after kill {kill}"));
        let leader = client.leader(0).await.unwrap();
        local.kill(leader).unwrap();
        sleep(Duration::from_millis((seed >> 20) % 300)).await;
        local.restart(leader).unwrap();
        let _paused = pause.write().await;
        let digest = client.agreement(0).await.unwrap();
        assert_eq!(digest.violation, None, "after kill {kill}");
        let next_seq = client.read(group).await.unwrap().unwrap().next_seq;
        assert_eq!(next_seq, answered.load(Ordering::Relaxed), "after kill {kill}");
        // A subscriber that stayed subscribed to a surviving replica must have received all
        // messages. Signals with the same key must be equal at all replicas.
        for survivor in (1..=3).filter(|replica| *replica != leader) {
            let expected = changes[survivor as usize - 1];
            compared += u64::from(
                subscribers.wait_for_messages(survivor, expected, before..next_seq).await,
            );
        }
        for pair in [[1, 2], [2, 3], [1, 3]] {
            subscribers.compare_common_signals(pair);
        }
        (changes, before) = (subscribers.changes().await, next_seq);
    }
    stop.store(true, Ordering::Relaxed);
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.extend(task.await.unwrap());
    }
    let count = seqs.len() as u64;
    assert_eq!(
        seqs.into_iter().collect::<BTreeSet<_>>(),
        (0..count).collect(),
        "each command was carried out once"
    );
    let state = client.read(group).await.unwrap().unwrap();
    assert_eq!((state.next_seq, state.members), (count, 2 + CLIENTS));
    let digest = client.agreement(0).await.unwrap();
    assert_eq!(digest.violation, None);

    // The next leader has missed nothing, so at least its subscriber is compared after each kill.
    // The other survivor may be sent a snapshot, which ends its subscription.
    assert!(compared >= KILLS, "too few subscribers were compared: {compared}");
    let messages = subscribers.messages();
    assert!(
        messages.into_iter().all(|(seq, keys)| seq < count && keys == 1),
        "each message has one key"
    );
}

/// Kills the replica before, while and after it installs a snapshot. The entries that it purged
/// from its log must always be in the snapshot on its disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_while_it_catches_up_comes_back() {
    const MEMBERS: u64 = 10_000;
    let mut local = local(1);
    let group = GroupId(7);
    let mut client = local.client();
    send_ok(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    let mut joining = JoinSet::new();
    for worker in 0..CLIENTS {
        let mut client = local.client();
        joining.spawn(async move {
            for user in (2 + worker..=MEMBERS).step_by(CLIENTS as usize) {
                send_ok(&mut client, Command::Join { user: UserId(user), group }).await;
            }
        });
    }
    joining.join_all().await;
    let away = client.leader(0).await.unwrap() % 3 + 1;
    for round in 0..10 {
        local.kill(away).unwrap();
        // More entries than the leader keeps in its log, so the replica must be sent a snapshot.
        for _ in 0..150 {
            send_ok(&mut client, Command::Post { author: OWNER, group, message: "x".into() }).await;
        }
        local.restart(away).unwrap();
        sleep(Duration::from_millis(40 + round * 20)).await;
        local.restart(away).unwrap();
        let digest = client.agreement(0).await.unwrap();
        assert_eq!(digest.violation, None, "in round {round}");
    }
    assert_eq!(client.read_local(away, group).await.unwrap().unwrap().members, MEMBERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_uses_several_shards_like_one() {
    let mut local = local(4);
    let mut client = local.client();
    let groups: Vec<GroupId> = (0..40).map(GroupId).collect();
    for &group in &groups {
        send_ok(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
        send_ok(&mut client, Command::Join { user: MEMBER, group }).await;
    }
    let shards: BTreeSet<_> = groups.iter().map(|group| shard_of(*group, 4)).collect();
    assert_eq!(shards, (0..4).collect());
    assert_eq!(client.groups_of(MEMBER).await.unwrap(), groups);
    for replica in 1..=3 {
        wait_until_indexed(&mut client, replica, MEMBER, &groups).await;
    }
    let leader = client.leader(2).await.unwrap();
    local.kill(leader).unwrap();
    let answers = client.leave_all(MEMBER).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Done { code: 200, .. })));
    assert_eq!(client.groups_of(MEMBER).await.unwrap(), []);
    assert_eq!(client.groups_of(OWNER).await.unwrap(), groups);
    local.restart(leader).unwrap();
    let mut instances = BTreeSet::new();
    for shard in 0..4 {
        let digest = client.agreement(shard).await.unwrap();
        assert_eq!(digest.violation, None);
        instances.insert(digest.machine);
    }
    assert_eq!(instances.len(), 4);
    for replica in 1..=3 {
        // One of the replicas was killed meanwhile, and rebuilt its index from its data on disk.
        wait_until_indexed(&mut client, replica, MEMBER, &[]).await;
        wait_until_indexed(&mut client, replica, OWNER, &groups).await;
    }
}

/// Waits until a replica's index says that a user is in exactly these groups.
async fn wait_until_indexed(client: &mut Client, replica: u64, user: UserId, groups: &[GroupId]) {
    let all = async {
        // There is no answer until the index has read all shards.
        while client.indexed_groups(replica, user).await.as_deref() != Ok(groups) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), all)
        .await
        .expect("the index does not reach the expected state");
}

/// After a failover, a client sees from a gap in the versions that it missed signals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_changes_replicas_sees_a_gap_in_the_versions() {
    let mut local = local(1);
    let group = GroupId(7);
    let mut client = local.client();
    send_ok(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    let leader = client.leader(0).await.unwrap();
    let mut subscription = client.subscribe(leader, 0, OWNER).await.unwrap();
    let version = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["version"].as_u64().unwrap()
    };
    send_ok(&mut client, Command::Join { user: UserId(3), group }).await;
    let last = version(&subscription.next().await.unwrap());
    local.kill(leader).unwrap();
    assert_eq!(subscription.next().await, None, "the subscription ends with its replica");
    // The client has no subscription now, so it misses this signal.
    send_ok(&mut client, Command::Join { user: UserId(4), group }).await;
    let other = leader % 3 + 1;
    client.agreement_of(&[other, other % 3 + 1], 0).await.unwrap();
    let mut subscription = client.subscribe(other, 0, OWNER).await.unwrap();
    let state = client.read_local(other, group).await.unwrap().unwrap();
    assert_eq!(state.version, last + 1, "the state contains the missed signal");
    send_ok(&mut client, Command::Join { user: UserId(5), group }).await;
    assert_eq!(
        version(&subscription.next().await.unwrap()),
        last + 2,
        "the next signal: a gap after `last`, but not after the state's version"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_requests_are_refused_and_do_no_harm() {
    let local = local(1);
    let mut client = local.client();
    let group = GroupId(7);
    send_ok(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    for address in local.replicas().values() {
        for invalid in [&[0xff; 9][..], &[9, 0, 0], &[]] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&(invalid.len() as u32).to_le_bytes()).await.unwrap();
            stream.write_all(invalid).await.unwrap();
            let mut len = [0; 4];
            stream.read_exact(&mut len).await.unwrap();
            let mut answer = vec![0; u32::from_le_bytes(len) as usize];
            stream.read_exact(&mut answer).await.unwrap();
            assert!(answer.len() > 2, "the refusal contains a reason");
        }
        // The header announces a frame of four gigabytes, which is never sent.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0xff; 8]).await.unwrap();
        // The replica closes the connection. As it has not read all bytes, this may be a reset.
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    }
    // These can be decoded. But the first is too long for the log, and the second does not name a
    // group, so the client cannot know its shard.
    let message = "x".repeat(200_000).into();
    let command = Command::Post { author: OWNER, group, message };
    assert!(matches!(client.send(command).await, Err(ClientError::Refused(_))));
    let command = Command::LeaveAll { user: OWNER };
    assert!(
        matches!(client.send(command).await, Err(ClientError::Refused(_))),
        "the command names no group"
    );

    send_ok(&mut client, Command::Join { user: UserId(3), group }).await;
    let digest = client.agreement(0).await.unwrap();
    assert_eq!(digest.violation, None);
}

/// A client that is configured with another number of shards sends some requests to the wrong
/// shard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_the_wrong_shard_are_refused() {
    let local = local(2);
    let mut client = local.client();
    let mut other = Client::new(local.replicas(), 1);
    let (mut accepted, mut refused) = (0, 0);
    for group in (0..10).map(GroupId) {
        let create = || Command::Create { owner: OWNER, group, options: None };
        match other.send(create()).await {
            Ok(Answer::Done { code: 200, .. }) => accepted += 1,
            Err(ClientError::Refused(_)) => {
                assert!(matches!(other.read(group).await, Err(ClientError::Refused(_))));
                send_ok(&mut client, create()).await;
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(accepted > 0 && refused > 0);
    assert_eq!(
        client.groups_of(OWNER).await.unwrap().len(),
        10,
        "each group is in exactly one shard"
    );
}
