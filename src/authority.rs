//! Who decides over whom: kicks, bans, ranks, and who owns a group.

use crate::audience::Audience;
use crate::bans::Ban;
use crate::group::Group;
use crate::id::{Id, Stint};
use crate::limits::Limit;
use crate::options::GroupOptions;
use crate::outcome::{CommandResult, Outcome};
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal};
use crate::state::State;
use crate::time::Timestamp;

impl<U: Id, G: Id> State<U, G> {
    pub(crate) fn kick(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<Stint, U, G> {
        let (kicked_from, _) = self.acting(&by, &group, Rank::Admin, now)?;
        outranks(kicked_from, &by, &user)?;
        let stint = kicked_from.membership(&user, None).map_err(Refusal::TargetNotMember)?;

        let signal = self.expel(by, group, user, stint, now)?;
        Ok(Outcome { value: stint, signals: vec![signal] })
    }

    pub(crate) fn ban(
        &mut self,
        by: U,
        group: G,
        user: U,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> CommandResult<Option<Stint>, U, G> {
        let (banned_from, _) = self.acting(&by, &group, Rank::Admin, now)?;
        outranks(banned_from, &by, &user)?;
        let ban = Ban { by: by.clone(), until };
        if !ban.holds(now) {
            return Err(Refusal::AlreadyExpired);
        }
        self.within(Limit::BansPerGroup, banned_from.all_bans().len_with(&user, now) as u64)?;
        let stint = banned_from.stint(&user);

        self.group_mut(&group, now)?.bar(user.clone(), ban, now);
        let kick = match stint {
            Some(stint) => Some(self.expel(by, group, user, stint, now)?),
            None => None,
        };
        Ok(Outcome { value: stint, signals: Vec::from_iter(kick) })
    }

    pub(crate) fn unban(
        &mut self,
        by: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (banned_from, _) = self.acting(&by, &group, Rank::Admin, now)?;
        if banned_from.ban(&user, now).is_none() {
            return Err(Refusal::NotBanned);
        }

        self.group_mut(&group, now)?.unbar(&user, now);
        Ok(Outcome { value: (), signals: Vec::new() })
    }

    pub(crate) fn set_rank(
        &mut self,
        by: U,
        group: G,
        user: U,
        rank: Rank,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (ranked, _) = self.acting(&by, &group, Rank::Owner, now)?;
        outranks(ranked, &by, &user)?;
        if rank >= Rank::Owner {
            // Nobody hands out their own rank: there is one owner, and `transfer` changes it.
            return Err(Refusal::Outranked);
        }
        let stint = ranked.membership(&user, None).map_err(Refusal::TargetNotMember)?;
        if ranked.rank(&user) == Some(rank) {
            return Err(Refusal::AlreadyRanked);
        }

        let ranked = self.group_mut(&group, now)?;
        match rank {
            Rank::Admin => ranked.appoint(user.clone(), stint),
            Rank::Member | Rank::Owner => ranked.revoke(stint),
        }
        let signal = self.announce(group, user, Event::RankChange { rank }, now)?;
        Ok(Outcome { value: (), signals: vec![signal] })
    }

    pub(crate) fn transfer(
        &mut self,
        owner: U,
        group: G,
        user: U,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (transferred, owners) = self.acting(&owner, &group, Rank::Owner, now)?;
        let stint = transferred.membership(&user, None).map_err(Refusal::TargetNotMember)?;
        if owner == user {
            return Err(Refusal::AlreadyOwner);
        }

        let transferred = self.group_mut(&group, now)?;
        transferred.hand_to(user.clone(), stint);
        transferred.appoint(owner.clone(), owners);
        let signal = self.announce(group, user, Event::OwnerChange { previous: owner }, now)?;
        Ok(Outcome { value: (), signals: vec![signal] })
    }

    pub(crate) fn set_options(
        &mut self,
        by: U,
        group: G,
        options: GroupOptions,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        self.acting(&by, &group, Rank::Owner, now)?;

        let dropped = self.group_mut(&group, now)?.set_options(options, now);
        self.entries = self.entries.saturating_sub(dropped);
        Ok(Outcome { value: (), signals: Vec::new() })
    }

    /// Ends a member's stint by the will of `by`, and tells them too.
    fn expel(
        &mut self,
        by: U,
        group: G,
        user: U,
        stint: Stint,
        now: Timestamp,
    ) -> Result<Signal<U, G>, Refusal<U>> {
        // Who is kicked is told, so the audience is the members as they stood before.
        let told = Audience::new(self.group(&group, now)?.share_members(), None);
        let (version, _) = self.end_stint(&user, stint, &group, Some(by.clone()), now)?;
        Ok(self.signal(group, user, version, Event::MemberKick { by }, told))
    }
}

/// One acts on a member of strictly lower rank, or on somebody who is none.
fn outranks<U: Id>(group: &Group<U>, by: &U, user: &U) -> Result<(), Refusal<U>> {
    if by == user || group.rank(user) >= group.rank(by) {
        return Err(Refusal::Outranked);
    }
    Ok(())
}
