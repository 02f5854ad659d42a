//! The JSON of the chat API that this engine was written for. You do not need this module if your
//! protocol is another one.
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
//! engine.create(alice, group, now).unwrap().ignore_signals();
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

/// A signal as a client gets it. It has `key`, `from`, `type` (see [`Event::name`]) and `groupid`.
/// Some types have more fields:
///
/// - `message` and `messageedit`: `seq`, `at` and `message`
/// - `messageerase`: `seq`
/// - `rankchange`: `rank`
/// - `mute`: `until`, null if it only ends when it is lifted
/// - `historypurge`: `note` and `successor`, if the owner gave them
///
/// The [module](self) has an example.
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

/// A [`Frame`] that also has the group's `version`.
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
    map.serialize_entry("type", signal.event.name())?;
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

/// Writes the note and the successor of a dissolution, if there are any.
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

/// Serialises an id of any type as a string.
struct Text<'a, T>(&'a T);

impl<T: Display> Serialize for Text<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// The reply to a request: `ok`, `code` (also the HTTP status), `msg` and `data`. A refusal always has
/// `data`, which may be empty. A success has it only if there is something to tell. The
/// [module](self) has an example.
#[derive(Debug, Clone)]
pub struct Reply<'a, U, G = GroupId> {
    result: Result<Data, &'a Refusal<U, G>>,
    now: Timestamp,
}

/// The reply for the result of a command, carried out or refused. `now` is the command's time. The
/// [module](self) has an example.
pub fn reply<T: Answer, U: Id, G>(
    result: &CommandResult<T, U, G>,
    now: Timestamp,
) -> Reply<'_, U, G> {
    Reply { result: result.as_ref().map(|outcome| outcome.value.data()), now }
}

impl<U, G> Reply<'_, U, G> {
    /// The HTTP status: 200, or [`Refusal::code`].
    ///
    /// # Examples
    /// ```
    /// use disband::{Engine, Timestamp, wire};
    ///
    /// let mut engine = Engine::<u64, u64>::default();
    /// let now = Timestamp(1_000);
    /// assert_eq!(wire::reply(&engine.leave(1, 7, now), now).code(), 404);
    /// ```
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
                map.serialize_entry("data", &RefusalData { refusal, now: self.now })?;
            }
        }
        map.end()
    }
}

/// A result that can be written as the `data` of a reply. Only the engine's own results implement it.
pub trait Answer: sealed::Sealed {
    /// Its form in a reply.
    #[doc(hidden)]
    fn data(&self) -> Data;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Stint {}
impl sealed::Sealed for Seq {}
impl<U: Id> sealed::Sealed for Departure<U> {}
impl<U: Id> sealed::Sealed for Dissolved<U> {}
impl sealed::Sealed for () {}
impl sealed::Sealed for Option<Stint> {}
impl<U: Id, G: Display> sealed::Sealed for Vec<(G, Departure<U>)> {}
impl<U: Id, G: Display> sealed::Sealed for EngineReply<U, G> {}

/// The `data` of a reply to a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Data {
    /// The reply has no `data`.
    Nothing,
    /// The membership that began or ended.
    Stint(Stint),
    /// The number of a message's entry in the log.
    Seq(Seq),
    /// What happened to each group that the user left.
    Groups(Vec<GroupLeft>),
}

/// What happened to a group that the user left.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
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

/// The reply to a leave does not say whether the group was dissolved.
impl<U: Id> Answer for Departure<U> {
    fn data(&self) -> Data {
        Data::Nothing
    }
}

/// The reply to a dissolution has no data either.
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

/// The `data` of a refusal: why, and what the client can do about it.
struct RefusalData<'a, U, G> {
    refusal: &'a Refusal<U, G>,
    now: Timestamp,
}

impl<U: Display, G: Display> Serialize for RefusalData<'_, U, G> {
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

/// The name of a refusal, to tell apart those with the same code. `TooFast` needs none. `NoSuchGroup`
/// has none, because the original API replies with empty data.
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
