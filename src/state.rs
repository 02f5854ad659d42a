//! The state of all groups, and what every command on it shares. The commands stand in
//! [membership](crate::membership), [authority](crate::authority) and [chat](crate::chat), each as
//! guards in the order of the refusals, then the change, then the signals. Rate limits are the
//! [engine](crate::engine)'s, around this.

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

/// All groups, each behind an `Arc`, so that copying a leaf does not copy its groups. Leaves are
/// small because copying one counts a reference for each group, wherever in memory it lies.
pub(crate) type Groups<U, G> = Map<G, Arc<Group<U>>, 16, 32>;

#[derive(Clone)]
pub(crate) struct State<U: Id, G: Id> {
    pub(crate) config: Config,
    pub(crate) groups: Groups<U, G>,
    pub(crate) tombstones: Tombstones<U, G>,
    pub(crate) directory: Directory<U, G>,
    /// The stint that begins next.
    pub(crate) next_stint: Stint,
    /// The counter of the next signal's key.
    pub(crate) next_key: u64,
    /// Log entries in all groups.
    pub(crate) entries: u64,
    /// Bytes of their messages.
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

    /// The part of the cleaning that belongs to every command: a bounded amount.
    pub(crate) fn tidy(&mut self, share: Share, now: Timestamp) {
        self.tombstones.clean(now, self.config.tombstone_ms);
        self.directory.tidy(share);
    }

    /// The spot of a group, and the member who acts in it and needs at least the rank `needs`: 404,
    /// 400, 403.
    pub(crate) fn acting(
        &self,
        by: &U,
        group: &G,
        needs: Rank,
        now: Timestamp,
    ) -> Result<(Spot, &Group<U>, Member), Refusal<U, G>> {
        let (at, group) = self.group(group, now)?;
        let member = ranked(group, by, needs)?;
        Ok((at, group, member))
    }

    /// Whether a limit allows a number to become `after` where it is `before` (413).
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

    /// Whether a limit allows one more than `count` (413).
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

    /// The signal of a change that every member hears of.
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

    /// A living group and its spot, or the 404 that says what became of it. O(log g).
    pub(crate) fn group(
        &self,
        group: &G,
        now: Timestamp,
    ) -> Result<(Spot, &Group<U>), Refusal<U, G>> {
        let found = self.groups.find(group).ok();
        found
            .and_then(|at| Some((at, &**self.groups.at(&at)?)))
            .ok_or_else(|| self.tombstones.missing(group, now, self.config.tombstone_ms))
    }

    /// The group at a spot, to be changed. It is copied if a clone of the engine shares it, so
    /// guards use [`State::group`]. There is one wherever a guard has found one.
    pub(crate) fn group_mut(&mut self, at: &Spot) -> Result<&mut Group<U>, Refusal<U, G>> {
        self.groups.at_mut(at).map(Arc::make_mut).ok_or(Refusal::NoSuchGroup)
    }
}

/// The member who acts, who needs at least the rank `needs`: 400, 403.
pub(crate) fn ranked<U: Id, G>(
    group: &Group<U>,
    by: &U,
    needs: Rank,
) -> Result<Member, Refusal<U, G>> {
    let member = group.membership(by, None).map_err(Refusal::NotMember)?;
    match needs {
        Rank::Admin if member.rank < needs => Err(Refusal::NotAdmin),
        Rank::Owner if member.rank < needs => Err(Refusal::NotOwner),
        _ => Ok(member),
    }
}

/// What is derived is not compared; what waits for the sweep is not part of the replicated state.
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
