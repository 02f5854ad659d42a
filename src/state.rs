//! The state of all groups, and what every command on it shares. The commands stand in
//! [membership](crate::membership), [authority](crate::authority) and [chat](crate::chat), each as
//! guards in the order of the refusals, then the change, then the signals. Rate limits are the
//! [engine](crate::engine)'s, around this.

use std::sync::Arc;

use crate::audience::Audience;
use crate::config::Config;
use crate::directory::Directory;
use crate::group::Group;
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::persistent::Map;
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal, SignalKey};
use crate::time::Timestamp;
use crate::tombstone::Tombstones;

/// Index entries looked at per command. A command makes at most one, so going round all of them
/// takes half as many commands as there are: those that are stale never outnumber the most that
/// were alive, however many groups are dissolved.
const SWEPT: usize = 2;

#[derive(Clone)]
pub(crate) struct State<U: Id, G: Id> {
    pub(crate) config: Config,
    /// Behind an `Arc` each: copying a node of the map must not copy sixteen groups.
    pub(crate) groups: Map<G, Arc<Group<U>>>,
    pub(crate) tombstones: Tombstones<U, G>,
    pub(crate) directory: Directory<U, G>,
    /// The stint that begins next.
    pub(crate) next_stint: Stint,
    /// The counter of the next signal's key.
    pub(crate) next_key: u64,
    /// Log entries in all groups.
    pub(crate) entries: u64,
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
        }
    }

    /// The part of the cleaning that belongs to every command: a bounded amount.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        self.tombstones.clean(now, self.config.tombstone_ms);
        self.sweep(SWEPT);
    }

    pub(crate) fn sweep(&mut self, budget: usize) {
        let groups = &self.groups;
        self.directory.sweep(budget, |stint, group| is_live(groups, stint, group));
    }

    /// Removes the index entries of `user` in dissolved groups.
    pub(crate) fn prune(&mut self, user: &U) {
        let groups = &self.groups;
        self.directory.prune(user, |stint, group| is_live(groups, stint, group));
    }

    /// The group and the stint of one who acts in it and needs at least the rank `needs`: 404, 400,
    /// 403. That every member is a member takes no second look.
    pub(crate) fn acting(
        &self,
        by: &U,
        group: &G,
        needs: Rank,
        now: Timestamp,
    ) -> Result<(&Group<U>, Stint), Refusal<U>> {
        let group = self.group(group, now)?;
        let stint = group.membership(by, None).map_err(Refusal::NotMember)?;
        match needs {
            Rank::Admin if group.rank(by) < Some(needs) => Err(Refusal::NotAdmin),
            Rank::Owner if group.owner() != by => Err(Refusal::NotOwner),
            _ => Ok((group, stint)),
        }
    }

    /// Whether `count` is within a limit (413).
    pub(crate) fn within(&self, limit: Limit, count: u64) -> Result<(), Refusal<U>> {
        match self.config.limits.of(limit) {
            Some(max) if count > max => Err(Refusal::OverLimit { limit, max }),
            _ => Ok(()),
        }
    }

    /// Makes a signal, with the next key.
    pub(crate) fn signal(
        &mut self,
        group: G,
        from: U,
        version: u64,
        event: Event<U>,
        audience: Audience<U>,
    ) -> Signal<U, G> {
        let key = SignalKey::new(self.config.instance, self.next_key);
        self.next_key = self.next_key.saturating_add(1);
        Signal { key, group, from, version, event, audience }
    }

    /// The signal of a change that every member hears of.
    pub(crate) fn announce(
        &mut self,
        group: G,
        from: U,
        event: Event<U>,
        now: Timestamp,
    ) -> Result<Signal<U, G>, Refusal<U>> {
        let changed = self.group_mut(&group, now)?;
        let version = changed.advance();
        let all = Audience::new(changed.share_members(), None);
        Ok(self.signal(group, from, version, event, all))
    }

    /// A living group, or the 404 that says what became of it.
    pub(crate) fn group(&self, group: &G, now: Timestamp) -> Result<&Group<U>, Refusal<U>> {
        match self.groups.get(group) {
            Some(group) => Ok(group),
            None => Err(self.tombstones.missing(group, now, self.config.tombstone_ms)),
        }
    }

    /// The same, to be changed. It is copied if a clone of the engine shares it, so guards use
    /// [`State::group`].
    pub(crate) fn group_mut(
        &mut self,
        group: &G,
        now: Timestamp,
    ) -> Result<&mut Group<U>, Refusal<U>> {
        match self.groups.get_mut(group) {
            Some(group) => Ok(Arc::make_mut(group)),
            None => Err(self.tombstones.missing(group, now, self.config.tombstone_ms)),
        }
    }

    /// The groups that `user` is in with their stints there, in the order of joining.
    pub(crate) fn groups_of(&self, user: &U) -> impl DoubleEndedIterator<Item = (&G, Stint)> {
        let entries = self.directory.of(user);
        entries.filter_map(move |(stint, group)| {
            is_live(&self.groups, stint, group).then_some((group, stint))
        })
    }
}

/// Whether an index entry speaks of a membership that goes on. One that ends by itself takes its
/// entry with it; so what is stale is of a group that is gone, or was there before this one.
fn is_live<U: Id, G: Id>(groups: &Map<G, Arc<Group<U>>>, stint: Stint, group: &G) -> bool {
    groups.get(group).is_some_and(|group| group.knows(stint))
}

/// What is derived is not compared; what waits for the sweep is not part of the replicated state.
impl<U: Id, G: Id> PartialEq for State<U, G> {
    fn eq(&self, other: &Self) -> bool {
        let State { config, groups, tombstones, directory: _, next_stint, next_key, entries: _ } =
            self;
        *config == other.config
            && *groups == other.groups
            && *tombstones == other.tombstones
            && *next_stint == other.next_stint
            && *next_key == other.next_key
    }
}
