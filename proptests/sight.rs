//! All that can be seen of an engine, in the model's terms: what the two are compared by.

use disband::{
    Ban, Command, CommandResult, Departure, Dissolved, Engine, Event, GroupId, GroupOptions,
    History, Mute, Page, Rank, Refusal, Reply, Sanction, Signal, Stats, Stint, Timestamp, UserId,
};

use crate::model::{self, Answer, Model, Said, Told, Value};

pub type Done = CommandResult<Reply<UserId, GroupId>, UserId, GroupId>;
pub type Step = (Command<UserId, GroupId>, Timestamp);

pub const USERS: u64 = 5;
pub const GROUPS: u64 = 3;

pub fn users() -> impl Iterator<Item = UserId> {
    (0..USERS).map(UserId)
}

pub fn groups() -> impl Iterator<Item = GroupId> {
    (0..GROUPS).map(GroupId)
}

pub fn told(signal: &Signal<UserId, GroupId>) -> Told {
    let to: Vec<UserId> = signal.audience.iter().copied().collect();
    let backwards: Vec<UserId> = signal.audience.iter().rev().copied().collect();
    assert!(to.iter().rev().eq(&backwards), "an audience walks the same both ways");
    assert_eq!(signal.audience.len(), to.len());
    assert_eq!(signal.audience.iter().len(), to.len());
    assert_eq!(signal.audience.is_empty(), to.is_empty());
    for user in users() {
        assert_eq!(signal.audience.contains(&user), to.contains(&user));
    }
    let actor = *signal.actor();
    let Signal { key, group, from, version, event, .. } = signal.clone();
    Told { key, group, from, actor, version, event, to }
}

/// Whether an event is about a message: its signal has no version of its own.
pub fn is_of_message(event: &Event<UserId>) -> bool {
    use Event::{MessageEdit, MessageErase, MessagePost};
    matches!(event, MessagePost { .. } | MessageEdit { .. } | MessageErase { .. })
}

/// Whether a signal is about somebody of no rank before, or of the lowest, who comes or goes.
pub fn is_of_plain_member(signal: &Signal<UserId, GroupId>, before: Option<Rank>) -> bool {
    let is_move = match signal.event {
        Event::MemberJoin { .. } | Event::MemberLeave => true,
        // In a dissolution the kick is from the owner, who also kicks.
        Event::MemberKick { by } => by != signal.from,
        _ => false,
    };
    is_move && before.is_none_or(|rank| rank == Rank::Member)
}

pub fn said(history: History<'_, UserId>) -> Vec<Said> {
    assert_eq!(history.len(), history.clone().count());
    let oldest_first: Vec<_> = history.clone().rev().collect();
    let said: Vec<_> = history.collect();
    assert!(said.iter().rev().eq(&oldest_first), "a history reads the same both ways");
    let write = |(seq, entry): (disband::Seq, &disband::Entry<UserId>)| Said {
        seq,
        at: entry.at,
        author: entry.author,
        message: entry.message.clone(),
        edited: entry.edited(),
        erased_by: entry.erased_by().copied(),
    };
    said.into_iter().map(write).collect()
}

fn dissolved(dissolved: &Dissolved<UserId>) -> Value {
    Value::Dissolved {
        members: dissolved.group().members().map(|(user, stint)| (*user, stint)).collect(),
        log: said(dissolved.history()).into_iter().rev().collect(),
    }
}

fn departed(departure: &Departure<UserId>) -> Value {
    match departure {
        Departure::Left { stint } => Value::Left(*stint),
        Departure::Succeeded { stint, owner } => Value::Succeeded(*stint, *owner),
        Departure::Dissolved(group) => dissolved(group),
        other => panic!("{other:?}"),
    }
}

pub fn value(reply: &Reply<UserId, GroupId>) -> Value {
    match reply {
        Reply::Created(stint)
        | Reply::Joined(stint)
        | Reply::Added(stint)
        | Reply::Kicked(stint) => Value::Stint(*stint),
        Reply::Posted(seq) => Value::Seq(*seq),
        Reply::Departed(departure) => departed(departure),
        Reply::Dissolved(group) => dissolved(group),
        Reply::Banned(stint) => Value::Banned(*stint),
        Reply::LeftAll(groups) => {
            Value::LeftAll(groups.iter().map(|(id, one)| (*id, departed(one))).collect())
        }
        Reply::Transferred
        | Reply::Ranked
        | Reply::Configured
        | Reply::Unbanned
        | Reply::Muted
        | Reply::Unmuted
        | Reply::Edited
        | Reply::Erased => Value::Done,
        other => panic!("{other:?}"),
    }
}

