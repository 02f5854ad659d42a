//! The routes of the commands.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::post;
use disband::{GroupOptions, Rank, Seq, Stint, Timestamp};
use serde::Deserialize;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::http::extract::{Authenticated, IdempotencyKey, Json, Path, Query};
use crate::http::reply::Reply;
use crate::key::Key;
use crate::name::Name;
use crate::service::{Service, Unanswered};
use crate::types::Command;

/// How long a command may be under way. After that it is answered 504.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/x/group/create/{group}", post(create))
        .route("/x/group/join/{group}", post(join))
        .route("/x/group/add/{group}/{user}", post(add))
        .route("/x/group/leave/{group}", post(leave))
        .route("/x/group/post/{group}", post(post_message))
        .route("/x/group/edit/{group}/{seq}", post(edit))
        .route("/x/group/erase/{group}/{seq}", post(erase))
        .route("/x/group/kick/{group}/{user}", post(kick))
        .route("/x/group/ban/{group}/{user}", post(ban))
        .route("/x/group/unban/{group}/{user}", post(unban))
        .route("/x/group/mute/{group}/{user}", post(mute))
        .route("/x/group/unmute/{group}/{user}", post(unmute))
        .route("/x/group/rank/{group}/{user}", post(rank))
        .route("/x/group/transfer/{group}/{user}", post(transfer))
        .route("/x/group/options/{group}", post(set_options))
        .route("/x/group/dissolve/{group}", post(dissolve))
        .route("/x/user/leave", post(leave_all))
}

/// The user who sends a command, and how.
struct Caller {
    user: Name,
    key: Option<Key>,
    /// The reply says which signals the command caused.
    own: bool,
    service: Arc<Service>,
}

#[derive(Deserialize)]
struct CommandQuery {
    #[serde(default)]
    own: u8,
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Reply> {
        let Authenticated(user) = Authenticated::from_request_parts(parts, service).await?;
        let Query(CommandQuery { own }) = Query::from_request_parts(parts, service).await?;
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, service).await?;
        Ok(Caller { user, key, own: own != 0, service: Arc::clone(service) })
    }
}

impl Caller {
    /// Carries out a command of the user.
    async fn run(self, command: impl FnOnce(Name) -> Command) -> Reply {
        let Caller { user, key, own, service } = self;
        let command = command(user);
        let operation = command.operation();
        let reply = Reply::to_command(in_time(service.submit(command, key)).await, own);
        service.metrics.answered(operation, reply.code());
        reply
    }
}

/// The answer to a command, or `Unknown` if it takes too long.
async fn in_time(
    answer: impl Future<Output = Result<Answer, Unanswered>>,
) -> Result<Answer, Unanswered> {
    timeout(COMMAND_TIMEOUT, answer).await.unwrap_or(Err(Unanswered::Unknown))
}

/// A body without fields: `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

async fn create(
    caller: Caller,
    Path(group): Path<Name>,
    Json(options): Json<GroupOptions>,
) -> Reply {
    caller.run(|owner| Command::Create { owner, group, options: Some(options) }).await
}

async fn join(
    caller: Caller,
    Path(group): Path<Name>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|user| Command::Join { user, group }).await
}

async fn add(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|by| Command::Add { by, group, user }).await
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
    caller: Caller,
    Path(group): Path<Name>,
    Json(LeaveBody { stint }): Json<LeaveBody>,
) -> Reply {
    caller.run(|user| Command::Leave { user, group, stint }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageBody {
    message: Arc<str>,
}

async fn post_message(
    caller: Caller,
    Path(group): Path<Name>,
    Json(MessageBody { message }): Json<MessageBody>,
) -> Reply {
    caller.run(|author| Command::Post { author, group, message }).await
}

async fn edit(
    caller: Caller,
    Path((group, seq)): Path<(Name, Seq)>,
    Json(MessageBody { message }): Json<MessageBody>,
) -> Reply {
    caller.run(|author| Command::Edit { author, group, seq, message }).await
}

async fn erase(
    caller: Caller,
    Path((group, seq)): Path<(Name, Seq)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|by| Command::Erase { by, group, seq }).await
}

async fn kick(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|by| Command::Kick { by, group, user }).await
}

/// `until` is in milliseconds since 1970. Without it, the ban or mute lasts until it is lifted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UntilBody {
    #[serde(default)]
    until: Option<Timestamp>,
}

async fn ban(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(UntilBody { until }): Json<UntilBody>,
) -> Reply {
    caller.run(|by| Command::Ban { by, group, user, until }).await
}

async fn unban(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|by| Command::Unban { by, group, user }).await
}

async fn mute(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(UntilBody { until }): Json<UntilBody>,
) -> Reply {
    caller.run(|by| Command::Mute { by, group, user, until }).await
}

async fn unmute(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|by| Command::Unmute { by, group, user }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RankBody {
    rank: Rank,
}

async fn rank(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(RankBody { rank }): Json<RankBody>,
) -> Reply {
    caller.run(|by| Command::SetRank { by, group, user, rank }).await
}

async fn transfer(
    caller: Caller,
    Path((group, user)): Path<(Name, Name)>,
    Json(EmptyBody {}): Json<EmptyBody>,
) -> Reply {
    caller.run(|owner| Command::Transfer { owner, group, user }).await
}

async fn set_options(
    caller: Caller,
    Path(group): Path<Name>,
    Json(options): Json<GroupOptions>,
) -> Reply {
    caller.run(|by| Command::SetOptions { by, group, options }).await
}

/// `note` is a text for the members, `successor` the group that replaces this one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DissolveBody {
    #[serde(default)]
    note: Option<Arc<str>>,
    #[serde(default)]
    successor: Option<Name>,
}

async fn dissolve(
    caller: Caller,
    Path(group): Path<Name>,
    Json(DissolveBody { note, successor }): Json<DissolveBody>,
) -> Reply {
    caller.run(|owner| Command::Dissolve { owner, group, note, successor }).await
}

async fn leave_all(caller: Caller, Json(EmptyBody {}): Json<EmptyBody>) -> Reply {
    caller.run(|user| Command::LeaveAll { user }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_takes_too_long_is_answered_504_after_10_seconds() {
        let start = Instant::now();
        let answer = in_time(std::future::pending()).await;
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(Reply::to_command(answer, false).code(), 504);
    }
}
