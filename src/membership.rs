//! Coming and going: groups are created and dissolved, users join and leave.

use std::sync::Arc;

use crate::audience::Audience;
use crate::group::{Group, Member, PastMember};
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::map::Map;
use crate::options::{GroupOptions, OwnerExit};
use crate::outcome::{CommandResult, Departure, Dissolved, Outcome};
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal};
use crate::state::State;
use crate::time::Timestamp;
use crate::tombstone::Tombstone;
use crate::tree::Spot;

/// What a member's leaving comes to.
enum Exit<U> {
    Leave,
    Succeed(U, Stint),
    Dissolve,
}

impl<U: Id, G: Id> State<U, G> {
    pub(crate) fn create(
        &mut self,
        owner: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        let Err(at) = self.groups.find(&group) else {
            return Err(Refusal::GroupExists);
        };
        let ttl_ms = self.config.tombstone_ms;
        if let Some((_, until)) = self.tombstones.standing(&group, now, ttl_ms) {
            return Err(Refusal::IdReserved { until });
        }
        self.within(Limit::MembersPerGroup, 1)?;
        let listed = self.room_for_one_more_group(&owner)?;

        let stint = self.begin_stint(listed, owner.clone(), group.clone());
        self.tombstones.clear(&group);
        self.groups.insert_at(&at, group, Arc::new(Group::new(owner, stint, options)));
        Ok(Outcome { value: stint, signals: Vec::new() })
    }

    pub(crate) fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        let (at, joined) = self.group(&group, now)?;
        if let Some(ban) = joined.ban(&user, now) {
            return Err(Refusal::Banned { by: ban.by.clone(), until: ban.until });
        }
        let Err(place) = joined.member(&user) else {
            return Err(Refusal::AlreadyMember);
        };
        self.within(Limit::MembersPerGroup, (joined.len() as u64).saturating_add(1))?;
        let listed = self.room_for_one_more_group(&user)?;

        let stint = self.begin_stint(listed, user.clone(), group.clone());
        let joined = self.group_mut(&at)?;
        joined.admit(&place, user.clone(), stint, now);
        let version = joined.advance();
        let others = Audience::without(joined.share_members(), user.clone());

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
        let (at, left) = self.group(&group, now)?;
        let member = left.membership(&user, named).map_err(Refusal::NotMember)?;
        let exit = match left.options().owner_exit {
            OwnerExit::Refuse if member.rank == Rank::Owner && left.len() > 1 => {
                return Err(Refusal::OwnerMustStay);
            }
            _ => exit(left, &member),
        };

