//! The routes that read the state.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::get;
use disband::{GroupOptions, Mute, Page, Rank, Seq, Stint, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::http::extract::{Authenticated, Path, Query};
use crate::http::reply::Reply;
use crate::name::Name;
use crate::service::{Consistency, Service, Unanswered};
use crate::types::Engine;

/// How long a read may wait for the state.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of entries or members in one page. The ids of so many members take less than
/// [`PAGE_BYTES`].
const MAX_PAGE: u64 = 1000;

/// The maximum number of bytes of the messages in one page, unless a single message is longer.
const PAGE_BYTES: usize = 256 * 1024;

/// After this many groups, a list of groups lets other tasks run.
const GROUPS_AT_ONCE: usize = 256;

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/x/user/groups", get(groups))
        .route("/x/group/state/{group}", get(state))
        .route("/x/group/members/{group}", get(members))
        .route("/x/group/history/{group}", get(history))
}

/// The user who reads, and how fresh the state must be.
struct Reader {
    user: Name,
    consistency: Consistency,
    service: Arc<Service>,
}

#[derive(Deserialize)]
struct ReadQuery {
    #[serde(default)]
    consistency: Consistency,
}

impl FromRequestParts<Arc<Service>> for Reader {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Reply> {
        let Authenticated(user) = Authenticated::from_request_parts(parts, service).await?;
        let Query(ReadQuery { consistency }) = Query::from_request_parts(parts, service).await?;
        Ok(Reader { user, consistency, service: Arc::clone(service) })
    }
}

impl Reader {
    async fn view(&self) -> Result<Engine, Reply> {
        let view = timeout(READ_TIMEOUT, self.service.view(self.consistency)).await;
        let late = Unanswered::NotDone("the state can't be read in time");
        Ok(view.unwrap_or(Err(late))?)
    }

    /// Why the user may not read a group: the engine's refusal to read its history. Call it only if
    /// the user is not a member: a member is never refused.
    fn refusal(&self, engine: &Engine, group: &Name) -> Reply {
        let now = self.service.now();
        match engine.history(&self.user, group, Page::newest(0), now) {
            Ok(_) => Reply::ok(),
            Err(refusal) => Reply::refused(refusal, now),
        }
    }

    /// The group as the user sees it. Returns `None` if they are not a member.
    fn group<'a>(&self, id: &'a Name, group: &'a disband::Group<Name>) -> Option<GroupView<'a>> {
        Some(GroupView {
            groupid: id,
            version: group.version(),
            owner: group.owner(),
            members: group.len(),
            next_seq: group.next_seq(),
            options: *group.options(),
            stint: group.stint(&self.user)?,
            rank: group.rank(&self.user)?,
            muted: group.mute(&self.user, self.service.now()),
        })
    }
}

/// A group as one member sees it. `stint`, `rank` and `muted` are those of this member.
#[derive(Serialize)]
struct GroupView<'a> {
    groupid: &'a Name,
    version: u64,
    owner: &'a Name,
    members: usize,
    next_seq: Seq,
    options: GroupOptions,
    stint: Stint,
    rank: Rank,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<&'a Mute<Name>>,
}

async fn groups(reader: Reader) -> Result<Reply, Reply> {
    let engine = reader.view().await?;
    let mut views = Vec::new();
    for (nth, (id, _)) in engine.groups_of(&reader.user).enumerate() {
        views.extend(engine.group(id).and_then(|group| reader.group(id, group)));
        if (nth + 1) % GROUPS_AT_ONCE == 0 {
            yield_now().await;
        }
    }
    Ok(Reply::data(&views))
}

async fn state(reader: Reader, Path(id): Path<Name>) -> Result<Reply, Reply> {
    let engine = reader.view().await?;
    match engine.group(&id).and_then(|group| reader.group(&id, group)) {
        Some(view) => Ok(Reply::data(&view)),
        None => Ok(reader.refusal(&engine, &id)),
    }
}

/// A page of members in ascending order of user id: at most `limit` of those after `after`.
#[derive(Deserialize)]
struct MembersPage {
    after: Option<Name>,
    #[serde(default = "default_limit")]
    limit: u64,
}

fn default_limit() -> u64 {
    100
}

#[derive(Serialize)]
struct Member<'a> {
    user: &'a Name,
    stint: Stint,
    rank: Option<Rank>,
}

async fn members(
    reader: Reader,
    Path(id): Path<Name>,
    Query(page): Query<MembersPage>,
) -> Result<Reply, Reply> {
    let engine = reader.view().await?;
    let Some(group) = engine.group(&id).filter(|group| group.contains(&reader.user)) else {
        return Ok(reader.refusal(&engine, &id));
    };
    let limit = usize::try_from(page.limit.min(MAX_PAGE)).unwrap_or_default();
    let member = |(user, stint)| Member { user, stint, rank: group.rank(user) };
    let members = group.members_after(page.after.as_ref()).take(limit).map(member);
    let members: Vec<_> = members.collect();
    Ok(Reply::data(&json!({ "version": group.version(), "members": members })))
}

/// A page of history, newest first: at most `limit` entries before `before`.
#[derive(Deserialize)]
struct HistoryPage {
    before: Option<u64>,
    #[serde(default = "default_limit")]
    limit: u64,
}

/// `edited` is the time of the last edit. The message of an erased entry is empty.
#[derive(Serialize)]
struct Entry<'a> {
    seq: Seq,
    at: Timestamp,
    from: &'a Name,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_by: Option<&'a Name>,
}

/// The bytes of a text as JSON, without the quotes around it.
fn json_len(text: &str) -> usize {
    let len = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..32 => 6,
        _ => 1,
    };
    text.bytes().map(len).sum()
}

async fn history(
    reader: Reader,
    Path(group): Path<Name>,
    Query(query): Query<HistoryPage>,
) -> Result<Reply, Reply> {
    let (engine, now) = (reader.view().await?, reader.service.now());
    let page = Page { before: query.before.map(Seq), limit: query.limit.min(MAX_PAGE) };
    let entries = match engine.history(&reader.user, &group, page, now) {
        Ok(entries) => entries,
        Err(refusal) => return Ok(Reply::refused(refusal, now)),
    };
    let (mut page, mut bytes) = (Vec::new(), 0);
    for (seq, entry) in entries {
        bytes += json_len(&entry.message);
        if bytes > PAGE_BYTES && !page.is_empty() {
            break;
        }
        page.push(Entry {
            seq,
            at: entry.at,
            from: &entry.author,
            message: &entry.message,
            edited: entry.edited(),
            erased_by: entry.erased_by(),
        });
    }
    Ok(Reply::data(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_text_is_that_of_its_json() {
        let all: String = (0..=255_u8).map(char::from).chain(['\u{2028}', '\u{10ffff}']).collect();
        assert_eq!(json_len(&all) + 2, serde_json::to_string(&all).unwrap().len());
    }
}
