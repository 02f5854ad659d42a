//! Who follows every replica, and compares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use disband::UserId;
use disband_cluster::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

type Frames = Arc<Mutex<BTreeMap<String, String>>>;

/// One follower of each replica, who comes again whenever it goes. Each hears one thing alone under each
/// key.
pub(crate) struct Heard {
    frames: [Frames; 3],
    _following: JoinSet<()>,
}

impl Heard {
    pub(crate) fn follow(clients: [Client; 3], user: UserId) -> Heard {
        let frames: [Frames; 3] = Default::default();
        let mut following = JoinSet::new();
        for ((replica, client), frames) in (1..).zip(clients).zip(frames.clone()) {
            following.spawn(async move {
                loop {
                    if let Ok(mut follower) = client.follow(replica, 0, user).await {
                        while let Some(text) = follower.next().await {
                            take(&frames, &text);
                        }
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Heard { frames, _following: following }
    }

    fn frames(&self, replica: u64) -> BTreeMap<String, String> {
        self.frames[replica as usize - 1].lock().unwrap().clone()
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
        let end = Instant::now() + Duration::from_secs(10);
        while replicas.iter().any(|replica| self.frames(*replica).len() < count) {
            assert!(Instant::now() < end, "something is not told");
            sleep(Duration::from_millis(10)).await;
        }
        for pair in replicas.windows(2) {
            assert_eq!(self.frames(pair[0]), self.frames(pair[1]));
        }
        assert_eq!(self.frames(replicas[0]).len(), count);
    }
}

fn take(frames: &Frames, text: &str) {
    let frame: serde_json::Value = serde_json::from_str(text).unwrap();
    let key = frame["key"].as_str().unwrap().to_owned();
    let before = frames.lock().unwrap().insert(key, text.to_owned());
    assert!(before.is_none_or(|before| before == text), "one key, two signals: {text}");
}
