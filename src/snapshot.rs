//! Snapshots: an engine as data, and the verification of data that becomes an engine.
//!
//! An engine serialises as its configuration, its counters, and its groups, tombstones and rate
//! cells, each list in strictly ascending order. Derived data is not written: the index, the orders
//! of cleaning, and how logs are divided into blocks. So equal engines give the same bytes, and a
//! restored engine behaves identically to the original.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};

use crate::check::Violation;
use crate::config::Config;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::format1;
use crate::group::{Group, GroupParts};
use crate::id::{Id, Stint};
use crate::limiter::{Cell, CellKey, InvalidCell, Limiter};
use crate::map::Map;
use crate::name::named;
use crate::state::State;
use crate::tombstone::{Tombstone, Tombstones};

/// The format that is written. Format 1 can still be read.
const FORMAT: u32 = 2;

/// The largest counter that is accepted. A command increases each counter by a few, so an engine that
/// starts here can still count 2^63 steps.
const MAX_COUNTER: u64 = 1 << 63;

/// An engine that was deserialised and is not verified yet. `Engine::try_from` verifies it, and
/// returns a typed error.
///
/// Deserialising an [`Engine`] does both, but reports a failed verification as an error of the
/// encoding, with a text only.
///
/// # Examples
/// ```
/// use disband::{Engine, GroupId, Snapshot, Timestamp, UserId};
///
/// let mut engine = Engine::default();
/// engine.create(UserId(1), GroupId(7), Timestamp(1_000))?.ignore_signals();
/// let json = serde_json::to_string(&engine)?;
///
/// let snapshot: Snapshot<UserId, GroupId> = serde_json::from_str(&json)?;
/// assert_eq!(Engine::try_from(snapshot)?, engine);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Snapshot<U, G>(Fields<U, G>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<U, G> {
    format: Format,
    config: Config,
    next_stint: Stint,
    next_key: u64,
    groups: Vec<(G, GroupParts<U>)>,
    tombstones: Vec<(G, Tombstone<U, G>)>,
    cells: Vec<(CellKey<U, G>, Cell)>,
}

/// Only the sizes, since a snapshot may have a million members.
impl<U, G> fmt::Debug for Snapshot<U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot(fields) = self;
        f.debug_struct("Snapshot")
            .field("format", &fields.format)
            .field("groups", &fields.groups.len())
            .field("tombstones", &fields.tombstones.len())
            .field("cells", &fields.cells.len())
            .finish_non_exhaustive()
    }
}

/// The names of the fields, in the order in which they are written.
const FIELDS: [&str; 7] =
    ["format", "config", "next_stint", "next_key", "groups", "tombstones", "cells"];

/// The format is the first field, so that an unknown one is recognised before other fields are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    One,
    Two,
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Format::One),
            FORMAT => Ok(Format::Two),
            other => Err(de::Error::custom(format_args!(
                "snapshot format {other} is unknown: formats 1 and {FORMAT} can be read"
            ))),
        }
    }
}

impl<'de, U, G> Deserialize<'de> for Snapshot<U, G>
where
    U: Deserialize<'de>,
    G: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Engine", &FIELDS, AnyFormat(PhantomData))
    }
}

struct AnyFormat<U, G>(PhantomData<(U, G)>);

impl<'de, U, G> Visitor<'de> for AnyFormat<U, G>
where
    U: Deserialize<'de>,
    G: Deserialize<'de>,
{
    type Value = Snapshot<U, G>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an engine")
    }

    /// Fields with names, in any order. Fields that format 1 lacks have a default.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map)).map(Snapshot)
    }

    /// Fields without names: each format has its own types.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let fields = match next(&mut seq, 0)? {
            Format::One => {
                fields::<_, _, _, format1::Config, format1::Group<U>, format1::Tombstone<U>>(
                    Format::One,
                    seq,
                )
            }
            Format::Two => {
                fields::<_, _, _, Config, GroupParts<U>, Tombstone<U, G>>(Format::Two, seq)
            }
        };
        fields.map(Snapshot)
    }
}

