use disband::{Config, Quotas, Timestamp};
use tokio::task::JoinSet;

use super::*;
use crate::types::{Command, Engine};

const NOW: Timestamp = Timestamp(1_000);
const PLAIN: Form = Form { versions: false, own: false };
const OWN: Form = Form { versions: false, own: true };

fn name(id: u64) -> Name {
    Name::from(id)
}

fn connections() -> Arc<Connections> {
    Arc::new(Connections::new(Arc::new(Metrics::new())))
}

/// A group 7 of the users 1 (the owner) to `members`.
fn group(members: u64) -> Engine {
    let mut engine = Engine::new(Config { quotas: Quotas::UNLIMITED, ..Config::default() });
    engine.create(name(1), name(7), NOW).unwrap().ignore_signals();
    for user in 2..=members {
        engine.join(name(user), name(7), NOW).unwrap().ignore_signals();
    }
    engine
}

/// The signals of `count` posts of the owner.
fn posts(engine: &mut Engine, count: usize) -> Vec<Signal> {
    let post = Command::Post { author: name(1), group: name(7), message: "hello".into() };
    let posted = (0..count).flat_map(|_| engine.apply(post.clone(), NOW).unwrap().signals);
    posted.collect()
}

fn keys(signals: &[Signal]) -> Vec<SignalKey> {
    signals.iter().map(|signal| signal.key).collect()
}

/// The keys of the frames in a queue.
fn received(subscription: &mut Subscription) -> Vec<SignalKey> {
    std::iter::from_fn(|| subscription.frames.try_recv().ok()).map(|(key, _)| key).collect()
}

/// Deliveries by the audience (few are in it, many are connected) and by the connected users.
const SHAPES: [(u64, u64); 2] = [(500, 1_000), (1_000, 500)];

#[tokio::test]
async fn every_subscribed_socket_gets_each_signal_once_and_in_order() {
    for (members, connected) in SHAPES {
        let connections = connections();
        let mut engine = group(members);
        let signals = posts(&mut engine, 3);
        let subscribe = |user| connections.subscribe(name(user), PLAIN).unwrap();
        let mut sockets: Vec<_> =
            (1..=connected).flat_map(|user| [user, user]).map(subscribe).collect();
        for signal in &signals {
            connections.deliver(signal).await;
        }
        for (nth, socket) in sockets.iter_mut().enumerate() {
            let user = nth as u64 / 2 + 1;
            let in_audience = (2..=members).contains(&user);
            let expected = if in_audience { keys(&signals) } else { Vec::new() };
            assert_eq!(received(socket), expected, "user {user}");
        }
    }
}

