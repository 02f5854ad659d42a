//! The JSON of the chat API that this engine was written for. A host with another protocol ignores
//! this module.
//!
//! ```
//! use disband::{Engine, GroupId, Timestamp, UserId, wire};
//!
//! let mut engine = Engine::default();
//! let (alice, group, now) = (UserId(808080), GroupId(6228482), Timestamp(1_000));
//! assert_eq!(
//!     serde_json::to_string(&wire::reply(&engine.leave(alice, group, now), now))?,
//!     r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{}}"#
//! );
//!
//! let _ = engine.create(alice, group, now).unwrap();
//! let left = engine.leave(alice, group, now);
//! assert_eq!(
//!     serde_json::to_string(&wire::reply(&left, now))?,
//!     r#"{"ok":true,"code":200,"msg":"OK"}"#
//! );
//! assert_eq!(
//!     serde_json::to_string(&wire::Frame::from(&left.unwrap().signals[0]))?,
//!     r#"{"key":"00000000000000000000000000000001","from":"808080","type":"memberkick","groupid":"6228482"}"#
//! );
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt::Display;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::id::{GroupId, Id, Seq, Stint};
use crate::outcome::{CommandResult, Departure, Dissolved, Reply as EngineReply};
use crate::refusal::{Absence, Refusal};
use crate::signal::{Event, Signal};
use crate::time::Timestamp;

/// A signal as a client gets it: `key`, `from`, `type` and `groupid`. Some types have more:
///
/// - `message` and `messageedit`: `seq`, `at` and `message`
/// - `messageerase`: `seq`
/// - `rankchange`: `rank`
/// - `mute`: `until`, null for until it is lifted
/// - `historypurge`: `note` and `successor`, where the owner gave them
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a, U: Id, G>(&'a Signal<U, G>);

impl<'a, U: Id, G> From<&'a Signal<U, G>> for Frame<'a, U, G> {
    fn from(signal: &'a Signal<U, G>) -> Self {
        Frame(signal)
    }
}

impl<U: Id + Display, G: Display> Serialize for Frame<'_, U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame(self.0, None, serializer)
    }
}

/// A [`Frame`] with the group's `version` after it, for clients that ask for it.
#[derive(Debug, Clone, Copy)]
pub struct VersionedFrame<'a, U: Id, G>(&'a Signal<U, G>);

impl<'a, U: Id, G> From<&'a Signal<U, G>> for VersionedFrame<'a, U, G> {
    fn from(signal: &'a Signal<U, G>) -> Self {
        VersionedFrame(signal)
    }
}

impl<U: Id + Display, G: Display> Serialize for VersionedFrame<'_, U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame(self.0, Some(self.0.version), serializer)
    }
}

fn frame<U: Id + Display, G: Display, S: Serializer>(
    signal: &Signal<U, G>,
    version: Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("key", &signal.key)?;
    map.serialize_entry("from", &Text(&signal.from))?;
    map.serialize_entry("type", type_of(&signal.event))?;
    map.serialize_entry("groupid", &Text(&signal.group))?;
    if let Some(version) = version {
        map.serialize_entry("version", &version)?;
    }
    match &signal.event {
        Event::MessagePost { seq, at, message } | Event::MessageEdit { seq, at, message } => {
            map.serialize_entry("seq", seq)?;
            map.serialize_entry("at", at)?;
            map.serialize_entry("message", message)?;
        }
        Event::MessageErase { seq } => map.serialize_entry("seq", seq)?,
        Event::RankChange { rank } => map.serialize_entry("rank", rank)?,
        Event::Mute { until, .. } => map.serialize_entry("until", until)?,
        Event::HistoryPurge { note, successor, .. } => farewell(&mut map, note, successor)?,
        Event::MemberJoin { .. }
        | Event::MemberLeave
        | Event::MemberKick { .. }
        | Event::OwnerChange { .. }
        | Event::Unmute { .. } => {}
    }
    map.end()
}

/// What an owner said, where they said it.
fn farewell<G: Display, M: SerializeMap>(
    map: &mut M,
    note: &Option<Arc<str>>,
    successor: &Option<G>,
) -> Result<(), M::Error> {
    if let Some(note) = note {
        map.serialize_entry("note", note)?;
    }
    if let Some(successor) = successor {
        map.serialize_entry("successor", &Text(successor))?;
    }
    Ok(())
}