/// Reads the fields after the format as types of that format, and converts them to the present ones.
fn fields<'de, A, U, G, C, P, T>(format: Format, mut seq: A) -> Result<Fields<U, G>, A::Error>
where
    A: SeqAccess<'de>,
    U: Deserialize<'de>,
    G: Deserialize<'de>,
    C: Deserialize<'de> + Into<Config>,
    P: Deserialize<'de> + Into<GroupParts<U>>,
    T: Deserialize<'de> + Into<Tombstone<U, G>>,
{
    let config: C = next(&mut seq, 1)?;
    let (next_stint, next_key) = (next(&mut seq, 2)?, next(&mut seq, 3)?);
    let groups: Vec<(G, P)> = next(&mut seq, 4)?;
    let tombstones: Vec<(G, T)> = next(&mut seq, 5)?;
    Ok(Fields {
        format,
        config: config.into(),
        next_stint,
        next_key,
        groups: groups.into_iter().map(|(id, parts)| (id, parts.into())).collect(),
        tombstones: tombstones.into_iter().map(|(id, one)| (id, one.into())).collect(),
        cells: next(&mut seq, 6)?,
    })
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    seq: &mut A,
    at: usize,
) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| de::Error::invalid_length(at, &"an engine of 7 fields"))
}

/// A list in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotList {
    /// The groups.
    Groups,
    /// The tombstones.
    Tombstones,
    /// The rate cells.
    RateCells,
    /// The members of a group.
    Members,
    /// The admins of a group.
    Admins,
    /// The bans of a group.
    Bans,
    /// The mutes of a group.
    Mutes,
}

named!(SnapshotList {
    Groups => "groups",
    Tombstones => "tombstones",
    RateCells => "rate cells",
    Members => "members of a group",
    Admins => "admins of a group",
    Bans => "bans of a group",
    Mutes => "mutes of a group",
});

/// Why a snapshot is not a valid engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError<U, G> {
    /// A list is not in strictly ascending order: it is unsorted, or has a key twice.
    #[error("the {0} are not in strictly ascending order")]
    Unsorted(SnapshotList),
    /// There is a rate cell of an operation without a limit.
    #[error("there is a rate cell of an operation without a limit")]
    Unlimited,
    /// There is a rate cell that no time could have led to, and that would never expire.
    #[error("there is a rate cell past the largest time")]
    Unreachable,
    /// A counter is above 2^63. It would take 2^63 commands to get there.
    #[error("a counter is above 2^63")]
    Counter,
    /// An invariant does not hold.
    #[error(transparent)]
    Violation(#[from] Violation<U, G>),
}

impl<U: Id, G: Id> TryFrom<Snapshot<U, G>> for Engine<U, G> {
    type Error = SnapshotError<U, G>;

    /// Verifies the whole snapshot and builds the derived data. O(n log n) for a snapshot of length n.
    /// [`Snapshot`] has an example.
    ///
    /// # Errors
    /// The first fault found.
    fn try_from(Snapshot(mut snapshot): Snapshot<U, G>) -> Result<Self, SnapshotError<U, G>> {
        ascending(&snapshot.groups, SnapshotList::Groups)?;
        ascending(&snapshot.tombstones, SnapshotList::Tombstones)?;
        if snapshot.format == Format::One {
            // Format 1 orders the cells by user first.
            ascending_by(
                &snapshot.cells,
                SnapshotList::RateCells,
                |(CellKey { user, group, operation }, _)| (user, group, operation),
            )?;
            snapshot.cells.sort_by_key(|(key, _)| key.operation);
        }
        ascending_by(
            &snapshot.cells,
            SnapshotList::RateCells,
            |(CellKey { user, group, operation }, _)| (operation, user, group),
        )?;

        let mut state = State::new(snapshot.config);
        state.next_stint = snapshot.next_stint;
        state.next_key = snapshot.next_key;
        let members = snapshot.groups.iter().map(|(_, group)| group.members.len());
        let mut memberships = Vec::with_capacity(members.sum());
        let mut groups = Vec::with_capacity(snapshot.groups.len());
        for (id, parts) in snapshot.groups {
            ascending(&parts.members, SnapshotList::Members)?;
            ascending(&parts.admins, SnapshotList::Admins)?;
            ascending(&parts.bans, SnapshotList::Bans)?;
            ascending(&parts.mutes, SnapshotList::Mutes)?;
            // Format 1 is older than `set_config`, so no group can have more than is configured.
            let kept = usize::from(snapshot.config.departures);
            if snapshot.format == Format::One && parts.departures.len() > kept {
                return Err(Violation::Departures { group: id }.into());
            }
            let group = Group::from_parts(parts);
            let members = group.members().map(|(user, stint)| (user.clone(), stint, id.clone()));
            memberships.extend(members);
            state.entries = state.entries.saturating_add(group.log_len());
            state.message_bytes = state.message_bytes.saturating_add(group.log().bytes());
            groups.push((id, Arc::new(group)));
        }
        state.groups = Map::from_ascending(groups);
        memberships.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        state.directory = Directory::from_ascending(&memberships);
        state.tombstones = Tombstones::from_ascending(snapshot.tombstones);
        let limiter = Limiter::from_ascending(snapshot.cells, &snapshot.config.quotas);
        let limiter = limiter.map_err(|invalid| match invalid {
            InvalidCell::Unlimited => SnapshotError::Unlimited,
            InvalidCell::Unreachable => SnapshotError::Unreachable,
        })?;
        let groups = state.groups.iter();
        let counters = groups.flat_map(|(_, group)| [group.version(), group.next_seq().0]);
        if counters.chain([state.next_stint.0, state.next_key]).any(|count| count > MAX_COUNTER) {
            return Err(SnapshotError::Counter);
        }
        let engine = Engine::from_parts(state, limiter);
        engine.check()?;
        Ok(engine)
    }
}

