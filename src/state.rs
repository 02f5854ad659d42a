//! The state of all groups, and the commands on it: guards in the order of the refusals, then the
//! change, then the signals. Rate limits are the [engine](crate::engine)'s, around this.

use std::sync::Arc;

use crate::audience::Audience;
use crate::command::Command;
use crate::config::Config;
use crate::directory::Directory;
use crate::group::{Group, PastMember};
use crate::id::{Id, Seq, Stint};
use crate::options::{GroupOptions, OwnerExit};
use crate::outcome::{CommandResult, Departure, Dissolved, Outcome, Reply};
use crate::persistent::Map;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal, SignalKey};
use crate::time::Timestamp;
use crate::tombstone::{Tombstone, Tombstones};

/// Index entries looked at per command. As each join makes one, four keep the stale ones from
/// outgrowing the live ones, however many groups are dissolved.
const SWEPT: usize = 4;

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

    pub(crate) fn execute(
        &mut self,
        command: Command<U, G>,
        now: Timestamp,
    ) -> CommandResult<Reply<U>, U, G> {
        Ok(match command {
            Command::Create { owner, group, options } => {
                self.create(owner, group, options.unwrap_or_default(), now)?.map(Reply::Created)
            }
            Command::Join { user, group } => self.join(user, group, now)?.map(Reply::Joined),
            Command::Leave { user, group, stint } => {
                self.leave(user, group, stint, now)?.map(Reply::Departed)
            }
            Command::Kick { by, group, user } => {
                self.kick(by, group, user, now)?.map(Reply::Kicked)
            }
            Command::Post { author, group, message } => {
                self.post(author, group, message, now)?.map(Reply::Posted)
            }
        })
    }

    pub(crate) fn create(
        &mut self,
        owner: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        if self.groups.contains(&group) {
            return Err(Refusal::GroupExists);
        }
        let ttl_ms = self.config.tombstone_ms;
        if let Some((_, until)) = self.tombstones.standing(&group, now, ttl_ms) {
            return Err(Refusal::IdReserved { until });
        }

        let stint = self.begin_stint();
        self.tombstones.clear(&group);
        self.directory.insert(owner.clone(), stint, group.clone());
        self.groups.insert(group, Arc::new(Group::new(owner, stint, options)));
        Ok(Outcome { value: stint, signals: Vec::new() })
    }

    pub(crate) fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        if self.group(&group, now)?.contains(&user) {
            return Err(Refusal::AlreadyMember);
        }

        let stint = self.begin_stint();
        self.directory.insert(user.clone(), stint, group.clone());
        let joined = self.group_mut(&group, now)?;
        joined.admit(user.clone(), stint);
        let version = joined.advance();
        let others = Audience::new(joined.share_members(), Some(user.clone()));

        let signal = self.signal(group, user, version, Event::MemberJoin, others);
        Ok(Outcome { value: stint, signals: vec![signal] })
    }

    pub(crate) fn leave(
        &mut self,
        user: U,
        group: G,
        named: Option<Stint>,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        let left = self.group(&group, now)?;
        let stint = left.membership(&user, named).map_err(Refusal::NotMember)?;
        if *left.owner() == user {
            return match left.options().owner_exit {
                OwnerExit::Dissolve => {
                    self.dissolve(user, group, now).map(|outcome| outcome.map(Departure::Dissolved))
                }
            };
        }

        let (version, remaining) = self.end_stint(&user, stint, &group, None, now)?;

        let signal = self.signal(group, user, version, Event::MemberLeave, remaining);
        Ok(Outcome { value: Departure::Left { stint }, signals: vec![signal] })
    }

    pub(crate) fn kick(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        let kicked_from = self.group(&group, now)?;
        kicked_from.membership(&by, None).map_err(Refusal::NotMember)?;
        if *kicked_from.owner() != by {
            return Err(Refusal::NotOwner);
        }
        if by == user {
            return Err(Refusal::Outranked);
        }
        let stint = kicked_from.membership(&user, None).map_err(Refusal::TargetNotMember)?;
        // Who is kicked is told, so the audience is the members as they stood before.
        let told = Audience::new(kicked_from.share_members(), None);

        let (version, _) = self.end_stint(&user, stint, &group, Some(by.clone()), now)?;

        let signal = self.signal(group, user, version, Event::MemberKick { by }, told);
        Ok(Outcome { value: stint, signals: vec![signal] })
    }

    pub(crate) fn post(
        &mut self,
        author: U,
        group: G,
        message: Arc<str>,
        now: Timestamp,
    ) -> CommandResult<Seq, U, G> {
        self.group(&group, now)?.membership(&author, None).map_err(Refusal::NotMember)?;

        let next_stint = self.next_stint;
        let posted_to = self.group_mut(&group, now)?;
        let (seq, at) = posted_to.post(author.clone(), message.clone(), next_stint, now);
        let version = posted_to.version();
        let others = Audience::new(posted_to.share_members(), Some(author.clone()));
        self.entries = self.entries.saturating_add(1);

        let event = Event::MessagePost { seq, at, message };
        let signal = self.signal(group, author, version, event, others);
        Ok(Outcome { value: seq, signals: vec![signal] })
    }

    /// Ends a group whose owner is `by`. What that costs does not depend on its size: the group is
    /// taken out whole, and its index entries are left to the sweep.
    fn dissolve(&mut self, by: U, group: G, now: Timestamp) -> CommandResult<Dissolved<U>, U, G> {
        let Some(dissolved) = self.groups.remove(&group) else {
            return Err(self.tombstones.missing(&group, now, self.config.tombstone_ms));
        };
        let kick = dissolved.version().saturating_add(1);
        let purge = kick.saturating_add(1);
        self.tombstones.raise(group.clone(), Tombstone { by: by.clone(), at: now });
        self.directory.abandon(dissolved.len() as u64);
        self.entries = self.entries.saturating_sub(dissolved.log_len());
        // A group created anew under this id starts at its owner's stint, past every version here.
        self.next_stint = self.next_stint.max(Stint(purge.saturating_add(1)));

        let others = Audience::new(dissolved.share_members(), Some(by.clone()));
        let kicked = Event::MemberKick { by: by.clone() };
        let purged = Event::HistoryPurge { before: dissolved.next_seq() };
        let signals = vec![
            self.signal(group.clone(), by.clone(), kick, kicked, others.clone()),
            self.signal(group, by, purge, purged, others),
        ];
        Ok(Outcome { value: Dissolved::new(dissolved), signals })
    }

    /// Ends the stint of a member who does not own the group, as guards have made sure. Returns the
    /// version with it, and who remains.
    fn end_stint(
        &mut self,
        user: &U,
        stint: Stint,
        group: &G,
        kicked_by: Option<U>,
        now: Timestamp,
    ) -> Result<(u64, Audience<U>), Refusal<U>> {
        let kept = self.config.departures;
        let parted = self.group_mut(group, now)?;
        parted.remove(PastMember { user: user.clone(), at: now, kicked_by }, kept);
        let facts = (parted.advance(), Audience::new(parted.share_members(), None));
        self.directory.remove(user, stint);
        Ok(facts)
    }

    fn begin_stint(&mut self) -> Stint {
        let stint = self.next_stint;
        self.next_stint = Stint(stint.0.saturating_add(1));
        stint
    }

    fn signal(
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

    /// A living group, or the 404 that says what became of it.
    pub(crate) fn group(&self, group: &G, now: Timestamp) -> Result<&Group<U>, Refusal<U>> {
        match self.groups.get(group) {
            Some(group) => Ok(group),
            None => Err(self.tombstones.missing(group, now, self.config.tombstone_ms)),
        }
    }

    /// The same, to be changed. It is copied if a clone of the engine shares it, so guards use
    /// [`State::group`].
    fn group_mut(&mut self, group: &G, now: Timestamp) -> Result<&mut Group<U>, Refusal<U>> {
        match self.groups.get_mut(group) {
            Some(group) => Ok(Arc::make_mut(group)),
            None => Err(self.tombstones.missing(group, now, self.config.tombstone_ms)),
        }
    }

    /// The part of the cleaning that belongs to every command: a bounded amount.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        self.tombstones.clean(now, self.config.tombstone_ms);
        self.sweep(SWEPT);
    }

    pub(crate) fn sweep(&mut self, budget: usize) {
        let groups = &self.groups;
        self.directory.sweep(budget, |user, stint, group| is_member(groups, user, stint, group));
    }

    /// The groups that `user` is in with their stints there, in the order of joining.
    pub(crate) fn groups_of(&self, user: &U) -> impl DoubleEndedIterator<Item = (&G, Stint)> {
        let entries = self.directory.of(user);
        entries.filter_map(move |(stint, group)| {
            is_member(&self.groups, user, stint, group).then_some((group, stint))
        })
    }
}

/// Whether an index entry speaks of a membership that goes on.
fn is_member<U: Id, G: Id>(
    groups: &Map<G, Arc<Group<U>>>,
    user: &U,
    stint: Stint,
    group: &G,
) -> bool {
    groups.get(group).is_some_and(|group| group.stint(user) == Some(stint))
}

/// What waits for the sweep is not part of the replicated state.
impl<U: Id, G: Id> PartialEq for State<U, G> {
    fn eq(&self, other: &Self) -> bool {
        let State { config, groups, tombstones, directory: _, next_stint, next_key, entries } =
            self;
        *config == other.config
            && *groups == other.groups
            && *tombstones == other.tombstones
            && *next_stint == other.next_stint
            && *next_key == other.next_key
            && *entries == other.entries
    }
}