/// The `type` of a frame: `memberjoin`, `memberleave`, `memberkick`, `historypurge`, `message`,
/// `messageedit`, `messageerase`, `ownerchange`, `rankchange`, `mute` or `unmute`.
#[must_use]
pub const fn type_of<U, G>(event: &Event<U, G>) -> &'static str {
    match event {
        Event::MemberJoin { .. } => "memberjoin",
        Event::MemberLeave => "memberleave",
        Event::MemberKick { .. } => "memberkick",
        Event::HistoryPurge { .. } => "historypurge",
        Event::MessagePost { .. } => "message",
        Event::OwnerChange { .. } => "ownerchange",
        Event::RankChange { .. } => "rankchange",
        Event::MessageEdit { .. } => "messageedit",
        Event::MessageErase { .. } => "messageerase",
        Event::Mute { .. } => "mute",
        Event::Unmute { .. } => "unmute",
    }
}

/// Ids are strings on the wire, whatever they are in the host.
struct Text<'a, T>(&'a T);

impl<T: Display> Serialize for Text<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// The reply to a request: `ok`, `code` (to be the HTTP status too), `msg`, and `data` where there
/// is something that a client can act on.
#[derive(Debug, Clone)]
pub struct Reply<'a, U, G = GroupId> {
    result: Result<Data, &'a Refusal<U, G>>,
    now: Timestamp,
}

/// The reply to a command whose result is `result`, carried out at `now`.
pub fn reply<T: Answer, U: Id, G>(
    result: &CommandResult<T, U, G>,
    now: Timestamp,
) -> Reply<'_, U, G> {
    Reply { result: result.as_ref().map(|outcome| outcome.value.data()), now }
}

impl<U, G> Reply<'_, U, G> {
    /// The HTTP status.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.result.as_ref().map_or_else(|refusal| refusal.code(), |_| 200)
    }
}

impl<U: Display, G: Display> Serialize for Reply<'_, U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ok", &self.result.is_ok())?;
        map.serialize_entry("code", &self.code())?;
        match &self.result {
            Ok(data) => {
                map.serialize_entry("msg", "OK")?;
                if *data != Data::Nothing {
                    map.serialize_entry("data", data)?;
                }
            }
            Err(refusal) => {
                map.serialize_entry("msg", &Text(&format_args!("GRPS_{}", self.code())))?;
                map.serialize_entry("data", &Remedy { refusal, now: self.now })?;
            }
        }
        map.end()
    }
}

/// A result that has its place in a reply's `data`.
pub trait Answer {
    /// What it says there.
    fn data(&self) -> Data;
}

/// The `data` of a reply to a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Data {
    /// None: the reply has no `data`.
    Nothing,
    /// The membership that began or ended.
    Stint(Stint),
    /// The place of a message in the history.
    Seq(Seq),
    /// What came of each group that was left.
    Groups(Vec<GroupLeft>),
}

/// What came of a group that was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupLeft {
    /// The group.
    pub groupid: String,
    /// `left`, `succeeded` or `dissolved`.
    pub outcome: &'static str,
}

impl Answer for Stint {
    fn data(&self) -> Data {
        Data::Stint(*self)
    }
}

impl Answer for Seq {
    fn data(&self) -> Data {
        Data::Seq(*self)
    }
}

/// The reply to a leave is the same whether or not it dissolved the group.
impl<U: Id> Answer for Departure<U> {
    fn data(&self) -> Data {
        Data::Nothing
    }
}

/// So is the reply to a dissolution.
impl<U: Id> Answer for Dissolved<U> {
    fn data(&self) -> Data {
        Data::Nothing
    }
}

impl Answer for () {
    fn data(&self) -> Data {
        Data::Nothing
    }
}

impl Answer for Option<Stint> {
    fn data(&self) -> Data {
        self.map_or(Data::Nothing, Data::Stint)
    }
}

impl<U: Id, G: Display> Answer for Vec<(G, Departure<U>)> {
    fn data(&self) -> Data {
        let group_left = |(group, departure): &(G, Departure<U>)| GroupLeft {
            groupid: group.to_string(),
            outcome: match departure {
                Departure::Left { .. } => "left",
                Departure::Succeeded { .. } => "succeeded",
                Departure::Dissolved(_) => "dissolved",
            },
        };
        Data::Groups(self.iter().map(group_left).collect())
    }
}

