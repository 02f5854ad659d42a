//! The types of snapshot format 1 that differ from the present format.
//!
//! Encodings without field names, such as postcard, need the exact list of fields that format 1 had.
//! Encodings with names do not need these types: fields that format 1 lacks have a default.

use std::sync::Arc;

use serde::Deserialize;

use crate::config;
use crate::group;
use crate::id::{Seq, Stint};
use crate::limits;
use crate::log;
use crate::options::{self, HistoryAccess, OwnerExit};
use crate::quota::{self, Quota};
use crate::sanctions::Ban;
use crate::time::Timestamp;
use crate::tombstone;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    instance: u64,
    quotas: Quotas,
    tombstone_ms: u64,
    departures: u8,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quotas {
    create: Quota,
    join: Quota,
    leave: Quota,
    kick: Quota,
    post: Quota,
    dissolve: Quota,
    transfer: Quota,
    set_rank: Quota,
    set_options: Quota,
    ban: Quota,
    unban: Quota,
    leave_all: Quota,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    members_per_group: Option<u64>,
    groups_per_user: Option<u64>,
    message_bytes: Option<u64>,
    entries_per_group: Option<u64>,
    bans_per_group: Option<u64>,
}

impl From<Config> for config::Config {
    fn from(old: Config) -> Self {
        let Config { instance, quotas, tombstone_ms, departures, limits } = old;
        config::Config {
            instance,
            quotas: quota::Quotas {
                create: quotas.create,
                join: quotas.join,
                leave: quotas.leave,
                kick: quotas.kick,
                post: quotas.post,
                dissolve: quotas.dissolve,
                transfer: quotas.transfer,
                set_rank: quotas.set_rank,
                set_options: quotas.set_options,
                ban: quotas.ban,
                unban: quotas.unban,
                leave_all: quotas.leave_all,
                ..quota::Quotas::default()
            },
            tombstone_ms,
            departures,
            limits: limits::Limits {
                members_per_group: limits.members_per_group,
                groups_per_user: limits.groups_per_user,
                message_bytes: limits.message_bytes,
                entries_per_group: limits.entries_per_group,
                bans_per_group: limits.bans_per_group,
                ..limits::Limits::default()
            },
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group<U> {
    owner: U,
    options: Options,
    version: u64,
    members: Vec<(U, Stint)>,
    admins: Vec<(Stint, U)>,
    bans: Vec<(U, Ban<U>)>,
    departures: Vec<group::PastMember<U>>,
    first: Seq,
    last_at: Timestamp,
    entries: Vec<Entry<U>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    owner_exit: OwnerExit,
    history: HistoryAccess,
    keep_entries: Option<u64>,
    keep_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<U> {
    at: Timestamp,
    author: U,
    message: Arc<str>,
    before: Stint,
}

impl<U> From<Group<U>> for group::GroupParts<U> {
    fn from(old: Group<U>) -> Self {
        let Options { owner_exit, history, keep_entries, keep_ms } = old.options;
        let entry =
            |Entry { at, author, message, before }| log::Entry::posted(at, author, message, before);
        group::GroupParts {
            owner: old.owner,
            options: options::GroupOptions {
                owner_exit,
                history,
                keep_entries,
                keep_ms,
                ..options::GroupOptions::default()
            },
            version: old.version,
            members: old.members,
            admins: old.admins,
            bans: old.bans,
            mutes: Vec::new(),
            departures: old.departures,
            first: old.first,
            last_at: old.last_at,
            entries: old.entries.into_iter().map(entry).collect(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tombstone<U> {
    by: U,
    at: Timestamp,
}

impl<U, G> From<Tombstone<U>> for tombstone::Tombstone<U, G> {
    fn from(Tombstone { by, at }: Tombstone<U>) -> Self {
        tombstone::Tombstone { by, at, farewell: None }
    }
}
