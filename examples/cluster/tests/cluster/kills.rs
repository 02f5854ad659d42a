//! Three processes, and `kill -9`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use disband_cluster::{Answer, Client, Local, Shard, Unanswered, shard_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::heard::Heard;

const CLIENTS: u64 = 64;
const KILLS: u64 = 20;
const OWNER: UserId = UserId(1);
const WATCHER: UserId = UserId(2);

fn local(shards: Shard) -> Local {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_disband-cluster"));
    Local::start(binary, shards, &["--snapshot-every", "50"]).unwrap()
}

async fn done(client: &mut Client, command: Command<UserId, GroupId>) -> String {
    match client.send(command).await.unwrap() {
        Answer::Done { code: 200, body } => body.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_leaders_are_killed_under_64_clients() {
    let mut local = local(1);
    let group = GroupId(7);
    let mut client = local.client();
    done(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    done(&mut client, Command::Join { user: WATCHER, group }).await;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // While somebody writes here, no client has a command under way.
    let quiet = Arc::new(RwLock::new(()));
    let mut working = Vec::new();
    for part in 0..CLIENTS {
        let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
        let (mut client, quiet) = (local.client(), Arc::clone(&quiet));
        working.push(tokio::spawn(async move {
            let user = UserId(10 + part);
            done(&mut client, Command::Join { user, group }).await;
            let mut seqs = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let _under_way = quiet.read().await;
                let message = format!("{part} {}", seqs.len()).into();
                let body = done(&mut client, Command::Post { author: user, group, message }).await;
                let reply: serde_json::Value = serde_json::from_str(&body).unwrap();
                seqs.push(reply["data"]["seq"].as_u64().unwrap());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            seqs
        }));
    }
    let heard = Heard::follow([(); 3].map(|()| local.client()), WATCHER).await;
    let mut turns = heard.turns().await;
    let mut before = client.read(group).await.unwrap().unwrap().next_seq;
    let mut compared = 0;
    let mut seed = 7u64;
    for kill in 0..KILLS {
        // Seeded moments: so many answers later.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = answered.load(Ordering::Relaxed) + 100 + (seed >> 33) % 2000;
        timeout(Duration::from_secs(30), async {
            while answered.load(Ordering::Relaxed) < until {
                sleep(Duration::from_micros(200)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("nobody is answered after kill {kill}"));
        let leader = client.leader(0).await.unwrap();
        local.kill(leader).unwrap();
        sleep(Duration::from_millis((seed >> 20) % 300)).await;
        local.restart(leader).unwrap();
        let _quiet = quiet.write().await;
        let digest = client.agreement(0).await.unwrap();
        assert_eq!(digest.violation, None, "after kill {kill}");
        let there = client.read(group).await.unwrap().unwrap().next_seq;
        assert_eq!(there, answered.load(Ordering::Relaxed), "after kill {kill}");
        // Whoever followed a survivor all the time has heard all, and each the same.
        for survivor in (1..=3).filter(|replica| *replica != leader) {
            let turn = turns[survivor as usize - 1];
            compared += u64::from(heard.told(survivor, turn, before..there).await);
        }
        for pair in [[1, 2], [2, 3], [1, 3]] {
            heard.by_both(pair);
        }
        (turns, before) = (heard.turns().await, there);
    }
    over.store(true, Ordering::Relaxed);
    let mut seqs = Vec::new();
    for work in working {
        seqs.extend(work.await.unwrap());
    }
    let count = seqs.len() as u64;
    assert_eq!(
        seqs.into_iter().collect::<BTreeSet<_>>(),
        (0..count).collect(),
        "each was done once"
    );
    let seen = client.read(group).await.unwrap().unwrap();
    assert_eq!((seen.next_seq, seen.members), (count, 2 + CLIENTS));
    let digest = client.agreement(0).await.unwrap();
    assert_eq!(digest.violation, None);

    // Who leads next has missed nothing; the other may be sent a snapshot, and its follower knows.
    assert!(compared >= KILLS, "little was compared: {compared}");
    let messages = heard.messages();
    assert!(
        messages.into_iter().all(|(seq, keys)| seq < count && keys == 1),
        "one message, one key"
    );
}

/// At moments before, while and after it takes over a snapshot: what it has purged of its log is in the one
/// that it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_while_it_catches_up_comes_back() {
    const MEMBERS: u64 = 10_000;
    let mut local = local(1);
    let group = GroupId(7);
    let mut client = local.client();
    done(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    let mut joining = JoinSet::new();
    for part in 0..CLIENTS {
        let mut client = local.client();
        joining.spawn(async move {
            for user in (2 + part..=MEMBERS).step_by(CLIENTS as usize) {
                done(&mut client, Command::Join { user: UserId(user), group }).await;
            }
        });
    }
    joining.join_all().await;
    let away = client.leader(0).await.unwrap() % 3 + 1;
    for round in 0..10 {
        local.kill(away).unwrap();
        // More entries than stay in the log.
        for _ in 0..150 {
            done(&mut client, Command::Post { author: OWNER, group, message: "x".into() }).await;
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
async fn shards_are_one_to_whoever_uses_them() {
    let mut local = local(4);
    let mut client = local.client();
    let groups: Vec<GroupId> = (0..40).map(GroupId).collect();
    for &group in &groups {
        done(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
        done(&mut client, Command::Join { user: WATCHER, group }).await;
    }
    let shards: BTreeSet<_> = groups.iter().map(|group| shard_of(*group, 4)).collect();
    assert_eq!(shards, (0..4).collect());
    assert_eq!(client.groups_of(WATCHER).await.unwrap(), groups);
    for replica in 1..=3 {
        heard(&mut client, replica, WATCHER, &groups).await;
    }
    let leader = client.leader(2).await.unwrap();
    local.kill(leader).unwrap();
    let answers = client.leave_all(WATCHER).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Done { code: 200, .. })));
    assert_eq!(client.groups_of(WATCHER).await.unwrap(), []);
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
        // One of them was away, and began anew with what it had on disk.
        heard(&mut client, replica, WATCHER, &[]).await;
        heard(&mut client, replica, OWNER, &groups).await;
    }
}

/// Waits until a replica has heard that a user is in these groups.
async fn heard(client: &mut Client, replica: u64, user: UserId, groups: &[GroupId]) {
    let all = async {
        // It answers when it has heard of all shards.
        while client.groups_heard(replica, user).await.as_deref() != Ok(groups) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), all).await.expect("it never hears of it");
}

/// What a client sees across a failover: what it missed shows as a gap in the versions, and nothing
/// comes twice under one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_who_changes_replicas_sees_its_gap() {
    let mut local = local(1);
    let group = GroupId(7);
    let mut client = local.client();
    done(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    let leader = client.leader(0).await.unwrap();
    let mut follower = client.follow(leader, 0, OWNER).await.unwrap();
    let version = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["version"].as_u64().unwrap()
    };
    done(&mut client, Command::Join { user: UserId(3), group }).await;
    let last = version(&follower.next().await.unwrap());
    local.kill(leader).unwrap();
    assert_eq!(follower.next().await, None, "it hears that it is over");
    // Missed by one who is connected nowhere.
    done(&mut client, Command::Join { user: UserId(4), group }).await;
    let other = leader % 3 + 1;
    client.agreement_of(&[other, other % 3 + 1], 0).await.unwrap();
    let mut follower = client.follow(other, 0, OWNER).await.unwrap();
    let state = client.read_local(other, group).await.unwrap().unwrap();
    assert_eq!(state.version, last + 1, "the state has what was missed");
    done(&mut client, Command::Join { user: UserId(5), group }).await;
    assert_eq!(version(&follower.next().await.unwrap()), last + 2, "a gap to who did not read it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_decode_is_refused_at_the_door() {
    let local = local(1);
    let mut client = local.client();
    let group = GroupId(7);
    done(&mut client, Command::Create { owner: OWNER, group, options: None }).await;
    for address in local.replicas().values() {
        for poison in [&[0xff; 9][..], &[9, 0, 0], &[]] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&(poison.len() as u32).to_le_bytes()).await.unwrap();
            stream.write_all(poison).await.unwrap();
            let mut len = [0; 4];
            stream.read_exact(&mut len).await.unwrap();
            let mut answer = vec![0; u32::from_le_bytes(len) as usize];
            stream.read_exact(&mut answer).await.unwrap();
            assert!(answer.len() > 2, "it says why");
        }
        // A frame of four gigabytes, which does not come.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0xff; 8]).await.unwrap();
        // Unread bytes may make it a reset.
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    }
    // What decodes, but would stop a log, or is of no one shard.
    let message = "x".repeat(200_000).into();
    let command = Command::Post { author: OWNER, group, message };
    assert!(matches!(client.send(command).await, Err(Unanswered::Refused(_))));
    let command = Command::LeaveAll { user: OWNER };
    assert!(matches!(client.send(command).await, Err(Unanswered::Refused(_))), "of which shard?");

    done(&mut client, Command::Join { user: UserId(3), group }).await;
    let digest = client.agreement(0).await.unwrap();
    assert_eq!(digest.violation, None);
}

/// Each of its questions has to come to the shard that knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_counts_other_shards_is_refused() {
    let local = local(2);
    let mut client = local.client();
    let mut other = Client::new(local.replicas(), 1);
    let (mut taken, mut refused) = (0, 0);
    for group in (0..10).map(GroupId) {
        let create = || Command::Create { owner: OWNER, group, options: None };
        match other.send(create()).await {
            Ok(Answer::Done { code: 200, .. }) => taken += 1,
            Err(Unanswered::Refused(_)) => {
                assert!(matches!(other.read(group).await, Err(Unanswered::Refused(_))));
                done(&mut client, create()).await;
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(taken > 0 && refused > 0);
    assert_eq!(client.groups_of(OWNER).await.unwrap().len(), 10, "each is in one shard");
}