        self.depart(&at, group, user, &member, exit, now)
    }

    pub(crate) fn leave_all(
        &mut self,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Vec<(G, Departure<U>)>, U, G> {
        let memberships = self.directory.of(&user);
        let groups: Vec<G> = memberships.map(|(group, _)| group.clone()).collect();

        let mut all = Outcome { value: Vec::with_capacity(groups.len()), signals: Vec::new() };
        for group in groups {
            let (at, left) = self.group(&group, now)?;
            let member = left.membership(&user, None).map_err(Refusal::NotMember)?;
            let exit = exit(left, &member);
            let one = self.depart(&at, group.clone(), user.clone(), &member, exit, now)?;
            all.value.push((group, one.value));
            all.signals.extend(one.signals);
        }
        Ok(all)
    }

    pub(crate) fn dissolve(
        &mut self,
        owner: U,
        group: G,
        now: Timestamp,
    ) -> CommandResult<Dissolved<U>, U, G> {
        let (at, ..) = self.acting(&owner, &group, Rank::Owner, now)?;
        self.end_group(&at, group, owner, now)
    }

    /// Ends a membership, and with it whatever [`exit`] said.
    fn depart(
        &mut self,
        at: &Spot,
        group: G,
        user: U,
        member: &Member,
        exit: Exit<U>,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        let heir = match exit {
            Exit::Dissolve => {
                let ended = self.end_group(at, group, user, now)?;
                return Ok(ended.map(Departure::Dissolved));
            }
            Exit::Succeed(heir, stint) => Some((heir, stint)),
            Exit::Leave => None,
        };
        let stint = member.stint;
        let past = PastMember { user: user.clone(), at: now, kicked_by: None };
        let (version, remaining) = self.end_stint(at, member, past)?;
        let remaining = Audience::all(remaining);
        let left = self.signal(group.clone(), user.clone(), version, Event::MemberLeave, remaining);
        let Some((heir, since)) = heir else {
            return Ok(Outcome { value: Departure::Left { stint }, signals: vec![left] });
        };

        self.group_mut(at)?.hand_to(heir.clone(), since);
        let change = Event::OwnerChange { previous: user };
        let changed = self.announce(at, group, heir.clone(), change)?;
        let value = Departure::Succeeded { stint, owner: heir };
        Ok(Outcome { value, signals: vec![left, changed] })
    }

    /// Ends a group whose owner is `by`. What that costs does not depend on its size: the group is
    /// taken out whole, and its index entries are left to the sweep.
    fn end_group(
        &mut self,
        at: &Spot,
        group: G,
        by: U,
        now: Timestamp,
    ) -> CommandResult<Dissolved<U>, U, G> {
        let Some((_, ended)) = self.groups.remove_at(at) else {
            return Err(Refusal::NoSuchGroup);
        };
        let kick = ended.version().saturating_add(1);
        let purge = kick.saturating_add(1);
        self.tombstones.raise(group.clone(), Tombstone { by: by.clone(), at: now });
        self.entries = self.entries.saturating_sub(ended.log_len());
        // A group created anew under this id starts at its owner's stint, past every version here.
        self.next_stint = self.next_stint.max(Stint(purge.saturating_add(1)));
        self.directory.abandon(group.clone(), ended.len() as u64, self.next_stint);

        let others = Audience::without(ended.share_members(), by.clone());
        let kicked = Event::MemberKick { by: by.clone() };
        let purged = Event::HistoryPurge { before: ended.next_seq() };
        let signals: Vec<Signal<U, G>> = vec![
            self.signal(group.clone(), by.clone(), kick, kicked, others.clone()),
            self.signal(group, by, purge, purged, others),
        ];
        Ok(Outcome { value: Dissolved::new(ended), signals })
    }

    /// Ends a membership. Returns the group's version with it, and the members who remain.
    pub(crate) fn end_stint(
        &mut self,
        at: &Spot,
        member: &Member,
        past: PastMember<U>,
    ) -> Result<(u64, Map<U, Stint>), Refusal<U>> {
        let kept = self.config.departures;
        self.directory.remove(&past.user, member.stint);
        let parted = self.group_mut(at)?;
        parted.remove(member, past, kept);
        Ok((parted.advance(), parted.share_members()))
    }

    /// Begins a stint of `user`, whose place in the index is `listed`.
    fn begin_stint(&mut self, listed: Result<Spot, Spot>, user: U, group: G) -> Stint {
        let stint = self.next_stint;
        self.next_stint = Stint(stint.0.saturating_add(1));
        self.directory.insert(listed, user, stint, group);
        stint
    }

    /// Whether `user` may be in one more group (413), and their place in the index.
    ///
    /// Index entries are counted, which is fast. Stale ones don't count: where there are too many,
    /// they are removed, as many as it takes.
    fn room_for_one_more_group(&mut self, user: &U) -> Result<Result<Spot, Spot>, Refusal<U>> {
        let limit = Limit::GroupsPerUser;
        let max = self.config.limits.of(limit).unwrap_or(u64::MAX);
        let mut listed = self.directory.find(user);
        if self.directory.count(&listed) as u64 >= max {
            listed = self.directory.shrink(user, max.saturating_sub(1));
        }
        self.within(limit, (self.directory.count(&listed) as u64).saturating_add(1))?;
        Ok(listed)
    }
}

/// What becomes of a group that a member has to leave. O(log n).
fn exit<U: Id>(group: &Group<U>, member: &Member) -> Exit<U> {
    if member.rank < Rank::Owner {
        return Exit::Leave;
    }
    match (group.options().owner_exit, group.heir()) {
        (OwnerExit::Dissolve, _) | (_, None) => Exit::Dissolve,
        (OwnerExit::Refuse | OwnerExit::Succeed, Some((heir, stint))) => {
            Exit::Succeed(heir.clone(), stint)
        }
    }
}
