//! The listener and the shutdown.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use disband::{Config, Engine};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::journal::{Journal, JournalError, Storage};
use crate::routes::router;
use crate::service::{Service, Threads};
use crate::token::Tokens;

/// How long the shutdown may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of open HTTP connections. One that has become a WebSocket no longer counts.
const MAX_CONNECTIONS: usize = 10_000;

/// The options of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on. Port 0, the default, takes any free port.
    pub listen: SocketAddr,
    /// The configuration of a new engine. An engine from a data folder keeps its own.
    pub config: Config,
    /// Folder to keep commands in. With `None`, all data is lost when the server ends.
    pub data: Option<PathBuf>,
    /// Take a snapshot after this many bytes of commands.
    pub snapshot_every: u64,
    /// How long a client may take to send the headers of a request.
    pub header_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            config: Config::default(),
            data: None,
            snapshot_every: 64 << 20,
            header_timeout: Duration::from_secs(10),
        }
    }
}

/// Why a server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An error from the operating system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// The data folder can't be read, or the server can't listen on the address.
    pub async fn start(options: Options) -> Result<Server, StartError> {
        let config = with_instance(options.config)?;
        let (engine, storage, tokens): (_, Option<Box<dyn Storage>>, _) = match &options.data {
            Some(folder) => {
                let (engine, journal) = Journal::open(folder, config, options.snapshot_every)?;
                (engine, Some(Box::new(journal)), Tokens::open(&folder.join("token.key"))?)
            }
            None => {
                warn!("without --data DIR, all data is lost when this process ends");
                (Engine::new(config), None, Tokens::new()?)
            }
        };
        Server::with(engine, storage, tokens, options).await
    }

    /// Starts a server with a given engine and storage. Ignores `options.config`, `options.data`
    /// and `options.snapshot_every`.
    ///
    /// # Errors
    /// The server can't listen on the address, or a thread can't be started.
    pub async fn with(
        engine: Engine,
        storage: Option<Box<dyn Storage>>,
        tokens: Tokens,
        options: Options,
    ) -> Result<Server, StartError> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let (service, threads) = Service::start(engine, storage, tokens)?;
        let (stop, stopped) = oneshot::channel();
        let work = tokio::spawn(serve(listener, service, threads, options, stopped));
        Ok(Server { address, stop, work })
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server: accepts no more commands, commits the accepted ones, and sends their
    /// signals. Gives up after five seconds.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.work.await;
    }
}

/// Replaces the instance number 0 by a random one. The instance number is a part of every signal's
/// key. A new engine must not repeat the keys of an earlier one.
fn with_instance(config: Config) -> io::Result<Config> {
    let instance = if config.instance == 0 { getrandom::u64()? } else { config.instance };
    Ok(Config { instance, ..config })
}

async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    threads: Threads,
    options: Options,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(65_536);
    let routes = router(Arc::clone(&service));
    let (ending, _) = watch::channel(());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, accept(&listener).await)
        };
        let (slot, stream) = tokio::select! {
            accepted = accepted => accepted,
            // An error means that the `Server` was dropped: stop, too.
            _ = &mut stopped => break,
        };
        let routes = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), routes).with_upgrades();
        let mut ends = ending.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                // Ignore the error when a client breaks the connection.
                _ = &mut connection => {}
                _ = ends.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    service.close();
    let end = Instant::now() + SHUTDOWN_TIMEOUT;
    let _ = ending.send(());
    let _ = timeout_at(end, ending.closed()).await;
    let _ = timeout_at(end, spawn_blocking(|| threads.join())).await;
    service.connections.close();
    while !service.connections.is_empty() && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
    info!(sockets_left = service.connections.len(), "stopped");
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Send small frames without delay.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                // Most likely no file descriptor is free. Wait until other connections close.
                warn!(%error, "can't accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
