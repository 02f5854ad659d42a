//! Group membership as one writes it by hand, in std collections: what leaving costs then.

#![allow(clippy::disallowed_types, reason = "this is the way it is done elsewhere")]
#![allow(dead_code, reason = "what nobody reads here still has to be written")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[derive(Clone, Default)]
pub(crate) struct Handwritten {
    groups: HashMap<u64, Group>,
    groups_of: HashMap<u64, HashSet<u64>>,
    next_key: u64,
}

#[derive(Clone)]
struct Group {
    owner: u64,
    /// Members, and when each came.
    members: HashMap<u64, u64>,
    log: Vec<Entry>,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) at: u64,
    pub(crate) author: u64,
    pub(crate) message: Arc<str>,
}

/// One signal for one recipient.
pub(crate) struct Signal {
    pub(crate) key: u64,
    pub(crate) kind: Kind,
    pub(crate) from: u64,
    pub(crate) group: u64,
    pub(crate) to: u64,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    MemberLeave,
    MemberKick,
    HistoryPurge,
}

impl Handwritten {
    pub(crate) fn create(&mut self, owner: u64, group: u64) -> Option<()> {
        if self.groups.contains_key(&group) {
            return None;
        }
        let members = HashMap::from([(owner, 0)]);
        self.groups.insert(group, Group { owner, members, log: Vec::new() });
        self.groups_of.entry(owner).or_default().insert(group);
        Some(())
    }

    /// Without its signals: n joins with n signals each are not what is measured here.
    pub(crate) fn join_silently(&mut self, user: u64, group: u64) -> Option<()> {
        let joined = self.groups.get_mut(&group)?;
        let order = joined.members.len() as u64;
        joined.members.insert(user, order);
        self.groups_of.entry(user).or_default().insert(group);
        Some(())
    }

    /// Without its signals, likewise.
    pub(crate) fn post_silently(
        &mut self,
        author: u64,
        group: u64,
        message: &str,
        at: u64,
    ) -> Option<()> {
        let posted_to = self.groups.get_mut(&group).filter(|g| g.members.contains_key(&author))?;
        posted_to.log.push(Entry { at, author, message: message.into() });
        Some(())
    }

    pub(crate) fn leave(&mut self, user: u64, group: u64) -> Option<Vec<Signal>> {
        let left = self.groups.get_mut(&group)?;
        left.members.contains_key(&user).then_some(())?;
        if left.owner == user {
            return self.dissolve(group);
        }
        left.members.remove(&user);
        let key = self.next_key;
        self.next_key += 1;
        let signals = left
            .members
            .keys()
            .map(|to| Signal { key, kind: Kind::MemberLeave, from: user, group, to: *to })
            .collect();
        self.unlist(user, group);
        Some(signals)
    }

    fn dissolve(&mut self, group: u64) -> Option<Vec<Signal>> {
        let dissolved = self.groups.remove(&group)?;
        let from = dissolved.owner;
        let mut signals = Vec::with_capacity(2 * dissolved.members.len());
        for kind in [Kind::MemberKick, Kind::HistoryPurge] {
            let key = self.next_key;
            self.next_key += 1;
            let others = dissolved.members.keys().filter(|member| **member != from);
            signals.extend(others.map(|to| Signal { key, kind, from, group, to: *to }));
        }
        for user in dissolved.members.keys() {
            self.unlist(*user, group);
        }
        Some(signals)
    }

    fn unlist(&mut self, user: u64, group: u64) {
        if let Some(groups) = self.groups_of.get_mut(&user) {
            groups.remove(&group);
            if groups.is_empty() {
                self.groups_of.remove(&user);
            }
        }
    }
}