#[tokio::test]
async fn a_socket_keeps_its_order_while_others_come_and_go() {
    for (members, connected) in SHAPES {
        let connections = connections();
        let mut engine = group(members);
        let signals = posts(&mut engine, 20);
        let subscribe = |user| connections.subscribe(name(user), PLAIN).unwrap();
        let mut sockets: Vec<_> = (2..=connected).map(subscribe).collect();
        let churn = {
            let connections = Arc::clone(&connections);
            async move {
                for step in 0..2_000_u64 {
                    let user = name(step * 7919 % 2_000);
                    let mut other = connections.subscribe(user, PLAIN).unwrap();
                    if step % 3 == 0 {
                        yield_now().await;
                    }
                    let got = received(&mut other);
                    assert!(got.is_sorted_by(|one, next| one < next), "{got:?}");
                }
            }
        };
        let deliver = async {
            for signal in &signals {
                connections.deliver(signal).await;
            }
        };
        tokio::join!(deliver, churn);
        for socket in &mut sockets[..members.min(connected) as usize - 1] {
            assert_eq!(received(socket), keys(&signals), "{}", socket.user);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_at_the_same_time_reach_every_socket_in_one_order() {
    let connections = connections();
    let mut engine = group(400);
    let signals = posts(&mut engine, 50);
    let subscribe = |user| connections.subscribe(name(user), PLAIN).unwrap();
    let mut sockets: Vec<_> = (2..=400).map(subscribe).collect();
    let mut tasks = JoinSet::new();
    for signal in signals {
        let connections = Arc::clone(&connections);
        tasks.spawn(async move { connections.deliver(&signal).await });
    }
    tasks.join_all().await;
    let first = received(&mut sockets[0]);
    assert_eq!(first.len(), 50);
    for socket in &mut sockets[1..] {
        assert_eq!(received(socket), first);
    }
}

#[tokio::test]
async fn a_delivery_to_a_large_audience_gives_way_to_other_tasks() {
    // The last one has an audience that is large, and of which nobody is connected.
    for (members, connected, from) in [(500, 1_000, 1), (1_000, 500, 1), (2_000, 2_001, 5_000)] {
        let connections = connections();
        let signal = posts(&mut group(members), 1).remove(0);
        let subscribe = |user| connections.subscribe(name(user), PLAIN).unwrap();
        let mut sockets: Vec<_> = (from..from + connected).map(subscribe).collect();
        let mut deliver = std::pin::pin!(connections.deliver(&signal));
        let mut turns = 0;
        let mut before = 0;
        // Each poll is one turn. Between two of them the table is not locked.
        std::future::poll_fn(|context| {
            turns += 1;
            let poll = deliver.as_mut().poll(context);
            drop(connections.table());
            let after = sockets.iter_mut().filter(|socket| !socket.frames.is_empty()).count();
            assert!(after - before <= WOKEN, "{} sockets in one turn", after - before);
            before = after;
            poll
        })
        .await;
        let woken = if from == 1 { 499 } else { 0 };
        assert_eq!(before, woken);
        assert!(turns >= woken / WOKEN && turns >= 7, "{turns} turns");
    }
}

#[tokio::test]
async fn a_user_who_asks_gets_the_signals_that_they_caused() {
    let connections = connections();
    let mut engine = group(3);
    let post = posts(&mut engine, 1).remove(0);
    assert!(!post.audience.contains(&name(1)));
    let rank =
        Command::SetRank { by: name(1), group: name(7), user: name(2), rank: disband::Rank::Admin };
    let rank = engine.apply(rank, NOW).unwrap().signals.remove(0);
    assert!(rank.audience.contains(&name(1)));
    let mut own = connections.subscribe(name(1), OWN).unwrap();
    let mut plain = connections.subscribe(name(1), PLAIN).unwrap();
    let mut other = connections.subscribe(name(2), OWN).unwrap();
    let mut stranger = connections.subscribe(name(9), OWN).unwrap();
    for signal in [&post, &rank] {
        connections.deliver(signal).await;
    }
    assert_eq!(received(&mut own), [post.key, rank.key]);
    assert_eq!(received(&mut plain), [rank.key]);
    assert_eq!(received(&mut other), [post.key, rank.key]);
    assert_eq!(received(&mut stranger), []);
}

#[tokio::test]
async fn a_socket_whose_queue_is_full_is_disconnected_and_no_other() {
    let connections = connections();
    let signals = posts(&mut group(3), QUEUE + 1);
    let mut slow = connections.subscribe(name(2), PLAIN).unwrap();
    let mut quick = connections.subscribe(name(2), PLAIN).unwrap();
    for signal in &signals {
        connections.deliver(signal).await;
        assert_eq!(received(&mut quick), [signal.key]);
    }
    assert_eq!(slow.overflowed.try_recv(), Ok(()));
    assert!(quick.overflowed.try_recv().is_err());
    assert_eq!(connections.metrics.slow_sockets.get(), 1);
    assert_eq!(connections.len(), 2, "the slow socket is not closed yet");
    drop(slow);
    assert_eq!(connections.len(), 1);
}

#[tokio::test]
async fn closing_ends_every_queue_after_its_last_frame_and_lets_no_socket_in() {
    let connections = connections();
    let signal = posts(&mut group(3), 1).remove(0);
    let mut sockets: Vec<_> =
        (2..100).map(|user| connections.subscribe(name(user), PLAIN).unwrap()).collect();
    connections.deliver(&signal).await;
    connections.close(Close::NO_LEADER).await;
    for socket in &mut sockets {
        while socket.frames.recv().await.is_some() {}
        assert!(socket.overflowed.try_recv().is_err(), "it did not overflow");
        assert_eq!(socket.close.get(), Some(&Close::NO_LEADER));
    }
    let refused = connections.subscribe(name(2), PLAIN).unwrap_err();
    assert_eq!(refused, Full::Closed(Close::NO_LEADER));
    assert_eq!(refused.to_string(), Close::NO_LEADER.reason);
    drop(sockets);
    assert_eq!(connections.len(), 0);

    connections.open();
    let mut again = connections.subscribe(name(2), PLAIN).unwrap();
    connections.deliver(&signal).await;
    assert_eq!(received(&mut again), [signal.key]);
    connections.close(Close::STOPPING).await;
    connections.open();
    let refused = connections.subscribe(name(2), PLAIN).unwrap_err();
    assert_eq!(refused, Full::Closed(Close::STOPPING));
}

#[tokio::test]
async fn a_user_at_the_limit_gets_no_more_sockets() {
    let connections = connections();
    let mut sockets: Vec<_> =
        (0..MAX_PER_USER).map(|_| connections.subscribe(name(1), PLAIN).unwrap()).collect();
    assert_eq!(connections.subscribe(name(1), PLAIN).unwrap_err(), Full::User);
    assert!(connections.subscribe(name(2), PLAIN).is_ok());
    sockets.pop();
    assert!(connections.subscribe(name(1), PLAIN).is_ok());
    drop(sockets);
    assert!(connections.table().sockets.is_empty(), "nothing is left of closed sockets");
}
