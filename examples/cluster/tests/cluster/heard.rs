//! Who follows every replica, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use disband::UserId;
use disband_cluster::Client;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Signals by their keys.
type Frames = BTreeMap<String, String>;

/// What one follower has heard of its replica.
#[derive(Debug, Default)]
struct Ear {
    frames: Frames,
    /// The keys of each message.
    messages: BTreeMap<u64, BTreeSet<String>>,
    /// How often it has begun to follow, or ceased to: odd while it does.
    turns: u64,
    /// Two signals that came under one key.
    contradiction: Option<[String; 2]>,
}

/// One follower of each replica, who comes again whenever it goes.
pub(crate) struct Heard {
    ears: [Arc<Mutex<Ear>>; 3],
    _following: JoinSet<()>,
}

impl Heard {
    /// Returns when all are there.
    pub(crate) async fn follow(clients: [Client; 3], user: UserId) -> Heard {
        let ears: [Arc<Mutex<Ear>>; 3] = Default::default();
        let mut following = JoinSet::new();
        for ((replica, client), ear) in (1..).zip(clients).zip(ears.clone()) {
            following.spawn(async move {
                loop {
                    if let Ok(mut follower) = client.follow(replica, 0, user).await {
                        ear.lock().unwrap().turns += 1;
                        while let Some(text) = follower.next().await {
                            ear.lock().unwrap().take(&text);
                        }
                        ear.lock().unwrap().turns += 1;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        let heard = Heard { ears, _following: following };
        heard.turns().await;
        heard
    }

    fn ear(&self, replica: u64) -> MutexGuard<'_, Ear> {
        let ear = self.ears[replica as usize - 1].lock().unwrap();
        assert_eq!(ear.contradiction, None, "one key, two signals at replica {replica}");
        ear
    }

    fn frames(&self, replica: u64) -> Frames {
        self.ear(replica).frames.clone()
    }

    async fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !so() {
            assert!(Instant::now() < end, "{what}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all are following, and says which turn it is at each replica: while it is the same,
    /// nothing that the replica has told was missed.
    pub(crate) async fn turns(&self) -> [u64; 3] {
        let turns = || [1, 2, 3].map(|replica| self.ear(replica).turns);
        let there = || turns().iter().all(|turn| turn % 2 == 1);
        self.until("a replica is not followed", there).await;
        turns()
    }

    /// Waits until this replica has told of all these messages, if it was followed all the time since
    /// that turn. Says whether it was.
    pub(crate) async fn told(&self, replica: u64, turn: u64, seqs: Range<u64>) -> bool {
        let mut broken = false;
        self.until("a message is not told", || {
            let ear = self.ear(replica);
            broken = ear.turns != turn;
            broken || seqs.clone().all(|seq| ear.messages.contains_key(&seq))
        })
        .await;
        !broken
    }

    /// Each message that anybody has told, and under how many keys.
    pub(crate) fn messages(&self) -> BTreeMap<u64, usize> {
        let mut all: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for replica in 1..=3 {
            for (seq, keys) in &self.ear(replica).messages {
                all.entry(*seq).or_default().extend(keys.iter().cloned());
            }
        }
        all.into_iter().map(|(seq, keys)| (seq, keys.len())).collect()
    }

    /// How many signals both have told: all of them alike.
    pub(crate) fn by_both(&self, [one, two]: [u64; 2]) -> usize {
        let (one, two) = (self.frames(one), self.frames(two));
        let both = one.iter().filter_map(|(key, text)| Some((key, text, two.get(key)?)));
        both.inspect(|(key, one, two)| assert_eq!(one, two, "{key} means two things")).count()
    }

    /// Waits until so many signals were told by each of these, who were there all the time: the same
    /// ones.
    pub(crate) async fn by_all(&self, replicas: &[u64], count: usize) {
        let all = || replicas.iter().all(|replica| self.ear(*replica).frames.len() >= count);
        self.until("something is not told", all).await;
        for pair in replicas.windows(2) {
            assert_eq!(self.frames(pair[0]), self.frames(pair[1]));
        }
        assert_eq!(self.frames(replicas[0]).len(), count);
    }
}

impl Ear {
    fn take(&mut self, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        let key = frame["key"].as_str().unwrap();
        if let Some(seq) = frame["seq"].as_u64() {
            self.messages.entry(seq).or_default().insert(key.to_owned());
        }
        let before = self.frames.insert(key.to_owned(), text.to_owned());
        if let Some(before) = before.filter(|before| before != text) {
            self.contradiction = Some([before, text.to_owned()]);
        }
    }
}
