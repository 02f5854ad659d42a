//! The state of all groups, and the functions that all commands share.
//!
//! The commands are in [membership](crate::membership), [authority](crate::authority) and
//! [chat](crate::chat). Each command first checks whether it is allowed (its *guards*, in the order of
//! the refusals), then makes the change, then the signals. A *spot* is the position of an entry in a
//! map, so that a key is searched once. The [engine](crate::engine) applies the rate limits before it calls them.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::audience::Audience;
use crate::config::Config;
use crate::directory::{Directory, Share};
use crate::group::{Group, Member};
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::map::Map;
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal, SignalKey};
use crate::time::Timestamp;
use crate::tombstone::Tombstones;
use crate::tree::Spot;
use crate::walk::Iter;

/// All groups, each behind an `Arc`, so that copying a leaf does not copy its groups. Leaves are
/// small because copying one increments the reference count of each group, which can be anywhere in
/// memory.
pub(crate) type Groups<U, G> = Map<G, Arc<Group<U>>, 16, 32>;

/// The iterator of [`Groups`].
pub(crate) type GroupsIter<'a, U, G> = Iter<'a, G, Arc<Group<U>>, 16, 32>;

#[derive(Clone)]
pub(crate) struct State<U: Id, G: Id> {
    pub(crate) config: Config,
    pub(crate) groups: Groups<U, G>,
    pub(crate) tombstones: Tombstones<U, G>,
    pub(crate) directory: Directory<U, G>,
    /// The next stint.
    pub(crate) next_stint: Stint,
    /// The counter of the next signal's key.
    pub(crate) next_key: u64,
    /// Log entries in all groups.
    pub(crate) entries: u64,
    /// Bytes of the messages in all groups.
    pub(crate) message_bytes: u64,
}

impl<U: Id, G: Id> State<U, G> {
    pub(crate) const fn new(config: Config) -> Self {
        State {
            config,
            groups: Map::new(),
            tombstones: Tombstones::new(),
            directory: Directory::new(),
            next_stint: Stint(1),
            next_key: 1,
            entries: 0,
            message_bytes: 0,
        }
    }

    /// Cleans up to two expired tombstones and, except in commands that may dissolve a group, two
    /// endings. Does a part of the sweep of the index. Every command does this, unless it is refused as
    /// too fast.
    pub(crate) fn tidy(&mut self, share: Share, now: Timestamp) {
        self.tombstones.clean(now, self.config.tombstone_ms);
        self.directory.tidy(share);
    }

    /// A group, its spot, and the member who acts in it. Refuses a missing group (404), users who are
    /// not a member (400) and those with a lower rank than `needs` (403).
    pub(crate) fn acting<Q: Ord + ?Sized, R: Ord + ?Sized>(
        &self,
        by: &Q,
        group: &R,
        needs: Rank,
        now: Timestamp,
    ) -> Result<(Spot, &Group<U>, Member), Refusal<U, G>>
    where
        U: Borrow<Q>,
        G: Borrow<R>,
    {
        let (at, group) = self.group(group, now)?;
        let member = ranked(group, by, needs)?;
        Ok((at, group, member))
    }

    /// Refuses (413) if the limit does not allow a number to grow from `before` to `after`.
    pub(crate) fn within(
        &self,
        limit: Limit,
        before: u64,
        after: u64,
    ) -> Result<(), Refusal<U, G>> {
        match self.config.limits.of(limit) {
            Some(max) if after > max && after > before => Err(Refusal::OverLimit { limit, max }),
            _ => Ok(()),
        }
    }

    /// Refuses (413) if the limit does not allow one more than `count`.
    pub(crate) fn one_more(&self, limit: Limit, count: u64) -> Result<(), Refusal<U, G>> {
        self.within(limit, count, count.saturating_add(1))
    }

    /// Makes a signal, with the next key.
    pub(crate) fn signal(
        &mut self,
        group: G,
        (actor, from): (U, U),
        version: u64,
        event: Event<U, G>,
        audience: Audience<U>,
    ) -> Signal<U, G> {
        let key = SignalKey::new(self.config.instance, self.next_key);
        self.next_key = self.next_key.saturating_add(1);
        Signal { key, group, from, actor, version, event, audience }
    }

    /// Makes the signal of a change for every member. It increases the group's version.
    pub(crate) fn announce(
        &mut self,
        at: &Spot,
        group: G,
        who: (U, U),
        event: Event<U, G>,
    ) -> Result<Signal<U, G>, Refusal<U, G>> {
        let changed = self.group_mut(at)?;
        let version = changed.advance();
        let all = Audience::all(changed.share_members());
        Ok(self.signal(group, who, version, event, all))
    }

    /// A group and its spot, or the refusal (404). O(log g).
    pub(crate) fn group<Q: Ord + ?Sized>(
        &self,
        group: &Q,
        now: Timestamp,
    ) -> Result<(Spot, &Group<U>), Refusal<U, G>>
    where
        G: Borrow<Q>,
    {
        let found = self.groups.find(group).ok();
        found
            .and_then(|at| Some((at, &**self.groups.at(&at)?)))
            .ok_or_else(|| self.tombstones.missing(group, now, self.config.tombstone_ms))
    }

    /// The group at a spot, to change it. If a clone of the engine shares the group, it is copied, so
    /// guards use [`State::group`]. It never fails for a spot that a guard returned.
    pub(crate) fn group_mut(&mut self, at: &Spot) -> Result<&mut Group<U>, Refusal<U, G>> {
        self.groups.at_mut(at).map(Arc::make_mut).ok_or(Refusal::NoSuchGroup)
    }
}

/// The member who acts. Refuses users who are not a member (400) or have a lower rank than `needs`
/// (403).
pub(crate) fn ranked<U: Id + Borrow<Q>, G, Q: Ord + ?Sized>(
    group: &Group<U>,
    by: &Q,
    needs: Rank,
) -> Result<Member, Refusal<U, G>> {
    let member = group.membership(by, None).map_err(Refusal::NotMember)?;
    match needs {
        Rank::Admin if member.rank < needs => Err(Refusal::NotAdmin),
        Rank::Owner if member.rank < needs => Err(Refusal::NotOwner),
        _ => Ok(member),
    }
}

/// Does not compare derived data. `entries` and `message_bytes` follow from the groups; `directory`
/// also depends on when the sweep ran.
impl<U: Id, G: Id> PartialEq for State<U, G> {
    fn eq(&self, other: &Self) -> bool {
        let State {
            config,
            groups,
            tombstones,
            directory: _,
            next_stint,
            next_key,
            entries: _,
            message_bytes: _,
        } = self;
        *config == other.config
            && *groups == other.groups
            && *tombstones == other.tombstones
            && *next_stint == other.next_stint
            && *next_key == other.next_key
    }
}
