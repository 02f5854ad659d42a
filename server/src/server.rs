//! A node with its HTTP server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::Fatal;
use openraft::{BasicNode, Raft, RaftMetrics};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::{error, info, warn};

use crate::connections::{Close, Connections};
use crate::dispatcher::Dispatcher;
use crate::health::{Health, Reason};
use crate::http::{self, HttpOptions};
use crate::keeper::Keeper;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::node::{Node, StartError};
use crate::options::Options;
use crate::proposer::Proposer;
use crate::raft::TypeConfig;
use crate::reads::Reads;
use crate::secret;
use crate::service::Service;
use crate::tokens::Tokens;
use crate::world::{Listener, World};

/// How long a node may be without a leader before it closes its sockets.
const WITHOUT_LEADER: Duration = Duration::from_secs(5);

/// How long the shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// How long the requests under way may take at the shutdown.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// A running server.
pub struct Server {
    address: SocketAddr,
    running: Running,
    stop_listening: oneshot::Sender<()>,
    /// Closes when the listener has ended.
    listening: mpsc::Receiver<()>,
}

impl Server {
    /// Starts a server in this world. When it returns, requests are accepted.
    ///
    /// # Errors
    /// The data folder can't be used, or the server can't listen on its address.
    pub async fn start<W: World>(world: W, options: Options) -> Result<Server, StartError> {
        if options.data.is_none() {
            warn!("without --data DIR, all data is lost when this process ends");
        }
        let running = Running::start(&world, &options).await?;
        let listener = world.listen(options.listen).await?;
        let address = listener.address()?;
        let (stop_listening, stopped) = oneshot::channel();
        let http =
            HttpOptions { header_timeout: options.header_timeout, end_timeout: LAST_REQUESTS };
        // An error means that the `Server` was dropped: stop, too.
        let stopped = async move { drop(stopped.await) };
        let service = Arc::clone(&running.service);
        let serving = http::serve(world.clone(), listener, service, http, stopped);
        let listening = spawn_with_guard(&world, serving);
        Ok(Server { address, running, stop_listening, listening })
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server: accepts no more commands, answers those under way, sends their signals, and
    /// closes the sockets. Gives up after five seconds. When it returns, another server may use the data
    /// folder.
    pub async fn stop(mut self) {
        let end = Instant::now() + SHUTDOWN;
        self.running.health.set(Reason::Stopping, true);
        let _ = self.stop_listening.send(());
        let _ = timeout_at(end, self.listening.recv()).await;
        self.running.stop(end).await;
    }
}

/// A node and the tasks around it, without a listener.
struct Running {
    service: Arc<Service>,
    health: Arc<Health>,
    raft: Raft<TypeConfig>,
    log: Log,
    /// Each channel closes when a task has ended: the dispatcher, and the keeper.
    dispatching: mpsc::Receiver<()>,
    keeping: mpsc::Receiver<()>,
}

impl Running {
    async fn start<W: World>(world: &W, options: &Options) -> Result<Running, StartError> {
        let metrics = Arc::new(Metrics::new());
        let connections = Arc::new(Connections::new(Arc::clone(&metrics)));
        let health = Arc::new(Health::default());
        let (dispatcher, dispatch) = Dispatcher::new(world, Arc::clone(&connections));
        let dispatching = spawn_with_guard(world, dispatch);
        let observe = Arc::clone(&metrics);
        let sync_time = Arc::new(move |time: Duration| observe.syncs.observe(time.as_secs_f64()));
        let node = Node::start(world.clone(), options, dispatcher, sync_time).await?;
        let key = secret::token_key(world, node.disk.as_ref()).await;
        let key = key.map_err(|error| StartError::data(options.data.as_deref(), error))?;
        node.keep_configured(options.config).await?;
        let (raft, log) = (node.raft.clone(), node.log.clone());
        let (state, clock) = (Arc::clone(&node.state), world.clone());
        let service = Arc::new(Service {
            proposer: Proposer::start(
                world,
                raft.clone(),
                Arc::clone(&state),
                Arc::clone(&metrics),
            ),
            reads: Reads::start(world, raft.clone(), Arc::clone(&state), node.alone),
            state,
            health: Arc::clone(&health),
            clock: Box::new(move || clock.wall()),
            connections: Arc::clone(&connections),
            metrics: Arc::clone(&metrics),
            tokens: Tokens::new(key),
            under_way: Arc::default(),
        });
        world.spawn(watch_health(raft.metrics(), log.failed(), Arc::clone(&health), connections));
        let keeper = Keeper::new(node, Arc::clone(&health), metrics, options.clone());
        let keeping = spawn_with_guard(world, keeper.run());
        Ok(Running { service, health, raft, log, dispatching, keeping })
    }

