//! Coming and going: groups are created and dissolved, users join and leave.

use std::sync::Arc;

use crate::audience::Audience;
use crate::group::{Group, PastMember};
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::options::{GroupOptions, OwnerExit};
use crate::outcome::{CommandResult, Departure, Dissolved, Outcome};
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal};
use crate::state::State;
use crate::time::Timestamp;
use crate::tombstone::Tombstone;

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
        if self.groups.contains(&group) {
            return Err(Refusal::GroupExists);
        }
        let ttl_ms = self.config.tombstone_ms;
        if let Some((_, until)) = self.tombstones.standing(&group, now, ttl_ms) {
            return Err(Refusal::IdReserved { until });
        }
        self.within(Limit::MembersPerGroup, 1)?;
        self.room_for_one_more_group(&owner)?;

        let stint = self.begin_stint(owner.clone(), group.clone());
        self.tombstones.clear(&group);
        self.groups.insert(group, Arc::new(Group::new(owner, stint, options)));
        Ok(Outcome { value: stint, signals: Vec::new() })
    }

    pub(crate) fn join(&mut self, user: U, group: G, now: Timestamp) -> CommandResult<Stint, U, G> {
        let joined = self.group(&group, now)?;
        if let Some(ban) = joined.ban(&user, now) {
            return Err(Refusal::Banned { by: ban.by.clone(), until: ban.until });
        }
        if joined.contains(&user) {
            return Err(Refusal::AlreadyMember);
        }
        self.within(Limit::MembersPerGroup, (joined.len() as u64).saturating_add(1))?;
        self.room_for_one_more_group(&user)?;

        let stint = self.begin_stint(user.clone(), group.clone());
        let joined = self.group_mut(&group, now)?;
        joined.admit(user.clone(), stint, now);
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
        let exit = match left.options().owner_exit {
            OwnerExit::Refuse if *left.owner() == user && left.len() > 1 => {
                return Err(Refusal::OwnerMustStay);
            }
            _ => exit(left, &user),
        };

        self.depart(user, stint, group, exit, now)
    }

    pub(crate) fn leave_all(
        &mut self,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Vec<(G, Departure<U>)>, U, G> {
        let memberships: Vec<(G, Stint)> =
            self.groups_of(&user).map(|(group, stint)| (group.clone(), stint)).collect();

        let mut all = Outcome { value: Vec::with_capacity(memberships.len()), signals: Vec::new() };
        for (group, stint) in memberships {
            let exit = exit(self.group(&group, now)?, &user);
            let one = self.depart(user.clone(), stint, group.clone(), exit, now)?;
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
        self.acting(&owner, &group, Rank::Owner, now)?;
        self.end_group(owner, group, now)
    }

    /// Ends the stint of a member, and with it whatever [`exit`] said.
    fn depart(
        &mut self,
        user: U,
        stint: Stint,
        group: G,
        exit: Exit<U>,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        let heir = match exit {
            Exit::Dissolve => {
                let ended = self.end_group(user, group, now)?;
                return Ok(ended.map(Departure::Dissolved));
            }
            Exit::Succeed(heir, stint) => Some((heir, stint)),
            Exit::Leave => None,
        };
        let (version, remaining) = self.end_stint(&user, stint, &group, None, now)?;
        let leave = Event::MemberLeave;
        let left = self.signal(group.clone(), user.clone(), version, leave, remaining);
        let Some((heir, since)) = heir else {
            return Ok(Outcome { value: Departure::Left { stint }, signals: vec![left] });
        };

        self.group_mut(&group, now)?.hand_to(heir.clone(), since);
        let change = Event::OwnerChange { previous: user };
        let changed = self.announce(group, heir.clone(), change, now)?;
        let value = Departure::Succeeded { stint, owner: heir };
        Ok(Outcome { value, signals: vec![left, changed] })
    }

    /// Ends a group whose owner is `by`. What that costs does not depend on its size: the group is
    /// taken out whole, and its index entries are left to the sweep.
    fn end_group(&mut self, by: U, group: G, now: Timestamp) -> CommandResult<Dissolved<U>, U, G> {
        let Some(ended) = self.groups.remove(&group) else {
            return Err(self.tombstones.missing(&group, now, self.config.tombstone_ms));
        };
        let kick = ended.version().saturating_add(1);
        let purge = kick.saturating_add(1);
        self.tombstones.raise(group.clone(), Tombstone { by: by.clone(), at: now });
        self.directory.abandon(ended.len() as u64);
        self.entries = self.entries.saturating_sub(ended.log_len());
        // A group created anew under this id starts at its owner's stint, past every version here.
        self.next_stint = self.next_stint.max(Stint(purge.saturating_add(1)));

        let others = Audience::new(ended.share_members(), Some(by.clone()));
        let kicked = Event::MemberKick { by: by.clone() };
        let purged = Event::HistoryPurge { before: ended.next_seq() };
        let signals: Vec<Signal<U, G>> = vec![
            self.signal(group.clone(), by.clone(), kick, kicked, others.clone()),
            self.signal(group, by, purge, purged, others),
        ];
        Ok(Outcome { value: Dissolved::new(ended), signals })
    }

    /// Ends the stint of a member, as guards have made sure. Returns the version with it, and who
    /// remains.
    pub(crate) fn end_stint(
        &mut self,
        user: &U,
        stint: Stint,
        group: &G,
        kicked_by: Option<U>,
        now: Timestamp,
    ) -> Result<(u64, Audience<U>), Refusal<U>> {
        let kept = self.config.departures;
        let parted = self.group_mut(group, now)?;
        parted.remove(PastMember { user: user.clone(), at: now, kicked_by }, stint, kept);
        let facts = (parted.advance(), Audience::new(parted.share_members(), None));
        self.directory.remove(user, stint);
        Ok(facts)
    }

    fn begin_stint(&mut self, user: U, group: G) -> Stint {
        let stint = self.next_stint;
        self.next_stint = Stint(stint.0.saturating_add(1));
        self.directory.insert(user, stint, group);
        stint
    }

    /// Index entries are counted, which is fast; at the limit, those of dissolved groups are first
    /// removed.
    fn room_for_one_more_group(&mut self, user: &U) -> Result<(), Refusal<U>> {
        let one_more = |state: &Self| (state.directory.count(user) as u64).saturating_add(1);
        if self.within(Limit::GroupsPerUser, one_more(self)).is_err() {
            self.prune(user);
        }
        self.within(Limit::GroupsPerUser, one_more(self))
    }
}

/// What becomes of a group that `user` has to leave. O(log n).
fn exit<U: Id>(group: &Group<U>, user: &U) -> Exit<U> {
    if group.owner() != user {
        return Exit::Leave;
    }
    match (group.options().owner_exit, group.heir()) {
        (OwnerExit::Dissolve, _) | (_, None) => Exit::Dissolve,
        (OwnerExit::Refuse | OwnerExit::Succeed, Some((heir, stint))) => {
            Exit::Succeed(heir.clone(), stint)
        }
    }
}
