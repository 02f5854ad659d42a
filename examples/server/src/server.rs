//! A socket to listen on, and an orderly end.

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

/// How long the end may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many connections there may be that are not, or not yet, WebSockets.
const CONNECTIONS: usize = 10_000;

/// What is chosen at the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Of a new engine; one that comes from a data folder has its own.
    pub config: Config,
    /// Where commands are kept; `None` for in memory alone.
    pub data: Option<PathBuf>,
    /// How many bytes of commands are kept before a snapshot is taken.
    pub snapshot_every: u64,
    /// How long a connection may take to say what it wants.
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
    /// The machine says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A server at work.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// The data folder can't be read, or the address can't be listened on.
    pub async fn start(options: Options) -> Result<Server, StartError> {
        let config = distinct(options.config)?;
        let (engine, storage, tokens): (_, Option<Box<dyn Storage>>, _) = match &options.data {
            Some(folder) => {
                let (engine, journal) = Journal::open(folder, config, options.snapshot_every)?;
                (engine, Some(Box::new(journal)), Tokens::open(&folder.join("token.key"))?)
            }
            None => {
                warn!("in memory alone: nothing outlives this process (--data DIR keeps it)");
                (Engine::new(config), None, Tokens::new()?)
            }
        };
        Server::with(engine, storage, tokens, options).await
    }

    /// Starts one with an engine and a place to keep commands.
    ///
    /// # Errors
    /// The address can't be listened on.
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: no new commands, what was accepted is carried through and sent, for up to five
    /// seconds.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.work.await;
    }
}

/// An engine that starts from nothing must not use the keys of one before it.
fn distinct(config: Config) -> io::Result<Config> {
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
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, accept(&listener).await)
        };
        let (slot, stream) = tokio::select! {
            accepted = accepted => accepted,
            // Dropping the other end is a stop, too.
            _ = &mut stopped => break,
        };
        let routes = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), routes).with_upgrades();
        let mut ends = ending.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                // A client that breaks off is no news.
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
    let end = Instant::now() + FAREWELL;
    let _ = ending.send(());
    let _ = timeout_at(end, ending.closed()).await;
    let _ = timeout_at(end, spawn_blocking(|| threads.join())).await;
    service.connections.close();
    while !service.connections.is_empty() && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
    info!(sockets_left = service.connections.len(), "the end");
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Frames are small, and each is news.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                // Out of file descriptors, most likely; others may close theirs.
                warn!(%error, "a connection can't be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
