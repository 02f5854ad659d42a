//! The HTTP routes.

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

use crate::answer::{Answer, Authenticated, Json, Path, Query};
use crate::clock;
use crate::service::Service;
use crate::socket;

/// The longest body, in bytes. A message has at most 65,536 bytes by default. JSON may need six
/// bytes for each of them (`\u0000`). The rest is room for the object around the message.
const MAX_BODY: usize = 512 * 1024;

/// How long a request may take, including receiving its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of entries or members in one page.
const MAX_PAGE: u64 = 1000;

type Shared = State<Arc<Service>>;

/// All routes.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/x/group/create/{group}", post(create))
        .route("/x/group/join/{group}", post(join))
        .route("/x/group/leave/{group}", post(leave))
        .route("/x/group/post/{group}", post(post_message))
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
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::new())
        .layer(map_response(with_json_body))
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        // Log the path only: the query may contain a token.
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request<_>| {
            info_span!("request", method = %request.method(), path = request.uri().path())
        }))
}

/// Gives an error from axum or from a layer the JSON body that all other errors have.
async fn with_json_body(response: Response) -> Response {
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

/// A body without fields: `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

async fn create(
    State(service): Shared,
    Authenticated(owner): Authenticated,
    Path(group): Path<GroupId>,
    Json(options): Json<GroupOptions>,
) -> Answer {
    service.submit(Command::Create { owner, group, options: Some(options) }).await
}

async fn join(
    State(service): Shared,
    Authenticated(user): Authenticated,
    Path(group): Path<GroupId>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Answer {
    service.submit(Command::Join { user, group }).await
}

/// `stint` is the membership to end (a stint is one unbroken membership of one user in one group).
/// With it, a late retry cannot end a newer membership.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaveBody {
    #[serde(default)]
    stint: Option<Stint>,
}

async fn leave(
    State(service): Shared,
    Authenticated(user): Authenticated,
    Path(group): Path<GroupId>,
    Json(LeaveBody { stint }): Json<LeaveBody>,
) -> Answer {
    service.submit(Command::Leave { user, group, stint }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody {
    message: Arc<str>,
}

async fn post_message(
    State(service): Shared,
    Authenticated(author): Authenticated,
    Path(group): Path<GroupId>,
    Json(PostBody { message }): Json<PostBody>,
) -> Answer {
    service.submit(Command::Post { author, group, message }).await
}

async fn kick(
    State(service): Shared,
    Authenticated(by): Authenticated,
    Path((group, user)): Path<(GroupId, UserId)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Answer {
    service.submit(Command::Kick { by, group, user }).await
}

/// `until` is in milliseconds since 1970. Without it, the ban lasts until it is lifted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BanBody {
    #[serde(default)]
    until: Option<Timestamp>,
}

async fn ban(
    State(service): Shared,
    Authenticated(by): Authenticated,
    Path((group, user)): Path<(GroupId, UserId)>,
    Json(BanBody { until }): Json<BanBody>,
) -> Answer {
    service.submit(Command::Ban { by, group, user, until }).await
}

async fn unban(
    State(service): Shared,
    Authenticated(by): Authenticated,
    Path((group, user)): Path<(GroupId, UserId)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Answer {
    service.submit(Command::Unban { by, group, user }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RankBody {
    rank: Rank,
}

async fn rank(
    State(service): Shared,
    Authenticated(by): Authenticated,
    Path((group, user)): Path<(GroupId, UserId)>,
    Json(RankBody { rank }): Json<RankBody>,
) -> Answer {
    service.submit(Command::SetRank { by, group, user, rank }).await
}

async fn transfer(
    State(service): Shared,
    Authenticated(owner): Authenticated,
    Path((group, user)): Path<(GroupId, UserId)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Answer {
    service.submit(Command::Transfer { owner, group, user }).await
}

async fn set_options(
    State(service): Shared,
    Authenticated(by): Authenticated,
    Path(group): Path<GroupId>,
    Json(options): Json<GroupOptions>,
) -> Answer {
    service.submit(Command::SetOptions { by, group, options }).await
}

async fn dissolve(
    State(service): Shared,
    Authenticated(owner): Authenticated,
    Path(group): Path<GroupId>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Answer {
    let (note, successor) = (None, None);
    service.submit(Command::Dissolve { owner, group, note, successor }).await
}

async fn leave_all(
    State(service): Shared,
    Authenticated(user): Authenticated,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Answer {
    service.submit(Command::LeaveAll { user }).await
}

/// A group as one member sees it. `stint` and `rank` are those of this member.
#[derive(Serialize)]
struct GroupView {
    groupid: GroupId,
    version: u64,
    owner: UserId,
    members: usize,
    next_seq: Seq,
    options: GroupOptions,
    stint: Stint,
    rank: Rank,
}

impl GroupView {
    /// Returns `None` if `user` is not a member.
    fn of(user: &UserId, id: &GroupId, group: &disband::Group<UserId>) -> Option<GroupView> {
        Some(GroupView {
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

async fn groups(State(service): Shared, Authenticated(user): Authenticated) -> Answer {
    let engine = service.view();
    let views =
        engine.groups_of(&user).filter_map(|(id, _)| GroupView::of(&user, id, engine.group(id)?));
    Answer::data(&views.collect::<Vec<_>>())
}

async fn state(
    State(service): Shared,
    Authenticated(user): Authenticated,
    Path(id): Path<GroupId>,
) -> Answer {
    let engine = service.view();
    match engine.group(&id).and_then(|group| GroupView::of(&user, &id, group)) {
        Some(view) => Answer::data(&view),
        None => read_refusal(&engine, &user, &id),
    }
}

/// Why a user may not read a group: the engine's refusal to read its history. Call it only if the
/// user is not a member: a member is never refused.
fn read_refusal(engine: &disband::Engine, user: &UserId, group: &GroupId) -> Answer {
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

/// A page of members in ascending order of user id: at most `limit` of those after `after`.
#[derive(Deserialize)]
struct MembersPage {
    after: Option<UserId>,
    #[serde(default = "default_limit")]
    limit: u64,
}

fn default_limit() -> u64 {
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
    Authenticated(user): Authenticated,
    Path(id): Path<GroupId>,
    Query(page): Query<MembersPage>,
) -> Answer {
    let engine = service.view();
    let Some(group) = engine.group(&id).filter(|group| group.contains(&user)) else {
        return read_refusal(&engine, &user, &id);
    };
    let limit = usize::try_from(page.limit.min(MAX_PAGE)).unwrap_or_default();
    let member =
        |(user, stint): (&UserId, Stint)| Member { user: *user, stint, rank: group.rank(user) };
    let members = group.members_after(page.after.as_ref()).take(limit).map(member);
    let members: Vec<_> = members.collect();
    Answer::data(&json!({ "version": group.version(), "members": members }))
}

/// A page of history, newest first: at most `limit` entries before `before`.
#[derive(Deserialize)]
struct HistoryPage {
    before: Option<u64>,
    #[serde(default = "default_limit")]
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
    Authenticated(user): Authenticated,
    Path(group): Path<GroupId>,
    Query(query): Query<HistoryPage>,
) -> Answer {
    let (engine, now) = (service.view(), clock::now());
    let page = Page { before: query.before.map(Seq), limit: query.limit.min(MAX_PAGE) };
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
struct LoginBody {
    user: UserId,
}

/// A stand-in for the host's own log-in: anyone can log in as any user.
async fn login(State(service): Shared, Json(LoginBody { user }): Json<LoginBody>) -> Answer {
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