impl<U: Id, G: Display> Answer for EngineReply<U, G> {
    fn data(&self) -> Data {
        match self {
            EngineReply::Created(stint)
            | EngineReply::Joined(stint)
            | EngineReply::Added(stint)
            | EngineReply::Kicked(stint) => stint.data(),
            EngineReply::Departed(departure) => departure.data(),
            EngineReply::Posted(seq) => seq.data(),
            EngineReply::Dissolved(dissolved) => dissolved.data(),
            EngineReply::Banned(stint) => stint.data(),
            EngineReply::LeftAll(groups) => groups.data(),
            EngineReply::Transferred
            | EngineReply::Ranked
            | EngineReply::Configured
            | EngineReply::Unbanned
            | EngineReply::Muted
            | EngineReply::Unmuted
            | EngineReply::Edited
            | EngineReply::Erased => Data::Nothing,
        }
    }
}

/// What a client can do about a refusal, or show of it.
struct Remedy<'a, U, G> {
    refusal: &'a Refusal<U, G>,
    now: Timestamp,
}

impl<U: Display, G: Display> Serialize for Remedy<'_, U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(reason) = reason(self.refusal) {
            map.serialize_entry("reason", reason)?;
        }
        match self.refusal {
            Refusal::TooFast { retry_at } => {
                map.serialize_entry("retry_at", retry_at)?;
                map.serialize_entry("retry_after_ms", &retry_at.since(self.now))?;
            }
            Refusal::Dissolved { by, at, note, successor } => {
                map.serialize_entry("by", &Text(by))?;
                map.serialize_entry("at", at)?;
                farewell(&mut map, note, successor)?;
            }
            Refusal::NotMember(absence) | Refusal::TargetNotMember(absence) => {
                map.serialize_entry("absence", name_of(absence))?;
                match absence {
                    Absence::Left { at } => map.serialize_entry("at", at)?,
                    Absence::Kicked { by, at } => {
                        map.serialize_entry("by", &Text(by))?;
                        map.serialize_entry("at", at)?;
                    }
                    Absence::StintOver | Absence::NoRecord => {}
                }
            }
            Refusal::IdReserved { until } => map.serialize_entry("until", until)?,
            Refusal::Banned { by, until }
            | Refusal::TargetBanned { by, until }
            | Refusal::Muted { by, until } => {
                map.serialize_entry("by", &Text(by))?;
                map.serialize_entry("until", until)?;
            }
            Refusal::OverLimit { limit, max } => {
                map.serialize_entry("limit", limit.name())?;
                map.serialize_entry("max", max)?;
            }
            Refusal::NoSuchGroup
            | Refusal::NotOwner
            | Refusal::Outranked
            | Refusal::GroupExists
            | Refusal::AlreadyMember
            | Refusal::NotAdmin
            | Refusal::OwnerMustStay
            | Refusal::AlreadyOwner
            | Refusal::AlreadyRanked
            | Refusal::NotBanned
            | Refusal::AlreadyExpired
            | Refusal::Closed
            | Refusal::NotMuted
            | Refusal::NoSuchEntry
            | Refusal::NotAuthor
            | Refusal::AlreadyErased => {}
        }
        map.end()
    }
}

/// Which of the refusals with the same code it is. The plain 404 has none: masked, it must not
/// differ from the real one.
const fn reason<U, G>(refusal: &Refusal<U, G>) -> Option<&'static str> {
    Some(match refusal {
        Refusal::TooFast { .. } | Refusal::NoSuchGroup => return None,
        Refusal::Dissolved { .. } => "dissolved",
        Refusal::NotMember(_) => "not_member",
        Refusal::NotOwner => "not_owner",
        Refusal::Outranked => "outranked",
        Refusal::TargetNotMember(_) => "target_not_member",
        Refusal::GroupExists => "group_exists",
        Refusal::IdReserved { .. } => "id_reserved",
        Refusal::AlreadyMember => "already_member",
        Refusal::NotAdmin => "not_admin",
        Refusal::Banned { .. } => "banned",
        Refusal::OwnerMustStay => "owner_must_stay",
        Refusal::AlreadyOwner => "already_owner",
        Refusal::AlreadyRanked => "already_ranked",
        Refusal::NotBanned => "not_banned",
        Refusal::AlreadyExpired => "already_expired",
        Refusal::OverLimit { .. } => "over_limit",
        Refusal::Closed => "closed",
        Refusal::TargetBanned { .. } => "target_banned",
        Refusal::Muted { .. } => "muted",
        Refusal::NotMuted => "not_muted",
        Refusal::NoSuchEntry => "no_such_entry",
        Refusal::NotAuthor => "not_author",
        Refusal::AlreadyErased => "already_erased",
    })
}

const fn name_of<U>(absence: &Absence<U>) -> &'static str {
    match absence {
        Absence::StintOver => "stint_over",
        Absence::Left { .. } => "left",
        Absence::Kicked { .. } => "kicked",
        Absence::NoRecord => "no_record",
    }
}
