//! Subscribes to all three replicas, and compares the signals that they send.

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

/// What one subscriber has received from its replica.
#[derive(Debug, Default)]
struct Received {
    frames: Frames,
    /// The signal keys of each message, by the message's sequence number.
    messages: BTreeMap<u64, BTreeSet<String>>,
    /// How many times the subscriber has subscribed or lost its subscription. Odd while it is
    /// subscribed.
    changes: u64,
    /// Two different signals with the same key, if there were any.
    conflict: Option<[String; 2]>,
}

/// One subscriber at each replica, all for the same user. A subscriber that loses its subscription
/// subscribes again.
pub(crate) struct Subscribers {
    received: [Arc<Mutex<Received>>; 3],
    _tasks: JoinSet<()>,
}

impl Subscribers {
    /// Subscribes at all replicas, and returns when all have accepted.
    pub(crate) async fn subscribe(clients: [Client; 3], user: UserId) -> Subscribers {
        let received: [Arc<Mutex<Received>>; 3] = Default::default();
        let mut tasks = JoinSet::new();
        for ((replica, client), received) in (1..).zip(clients).zip(received.clone()) {
            tasks.spawn(async move {
                loop {
                    if let Ok(mut subscription) = client.subscribe(replica, 0, user).await {
                        received.lock().unwrap().changes += 1;
                        while let Some(text) = subscription.next().await {
                            received.lock().unwrap().record(&text);
                        }
                        received.lock().unwrap().changes += 1;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        let subscribers = Subscribers { received, _tasks: tasks };
        subscribers.changes().await;
        subscribers
    }

    fn received(&self, replica: u64) -> MutexGuard<'_, Received> {
        let received = self.received[replica as usize - 1].lock().unwrap();
        assert_eq!(received.conflict, None, "replica {replica} sent two signals with one key");
        received
    }

    fn frames(&self, replica: u64) -> Frames {
        self.received(replica).frames.clone()
    }

    /// Waits until a condition is true. Fails with `message` after 20 seconds.
    async fn wait_until(&self, message: &str, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "{message}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until there is a subscriber at each replica, and returns each subscriber's number of
    /// changes. While this number stays the same, the subscriber has missed no signal of its
    /// replica.
    pub(crate) async fn changes(&self) -> [u64; 3] {
        let changes = || [1, 2, 3].map(|replica| self.received(replica).changes);
        let all_subscribed = || changes().iter().all(|change| change % 2 == 1);
        self.wait_until("a replica has no subscriber", all_subscribed).await;
        changes()
    }

    /// Waits until the subscriber at this replica has received all these messages, and returns
    /// true. Returns false if its number of changes is not `changes`: then it may have missed
    /// messages.
    pub(crate) async fn wait_for_messages(
        &self,
        replica: u64,
        changes: u64,
        seqs: Range<u64>,
    ) -> bool {
        let mut broken = false;
        self.wait_until("a subscriber did not receive a message", || {
            let received = self.received(replica);
            broken = received.changes != changes;
            broken || seqs.clone().all(|seq| received.messages.contains_key(&seq))
        })
        .await;
        !broken
    }

    /// Each message that any subscriber has received, and the number of different keys it came
    /// with.
    pub(crate) fn messages(&self) -> BTreeMap<u64, usize> {
        let mut all: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for replica in 1..=3 {
            for (seq, keys) in &self.received(replica).messages {
                all.entry(*seq).or_default().extend(keys.iter().cloned());
            }
        }
        all.into_iter().map(|(seq, keys)| (seq, keys.len())).collect()
    }

    /// Compares the signals that the subscribers at both replicas have received, and returns how
    /// many. Fails if a key has different signals.
    pub(crate) fn compare_common_signals(&self, [one, two]: [u64; 2]) -> usize {
        let (one, two) = (self.frames(one), self.frames(two));
        let both = one.iter().filter_map(|(key, text)| Some((key, text, two.get(key)?)));
        both.inspect(|(key, one, two)| {
            assert_eq!(one, two, "two replicas sent different signals with key {key}")
        })
        .count()
    }

    /// Waits until the subscriber at each of these replicas has received `count` signals. Fails if
    /// they are not the same signals. These subscribers must have been subscribed all the time.
    pub(crate) async fn wait_for_equal_signals(&self, replicas: &[u64], count: usize) {
        let all = || replicas.iter().all(|replica| self.received(*replica).frames.len() >= count);
        self.wait_until("a subscriber did not receive all signals", all).await;
        for pair in replicas.windows(2) {
            assert_eq!(self.frames(pair[0]), self.frames(pair[1]));
        }
        assert_eq!(self.frames(replicas[0]).len(), count);
    }
}

impl Received {
    fn record(&mut self, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        let key = frame["key"].as_str().unwrap();
        if let Some(seq) = frame["seq"].as_u64() {
            self.messages.entry(seq).or_default().insert(key.to_owned());
        }
        let before = self.frames.insert(key.to_owned(), text.to_owned());
        if let Some(before) = before.filter(|before| before != text) {
            self.conflict = Some([before, text.to_owned()]);
        }
    }
}
