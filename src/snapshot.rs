//! The engine as data: written canonically, and read back as the untrusted input that it is.
//!
//! An engine serialises as its configuration, its counters, its groups, tombstones and rate cells,
//! each list strictly ascending. What is derived (the index, the orders of cleaning, how logs lie in
//! blocks) is not written: two engines that are equal give the same bytes, and one that was read
//! back goes on exactly as one that never stopped.

use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::check::Violation;
use crate::config::Config;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::group::{Group, GroupParts};
use crate::id::{Id, Stint};
use crate::limiter::{Cell, CellKey, Limiter, Misfit};
use crate::map::Map;
use crate::state::State;
use crate::tombstone::{Tombstone, Tombstones};

/// The only format there is so far.
const FORMAT: u32 = 1;

/// The most that a counter is believed to have counted. Each command counts a few steps, so an
/// engine that begins here still has 2^63 of them before it.
const COUNTED: u64 = 1 << 63;

/// An engine as it was read, and not yet believed: `Engine::try_from` verifies it.
///
/// Reading an [`Engine`] itself does both, but then what is wrong comes as the format's own error.
#[derive(Debug, Deserialize)]
#[serde(rename = "Engine", deny_unknown_fields)]
pub struct Snapshot<U, G> {
    #[expect(dead_code, reason = "read and verified on the way in")]
    format: Format,
    config: Config,
    next_stint: Stint,
    next_key: u64,
    groups: Vec<(G, GroupParts<U>)>,
    tombstones: Vec<(G, Tombstone<U>)>,
    cells: Vec<(CellKey<U, G>, Cell)>,
}

/// It comes first, so that another format is known before anything of it is misread.
#[derive(Debug)]
struct Format;

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Format),
            other => Err(de::Error::custom(format_args!(
                "snapshot format {other} is unknown: this is format {FORMAT}"
            ))),
        }
    }
}

/// Why a snapshot is not an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError<U, G> {
    /// A list is not strictly ascending: unsorted, or something stands in it twice.
    #[error("the {0} are not strictly ascending")]
    Unsorted(&'static str),
    /// There is a rate cell for an operation without a limit.
    #[error("there is a rate cell for an operation without a limit")]
    Unlimited,
    /// There is a rate cell that no clock could have led to, and that would stay for ever.
    #[error("there is a rate cell past the end of time")]
    Unreachable,
    /// A counter is beyond 2^63, where no engine that began with none ever comes.
    #[error("a counter is beyond 2^63")]
    Counter,
    /// It breaks an invariant.
    #[error(transparent)]
    Violation(#[from] Violation<U, G>),
}

impl<U: Id, G: Id> TryFrom<Snapshot<U, G>> for Engine<U, G> {
    type Error = SnapshotError<U, G>;

    /// Verifies the whole snapshot, and makes the derived data anew. O(its length · log of it).
    ///
    /// # Errors
    /// The first thing found that is wrong with it.
    fn try_from(snapshot: Snapshot<U, G>) -> Result<Self, SnapshotError<U, G>> {
        ascending(&snapshot.groups, "groups")?;
        ascending(&snapshot.tombstones, "tombstones")?;
        ascending(&snapshot.cells, "rate cells")?;

        let mut state = State::new(snapshot.config);
        state.next_stint = snapshot.next_stint;
        state.next_key = snapshot.next_key;
        let members = snapshot.groups.iter().map(|(_, group)| group.members.len());
        let mut memberships = Vec::with_capacity(members.sum());
        let mut groups = Vec::with_capacity(snapshot.groups.len());
        for (id, parts) in snapshot.groups {
            ascending(&parts.members, "members of a group")?;
            ascending(&parts.admins, "admins of a group")?;
            ascending(&parts.bans, "bans of a group")?;
            let group = Group::from_parts(parts);
            let members = group.members().map(|(user, stint)| (user.clone(), stint, id.clone()));
            memberships.extend(members);
            state.entries = state.entries.saturating_add(group.log_len());
            groups.push((id, Arc::new(group)));
        }
        state.groups = Map::from_ascending(groups);
        memberships.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        state.directory = Directory::from_ascending(&memberships);
        state.tombstones = Tombstones::from_ascending(snapshot.tombstones);
        let limiter = Limiter::from_ascending(snapshot.cells, &snapshot.config.quotas);
        let limiter = limiter.map_err(|misfit| match misfit {
            Misfit::Unlimited => SnapshotError::Unlimited,
            Misfit::Unreachable => SnapshotError::Unreachable,
        })?;
        let groups = state.groups.iter();
        let counters = groups.flat_map(|(_, group)| [group.version(), group.next_seq().0]);
        if counters.chain([state.next_stint.0, state.next_key]).any(|count| count > COUNTED) {
            return Err(SnapshotError::Counter);
        }
        let engine = Engine::from_parts(state, limiter);
        engine.check()?;
        Ok(engine)
    }
}

fn ascending<K: Ord, V, U, G>(
    pairs: &[(K, V)],
    what: &'static str,
) -> Result<(), SnapshotError<U, G>> {
    if pairs.is_sorted_by(|(one, _), (next, _)| one < next) {
        Ok(())
    } else {
        Err(SnapshotError::Unsorted(what))
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
        let mut engine = serializer.serialize_struct("Engine", 7)?;
        engine.serialize_field("format", &FORMAT)?;
        engine.serialize_field("config", &state.config)?;
        engine.serialize_field("next_stint", &state.next_stint)?;
        engine.serialize_field("next_key", &state.next_key)?;
        let groups = || state.groups.iter().map(|(id, group)| (id, WrittenGroup(group)));
        engine.serialize_field("groups", &List(groups))?;
        engine.serialize_field("tombstones", &List(|| state.tombstones.iter()))?;
        engine.serialize_field("cells", &List(|| limiter.iter()))?;
        engine.end()
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
            departures: group.departures(),
            first: group.log().first(),
            last_at: group.log().last_at(),
            entries: List(|| group.log().all().rev().map(|(_, entry)| entry)),
        };
        parts.serialize(serializer)
    }
}

/// A sequence that is written as it is walked, without being collected.
struct List<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}
