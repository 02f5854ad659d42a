//! Commands, batches, charges and reads on an engine with one type of ids.

use std::fmt::Display;

use disband::{BatchRefusal, Command, Engine, Id, Outcome, Refusal, Timestamp, wire};
use disband_dynamic::{Kept, Query, RefusedView};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::failure::Failure;
use crate::memory::{
    COMMAND, ELEMENT, NEXT, READ, ensure, read_postcard, write_json, write_postcard,
};

/// How many commands of a batch are run between two checks of the memory.
const CHUNK: usize = 128;

/// Reads a command from the bytes and carries it out.
pub(crate) fn apply<U: Id + DeserializeOwned, G: Id + DeserializeOwned>(
    engine: &mut Engine<U, G>,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Kept<U, G>, Failure> {
    ensure(COMMAND.saturating_add(bytes.len().saturating_mul(4)))?;
    let command = read_postcard(bytes)?;
    if let Command::LeaveAll { user } = &command {
        ensure(leaves(engine, user, 0))?;
    }
    Ok(Kept::one(engine.apply(command, now), now))
}

/// Reads `count` commands from the bytes and carries out all of them or none.
///
/// [`Engine::apply_all`] has no place for a check of the memory. So this runs it on one part of the
/// batch after the other, on a clone that replaces the engine at the end.
pub(crate) fn apply_all<U: Id + DeserializeOwned, G: Id + DeserializeOwned>(
    engine: &mut Engine<U, G>,
    mut bytes: &[u8],
    count: usize,
    now: Timestamp,
) -> Result<Kept<U, G>, Failure> {
    let mut next = engine.clone();
    let mut all = Outcome { value: Vec::new(), signals: Vec::new() };
    while all.value.len() < count {
        let index = all.value.len();
        ensure((COMMAND + CHUNK * NEXT).saturating_add(bytes.len().saturating_mul(2)))?;
        let mut chunk = Vec::with_capacity(CHUNK.min(count - index));
        let mut left = 0_usize;
        for _ in 0..CHUNK.min(count - index) {
            let (command, rest) = postcard::take_from_bytes(bytes)
                .map_err(|error| Failure::Invalid(error.to_string()))?;
            if let Command::LeaveAll { user } = &command {
                left = left.saturating_add(leaves(&next, user, CHUNK));
            }
            chunk.push(command);
            bytes = rest;
        }
        if left > 0 {
            ensure(left)?;
        }
        match next.apply_all(chunk, now) {
            Ok(done) => {
                all.value.try_reserve(done.value.len())?;
                all.value.extend(done.value);
                all.signals.try_reserve(done.signals.len())?;
                all.signals.extend(done.signals);
            }
            Err(refused) => {
                let refused = BatchRefusal { index: index + refused.index, ..refused };
                return Ok(Kept::batch(Err(refused), now));
            }
        }
    }
    if !bytes.is_empty() {
        return Err(Failure::Invalid(format!("{} bytes after the end", bytes.len())));
    }
    *engine = next;
    Ok(Kept::batch(Ok(all), now))
}

/// What leaving all groups may allocate. `more` is how many groups the user may join before.
fn leaves<U: Id, G: Id>(engine: &Engine<U, G>, user: &U, more: usize) -> usize {
    (engine.groups_of(user).count() + more).saturating_mul(NEXT).saturating_add(COMMAND)
}

/// Charges the rate limit of a command. A refusal is written into `output`.
pub(crate) fn charge<U, G>(
    engine: &mut Engine<U, G>,
    bytes: &[u8],
    now: Timestamp,
    output: &mut Vec<u8>,
) -> Result<(), Failure>
where
    U: Id + Serialize + DeserializeOwned + Display,
    G: Id + Serialize + DeserializeOwned,
{
    ensure(COMMAND.saturating_add(bytes.len().saturating_mul(4)))?;
    let command: Command<U, G> = read_postcard(bytes)?;
    let charged = engine.charge(command.operation(), command.actor(), command.group(), now);
    charged.or_else(|refusal| {
        let (code, text) = (refusal.code(), refusal.to_string());
        write_postcard(output, &RefusedView { code, text, index: None, refusal: &refusal })?;
        Err(Failure::Refused)
    })
}

/// Reads what a query asks for, into `output`.
pub(crate) fn read<U, G>(
    engine: &Engine<U, G>,
    bytes: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), Failure>
where
    U: Id + Serialize + DeserializeOwned + Display,
    G: Id + Serialize + DeserializeOwned,
{
    ensure(READ.saturating_add(bytes.len().saturating_mul(4)))?;
    let query: Query<U, G> = read_postcard(bytes)?;
    ensure(READ.saturating_add(elements(engine, &query).saturating_mul(ELEMENT)))?;
    write_postcard(output, &Answer(engine, &query))
}

/// The wire reply to a command that was refused, from the bytes of the [`Refusal`].
pub(crate) fn refusal_reply<U, G>(
    bytes: &[u8],
    now: Timestamp,
    output: &mut Vec<u8>,
) -> Result<(), Failure>
where
    U: Id + DeserializeOwned + Display,
    G: DeserializeOwned + Display,
{
    ensure(READ.saturating_add(bytes.len().saturating_mul(4)))?;
    let refusal: Refusal<U, G> = read_postcard(bytes)?;
    write_json(output, &wire::reply::<(), U, G>(&Err(refusal), now))
}

/// How many elements the answer's lists have at most.
fn elements<U: Id, G: Id>(engine: &Engine<U, G>, query: &Query<U, G>) -> usize {
    let of = |group| engine.group(group);
    let page = |limit: u64, all: u64| usize::try_from(limit.min(all)).unwrap_or(usize::MAX);
    match query {
        Query::Members { group, limit, .. } => {
            of(group).map_or(0, |group| page(*limit, group.len() as u64))
        }
        Query::Admins { group } => of(group).map_or(0, |group| group.admins().len()),
        Query::Bans { group, now } => of(group).map_or(0, |group| group.bans(*now).count()),
        Query::Mutes { group, now } => of(group).map_or(0, |group| group.mutes(*now).count()),
        Query::History { group, limit, .. } => {
            of(group).map_or(0, |group| page(*limit, group.log_len()))
        }
        Query::Groups { limit, .. } => page(*limit, engine.stats().groups),
        Query::GroupsOf { user } | Query::OwnedBy { user } => engine.groups_of(user).count(),
        Query::Group { .. }
        | Query::Standing { .. }
        | Query::Departures { .. }
        | Query::Config
        | Query::Stats => 0,
    }
}

/// A query with the engine that answers it.
struct Answer<'a, U: Id, G: Id>(&'a Engine<U, G>, &'a Query<U, G>);

impl<U: Id + Serialize + Display, G: Id + Serialize> Serialize for Answer<'_, U, G> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.1.answer(self.0, serializer)
    }
}

