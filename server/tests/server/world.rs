//! A server to test, and clients for it.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Display;
use std::sync::Mutex;
use std::time::Duration;

use disband::{Config, Limits, Quotas};
use disband_server::real::Real;
use disband_server::{Options, Server};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A configuration without rate limits.
pub(crate) fn unlimited() -> Config {
    Config { quotas: Quotas::UNLIMITED, instance: 7, ..Config::default() }
}

/// A server, and an HTTP client that acts as any user.
pub(crate) struct World {
    /// `None` if the server runs in another process.
    server: Option<Server>,
    pub(crate) address: String,
    pub(crate) http: reqwest::Client,
    tokens: Mutex<BTreeMap<String, String>>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Options { config: unlimited(), ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> World {
        World::of(Server::start(Real::new().unwrap(), options).await.unwrap())
    }

    pub(crate) fn of(server: Server) -> World {
        let address = server.address().to_string();
        World { server: Some(server), ..World::at(address) }
    }

    /// A client for the server at this address, in another process.
    pub(crate) fn at(address: String) -> World {
        World { server: None, address, http: reqwest::Client::new(), tokens: Mutex::default() }
    }

    pub(crate) async fn stop(mut self) {
        self.server.take().unwrap().stop().await;
    }

    /// The token of a user: a number, or any text.
    pub(crate) async fn token(&self, user: impl Display) -> String {
        let user = user.to_string();
        if let Some(token) = self.tokens.lock().unwrap().get(&user) {
            return token.clone();
        }
        let url = format!("http://{}/stand-in/login", self.address);
        let body = json!({ "user": user });
        let reply: Value =
            self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
        let token = reply["data"]["token"].as_str().unwrap().to_owned();
        self.tokens.lock().unwrap().insert(user, token.clone());
        token
    }

    /// Sends a request. Returns the status and the body, or an error if there is no reply.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        token: Option<&str>,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<(u16, Value)> {
        let mut request = self.http.request(method, format!("http://{}{path}", self.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    pub(crate) async fn post(&self, user: impl Display, path: &str, body: Value) -> (u16, Value) {
        let token = self.token(user).await;
        let body = Some(body.to_string().into());
        self.try_send(Method::POST, Some(&token), path, body).await.unwrap()
    }

    pub(crate) async fn get(&self, user: impl Display, path: &str) -> (u16, Value) {
        let token = self.token(user).await;
        self.try_send(Method::GET, Some(&token), path, None).await.unwrap()
    }

    /// Asserts that a reply is a success. Returns its `data`.
    #[track_caller]
    pub(crate) fn ok(answer: (u16, Value)) -> Value {
        assert_eq!((answer.0, &answer.1["ok"]), (200, &json!(true)), "{}", answer.1);
        answer.1["data"].clone()
    }

    /// Sends a POST that must succeed. Returns the `data` of the reply.
    pub(crate) async fn post_ok(&self, user: impl Display, path: &str, body: Value) -> Value {
        World::ok(self.post(user, path, body).await)
    }

    /// Creates a group, owned by `owner`, that `members` join.
    pub(crate) async fn group(
        &self,
        group: u64,
        owner: u64,
        members: impl IntoIterator<Item = u64>,
    ) {
        self.post_ok(owner, &format!("/x/group/create/{group}"), json!({})).await;
        for member in members {
            self.post_ok(member, &format!("/x/group/join/{group}"), json!({})).await;
        }
    }

    /// Sends a POST with headers. Returns the status, the `Retry-After` and the body.
    pub(crate) async fn post_with(
        &self,
        user: impl Display,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (u16, Option<String>, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.http.post(url).bearer_auth(self.token(user).await);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_string()).send().await.unwrap();
        let retry = response.headers().get("retry-after");
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), retry, response.json().await.unwrap())
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.address);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Opens a WebSocket for `user`. `query` is added to the address.
    pub(crate) async fn socket(&self, user: impl Display, query: &str) -> Socket {
        let token = self.token(user).await;
        let url = format!("ws://{}/ws?id={token}{query}", self.address);
        Socket(connect_async(url).await.unwrap().0)
    }
}

pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn message(&mut self) -> Option<Message> {
        loop {
            let next = timeout(Duration::from_secs(20), self.0.next()).await;
            match next.expect("nothing received for 20 seconds").transpose().ok().flatten() {
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                message => return message,
            }
        }
    }

    /// The next frame, not parsed.
    pub(crate) async fn text(&mut self) -> String {
        self.message().await.expect("a frame").into_text().unwrap().to_string()
    }

    pub(crate) async fn frame(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// All frames until the socket closes, and the code of the close frame, if there is one.
    pub(crate) async fn read_to_end(&mut self) -> (Vec<Value>, Option<u16>) {
        let mut frames = Vec::new();
        loop {
            match self.message().await {
                Some(Message::Text(text)) => frames.push(serde_json::from_str(&text).unwrap()),
                Some(Message::Close(close)) => {
                    return (frames, close.map(|frame| frame.code.into()));
                }
                Some(other) => panic!("{other:?}"),
                None => return (frames, None),
            }
        }
    }
}

/// The fields `type` and `from` of a frame.
pub(crate) fn type_and_from(frame: &Value) -> (&str, &str) {
    (frame["type"].as_str().unwrap(), frame["from"].as_str().unwrap())
}

/// Reports that a test is skipped because this machine has no `what`. In CI, fails instead.
pub(crate) fn skip_without(what: &str) {
    assert!(env::var_os("CI").is_none(), "{what} is required in CI, but is not installed");
    eprintln!("skipped: {what} is not installed");
}

/// A configuration with limits that are small enough to reach in a test.
pub(crate) fn small_limits() -> Config {
    let limits =
        Limits { members_per_group: Some(3), message_bytes: Some(10), ..Limits::default() };
    Config { limits, ..unlimited() }
}

/// An id as a segment of a path.
pub(crate) fn segment(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
