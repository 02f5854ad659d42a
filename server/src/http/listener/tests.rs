//! The listener in a world of in-memory connections and virtual time.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use disband::{Config, Quotas, Timestamp};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;
use crate::connections::Close;
use crate::name::Name;
use crate::real::RealDisk;
use crate::server::service_in_memory;
use crate::service::Consistency;
use crate::types::Command;

/// A world without a disk, whose connections are pipes with room for a few bytes.
#[derive(Clone)]
struct Pipes;

struct PipeListener(mpsc::Receiver<io::Result<DuplexStream>>);

impl Listener for PipeListener {
    type Stream = DuplexStream;

    fn address(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(stream) => Ok((stream?, SocketAddr::from(([127, 0, 0, 1], 1)))),
            None => std::future::pending().await,
        }
    }
}

impl World for Pipes {
    type Disk = RealDisk;
    type Listener = PipeListener;
    type Stream = DuplexStream;

    fn wall(&self) -> Timestamp {
        Timestamp(1_000)
    }

    fn random(&self) -> u64 {
        7
    }

    fn memory(&self) -> u64 {
        1 << 30
    }

    async fn disk(&self, _: &Path) -> io::Result<RealDisk> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn listen(&self, _: SocketAddr) -> io::Result<PipeListener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect(&self, _: &str) -> io::Result<DuplexStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[allow(clippy::disallowed_methods, reason = "this is the world's way to start a task")]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    fn free(&self, value: impl Send + 'static) {
        drop(value);
    }
}

struct Node {
    service: Arc<Service>,
    connections: mpsc::Sender<io::Result<DuplexStream>>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Node {
    async fn start() -> Node {
        let config = Config { quotas: Quotas::UNLIMITED, ..Config::default() };
        let service = service_in_memory(&Pipes, config).await;
        let (connections, accepted) = mpsc::channel(16);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let options = HttpOptions {
            header_timeout: Duration::from_secs(10),
            end_timeout: Duration::from_secs(5),
        };
        let served = Arc::clone(&service);
        Pipes.spawn(async move {
            let stopped = async move { drop(stopped.await) };
            serve(Pipes, PipeListener(accepted), served, options, stopped).await;
            let _ = end.send(());
        });
        Node { service, connections, stop, ended }
    }

    async fn connect(&self) -> DuplexStream {
        let (ours, theirs) = duplex(1024);
        self.connections.send(Ok(theirs)).await.unwrap();
        ours
    }

    fn token(&self) -> String {
        self.service.tokens.of(&Name::from(1))
    }

    async fn socket(&self, query: &str) -> WebSocketStream<DuplexStream> {
        let url = format!("ws://x/ws?id={}{query}", self.token());
        client_async(url, self.connect().await).await.unwrap().0
    }

    /// Creates group 7, with a message that does not fit into a pipe.
    async fn long_history(&self) {
        let (owner, group) = (Name::from(1), Name::from(7));
        let create = Command::Create { owner: owner.clone(), group: group.clone(), options: None };
        self.service.submit(create, None).await.unwrap();
        let post = Command::Post { author: owner, group, message: "x".repeat(60_000).into() };
        self.service.submit(post, None).await.unwrap();
    }
}

/// Everything until the other side closes the connection.
async fn rest(mut stream: DuplexStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_are_served_over_any_stream_also_after_a_failed_accept() {
    let node = Node::start().await;
    node.connections.send(Err(io::ErrorKind::OutOfMemory.into())).await.unwrap();
    let mut stream = node.connect().await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let reply = rest(stream).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    assert!(reply.ends_with(r#"{"code":200,"msg":"OK","ok":true}"#), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_headers_is_disconnected() {
    let node = Node::start().await;
    let (silent, mut half) = (node.connect().await, node.connect().await);
    half.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
    let start = Instant::now();
    rest(silent).await;
    rest(half).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_reply_is_disconnected() {
    let node = Node::start().await;
    node.long_history().await;
    let mut stream = node.connect().await;
    let request = format!(
        "GET /x/group/history/7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        node.token()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    sleep(WRITE_TIMEOUT + Duration::from_secs(1)).await;
    // The request can't be read to its end any more: the connection is gone.
    let reply = rest(stream).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.len() <= 1024, "{}", reply.len());
}

#[tokio::test(start_paused = true)]
async fn a_stop_answers_requests_under_way_and_refuses_new_ones() {
    let node = Node::start().await;
    let mut under_way = node.connect().await;
    let mut idle = node.connect().await;
    let get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    idle.write_all(get).await.unwrap();
    let head = format!(
        "POST /x/group/create/7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 2\r\n\r\n",
        node.token()
    );
    under_way.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    node.stop.send(()).unwrap();
    sleep(Duration::from_secs(1)).await;
    under_way.write_all(b"{}").await.unwrap();
    let reply = rest(under_way).await;
    assert!(reply.contains(r#"{"ok":true,"code":200,"msg":"OK","data":{"stint":"#), "{reply}");
    assert!(reply.contains("connection: close"), "{reply}");
    let reply = rest(idle).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    node.ended.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 1, "nothing else is waited for");
    assert!(node.connections.is_closed(), "the listener is closed");
    let engine = node.service.view(Consistency::Local).await.unwrap();
    assert!(engine.group(&Name::from(7)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_only_so_long_for_a_request() {
    let node = Node::start().await;
    let mut under_way = node.connect().await;
    let head = format!(
        "POST /x/group/create/7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 2\r\n\r\n",
        node.token()
    );
    under_way.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    node.stop.send(()).unwrap();
    node.ended.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_client_answers_no_ping_is_closed() {
    let node = Node::start().await;
    let mut socket = node.socket("").await;
    let start = Instant::now();
    let mut frames = Vec::new();
    // Not read as frames, so no ping is answered.
    let end = socket.get_mut().read_to_end(&mut frames);
    timeout(Duration::from_secs(100), end).await.expect("the socket must be closed").unwrap();
    let reason = b"no answer to a ping";
    let mut close = vec![0x88, 2 + reason.len() as u8];
    close.extend(1008_u16.to_be_bytes());
    close.extend(reason);
    assert_eq!(frames, [&[0x89, 0], &*close].concat(), "a ping, then a close frame");
    // Two heartbeats, and the time to answer the close frame.
    assert_eq!(start.elapsed().as_secs(), 61);
    assert_eq!(node.service.connections.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_client_answers_pings_stays_open() {
    let node = Node::start().await;
    let mut socket = node.socket("&own=1").await;
    for _ in 0..100 {
        match socket.next().await {
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    node.long_history().await;
    match socket.next().await {
        Some(Ok(Message::Text(frame))) => assert!(frame.contains(r#""type":"message""#)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_leader_closes_its_sockets_and_refuses_new_ones() {
    let node = Node::start().await;
    let mut socket = node.socket("").await;
    node.service.connections.close(Close::NO_LEADER).await;
    match socket.next().await {
        Some(Ok(Message::Close(Some(close)))) => {
            assert_eq!((u16::from(close.code), &*close.reason), (1013, "this node has no leader"));
        }
        other => panic!("{other:?}"),
    }
    let url = format!("ws://x/ws?id={}", node.token());
    match client_async(url, node.connect().await).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "1");
        }
        other => panic!("{other:?}"),
    }
    node.service.connections.open();
    node.socket("").await;
}
