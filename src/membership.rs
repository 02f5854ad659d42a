//! The commands that create and dissolve groups, and by which users join, are added and leave.

use std::sync::Arc;

use crate::audience::Audience;
use crate::farewell::Farewell;
use crate::group::{Group, Member, PastMember};
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::map::Map;
use crate::options::{Admission, GroupOptions, OwnerExit};
use crate::outcome::{CommandResult, Departure, Dissolved, Outcome};
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal};
use crate::state::{State, ranked};
use crate::time::Timestamp;
use crate::tombstone::Tombstone;
use crate::tree::Spot;

/// What happens when a member leaves.
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
        let listed = self.room_for_one_more(&owner, 0)?;

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
        if joined.options().admission == Admission::Closed {
            return Err(Refusal::Closed);
        }
        let Err(place) = joined.member(&user) else {
            return Err(Refusal::AlreadyMember);
        };
        let listed = self.room_for_one_more(&user, joined.len() as u64)?;

        self.admit(&at, (place, listed), group, user, None, now)
    }

    pub(crate) fn add(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        let (at, joined) = self.group(&group, now)?;
        let acting = ranked(joined, &by, joined.options().add)?;
        let Err(place) = joined.member(&user) else {
            return Err(Refusal::AlreadyMember);
        };
        if let Some(ban) = joined.ban(&user, now) {
            return Err(Refusal::TargetBanned { by: ban.by.clone(), until: ban.until });
        }
        let listed = self.room_for_one_more(&user, joined.len() as u64)?;

        self.admit(&at, (place, listed), group, user, Some((by, acting.rank)), now)
    }

    pub(crate) fn leave(
        &mut self,
        user: U,
        group: G,
        stint: Option<Stint>,
        now: Timestamp,
    ) -> CommandResult<Departure<U>, U, G> {
        let (at, left) = self.group(&group, now)?;
        let member = left.membership(&user, stint).map_err(Refusal::NotMember)?;
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
        farewell: Farewell<G>,
        now: Timestamp,
    ) -> CommandResult<Dissolved<U>, U, G> {
        let (at, ..) = self.acting(&owner, &group, Rank::Owner, now)?;
        let note_bytes = farewell.note.as_ref().map_or(0, |note| note.len() as u64);
        self.within(Limit::NoteBytes, 0, note_bytes)?;

        self.end_group(&at, group, owner, farewell, now)
    }

    /// Ends a membership, and carries out what [`exit`] decided for the group.
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
                let ended = self.end_group(at, group, user, Farewell::NONE, now)?;
                return Ok(ended.map(Departure::Dissolved));
            }
            Exit::Succeed(heir, stint) => Some((heir, stint)),
            Exit::Leave => None,
        };
        let stint = member.stint;
        let past = PastMember { user: user.clone(), at: now, kicked_by: None };
        let (version, audience) = self.end_stint(at, member, past)?;
        let who = (user.clone(), user.clone());
        let audience = Audience::all(audience);
        let left = self.signal(group.clone(), who, version, Event::MemberLeave, audience);
        let Some((heir, since)) = heir else {
            return Ok(Outcome { value: Departure::Left { stint }, signals: vec![left] });
        };

        self.group_mut(at)?.hand_to(heir.clone(), since);
        let change = Event::OwnerChange { previous: user.clone() };
        let changed = self.announce(at, group, (user, heir.clone()), change)?;
        let value = Departure::Succeeded { stint, owner: heir };
        Ok(Outcome { value, signals: vec![left, changed] })
    }

    /// Dissolves a group whose owner is `by`. The cost does not depend on its size: the group is
    /// removed as a whole, and the sweep removes its index entries later.
    fn end_group(
        &mut self,
        at: &Spot,
        group: G,
        by: U,
        farewell: Farewell<G>,
        now: Timestamp,
    ) -> CommandResult<Dissolved<U>, U, G> {
        let Some((_, ended)) = self.groups.remove_at(at) else {
            return Err(Refusal::NoSuchGroup);
        };
        let kick = ended.version().saturating_add(1);
        let purge = kick.saturating_add(1);
        self.tombstones.add(group.clone(), Tombstone::new(by.clone(), now, farewell.clone()));
        self.entries = self.entries.saturating_sub(ended.log_len());
        self.message_bytes = self.message_bytes.saturating_sub(ended.log().bytes());
        // A later group with this id starts at its owner's stint, which is past all versions here.
        self.next_stint = self.next_stint.max(Stint(purge.saturating_add(1)));
        self.directory.abandon(group.clone(), ended.len() as u64, self.next_stint);

        let others = Audience::all(ended.share_members()).without(by.clone());
        let kicked = Event::MemberKick { by: by.clone() };
        let Farewell { note, successor } = farewell;
        let purged = Event::HistoryPurge { before: ended.next_seq(), note, successor };
        let who = (by.clone(), by);
        let signals: Vec<Signal<U, G>> = vec![
            self.signal(group.clone(), who.clone(), kick, kicked, others.clone()),
            self.signal(group, who, purge, purged, others),
        ];
        Ok(Outcome { value: Dissolved::new(ended), signals })
    }

    /// Ends a membership. Returns the version and the audience of the signal about it.
    pub(crate) fn end_stint(
        &mut self,
        at: &Spot,
        member: &Member,
        past: PastMember<U>,
    ) -> Result<(u64, Map<U, Stint>), Refusal<U, G>> {
        let kept = self.config.departures;
        self.directory.remove(&past.user, member.stint);
        let parted = self.group_mut(at)?;
        parted.remove(member, past, kept);
        Ok(parted.announce_join_or_leave(member.rank))
    }

    /// Makes `user` a member, at their spots in the group and in the index. `by` is the member who adds
    /// them; `None` if they join.
    fn admit(
        &mut self,
        at: &Spot,
        (place, listed): (Spot, Result<Spot, Spot>),
        group: G,
        user: U,
        by: Option<(U, Rank)>,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        let stint = self.begin_stint(listed, user.clone(), group.clone());
        let joined = self.group_mut(at)?;
        joined.admit(&place, user.clone(), stint, now);
        let is_quiet = joined.is_quiet_about(Rank::Member);
        let (version, audience) = joined.announce_join_or_leave(Rank::Member);

        let (by, rank) = by.unzip();
        let actor = by.clone().unwrap_or_else(|| user.clone());
        let mut audience = Audience::all(audience);
        // In a quiet group the audience is the staff. The new member is not in it, and `by` may not
        // be either.
        if is_quiet && by.is_some() {
            audience = audience.with(user.clone());
        }
        if !is_quiet || rank > Some(Rank::Member) {
            audience = audience.without(actor.clone());
        }
        let event = Event::MemberJoin { by };
        let signal = self.signal(group, (actor, user), version, event, audience);
        Ok(Outcome { value: stint, signals: vec![signal] })
    }

    /// Begins a stint of `user`, whose spot in the index is `listed`.
    fn begin_stint(&mut self, listed: Result<Spot, Spot>, user: U, group: G) -> Stint {
        let stint = self.next_stint;
        self.next_stint = Stint(stint.0.saturating_add(1));
        self.directory.insert(listed, user, stint, group);
        stint
    }

    /// Refuses (413) if the limits do not allow `user` to become a member of a group with this number
    /// of `members`. Returns the user's spot in the index.
    ///
    /// Counting index entries is fast, but stale ones must not count. If there are too many entries,
    /// as many stale ones as necessary are removed.
    fn room_for_one_more(
        &mut self,
        user: &U,
        members: u64,
    ) -> Result<Result<Spot, Spot>, Refusal<U, G>> {
        self.one_more(Limit::MembersPerGroup, members)?;
        let limit = Limit::GroupsPerUser;
        let max = self.config.limits.of(limit).unwrap_or(u64::MAX);
        let mut listed = self.directory.find(user);
        if self.directory.count(&listed) as u64 >= max {
            listed = self.directory.shrink(user, max.saturating_sub(1));
        }
        self.one_more(limit, self.directory.count(&listed) as u64)?;
        self.one_more(Limit::MembershipsTotal, self.directory.memberships())?;
        Ok(listed)
    }
}

/// What happens to the group if `member` leaves. `OwnerExit::Refuse` counts as `Succeed` here: `leave`
/// refuses before it calls this, and `leave_all` cannot be refused. O(log n).
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
