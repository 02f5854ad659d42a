//! Which address does what.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
};
use axum::http::{Request, StatusCode};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use disband::{
    Command, GroupId, GroupOptions, Page, Rank, Refusal, Seq, Stint, Timestamp, UserId, wire,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::info_span;

use crate::answer::{Answer, Asked, Caller, Place, Said};
use crate::clock;
use crate::service::Service;
use crate::socket;

/// A message of 65,536 bytes, each of them six in JSON, and what is around it.
const BODY: usize = 512 * 1024;

/// How long a request may take, its body included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most entries, or members, of one page.
const PAGE: u64 = 1000;

type Shared = State<Arc<Service>>;

/// Every address there is.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/x/group/create/{group}", post(create))
        .route("/x/group/join/{group}", post(join))
        .route("/x/group/leave/{group}", post(leave))
        .route("/x/group/post/{group}", post(say))
        .route("/x/group/kick/{group}/{user}", post(kick))
        .route("/x/group/ban/{group}/{user}", post(ban))
        .route("/x/group/unban/{group}/{user}", post(unban))
        .route("/x/group/rank/{group}/{user}", post(rank))
        .route("/x/group/transfer/{group}/{user}", post(transfer))
        .route("/x/group/options/{group}", post(set_options))
        .route("/x/group/dissolve/{group}", post(dissolve))
        .route("/x/user/leave", post(leave_all))
        .route("/x/user/groups", get(groups))
        .route("/x/group/state/{group}", get(state))
        .route("/x/group/members/{group}", get(members))
        .route("/x/group/history/{group}", get(history))
        .route("/stand-in/login", post(login))
        .route("/ws", get(socket::open))
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .with_state(service)
        .layer(RequestBodyLimitLayer::new(BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, PATIENCE))
        .layer(CatchPanicLayer::new())
        .layer(map_response(in_shape))
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        // The path alone: a token may stand in the query.
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request<_>| {
            info_span!("request", method = %request.method(), path = request.uri().path())
        }))
}

/// What the layers answer by themselves, in the shape of all other answers.
async fn in_shape(response: Response) -> Response {
    let status = response.status();
    let json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut answer = Answer::error(status, status).into_response();
    if let Some(methods) = response.headers().get(ALLOW) {
        answer.headers_mut().insert(ALLOW, methods.clone());
    }
    answer
}

/// For a body that says nothing: `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn create(
    State(service): Shared,
    Caller(owner): Caller,
    Place(group): Place<GroupId>,
    Said(options): Said<GroupOptions>,
) -> Answer {
    service.submit(Command::Create { owner, group, options: Some(options) }).await
}

async fn join(
    State(service): Shared,
    Caller(user): Caller,
    Place(group): Place<GroupId>,
    Said(Nothing {}): Said<Nothing>,
) -> Answer {
    service.submit(Command::Join { user, group }).await
}

/// `stint` names the membership that is meant: a late repetition then never ends a newer one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {
    #[serde(default)]
    stint: Option<Stint>,
}

async fn leave(
    State(service): Shared,
    Caller(user): Caller,
    Place(group): Place<GroupId>,
    Said(Leave { stint }): Said<Leave>,
) -> Answer {
    service.submit(Command::Leave { user, group, stint }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    message: Arc<str>,
}

async fn say(
    State(service): Shared,
    Caller(author): Caller,
    Place(group): Place<GroupId>,
    Said(Say { message }): Said<Say>,
) -> Answer {
    service.submit(Command::Post { author, group, message }).await
}

async fn kick(
    State(service): Shared,
    Caller(by): Caller,
    Place((group, user)): Place<(GroupId, UserId)>,
    Said(Nothing {}): Said<Nothing>,
) -> Answer {
    service.submit(Command::Kick { by, group, user }).await
}

/// `until` in milliseconds since 1970; null for until the ban is lifted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(default)]
    until: Option<Timestamp>,
}

async fn ban(
    State(service): Shared,
    Caller(by): Caller,
    Place((group, user)): Place<(GroupId, UserId)>,
    Said(Ban { until }): Said<Ban>,
) -> Answer {
    service.submit(Command::Ban { by, group, user, until }).await
}