/// A result in the model's terms.
pub fn answer(result: &Done) -> Answer {
    let outcome = result.as_ref().map_err(Clone::clone)?;
    Ok((value(&outcome.value), outcome.signals.iter().map(told).collect()))
}

/// All that a host can see, at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    groups: Vec<SeenGroup>,
    histories: Vec<Result<Vec<Said>, Refusal<UserId>>>,
    groups_of: Vec<Vec<(GroupId, Stint)>>,
}

#[derive(Debug, Clone, PartialEq)]
struct SeenGroup {
    id: GroupId,
    owner: UserId,
    version: u64,
    members: Vec<(UserId, Stint)>,
    options: GroupOptions,
    ranks: Vec<Option<Rank>>,
    bans: Vec<(UserId, Ban<UserId>)>,
    mutes: Vec<(UserId, Mute<UserId>)>,
    entries: u64,
    next_seq: u64,
    past: Vec<(UserId, Timestamp, Option<UserId>)>,
}

fn seen<'a>(
    sanctions: impl Iterator<Item = (&'a UserId, &'a Sanction<UserId>)>,
) -> Vec<(UserId, Sanction<UserId>)> {
    sanctions.map(|(user, sanction)| (*user, sanction.clone())).collect()
}

pub fn sight(engine: &Engine, now: Timestamp) -> Sight {
    let read = |(user, group)| engine.history(&user, &group, Page::newest(u64::MAX), now).map(said);
    Sight {
        groups: engine
            .groups()
            .map(|(id, group)| SeenGroup {
                id: *id,
                owner: *group.owner(),
                version: group.version(),
                members: group.members().map(|(user, stint)| (*user, stint)).collect(),
                options: *group.options(),
                ranks: users().map(|user| group.rank(&user)).collect(),
                bans: seen(group.bans(now)),
                mutes: seen(group.mutes(now)),
                entries: group.log_len(),
                next_seq: group.next_seq().0,
                past: group.departures().iter().map(|p| (p.user, p.at, p.kicked_by)).collect(),
            })
            .collect(),
        histories: readers().map(read).collect(),
        groups_of: users()
            .map(|user| engine.groups_of(&user).map(|(id, stint)| (*id, stint)).collect())
            .collect(),
    }
}

pub fn sight_of_model(model: &Model, now: Timestamp) -> Sight {
    Sight {
        groups: model
            .groups
            .iter()
            .map(|(id, group)| SeenGroup {
                id: *id,
                owner: group.owner,
                version: group.version,
                members: group.members.iter().map(|(user, m)| (*user, m.stint)).collect(),
                options: group.options,
                ranks: users().map(|user| model::rank(group, user)).collect(),
                bans: seen(group.bans.iter().filter(|(_, ban)| ban.holds(now))),
                mutes: seen(group.mutes.iter().filter(|(_, mute)| mute.holds(now))),
                entries: group.log.len() as u64,
                next_seq: group.next_seq,
                past: group.past.iter().map(|p| (p.user, p.at, p.kicked_by)).collect(),
            })
            .collect(),
        histories: readers().map(|(user, group)| model.history(user, group, now)).collect(),
        groups_of: users().map(|user| model.groups_of(user)).collect(),
    }
}

fn readers() -> impl Iterator<Item = (UserId, GroupId)> {
    users().flat_map(|user| groups().map(move |group| (user, group)))
}

/// The numbers that a model can know: all but what waits for the sweep.
pub fn assert_stats(stats: Stats, model: &Model) {
    assert_eq!(stats.groups, model.groups.len() as u64);
    assert_eq!(
        stats.memberships,
        model.groups.values().map(|g| g.members.len() as u64).sum::<u64>()
    );
    assert_eq!(stats.entries, model.groups.values().map(|g| g.log.len() as u64).sum::<u64>());
    assert_eq!(stats.message_bytes, model.message_bytes());
    assert_eq!(stats.tombstones, model.tombstones.len() as u64);
    assert_eq!(stats.cells, model.cells.len() as u64);
}