    async fn stop(self, end: Instant) {
        let Running { service, raft, log, mut dispatching, mut keeping, .. } = self;
        let _ = timeout_at(end, raft.shutdown()).await;
        let _ = timeout_at(end, dispatching.recv()).await;
        let connections = &service.connections;
        connections.close(Close::STOPPING).await;
        while connections.len() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(5)).await;
        }
        let _ = timeout_at(end, log.close()).await;
        let _ = timeout_at(end, keeping.recv()).await;
        info!(sockets_left = connections.len(), "stopped");
    }
}

/// The service of a node in memory, for tests of what uses it.
#[cfg(test)]
pub(crate) async fn service_in_memory<W: World>(
    world: &W,
    config: disband::Config,
) -> Arc<Service> {
    let options = Options { config, ..Options::default() };
    Running::start(world, &options).await.expect("a node in memory starts").service
}

/// Spawns a task. The returned channel closes when the task has ended.
fn spawn_with_guard<W: World>(
    world: &W,
    task: impl Future<Output = ()> + Send + 'static,
) -> mpsc::Receiver<()> {
    let (guard, ended) = mpsc::channel(1);
    world.spawn(async move {
        task.await;
        drop(guard);
    });
    ended
}

/// Refuses commands while no node leads, and for good when openraft has ended. Sockets are closed when
/// there was no leader for a while: their signals may be missing.
async fn watch_health(
    mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>,
    mut log_failed: watch::Receiver<Option<String>>,
    health: Arc<Health>,
    connections: Arc<Connections>,
) {
    let mut without_leader: Option<Instant> = None;
    let mut closed = false;
    loop {
        let (failed, leader) = {
            let metrics = metrics.borrow_and_update();
            (metrics.running_state.clone().err(), metrics.current_leader)
        };
        if let Some(why) = failed {
            if why != Fatal::Stopped {
                error!(%why, "commands can't be written: all are refused until a restart");
            }
            // Local reads and sockets go on: a node that is alone has missed nothing.
            health.set(Reason::Failed, true);
            return;
        }
        health.set(Reason::NoLeader, leader.is_none());
        if leader.is_some() {
            without_leader = None;
            if closed {
                closed = false;
                connections.open();
            }
        } else {
            without_leader.get_or_insert_with(Instant::now);
        }
        let due = without_leader.filter(|_| !closed).map(|since| since + WITHOUT_LEADER);
        tokio::select! {
            biased;
            why = failure(&mut log_failed) => {
                error!(%why, "commands can't be written: all are refused until a restart");
                health.set(Reason::Failed, true);
                return;
            }
            changed = metrics.changed() => if changed.is_err() {
                health.set(Reason::Failed, true);
                return;
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                warn!("no leader for five seconds: closing all sockets");
                connections.close(Close::NO_LEADER).await;
                closed = true;
            }
        }
    }
}

/// Waits until the log has failed. Returns why.
async fn failure(failed: &mut watch::Receiver<Option<String>>) -> String {
    match failed.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "the log is closed".into(),
    }
}