fn ascending<K: Ord, V, U, G>(
    pairs: &[(K, V)],
    list: SnapshotList,
) -> Result<(), SnapshotError<U, G>> {
    ascending_by(pairs, list, |(key, _)| key)
}

fn ascending_by<'a, T, K: Ord, U, G>(
    items: &'a [T],
    list: SnapshotList,
    key: impl Fn(&'a T) -> K,
) -> Result<(), SnapshotError<U, G>> {
    if items.iter().map(key).is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(SnapshotError::Unsorted(list))
    }
}

impl<'de, U, G> Deserialize<'de> for Engine<U, G>
where
    U: Id + Deserialize<'de>,
    G: Id + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Snapshot::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl<U: Id + Serialize, G: Id + Serialize> Serialize for Engine<U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (state, limiter) = self.parts();
        let mut engine = serializer.serialize_struct("Engine", FIELDS.len())?;
        engine.serialize_field("format", &FORMAT)?;
        engine.serialize_field("config", &state.config)?;
        engine.serialize_field("next_stint", &state.next_stint)?;
        engine.serialize_field("next_key", &state.next_key)?;
        let groups = || state.groups.iter().map(|(id, group)| (id, WrittenGroup(group)));
        engine.serialize_field("groups", &List(groups))?;
        engine.serialize_field("tombstones", &List(|| state.tombstones.iter()))?;
        engine.serialize_field("cells", &WrittenCells(limiter))?;
        engine.end()
    }
}

struct WrittenCells<'a, U: Id, G: Id>(&'a Limiter<U, G>);

impl<U: Id + Serialize, G: Id + Serialize> Serialize for WrittenCells<'_, U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WrittenCells(limiter) = self;
        let mut cells = serializer.serialize_seq(Some(limiter.len()))?;
        for cell in limiter.iter() {
            cells.serialize_element(&cell)?;
        }
        cells.end()
    }
}

struct WrittenGroup<'a, U: Id>(&'a Group<U>);

impl<U: Id + Serialize> Serialize for WrittenGroup<'_, U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let WrittenGroup(group) = self;
        let parts = GroupParts {
            owner: group.owner(),
            options: *group.options(),
            version: group.version(),
            members: List(|| group.members()),
            admins: List(|| group.admins().map(|(user, stint)| (stint, user))),
            bans: List(|| group.all_bans().all()),
            mutes: List(|| group.all_mutes().all()),
            departures: group.departures(),
            first: group.log().first(),
            last_at: group.log().last_at(),
            entries: List(|| group.log().all().rev().map(|(_, entry)| entry)),
        };
        parts.serialize(serializer)
    }
}

/// A sequence that is serialised from an iterator, without being collected.
struct List<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}
