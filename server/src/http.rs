//! The HTTP side: routes, replies, WebSockets and the listener.
//!
//! - [`commands`] and [`reads`]: the routes of the chat API; [`socket`]: the WebSocket
//! - [`extract`]: parsing of requests; [`reply`]: replies
//! - [`listener`]: connections; [`stream`]: a time limit for clients that read no replies

mod commands;
mod extract;
mod listener;
mod reads;
mod reply;
mod socket;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing::info_span;

use crate::http::extract::Json;
pub(crate) use crate::http::listener::{HttpOptions, serve};
use crate::http::reply::Reply;
use crate::name::Name;
use crate::service::{Consistency, Service};

/// The longest body, in bytes. A message has at most 65,536 bytes by default. JSON may need six
/// bytes for each of them (`\u0000`). The rest is room for the object around the message.
const MAX_BODY: usize = 512 * 1024;

type Shared = State<Arc<Service>>;

/// All routes.
fn router(service: Arc<Service>) -> Router {
    let routes = Router::new()
        .merge(commands::routes())
        .merge(reads::routes())
        .route("/stand-in/login", post(login))
        .route("/ws", get(socket::open))
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz));
    with_layers(routes.with_state(service))
}

/// There is no time-out around the routes: it would answer a command under way, of which nobody knows
/// then whether it is carried out. The receipt of the body has a time limit in [`Json`], and so has
/// each wait for the node.
fn with_layers(routes: Router) -> Router {
    routes
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(CatchPanicLayer::new())
        .layer(map_response(with_json_body))
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        // Log the path only: the query may contain a token.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|request: &Request<_>| {
                    info_span!("request", method = %request.method(), path = request.uri().path())
                })
                // A 503 is an answer, and the node has logged the reason.
                .on_failure(()),
        )
}

/// Gives an error from axum or from a layer the JSON body that all other errors have.
async fn with_json_body(response: Response) -> Response {
    let status = response.status();
    let json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut reply = Reply::error(status, status).into_response();
    if let Some(methods) = response.headers().get(ALLOW) {
        reply.headers_mut().insert(ALLOW, methods.clone());
    }
    reply
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    user: Name,
}

/// A stand-in for the host's own log-in: anyone can log in as any user.
async fn login(State(service): Shared, Json(LoginBody { user }): Json<LoginBody>) -> Reply {
    Reply::data(&json!({ "user": user, "token": service.tokens.of(&user) }))
}

async fn page() -> Response {
    let policy = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    ([(CONTENT_SECURITY_POLICY, policy)], Html(include_str!("http/page.html"))).into_response()
}

async fn metrics(State(service): Shared) -> Result<Response, Reply> {
    let stats = service.view(Consistency::Local).await?.stats();
    let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let body = service.metrics.encode(&stats);
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(text))], body).into_response())
}

/// 200 while commands are accepted, else 503 with the reason.
async fn healthz(State(service): Shared) -> Result<Reply, Reply> {
    service.health()?;
    Ok(Reply::ok())
}

/// 200 while the node has a leader and accepts commands, else 503 with the reason.
async fn readyz(State(service): Shared) -> Result<Reply, Reply> {
    service.health()?;
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests;
