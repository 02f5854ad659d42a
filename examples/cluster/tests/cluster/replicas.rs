//! Three replicas in one process: partitions, stops, and replicas that lost their data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use disband::{Command, Config, GroupId, Quotas, UserId};
use disband_cluster::{Answer, Client, ClientError, Digest, Durability, Node, Options, addresses};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::subscribers::Subscribers;

const GROUP: GroupId = GroupId(7);

struct Cluster {
    replicas: BTreeMap<u64, String>,
    nodes: BTreeMap<u64, Node>,
    /// For the replicas that are started from now on.
    snapshot_every: u64,
    /// Must be dropped after `nodes`: a node that cannot write aborts the process.
    folder: TempDir,
}

fn create(owner: u64) -> Command<UserId, GroupId> {
    Command::Create { owner: UserId(owner), group: GROUP, options: None }
}

fn join(user: u64) -> Command<UserId, GroupId> {
    Command::Join { user: UserId(user), group: GROUP }
}

fn post(user: u64, message: &str) -> Command<UserId, GroupId> {
    Command::Post { author: UserId(user), group: GROUP, message: message.into() }
}

impl Cluster {
    async fn new() -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let replicas = addresses(3).unwrap();
        let nodes = BTreeMap::new();
        let mut cluster = Cluster { folder, replicas, nodes, snapshot_every: 100 };
        for id in 1..=3 {
            cluster.start(id).await;
        }
        cluster.nodes[&1].initialize(&cluster.replicas).await.unwrap();
        cluster
    }

    async fn start(&mut self, id: u64) {
        let options = Options {
            id,
            replicas: self.replicas.clone(),
            folder: self.folder.path().join(id.to_string()),
            shards: 1,
            durability: Durability::Synced,
            config: Config { quotas: Quotas::UNLIMITED, ..Config::default() },
            snapshot_every: self.snapshot_every,
        };
        let end = Instant::now() + Duration::from_secs(10);
        let node = loop {
            match Node::start(options.clone()).await {
                Ok(node) => break node,
                // The previous node of this replica may not have closed its log yet.
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        };
        self.nodes.insert(id, node);
    }

    fn client(&self) -> Client {
        Client::new(&self.replicas, 1)
    }

    /// Subscribes to the owner's signals at all replicas.
    async fn subscribe_everywhere(&self) -> Subscribers {
        Subscribers::subscribe([(); 3].map(|()| self.client()), UserId(1)).await
    }

    /// Blocks all Raft calls between this replica and the others.
    fn cut_off(&self, replica: u64) {
        for (id, node) in &self.nodes {
            let others = self.replicas.keys().copied().filter(|other| other != id);
            node.sever(others.filter(|other| *id == replica || *other == replica));
        }
    }

    fn heal(&self) {
        self.nodes.values().for_each(|node| node.sever([]));
    }

    async fn leader(&self) -> u64 {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            for (id, node) in &self.nodes {
                if node.leader(0).await == Some(*id) {
                    return *id;
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("there is no leader");
    }

    /// Waits until all replicas have applied the same entries, and returns their digest. Fails if
    /// their states then differ.
    async fn wait_until_equal(&self) -> Digest {
        let client = self.client();
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let mut digests = Vec::new();
            for id in self.replicas.keys() {
                digests.extend(client.digest(*id, 0).await);
            }
            if digests.len() == 3 && digests.iter().all(|one| one.applied == digests[0].applied) {
                assert!(digests.iter().all(|one| *one == digests[0]), "{digests:?}");
                assert_eq!(digests[0].violation, None);
                return digests.remove(0);
            }
            assert!(Instant::now() < end, "{digests:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A cluster with a group of this many members, and a client.
async fn cluster_with_group(members: u64) -> (Cluster, Client) {
    let cluster = Cluster::new().await;
    let mut client = cluster.client();
    send_ok(&mut client, create(1)).await;
    for user in 2..=members {
        send_ok(&mut client, join(user)).await;
    }
    (cluster, client)
}

/// Sends a command that must succeed.
async fn send_ok(client: &mut Client, command: Command<UserId, GroupId>) {
    let answer = client.send(command).await.unwrap();
    assert!(matches!(answer, Answer::Done { code: 200, .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_reach_the_same_state() {
    let (cluster, mut client) = cluster_with_group(49).await;
    cluster.wait_until_equal().await;
    let state = client.read(GROUP).await.unwrap().unwrap();
    assert_eq!((state.members, state.owner), (49, UserId(1)));
    for id in 1..=3 {
        assert_eq!(client.read_local(id, GROUP).await.unwrap(), Some(state.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_the_leader_loses_no_command() {
    let mut cluster = Cluster::new().await;
    send_ok(&mut cluster.client(), create(1)).await;
    let subscribers = cluster.subscribe_everywhere().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for user in 2..18 {
        let (mut client, stop) = (cluster.client(), Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            send_ok(&mut client, join(user)).await;
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                send_ok(&mut client, post(user, &format!("{user} {count}"))).await;
                count += 1;
            }
            count
        }));
    }
    for _ in 0..4 {
        sleep(Duration::from_millis(300)).await;
        let leader = cluster.leader().await;
        cluster.nodes.remove(&leader).unwrap().stop().await;
        sleep(Duration::from_millis(700)).await;
        cluster.start(leader).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    let state = cluster.client().read(GROUP).await.unwrap().unwrap();
    assert_eq!((state.members, state.next_seq), (17, count), "each command was carried out once");
    cluster.wait_until_equal().await;
    for pair in [[1, 2], [2, 3], [1, 3]] {
        assert!(subscribers.compare_common_signals(pair) > 50);
    }
}

/// Without our change in `log`, openraft would let the replica lead at once after its restart,
/// although it does not know how much of its log is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_see_all_answered_commands_after_the_leader_restarts() {
    let (mut cluster, mut client) = cluster_with_group(1).await;
    for count in 1..=3 {
        send_ok(&mut client, post(1, "there")).await;
        let leader = cluster.leader().await;
        cluster.nodes.remove(&leader).unwrap().stop().await;
        cluster.start(leader).await;
        assert_eq!(client.read(GROUP).await.unwrap().unwrap().next_seq, count);
    }
    cluster.wait_until_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_majority_answers_no_command_and_no_linearisable_read() {
    let (cluster, mut client) = cluster_with_group(1).await;
    cluster.wait_until_equal().await;
    let subscribers = cluster.subscribe_everywhere().await;
    let leader = cluster.leader().await;
    // This client knows only the leader, and opens its session now. So its next command goes into
    // the leader's log although the leader is cut off.
    let only_leader = BTreeMap::from([(leader, cluster.replicas[&leader].clone())]);
    let mut isolated = Client::new(&only_leader, 1);
    assert!(matches!(isolated.send(post(1, "")).await, Ok(Answer::Done { code: 200, .. })));
    cluster.cut_off(leader);
    isolated.timeout = Duration::from_secs(3);
    assert_eq!(isolated.send(join(2)).await, Err(ClientError::NoAnswer));
    assert_eq!(isolated.read(GROUP).await, Err(ClientError::NoAnswer));
    // The other replicas continue.
    send_ok(&mut client, join(3)).await;
    assert_eq!(client.read(GROUP).await.unwrap().unwrap().members, 2);
    assert_eq!(
        isolated.read_local(leader, GROUP).await.unwrap().unwrap().members,
        1,
        "a local read may be out of date"
    );
    for nth in 0..50 {
        send_ok(&mut client, post(3, &nth.to_string())).await;
    }
    let others: Vec<u64> = cluster.replicas.keys().copied().filter(|id| *id != leader).collect();
    subscribers.wait_for_equal_signals(&others, 51).await;
    cluster.heal();
    cluster.wait_until_equal().await;
    // The old leader has caught up from the log, and published all signals that it had missed. The
    // command that it received while it was cut off was in its log, but was discarded.
    subscribers.wait_for_equal_signals(&[1, 2, 3], 51).await;
    assert_eq!(client.read(GROUP).await.unwrap().unwrap().members, 2);
    send_ok(&mut client, join(2)).await;
}

/// A replica that installs a snapshot did not carry out the commands itself, so it cannot send
/// their signals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_if_its_replica_missed_signals() {
    let (cluster, mut client) = cluster_with_group(1).await;
    cluster.wait_until_equal().await;
    let away = cluster.leader().await % 3 + 1;
    let mut subscription = client.subscribe(away, 0, UserId(1)).await.unwrap();
    cluster.cut_off(away);
    for user in 2..400 {
        send_ok(&mut client, join(user)).await;
    }
    send_ok(&mut client, Command::Leave { user: UserId(399), group: GROUP, stint: None }).await;
    cluster.heal();
    cluster.wait_until_equal().await;
    let received = async {
        let mut received = 0;
        while subscription.next().await.is_some() {
            received += 1;
        }
        received
    };
    let received =
        timeout(Duration::from_secs(10), received).await.expect("the subscription does not end");
    assert!(received < 399, "no signal was missed: {received}");
    // The client can read the state instead.
    let state = client.read_local(away, GROUP).await.unwrap().unwrap();
    assert_eq!(state.members, 398);
    for (user, groups) in [(398, &[GROUP][..]), (399, &[])] {
        let known = async {
            while client.indexed_groups(away, UserId(user)).await.as_deref() != Ok(groups) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), known).await.expect("the index does not catch up");
    }
}

/// Stops a replica, and deletes its data.
async fn wipe(cluster: &mut Cluster, replica: u64) {
    cluster.nodes.remove(&replica).unwrap().stop().await;
    std::fs::remove_dir_all(cluster.folder.path().join(replica.to_string())).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_its_data_is_restored_by_a_snapshot() {
    let (mut cluster, mut client) = cluster_with_group(1).await;
    let subscribers = cluster.subscribe_everywhere().await;
    let lost = cluster.leader().await % 3 + 1;
    wipe(&mut cluster, lost).await;
    for user in 2..400 {
        send_ok(&mut client, join(user)).await;
    }
    // From now on this replica takes no snapshot itself, so the one on its disk was sent to it.
    cluster.snapshot_every = 1_000_000;
    cluster.start(lost).await;
    cluster.wait_until_equal().await;
    assert!(cluster.folder.path().join(format!("{lost}/0/snapshot")).exists());
    assert_eq!(client.read_local(lost, GROUP).await.unwrap().unwrap().members, 399);
    let survivors: Vec<u64> = cluster.replicas.keys().copied().filter(|id| *id != lost).collect();
    subscribers.wait_for_equal_signals(&survivors, 398).await;
}

/// The leader remembers that the replica acknowledged the entries, and must accept that they are
/// gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_its_data_is_restored_from_a_short_log() {
    let (mut cluster, mut client) = cluster_with_group(19).await;
    cluster.wait_until_equal().await;
    let subscribers = cluster.subscribe_everywhere().await;
    let lost = cluster.leader().await % 3 + 1;
    wipe(&mut cluster, lost).await;
    cluster.start(lost).await;
    send_ok(&mut client, join(20)).await;
    cluster.wait_until_equal().await;
    assert!(!cluster.folder.path().join(format!("{lost}/0/snapshot")).exists());
    assert_eq!(client.read_local(lost, GROUP).await.unwrap().unwrap().members, 20);
    let survivors: Vec<u64> = cluster.replicas.keys().copied().filter(|id| *id != lost).collect();
    subscribers.wait_for_equal_signals(&survivors, 1).await;
}

/// Two of three replicas lost their data. They get it from the third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_lost_their_data_do_not_form_a_new_cluster() {
    let (mut cluster, mut client) = cluster_with_group(19).await;
    let before = cluster.wait_until_equal().await;
    let keeper = cluster.leader().await;
    let lost = [keeper % 3 + 1, (keeper + 1) % 3 + 1];
    for id in lost {
        wipe(&mut cluster, id).await;
    }
    for id in lost {
        cluster.start(id).await;
    }
    let after = cluster.wait_until_equal().await;
    assert_eq!(after.machine, before.machine);
    send_ok(&mut client, join(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_shards_cannot_change() {
    let folder = tempfile::tempdir().unwrap();
    let replicas = addresses(1).unwrap();
    let options = |shards| Options {
        id: 1,
        replicas: replicas.clone(),
        folder: folder.path().to_owned(),
        shards,
        durability: Durability::Synced,
        config: Config::default(),
        snapshot_every: 100,
    };
    Node::start(options(2)).await.unwrap().stop().await;
    let error =
        Node::start(options(3)).await.err().expect("the node must refuse another number of shards");
    assert!(error.to_string().contains("the number of shards is 2"), "{error}");
}