#[cfg(test)]
mod tests {
    use disband::{GroupId, UserId};

    use super::*;

    type Users = Engine<UserId, GroupId>;

    const NOW: Timestamp = Timestamp(1_000);

    /// Joins and posts of many users in a few groups, more than fit into one part of a batch.
    fn commands(count: u64) -> Vec<Command<UserId, GroupId>> {
        let create =
            |group| Command::Create { owner: UserId(0), group: GroupId(group), options: None };
        let join = |n| Command::Join { user: UserId(n / 3 + 1), group: GroupId(n % 3) };
        (0..3).map(create).chain((0..count).map(join)).collect()
    }

    fn bytes(commands: &[Command<UserId, GroupId>]) -> Vec<u8> {
        commands.iter().flat_map(|command| postcard::to_stdvec(command).unwrap()).collect()
    }

    #[test]
    fn a_batch_in_parts_does_what_the_whole_batch_does() {
        for count in [0, 1, CHUNK as u64 - 4, CHUNK as u64 - 3, CHUNK as u64, 1_000] {
            let commands = commands(count);
            let (mut one, mut other) = (Users::default(), Users::default());
            let kept = apply_all(&mut one, &bytes(&commands), commands.len(), NOW).unwrap();
            assert_eq!(kept, Kept::batch(other.apply_all(commands, NOW), NOW));
            assert_eq!(one, other);
        }
    }

    #[test]
    fn a_refused_batch_has_the_place_of_its_command_and_changes_nothing() {
        for place in [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 5] {
            let mut commands = commands(1_000);
            commands.insert(place, Command::LeaveAll { user: UserId(9) });
            commands.insert(place + 1, Command::Join { user: UserId(9), group: GroupId(99) });
            let mut engine = Users::default();
            let kept = apply_all(&mut engine, &bytes(&commands), commands.len(), NOW).unwrap();
            assert_eq!(kept.refusal(), Some((&Refusal::NoSuchGroup, Some(place + 1))));
            assert_eq!(engine, Users::default());
        }
    }

    #[test]
    fn bytes_that_are_no_commands_change_nothing() {
        let commands = commands(10);
        let whole = bytes(&commands);
        let mut engine = Users::default();
        for length in 0..whole.len() {
            let part = apply_all(&mut engine, &whole[..length], commands.len(), NOW);
            assert!(matches!(part, Err(Failure::Invalid(_))), "{length}");
        }
        let more = apply_all(&mut engine, &[&whole[..], &[0]].concat(), commands.len(), NOW);
        assert!(matches!(more, Err(Failure::Invalid(_))));
        assert!(matches!(apply(&mut engine, &[99], NOW), Err(Failure::Invalid(_))));
        assert_eq!(engine, Users::default());
    }

    #[test]
    fn a_lack_of_memory_is_reported() {
        assert!(matches!(ensure(usize::MAX), Err(Failure::OutOfMemory)));
        assert!(ensure(COMMAND).is_ok());
    }
}
