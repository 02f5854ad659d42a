//! The commands of admins and owners: kicks, bans, mutes, ranks, options, and transfers.

use crate::audience::Audience;
use crate::group::{Group, Member, PastMember};
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::options::GroupOptions;
use crate::outcome::{CommandResult, Outcome};
use crate::rank::Rank;
use crate::refusal::{Absence, Refusal};
use crate::sanctions::{Sanction, Sanctions};
use crate::signal::{Event, Signal};
use crate::state::State;
use crate::time::Timestamp;
use crate::tree::Spot;

impl<U: Id, G: Id> State<U, G> {
    pub(crate) fn kick(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        let (at, kicked_from, acting) = self.acting(&by, &group, Rank::Admin, now)?;
        let target = target_of_lower_rank(kicked_from, &by, acting, &user)?;
        let target = target.map_err(Refusal::TargetNotMember)?;

        let signal = self.expel(&at, by, group, user, &target, now)?;
        Ok(Outcome { value: target.stint, signals: vec![signal] })
    }

    pub(crate) fn ban(
        &mut self,
        by: U,
        group: G,
        user: U,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> CommandResult<Option<Stint>, U, G> {
        let (at, banned_from, acting) = self.acting(&by, &group, Rank::Admin, now)?;
        let target = target_of_lower_rank(banned_from, &by, acting, &user)?.ok();
        let ban = sanction(&by, until, now)?;
        self.room_for_sanction(Limit::BansPerGroup, banned_from.all_bans(), &user, now)?;

        self.group_mut(&at)?.put_ban(user.clone(), ban, now);
        let kick = match &target {
            Some(target) => Some(self.expel(&at, by, group, user, target, now)?),
            None => None,
        };
        let value = target.map(|target| target.stint);
        Ok(Outcome { value, signals: Vec::from_iter(kick) })
    }

    pub(crate) fn unban(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, banned_from, _) = self.acting(&by, &group, Rank::Admin, now)?;
        if banned_from.ban(&user, now).is_none() {
            return Err(Refusal::NotBanned);
        }

        self.group_mut(&at)?.lift_ban(&user, now);
        Ok(Outcome { value: (), signals: Vec::new() })
    }

    pub(crate) fn mute(
        &mut self,
        by: U,
        group: G,
        user: U,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, muted_in, acting) = self.acting(&by, &group, Rank::Admin, now)?;
        let target = target_of_lower_rank(muted_in, &by, acting, &user)?;
        let mute = sanction(&by, until, now)?;
        self.room_for_sanction(Limit::MutesPerGroup, muted_in.all_mutes(), &user, now)?;

        self.group_mut(&at)?.put_mute(user.clone(), mute, now);
        let event = Event::Mute { by: by.clone(), until };
        let announced = target.is_ok().then(|| self.announce(&at, group, (by, user), event));
        Ok(Outcome { value: (), signals: Vec::from_iter(announced.transpose()?) })
    }

    pub(crate) fn unmute(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, muted_in, acting) = self.acting(&by, &group, Rank::Admin, now)?;
        let target = target_of_lower_rank(muted_in, &by, acting, &user)?;
        if muted_in.mute(&user, now).is_none() {
            return Err(Refusal::NotMuted);
        }

        self.group_mut(&at)?.lift_mute(&user, now);
        let event = Event::Unmute { by: by.clone() };
        let announced = target.is_ok().then(|| self.announce(&at, group, (by, user), event));
        Ok(Outcome { value: (), signals: Vec::from_iter(announced.transpose()?) })
    }

    pub(crate) fn set_rank(
        &mut self,
        by: U,
        group: G,
        user: U,
        rank: Rank,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, ranked, acting) = self.acting(&by, &group, Rank::Owner, now)?;
        let target = target_of_lower_rank(ranked, &by, acting, &user)?;
        if rank >= Rank::Owner {
            // There is one owner; only `transfer` changes who it is.
            return Err(Refusal::Outranked);
        }
        let target = target.map_err(Refusal::TargetNotMember)?;
        if target.rank == rank {
            return Err(Refusal::AlreadyRanked);
        }

        let ranked = self.group_mut(&at)?;
        match rank {
            Rank::Admin => ranked.appoint(user.clone(), target.stint),
            Rank::Member | Rank::Owner => ranked.revoke(&user, target.stint),
        }
        let signal = self.announce(&at, group, (by, user), Event::RankChange { rank })?;
        Ok(Outcome { value: (), signals: vec![signal] })
    }

    pub(crate) fn transfer(
        &mut self,
        owner: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, transferred, old) = self.acting(&owner, &group, Rank::Owner, now)?;
        let heir = transferred.membership(&user, None).map_err(Refusal::TargetNotMember)?;
        if owner == user {
            return Err(Refusal::AlreadyOwner);
        }

        let transferred = self.group_mut(&at)?;
        transferred.hand_to(user.clone(), heir.stint);
        transferred.appoint(owner.clone(), old.stint);
        let event = Event::OwnerChange { previous: owner.clone() };
        let signal = self.announce(&at, group, (owner, user), event)?;
        Ok(Outcome { value: (), signals: vec![signal] })
    }

    pub(crate) fn set_options(
        &mut self,
        by: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, ..) = self.acting(&by, &group, Rank::Owner, now)?;

        let dropped = self.group_mut(&at)?.set_options(options, now);
        self.entries = self.entries.saturating_sub(dropped.entries);
        self.message_bytes = self.message_bytes.saturating_sub(dropped.bytes);
        Ok(Outcome { value: (), signals: Vec::new() })
    }

    /// Ends the membership `target` of `user`, whom `by` kicks. The audience includes `user`.
    fn expel(
        &mut self,
        at: &Spot,
        by: U,
        group: G,
        user: U,
        target: &Member,
        now: Timestamp,
    ) -> Result<Signal<U, G>, Refusal<U, G>> {
        let past = PastMember { user: user.clone(), at: now, kicked_by: Some(by.clone()) };
        let (version, audience) = self.end_stint(at, target, past)?;
        let audience = Audience::all(audience).with(user.clone());
        let event = Event::MemberKick { by: by.clone() };
        Ok(self.signal(group, (by, user), version, event, audience))
    }

    /// Refuses (413) if the limit does not allow a sanction on `user`.
    fn room_for_sanction(
        &self,
        limit: Limit,
        sanctions: &Sanctions<U>,
        user: &U,
        now: Timestamp,
    ) -> Result<(), Refusal<U, G>> {
        self.within(limit, sanctions.len() as u64, sanctions.len_with(user, now) as u64)
    }
}

/// Makes a ban or a mute. Refuses one that is not in force at `now` (409).
fn sanction<U: Id, G>(
    by: &U,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Sanction<U>, Refusal<U, G>> {
    let sanction = Sanction { by: by.clone(), until };
    if sanction.holds(now) { Ok(sanction) } else { Err(Refusal::AlreadyExpired) }
}

/// The user acted upon: the member, or why they are not a member. Refuses (403) if they are `by`, or
/// have the same or a higher rank.
fn target_of_lower_rank<U: Id, G>(
    group: &Group<U>,
    by: &U,
    acting: Member,
    user: &U,
) -> Result<Result<Member, Absence<U>>, Refusal<U, G>> {
    let target = group.membership(user, None);
    let equal = target.as_ref().is_ok_and(|target| target.rank >= acting.rank);
    if by == user || equal { Err(Refusal::Outranked) } else { Ok(target) }
}
