//! Results and reads as data. Audiences and dissolved groups are left out: only their sizes are here.

use disband::{
    Entry, Event, Group, GroupOptions, Id, Rank, Refusal, Sanction, Seq, Signal, SignalKey, Stint,
    Timestamp,
};
use serde::Serialize;

/// A signal, with the size of its audience in place of its users.
#[derive(Debug, Serialize)]
pub struct SignalView<'a, U, G> {
    /// [`Signal::key`]
    pub key: SignalKey,
    /// [`Signal::group`]
    pub group: &'a G,
    /// [`Signal::from`]
    pub from: &'a U,
    /// [`Signal::actor`]
    pub actor: &'a U,
    /// [`Signal::version`]
    pub version: u64,
    /// [`Signal::event`]
    pub event: &'a Event<U, G>,
    /// How many users are in the audience.
    pub audience: u64,
}

impl<'a, U: Id, G> From<&'a Signal<U, G>> for SignalView<'a, U, G> {
    fn from(signal: &'a Signal<U, G>) -> Self {
        SignalView {
            key: signal.key,
            group: &signal.group,
            from: &signal.from,
            actor: signal.actor(),
            version: signal.version,
            event: &signal.event,
            audience: signal.audience.len() as u64,
        }
    }
}

/// A refusal, with its HTTP status and its text.
#[derive(Debug, Serialize)]
pub struct RefusedView<'a, U, G> {
    /// [`Refusal::code`]
    pub code: u16,
    /// The refusal as a sentence, for logs.
    pub text: String,
    /// In a batch: the place of the command that was refused, from 0.
    pub index: Option<u64>,
    /// The refusal.
    pub refusal: &'a Refusal<U, G>,
}

impl<'a, U: std::fmt::Display, G> RefusedView<'a, U, G> {
    pub(crate) fn new(refusal: &'a Refusal<U, G>, index: Option<usize>) -> Self {
        let index = index.map(|index| index as u64);
        RefusedView { code: refusal.code(), text: refusal.to_string(), index, refusal }
    }
}

/// What was carried out, or why it was refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Either<T, R> {
    Done(T),
    Refused(R),
}

/// A group without its members and entries.
#[derive(Debug, Serialize)]
pub struct GroupView<'a, U> {
    /// [`Group::owner`]
    pub owner: &'a U,
    /// [`Group::options`]
    pub options: &'a GroupOptions,
    /// [`Group::version`]
    pub version: u64,
    /// How many members it has, including the owner.
    pub members: u64,
    /// How many admins it has.
    pub admins: u64,
    /// [`Group::log_len`]
    pub entries: u64,
    /// [`Group::next_seq`]
    pub next_seq: Seq,
}

impl<'a, U: Id> From<&'a Group<U>> for GroupView<'a, U> {
    fn from(group: &'a Group<U>) -> Self {
        GroupView {
            owner: group.owner(),
            options: group.options(),
            version: group.version(),
            members: group.len() as u64,
            admins: group.admins().len() as u64,
            entries: group.log_len(),
            next_seq: group.next_seq(),
        }
    }
}

/// A member of a group.
#[derive(Debug, Serialize)]
pub struct MemberView<'a, U> {
    /// The member.
    pub user: &'a U,
    /// The number of the membership.
    pub stint: Stint,
    /// The member's rank.
    pub rank: Rank,
}

/// A group that a user is a member of.
#[derive(Debug, Serialize)]
pub struct MembershipView<'a, G> {
    /// The group.
    pub group: &'a G,
    /// The number of the membership.
    pub stint: Stint,
}

/// What a group knows of one user.
#[derive(Debug, Serialize)]
pub struct StandingView<'a, U> {
    /// The number of the membership; null for a user who is not a member.
    pub stint: Option<Stint>,
    /// The rank; null for a user who is not a member.
    pub rank: Option<Rank>,
    /// The ban in force.
    pub ban: Option<&'a Sanction<U>>,
    /// The mute in force.
    pub mute: Option<&'a Sanction<U>>,
}

/// A ban or a mute.
#[derive(Debug, Serialize)]
pub struct SanctionView<'a, U> {
    /// Who is banned or muted.
    pub user: &'a U,
    /// Who banned or muted them.
    pub by: &'a U,
    /// When it ends; null if it only ends when it is lifted.
    pub until: Option<Timestamp>,
}

impl<'a, U> From<(&'a U, &'a Sanction<U>)> for SanctionView<'a, U> {
    fn from((user, sanction): (&'a U, &'a Sanction<U>)) -> Self {
        SanctionView { user, by: &sanction.by, until: sanction.until }
    }
}

/// An entry of a log.
#[derive(Debug, Serialize)]
pub struct EntryView<'a, U> {
    /// The number of the entry.
    pub seq: Seq,
    /// [`Entry::at`]
    pub at: Timestamp,
    /// [`Entry::author`]
    pub author: &'a U,
    /// [`Entry::message`]
    pub message: &'a str,
    /// [`Entry::edited`]
    pub edited: Option<Timestamp>,
    /// [`Entry::erased_by`]
    pub erased_by: Option<&'a U>,
}

impl<'a, U> From<(Seq, &'a Entry<U>)> for EntryView<'a, U> {
    fn from((seq, entry): (Seq, &'a Entry<U>)) -> Self {
        EntryView {
            seq,
            at: entry.at,
            author: &entry.author,
            message: &entry.message,
            edited: entry.edited(),
            erased_by: entry.erased_by(),
        }
    }
}
