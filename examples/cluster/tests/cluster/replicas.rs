//! Three replicas in one process: partitions, stops, a replica that has lost everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use disband::{Command, Config, GroupId, Quotas, UserId};
use disband_cluster::{Answer, Client, Digest, Durability, Node, Options, Unanswered, addresses};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::heard::Heard;

const GROUP: GroupId = GroupId(7);

struct Cluster {
    replicas: BTreeMap<u64, String>,
    nodes: BTreeMap<u64, Node>,
    /// Of those that are started from now on.
    snapshot_every: u64,
    /// Goes last: a node that can't write ends the process.
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
        cluster.nodes[&1].found(&cluster.replicas).await.unwrap();
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
                // The log of the one before may not be closed yet.
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        };
        self.nodes.insert(id, node);
    }

    fn client(&self) -> Client {
        Client::new(&self.replicas, 1)
    }

    /// Follows the owner's signals everywhere.
    async fn heard(&self) -> Heard {
        Heard::follow([(); 3].map(|()| self.client()), UserId(1)).await
    }

    /// Nothing passes between this one and the others.
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
        panic!("nobody leads");
    }

    /// Waits until all replicas have applied the same, and returns what it is.
    async fn agree(&self) -> Digest {
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

/// With a group of so many members, and one who sends commands.
async fn peopled(members: u64) -> (Cluster, Client) {
    let cluster = Cluster::new().await;
    let mut client = cluster.client();
    done(&mut client, create(1)).await;
    for user in 2..=members {
        done(&mut client, join(user)).await;
    }
    (cluster, client)
}

async fn done(client: &mut Client, command: Command<UserId, GroupId>) {
    let answer = client.send(command).await.unwrap();
    assert!(matches!(answer, Answer::Done { code: 200, .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_come_to_hold_the_same() {
    let (cluster, mut client) = peopled(49).await;
    cluster.agree().await;
    let seen = client.read(GROUP).await.unwrap().unwrap();
    assert_eq!((seen.members, seen.owner), (49, UserId(1)));
    for id in 1..=3 {
        assert_eq!(client.read_local(id, GROUP).await.unwrap(), Some(seen.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_goes_takes_nothing_with_it() {
    let mut cluster = Cluster::new().await;
    done(&mut cluster.client(), create(1)).await;
    let heard = cluster.heard().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut working = Vec::new();
    for user in 2..18 {
        let (mut client, over) = (cluster.client(), Arc::clone(&over));
        working.push(tokio::spawn(async move {
            done(&mut client, join(user)).await;
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                done(&mut client, post(user, &format!("{user} {count}"))).await;
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
    over.store(true, Ordering::Relaxed);
    let mut count = 0;
    for work in working {
        count += work.await.unwrap();
    }
    let seen = cluster.client().read(GROUP).await.unwrap().unwrap();
    assert_eq!((seen.members, seen.next_seq), (17, count), "each was done once");
    cluster.agree().await;
    for pair in [[1, 2], [2, 3], [1, 3]] {
        assert!(heard.by_both(pair) > 50);
    }
}

/// openraft would let it go on to lead, without knowing how much of its log is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_back_at_once_reads_what_it_has_answered_for() {
    let (mut cluster, mut client) = peopled(1).await;
    for count in 1..=3 {
        done(&mut client, post(1, "there")).await;
        let leader = cluster.leader().await;
        cluster.nodes.remove(&leader).unwrap().stop().await;
        cluster.start(leader).await;
        assert_eq!(client.read(GROUP).await.unwrap().unwrap().next_seq, count);
    }
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_majority_can_t_answer_and_does_not_lie() {
    let (cluster, mut client) = peopled(1).await;
    cluster.agree().await;
    let heard = cluster.heard().await;
    let leader = cluster.leader().await;
    // One who knows but the old leader, and has a session: what is sent next comes into its log.
    let alone = BTreeMap::from([(leader, cluster.replicas[&leader].clone())]);
    let mut stranded = Client::new(&alone, 1);
    assert!(matches!(stranded.send(post(1, "")).await, Ok(Answer::Done { code: 200, .. })));
    cluster.cut_off(leader);
    stranded.patience = Duration::from_secs(3);
    assert_eq!(stranded.send(join(2)).await, Err(Unanswered::Late));
    assert_eq!(stranded.read(GROUP).await, Err(Unanswered::Late));
    // The others go on.
    done(&mut client, join(3)).await;
    assert_eq!(client.read(GROUP).await.unwrap().unwrap().members, 2);
    assert_eq!(
        stranded.read_local(leader, GROUP).await.unwrap().unwrap().members,
        1,
        "late, as local may be"
    );
    for nth in 0..50 {
        done(&mut client, post(3, &nth.to_string())).await;
    }
    let others: Vec<u64> = cluster.replicas.keys().copied().filter(|id| *id != leader).collect();
    heard.by_all(&others, 51).await;
    cluster.heal();
    cluster.agree().await;
    // The old leader has caught up by the log, and told all that it had not. What it was sent while
    // it was alone was in its log, and went with it.
    heard.by_all(&[1, 2, 3], 51).await;
    assert_eq!(client.read(GROUP).await.unwrap().unwrap().members, 2);
    done(&mut client, join(2)).await;
}

/// It can't tell what it did not see itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_let_go_when_its_replica_missed_something() {
    let (cluster, mut client) = peopled(1).await;
    cluster.agree().await;
    let away = cluster.leader().await % 3 + 1;
    let mut follower = client.follow(away, 0, UserId(1)).await.unwrap();
    cluster.cut_off(away);
    for user in 2..400 {
        done(&mut client, join(user)).await;
    }
    done(&mut client, Command::Leave { user: UserId(399), group: GROUP, stint: None }).await;
    cluster.heal();
    cluster.agree().await;
    let heard = async {
        let mut heard = 0;
        while follower.next().await.is_some() {
            heard += 1;
        }
        heard
    };
    let heard = timeout(Duration::from_secs(10), heard).await.expect("it is not told of a gap");
    assert!(heard < 399, "there was none: {heard}");
    // So it reads the state.
    let seen = client.read_local(away, GROUP).await.unwrap().unwrap();
    assert_eq!(seen.members, 398);
    for (user, groups) in [(398, &[GROUP][..]), (399, &[])] {
        let known = async {
            while client.groups_heard(away, UserId(user)).await.as_deref() != Ok(groups) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), known).await.expect("its projection does not catch up");
    }
}

/// Stops a replica, and takes away what it had on disk.
async fn wipe(cluster: &mut Cluster, replica: u64) {
    cluster.nodes.remove(&replica).unwrap().stop().await;
    std::fs::remove_dir_all(cluster.folder.path().join(replica.to_string())).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_everything_comes_back_by_snapshot() {
    let (mut cluster, mut client) = peopled(1).await;
    let heard = cluster.heard().await;
    let lost = cluster.leader().await % 3 + 1;
    wipe(&mut cluster, lost).await;
    for user in 2..400 {
        done(&mut client, join(user)).await;
    }
    // It takes none itself.
    cluster.snapshot_every = 1_000_000;
    cluster.start(lost).await;
    cluster.agree().await;
    assert!(cluster.folder.path().join(format!("{lost}/0/snapshot")).exists());
    assert_eq!(client.read_local(lost, GROUP).await.unwrap().unwrap().members, 399);
    let survivors: Vec<u64> = cluster.replicas.keys().copied().filter(|id| *id != lost).collect();
    heard.by_all(&survivors, 398).await;
}

/// Its leader remembers that it had them, and that it has said so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lost_a_few_entries_comes_back_by_the_log() {
    let (mut cluster, mut client) = peopled(19).await;
    cluster.agree().await;
    let heard = cluster.heard().await;
    let lost = cluster.leader().await % 3 + 1;
    wipe(&mut cluster, lost).await;
    cluster.start(lost).await;
    done(&mut client, join(20)).await;
    cluster.agree().await;
    assert!(!cluster.folder.path().join(format!("{lost}/0/snapshot")).exists());
    assert_eq!(client.read_local(lost, GROUP).await.unwrap().unwrap().members, 20);
    let survivors: Vec<u64> = cluster.replicas.keys().copied().filter(|id| *id != lost).collect();
    heard.by_all(&survivors, 1).await;
}

/// Two of three have lost all: the third one has it all the same, and they take it from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_lost_everything_make_no_cluster_of_their_own() {
    let (mut cluster, mut client) = peopled(19).await;
    let before = cluster.agree().await;
    let keeper = cluster.leader().await;
    let lost = [keeper % 3 + 1, (keeper + 1) % 3 + 1];
    for id in lost {
        wipe(&mut cluster, id).await;
    }
    for id in lost {
        cluster.start(id).await;
    }
    let after = cluster.agree().await;
    assert_eq!(after.machine, before.machine);
    done(&mut client, join(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_shards_is_for_good() {
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
    let error = Node::start(options(3)).await.err().expect("it counts them otherwise");
    assert!(error.to_string().contains("the number of shards is 2"), "{error}");
}
