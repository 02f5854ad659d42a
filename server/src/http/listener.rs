//! The listener: accepts connections and serves HTTP on them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::http::router;
use crate::http::stream::WriteTimeout;
use crate::service::Service;
use crate::world::{Listener, World};

/// The maximum number of open HTTP connections. One that has become a WebSocket no longer counts.
const MAX_CONNECTIONS: usize = 10_000;

/// How long a client may not read while there is something to send to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The options of the HTTP side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpOptions {
    /// How long a client may take to send the headers of a request.
    pub(crate) header_timeout: Duration,
    /// How long the requests under way may take after `stopped`.
    pub(crate) end_timeout: Duration,
}

/// Serves HTTP until `stopped` resolves. Then accepts no more connections and requests, and returns
/// when all requests under way are answered, or after [`HttpOptions::end_timeout`]. WebSockets stay
/// open: `Connections::close` ends them.
pub(crate) async fn serve<W: World>(
    world: W,
    mut listener: W::Listener,
    service: Arc<Service>,
    options: HttpOptions,
    stopped: impl Future<Output = ()> + Send,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(65_536);
    let routes = router(service);
    let (ending, _) = watch::channel(());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stopped = pin!(stopped);
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, accept(&mut listener).await)
        };
        let (slot, stream) = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = accepted => accepted,
        };
        let routes = TowerToHyperService::new(routes.clone());
        let stream = TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT));
        let connection = http.serve_connection(stream, routes).with_upgrades();
        let mut ends = ending.subscribe();
        world.spawn(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                biased;
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
    let _ = ending.send(());
    let _ = timeout(options.end_timeout, ending.closed()).await;
}

async fn accept<L: Listener>(listener: &mut L) -> L::Stream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                // Most likely no file descriptor is free. Wait until other connections close.
                warn!(%error, "can't accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
