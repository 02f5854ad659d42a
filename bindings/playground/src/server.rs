//! Serves the site to browsers on this machine.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::site::Site;

/// How many connections are served at once. Others wait.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// The most bytes of the head of a request.
const HEAD_BYTES: usize = 16 * 1024;

/// The headers of every response. The last two isolate the page from pages of other origins, and
/// browsers then give it a clock with finer steps (5 µs in place of 100 µs in Chromium).
const HEADERS: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];

/// A server that listens on the loopback address only.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    site: Arc<Site>,
}

impl Server {
    /// Listens on `port`; 0 is any free one.
    ///
    /// # Errors
    /// If the port is in use or may not be used.
    pub(crate) async fn bind(port: u16, site: Site) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        Ok(Server { listener, site: Arc::new(site) })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// If the system does not tell it.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub(crate) async fn run(self) -> Infallible {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let permit = Arc::clone(&free).acquire_owned().await;
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                // For example too many open files. Others are closed in the meantime.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let site = Arc::clone(&self.site);
            tokio::spawn(async move {
                let _permit = permit;
                let service = service_fn(|request| {
                    let response = respond(&site, &request);
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .max_buf_size(HEAD_BYTES)
                    .serve_connection(TokioIo::new(stream), service);
                // An error ends this connection only, and the client sees it.
                let _ = connection.await;
            });
        }
    }
}

/// The response to one request. The body of a request is not read.
fn respond(site: &Site, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        refused.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a valid header"));
        return refused;
    }
    match site.get(request.uri().path()) {
        Some(file) => response(StatusCode::OK, file.mime, file.bytes.clone()),
        None => text(StatusCode::NOT_FOUND, "no such file"),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, mime: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    for (name, value) in HEADERS.into_iter().chain([("content-type", mime)]) {
        let value = hyper::header::HeaderValue::from_static(value);
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::site::tests::small;

    /// The whole response to the head of a request, without its date.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn serves_the_files_of_the_site_and_nothing_else() {
        let server = Server::bind(0, small()).await.unwrap();
        let address = server.address().unwrap();
        assert!(address.ip().is_loopback());
        tokio::spawn(server.run());

        let page = ask(address, "GET /?query").await;
        assert!(
            page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\n<!doctype html>")
        );
        assert!(page.contains("\r\ncontent-type: text/html; charset=utf-8\r\n"));
        assert!(page.contains("\r\nx-content-type-options: nosniff\r\n"));
        let wasm = ask(address, "HEAD /disband/core.wasm").await;
        assert!(
            wasm.contains("\r\ncontent-type: application/wasm\r\n") && wasm.ends_with("\r\n\r\n")
        );
        for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/disband/", "/src/main.rs"] {
            let missing = ask(address, &format!("GET {path}")).await;
            assert!(missing.starts_with("HTTP/1.1 404 "), "{path}: {missing}");
        }
        let refused = ask(address, "DELETE /").await;
        assert!(
            refused.starts_with("HTTP/1.1 405 ") && refused.contains("\r\nallow: GET, HEAD\r\n")
        );
        let long = ask(address, &format!("GET /{}", "x".repeat(HEAD_BYTES))).await;
        assert!(long.starts_with("HTTP/1.1 4"), "{long}");
    }
}
