//! What a host can see of an engine, in the types of the model. Tests compare the engine and the
//! model by it.

use disband::{
    Ban, Command, CommandResult, Departure, Dissolved, Engine, Event, GroupId, GroupOptions,
    History, Mute, Page, Rank, Refusal, Reply, Sanction, Signal, Stats, Stint, Timestamp, UserId,
};

use crate::model::{self, Answer, Model, ModelEntry, ModelSignal, Value};

/// The result of a command of the engine.
pub type EngineResult = CommandResult<Reply<UserId, GroupId>, UserId, GroupId>;
/// A command and its time.
pub type Step = (Command<UserId, GroupId>, Timestamp);

pub const USERS: u64 = 5;
pub const GROUPS: u64 = 3;

pub fn users() -> impl Iterator<Item = UserId> {
    (0..USERS).map(UserId)
}

pub fn groups() -> impl Iterator<Item = GroupId> {
    (0..GROUPS).map(GroupId)
}

/// A signal of the engine in the model's form. Its audience (the users the signal is for) becomes a
/// list.
pub fn model_signal(signal: &Signal<UserId, GroupId>) -> ModelSignal {
    let to: Vec<UserId> = signal.audience.iter().copied().collect();
    let backwards: Vec<UserId> = signal.audience.iter().rev().copied().collect();
    assert!(to.iter().rev().eq(&backwards), "an audience has the same order from both ends");
    assert_eq!(signal.audience.len(), to.len());
    assert_eq!(signal.audience.iter().len(), to.len());
    assert_eq!(signal.audience.is_empty(), to.is_empty());
    for user in users() {
        assert_eq!(signal.audience.contains(&user), to.contains(&user));
        let after = to.iter().filter(|other| **other > user);
        assert!(signal.audience.iter_after(Some(&user)).eq(after));
    }
    assert!(signal.audience.iter_after(None).eq(&to));
    let actor = *signal.actor();
    let Signal { key, group, from, version, event, .. } = signal.clone();
    ModelSignal { key, group, from, actor, version, event, to }
}

/// Whether an event is about a message. Such a signal repeats the group's current version.
pub fn is_about_message(event: &Event<UserId>) -> bool {
    use Event::{MessageEdit, MessageErase, MessagePost};
    matches!(event, MessagePost { .. } | MessageEdit { .. } | MessageErase { .. })
}

/// Whether a signal says that a plain member (of rank `Member`) joined, left or was kicked.
/// `before` is the rank of that user before the command, `None` if they were not a member.
pub fn is_about_plain_member(signal: &Signal<UserId, GroupId>, before: Option<Rank>) -> bool {
    let is_move = match signal.event {
        Event::MemberJoin { .. } | Event::MemberLeave => true,
        // In a dissolution, the kick is from and by the owner.
        Event::MemberKick { by } => by != signal.from,
        _ => false,
    };
    is_move && before.is_none_or(|rank| rank == Rank::Member)
}

/// The entries of a page of history in the model's form.
pub fn model_entries(history: History<'_, UserId>) -> Vec<ModelEntry> {
    assert_eq!(history.len(), history.clone().count());
    let oldest_first: Vec<_> = history.clone().rev().collect();
    let entries: Vec<_> = history.collect();
    assert!(entries.iter().rev().eq(&oldest_first), "a history has the same order from both ends");
    let copy = |(seq, entry): (disband::Seq, &disband::Entry<UserId>)| ModelEntry {
        seq,
        at: entry.at,
        author: entry.author,
        message: entry.message.clone(),
        edited: entry.edited(),
        erased_by: entry.erased_by().copied(),
    };
    entries.into_iter().map(copy).collect()
}

fn dissolved(dissolved: &Dissolved<UserId>) -> Value {
    Value::Dissolved {
        members: dissolved.group().members().map(|(user, stint)| (*user, stint)).collect(),
        log: model_entries(dissolved.history()).into_iter().rev().collect(),
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

/// A reply of the engine in the model's form.
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

/// A result of the engine in the model's form.
pub fn answer(result: &EngineResult) -> Answer {
    let outcome = result.as_ref().map_err(Clone::clone)?;
    Ok((value(&outcome.value), outcome.signals.iter().map(model_signal).collect()))
}

/// All that a host can see at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    groups: Vec<GroupView>,
    histories: Vec<Result<Vec<ModelEntry>, Refusal<UserId>>>,
    groups_of: Vec<Vec<(GroupId, Stint)>>,
}

#[derive(Debug, Clone, PartialEq)]
struct GroupView {
    id: GroupId,
    owner: UserId,
    version: u64,
    members: Vec<(UserId, Stint)>,
    options: GroupOptions,
    ranks: Vec<Option<Rank>>,
    bans: Vec<(UserId, Ban<UserId>)>,
    mutes: Vec<(UserId, Mute<UserId>)>,
    /// The number of entries in the log, including expired ones that are not dropped yet.
    entries: u64,
    next_seq: u64,
    /// Memberships that have ended: the user, the time, and who kicked them.
    departures: Vec<(UserId, Timestamp, Option<UserId>)>,
}

fn copied<'a>(
    sanctions: impl Iterator<Item = (&'a UserId, &'a Sanction<UserId>)>,
) -> Vec<(UserId, Sanction<UserId>)> {
    sanctions.map(|(user, sanction)| (*user, sanction.clone())).collect()
}

/// What a host can see of an engine.
pub fn view(engine: &Engine, now: Timestamp) -> View {
    let page = Page::newest(u64::MAX);
    let read = |(user, group)| engine.history(&user, &group, page, now).map(model_entries);
    View {
        groups: engine
            .groups()
            .map(|(id, group)| GroupView {
                id: *id,
                owner: *group.owner(),
                version: group.version(),
                members: group.members().map(|(user, stint)| (*user, stint)).collect(),
                options: *group.options(),
                ranks: users().map(|user| group.rank(&user)).collect(),
                bans: copied(group.bans(now)),
                mutes: copied(group.mutes(now)),
                entries: group.log_len(),
                next_seq: group.next_seq().0,
                departures: group
                    .departures()
                    .iter()
                    .map(|p| (p.user, p.at, p.kicked_by))
                    .collect(),
            })
            .collect(),
        histories: readers().map(read).collect(),
        groups_of: users()
            .map(|user| engine.groups_of(&user).map(|(id, stint)| (*id, stint)).collect())
            .collect(),
    }
}

/// The same of a model.
pub fn view_of_model(model: &Model, now: Timestamp) -> View {
    View {
        groups: model
            .groups
            .iter()
            .map(|(id, group)| GroupView {
                id: *id,
                owner: group.owner,
                version: group.version,
                members: group.members.iter().map(|(user, m)| (*user, m.stint)).collect(),
                options: group.options,
                ranks: users().map(|user| model::rank(group, user)).collect(),
                bans: copied(group.bans.iter().filter(|(_, ban)| ban.holds(now))),
                mutes: copied(group.mutes.iter().filter(|(_, mute)| mute.holds(now))),
                entries: group.log.len() as u64,
                next_seq: group.next_seq,
                departures: group.departures.iter().map(|p| (p.user, p.at, p.kicked_by)).collect(),
            })
            .collect(),
        histories: readers().map(|(user, group)| model.history(user, group, now)).collect(),
        groups_of: users().map(|user| model.groups_of(user)).collect(),
    }
}

/// Every pair of a user and a group.
fn readers() -> impl Iterator<Item = (UserId, GroupId)> {
    users().flat_map(|user| groups().map(move |group| (user, group)))
}

/// Compares all statistics except `unswept` (stale index entries): the model has no index.
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
