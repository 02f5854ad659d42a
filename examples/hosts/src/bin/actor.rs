//! One tokio task owns the engine. It receives commands through a channel, and puts signals into a
//! queue for each user. Three users talk in a group, and then its owner leaves.
//!
//! `cargo run -p disband-hosts --bin actor`

#![allow(clippy::disallowed_methods, reason = "the host reads the clock")]

use std::{collections::BTreeMap, error::Error, sync::Arc, time::SystemTime};

use disband::{Command, Engine, Event, GroupId, Timestamp, UserId, wire};
use tokio::sync::{mpsc, oneshot};

enum Request {
    /// From now on, put this user's signals into this queue, as JSON.
    Subscribe(UserId, mpsc::Sender<Arc<str>>),
    /// Carry out the command, and send back the reply, as JSON.
    Apply(Command<UserId, GroupId>, oneshot::Sender<String>),
}

/// The task. It ends when all senders of requests are dropped.
async fn own_engine(mut requests: mpsc::Receiver<Request>) -> Result<Engine, serde_json::Error> {
    let (mut engine, mut queues) = (Engine::default(), BTreeMap::new());
    while let Some(request) = requests.recv().await {
        let (command, reply) = match request {
            Request::Apply(command, reply) => (command, reply),
            Request::Subscribe(user, queue) => {
                queues.insert(user, queue);
                continue;
            }
        };
        let now = Timestamp::from(SystemTime::now());
        let result = engine.apply(command, now);
        let mut is_dissolved = false;
        for signal in result.iter().flat_map(|outcome| &outcome.signals) {
            is_dissolved |= matches!(signal.event, Event::HistoryPurge { .. });
            let frame: Arc<str> = serde_json::to_string(&wire::Frame::from(signal))?.into();
            for user in &signal.audience {
                let queue = queues.get(user);
                // The queue is full if its client is too slow. Then the queue is closed, and the
                // client must subscribe again and read its groups again.
                if queue.is_some_and(|queue| queue.try_send(Arc::clone(&frame)).is_err()) {
                    queues.remove(user);
                }
            }
        }
        // Sending fails if the client does not wait any more.
        reply.send(serde_json::to_string(&wire::reply(&result, now))?).ok();
        // A large group takes many milliseconds to free, so another thread does it. It gets the
        // whole result, because the audiences of the signals share the group's members.
        if is_dissolved {
            tokio::task::spawn_blocking(move || drop(result));
        }
    }
    Ok(engine)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (alice, bob, carol, group) = (UserId(1), UserId(2), UserId(3), GroupId(7));
    let (requests, received) = mpsc::channel(64);
    let task = tokio::spawn(own_engine(received));

    let send = async |command: Command<UserId, GroupId>| {
        let (line, (sender, reply)) = (command.to_string(), oneshot::channel());
        requests.send(Request::Apply(command, sender)).await?;
        println!("{line}: {}", reply.await?);
        Ok::<_, Box<dyn Error>>(())
    };
    let post = |author| send(Command::Post { author, group, message: "hello".into() });
    let (queue, mut signals) = mpsc::channel(64);
    requests.send(Request::Subscribe(bob, queue)).await?;
    send(Command::Create { owner: alice, group, options: None }).await?;
    send(Command::Join { user: bob, group }).await?;
    send(Command::Join { user: carol, group }).await?;
    tokio::try_join!(post(alice), post(bob), post(carol))?;
    send(Command::Leave { user: alice, group, stint: None }).await?;

    // Without senders of requests the task ends, and returns the engine.
    drop(requests);
    assert_eq!(task.await??.stats().groups, 0);
    let signals: Vec<_> = std::iter::from_fn(|| signals.try_recv().ok()).collect();
    signals.iter().for_each(|signal| println!("signal for {bob}: {signal}"));
    assert!(signals.last().is_some_and(|signal| signal.contains("historypurge")));
    Ok(())
}