async fn unban(
    State(service): Shared,
    Caller(by): Caller,
    Place((group, user)): Place<(GroupId, UserId)>,
    Said(Nothing {}): Said<Nothing>,
) -> Answer {
    service.submit(Command::Unban { by, group, user }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ranked {
    rank: Rank,
}

async fn rank(
    State(service): Shared,
    Caller(by): Caller,
    Place((group, user)): Place<(GroupId, UserId)>,
    Said(Ranked { rank }): Said<Ranked>,
) -> Answer {
    service.submit(Command::SetRank { by, group, user, rank }).await
}

async fn transfer(
    State(service): Shared,
    Caller(owner): Caller,
    Place((group, user)): Place<(GroupId, UserId)>,
    Said(Nothing {}): Said<Nothing>,
) -> Answer {
    service.submit(Command::Transfer { owner, group, user }).await
}

async fn set_options(
    State(service): Shared,
    Caller(by): Caller,
    Place(group): Place<GroupId>,
    Said(options): Said<GroupOptions>,
) -> Answer {
    service.submit(Command::SetOptions { by, group, options }).await
}

async fn dissolve(
    State(service): Shared,
    Caller(owner): Caller,
    Place(group): Place<GroupId>,
    Said(Nothing {}): Said<Nothing>,
) -> Answer {
    let (note, successor) = (None, None);
    service.submit(Command::Dissolve { owner, group, note, successor }).await
}

async fn leave_all(
    State(service): Shared,
    Caller(user): Caller,
    Said(Nothing {}): Said<Nothing>,
) -> Answer {
    service.submit(Command::LeaveAll { user }).await
}

/// A group as its members see it, at its version.
#[derive(Serialize)]
struct Seen {
    groupid: GroupId,
    version: u64,
    owner: UserId,
    members: usize,
    next_seq: Seq,
    options: GroupOptions,
    stint: Stint,
    rank: Rank,
}

impl Seen {
    fn by(user: &UserId, id: &GroupId, group: &disband::Group<UserId>) -> Option<Seen> {
        Some(Seen {
            groupid: *id,
            version: group.version(),
            owner: *group.owner(),
            members: group.len(),
            next_seq: group.next_seq(),
            options: *group.options(),
            stint: group.stint(user)?,
            rank: group.rank(user)?,
        })
    }
}

async fn groups(State(service): Shared, Caller(user): Caller) -> Answer {
    let engine = service.view();
    let seen = engine.groups_of(&user).filter_map(|(id, _)| Seen::by(&user, id, engine.group(id)?));
    Answer::data(&seen.collect::<Vec<_>>())
}

async fn state(State(service): Shared, Caller(user): Caller, Place(id): Place<GroupId>) -> Answer {
    let engine = service.view();
    match engine.group(&id).and_then(|group| Seen::by(&user, &id, group)) {
        Some(seen) => Answer::data(&seen),
        None => why_not(&engine, &user, &id),
    }
}

/// Why a user may not look at a group: what the engine says of its history.
fn why_not(engine: &disband::Engine, user: &UserId, group: &GroupId) -> Answer {
    let now = clock::now();
    match engine.history(user, group, Page::newest(0), now) {
        Ok(_) => Answer::ok(),
        Err(refusal) => refused(refusal, now),
    }
}

fn refused(refusal: Refusal<UserId>, now: Timestamp) -> Answer {
    let result: disband::CommandResult<(), UserId, GroupId> = Err(refusal);
    let reply = wire::reply(&result, now);
    Answer::new(reply.code(), &reply)
}

/// A page of members, by ascending id: those after `after`, at most `limit`.
#[derive(Deserialize)]
struct Members {
    after: Option<UserId>,
    #[serde(default = "some")]
    limit: u64,
}

fn some() -> u64 {
    100
}

#[derive(Serialize)]
struct Member {
    user: UserId,
    stint: Stint,
    rank: Option<Rank>,
}

async fn members(
    State(service): Shared,
    Caller(user): Caller,
    Place(id): Place<GroupId>,
    Asked(page): Asked<Members>,
) -> Answer {
    let engine = service.view();
    let Some(group) = engine.group(&id).filter(|group| group.contains(&user)) else {
        return why_not(&engine, &user, &id);
    };
    let limit = usize::try_from(page.limit.min(PAGE)).unwrap_or_default();
    let member =
        |(user, stint): (&UserId, Stint)| Member { user: *user, stint, rank: group.rank(user) };
    let members: Vec<_> = match page.after {
        Some(after) => group.members_after(&after).take(limit).map(member).collect(),
        None => group.members().take(limit).map(member).collect(),
    };
    Answer::data(&json!({ "version": group.version(), "members": members }))
}

/// A page of history, newest first: entries before `before`, at most `limit`.
#[derive(Deserialize)]
struct Entries {
    before: Option<u64>,
    #[serde(default = "some")]
    limit: u64,
}

#[derive(Serialize)]
struct Entry<'a> {
    seq: Seq,
    at: Timestamp,
    from: UserId,
    message: &'a str,
}

async fn history(
    State(service): Shared,
    Caller(user): Caller,
    Place(group): Place<GroupId>,
    Asked(asked): Asked<Entries>,
) -> Answer {
    let (engine, now) = (service.view(), clock::now());
    let page = Page { before: asked.before.map(Seq), limit: asked.limit.min(PAGE) };
    match engine.history(&user, &group, page, now) {
        Ok(entries) => {
            let entries = entries.map(|(seq, entry)| Entry {
                seq,
                at: entry.at,
                from: entry.author,
                message: &entry.message,
            });
            Answer::data(&entries.collect::<Vec<_>>())
        }
        Err(refusal) => refused(refusal, now),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: UserId,
}

/// The stand-in for the host's own log-in: whoever asks to be somebody, is.
async fn login(State(service): Shared, Said(Login { user }): Said<Login>) -> Answer {
    Answer::data(&json!({ "user": user, "token": service.tokens.of(user) }))
}

async fn page() -> Response {
    let policy = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    ([(CONTENT_SECURITY_POLICY, policy)], Html(include_str!("page.html"))).into_response()
}

async fn metrics(State(service): Shared) -> Response {
    let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let body = service.metrics.encode(&service.view().stats());
    ([(CONTENT_TYPE, HeaderValue::from_static(text))], body).into_response()
}

async fn healthz(State(service): Shared) -> Answer {
    service.health()
}
