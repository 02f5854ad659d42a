//! The model: the rules of the engine in the simplest code. It uses std collections, walks over
//! everything and copies everything. It is written from the rules, not from the engine's code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use disband::{
    Absence, Admission, Announce, Ban, BatchRefusal, Command, Config, ConfigError, Event, Farewell,
    GroupId, GroupOptions, HistoryAccess, Limit, Mute, Operation, OwnerExit, Quota, Rank, Refusal,
    Sanction, Seq, SignalKey, Stint, Timestamp, UserId,
};

/// A signal with the list of its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSignal {
    pub key: SignalKey,
    pub group: GroupId,
    /// The user whom the signal is about.
    pub from: UserId,
    /// The user who sent the command.
    pub actor: UserId,
    pub version: u64,
    pub event: Event<UserId>,
    pub to: Vec<UserId>,
}

/// What a command returns. A dissolved group is written out as its members and its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Stint(Stint),
    Seq(Seq),
    Left(Stint),
    /// The owner left: the stint that ended, and the new owner.
    Succeeded(Stint, UserId),
    Dissolved {
        members: Vec<(UserId, Stint)>,
        log: Vec<ModelEntry>,
    },
    LeftAll(Vec<(GroupId, Value)>),
    Banned(Option<Stint>),
    /// The command succeeded and returns no value.
    Done,
}

/// An entry of a group's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    pub seq: Seq,
    pub at: Timestamp,
    pub author: UserId,
    /// Empty if the entry was erased.
    pub message: Arc<str>,
    pub edited: Option<Timestamp>,
    pub erased_by: Option<UserId>,
}

/// The result of a command.
pub type Answer = Result<(Value, Vec<ModelSignal>), Refusal<UserId>>;

/// A departure: a membership that ended by leaving or by a kick.
#[derive(Debug, Clone)]
pub struct PastMember {
    pub user: UserId,
    pub at: Timestamp,
    pub kicked_by: Option<UserId>,
}

#[derive(Debug, Clone)]
pub struct Group {
    pub owner: UserId,
    pub options: GroupOptions,
    pub version: u64,
    pub members: BTreeMap<UserId, Member>,
    pub admins: BTreeSet<UserId>,
    pub bans: BTreeMap<UserId, Ban<UserId>>,
    pub mutes: BTreeMap<UserId, Mute<UserId>>,
    /// All entries that were not dropped, including expired ones.
    pub log: Vec<ModelEntry>,
    pub next_seq: u64,
    /// The time of the last entry that was posted, even if it was dropped.
    pub last_at: Timestamp,
    /// The last departures, at most one of each user, the oldest first.
    pub departures: Vec<PastMember>,
}

#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The id of this membership. A stint is one unbroken membership of one user in one group.
    pub stint: Stint,
    /// The first entry that was posted after the user joined. Without full history access, the user
    /// can read from this entry on.
    pub reads_from: Seq,
}

/// What is remembered of a dissolved group for a while.
#[derive(Debug, Clone)]
pub struct Tombstone {
    pub by: UserId,
    pub at: Timestamp,
    pub farewell: Farewell<GroupId>,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub config: Config,
    pub groups: BTreeMap<GroupId, Group>,
    pub tombstones: BTreeMap<GroupId, Tombstone>,
    /// The cells: each is the state of one rate limit. The number is the time in milliseconds at
    /// which the allowance is full again, multiplied by the quota's `cells` to avoid rounding.
    pub cells: BTreeMap<(UserId, Option<GroupId>, Operation), u128>,
    pub next_stint: u64,
    pub next_key: u64,
}

impl Model {
    pub fn new(config: Config) -> Self {
        Model {
            config,
            groups: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            cells: BTreeMap::new(),
            next_stint: 1,
            next_key: 1,
        }
    }

    pub fn apply(&mut self, command: Command<UserId, GroupId>, now: Timestamp) -> Answer {
        self.spend(command.operation(), *command.actor(), command.group().copied(), now)?;
        self.execute(command, now)
    }

    /// Charges the rate limit for a command without running the command. Like any command, it also
    /// removes up to two expired tombstones.
    pub fn charge(
        &mut self,
        operation: Operation,
        user: UserId,
        group: Option<GroupId>,
        now: Timestamp,
    ) -> Result<(), Refusal<UserId>> {
        self.spend(operation, user, group, now)?;
        self.clean_tombstones(now);
        Ok(())
    }

    /// Replaces the whole configuration. Where the quota of an operation changes, its cells are
    /// removed, so all its allowances are full.
    pub fn set_config(&mut self, config: Config) -> Result<(), ConfigError> {
        if config.instance != self.config.instance {
            let (is, asked) = (self.config.instance, config.instance);
            return Err(ConfigError::Instance { is, asked });
        }
        let before = self.clone();
        self.config = config;
        let mut cells = before.cells.clone();
        cells.retain(|(_, _, operation), _| before.quota(*operation) == self.quota(*operation));
        self.cells = cells;
        Ok(())
    }

    /// Runs all commands or, if one is refused, none of them. There is no rate limit.
    pub fn apply_all(
        &mut self,
        commands: Vec<Command<UserId, GroupId>>,
        now: Timestamp,
    ) -> Result<(Vec<Value>, Vec<ModelSignal>), BatchRefusal<UserId>> {
        let mut trial = self.clone();
        let (mut values, mut signals) = (Vec::new(), Vec::new());
        for (index, command) in commands.into_iter().enumerate() {
            let result = trial.execute(command, now);
            let (value, more) = result.map_err(|refusal| BatchRefusal { index, refusal })?;
            values.push(value);
            signals.extend(more);
        }
        *self = trial;
        Ok((values, signals))
    }

    fn execute(&mut self, command: Command<UserId, GroupId>, now: Timestamp) -> Answer {
        self.clean_tombstones(now);
        match command {
            Command::Create { owner, group, options } => {
                self.create(owner, group, options.unwrap_or_default(), now)
            }
            Command::Join { user, group } => self.join(user, group, now),
            Command::Leave { user, group, stint } => self.leave(user, group, stint, now),
            Command::Kick { by, group, user } => self.kick(by, group, user, now),
            Command::Post { author, group, message } => self.post(author, group, message, now),
            Command::Dissolve { owner, group, note, successor } => {
                self.acting(owner, group, Rank::Owner, now)?;
                let bytes = note.as_ref().map_or(0, |note| note.len() as u64);
                self.check_limit(Limit::NoteBytes, self.config.limits.note_bytes, bytes)?;
                Ok(self.dissolve(group, Farewell { note, successor }, now))
            }
            Command::Transfer { owner, group, user } => self.transfer(owner, group, user, now),
            Command::SetRank { by, group, user, rank } => self.set_rank(by, group, user, rank, now),
            Command::SetOptions { by, group, options } => self.set_options(by, group, options, now),
            Command::Ban { by, group, user, until } => self.ban(by, group, user, until, now),
            Command::Unban { by, group, user } => self.unban(by, group, user, now),
            Command::LeaveAll { user } => Ok(self.leave_all(user, now)),
            Command::Add { by, group, user } => self.add(by, group, user, now),
            Command::Mute { by, group, user, until } => self.mute(by, group, user, until, now),
            Command::Unmute { by, group, user } => self.unmute(by, group, user, now),
            Command::Edit { author, group, seq, message } => {
                self.edit(author, group, seq, message, now)
            }
            Command::Erase { by, group, seq } => self.erase(by, group, seq, now),
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn quota(&self, operation: Operation) -> Quota {
        let quotas = &self.config.quotas;
        match operation {
            Operation::Create => quotas.create,
            Operation::Join => quotas.join,
            Operation::Leave => quotas.leave,
            Operation::Kick => quotas.kick,
            Operation::Post => quotas.post,
            Operation::Dissolve => quotas.dissolve,
            Operation::Transfer => quotas.transfer,
            Operation::SetRank => quotas.set_rank,
            Operation::SetOptions => quotas.set_options,
            Operation::Ban => quotas.ban,
            Operation::Unban => quotas.unban,
            Operation::LeaveAll => quotas.leave_all,
            Operation::Add => quotas.add,
            Operation::Mute => quotas.mute,
            Operation::Unmute => quotas.unmute,
            Operation::Edit => quotas.edit,
            Operation::Erase => quotas.erase,
            other => panic!("the model does not know {other:?}"),
        }
    }

    /// Charges the rate limit by GCRA (generic cell rate algorithm): a cell is stored as the time
    /// at which its allowance is full again.
    fn spend(
        &mut self,
        operation: Operation,
        user: UserId,
        group: Option<GroupId>,
        now: Timestamp,
    ) -> Result<(), Refusal<UserId>> {
        let Quota::Limited(rate) = self.quota(operation) else { return Ok(()) };
        let (n, p) = (u128::from(rate.cells.get()), u128::from(rate.per_ms.get()));
        let window = p * u128::from(rate.burst.get());
        let at = u128::from(now.0) * n;
        let alive = group.filter(|group| self.groups.contains_key(group));
        let key = (user, alive, operation);

        let mut full_at = self.cells.get(&key).copied().unwrap_or(at).max(at);
        // The cell was charged before the clock went back by more than a window, so it is ignored.
        if full_at > at + 2 * window {
            full_at = at;
        }
        if full_at + p > at + window {
            let missing = full_at + p - at - window;
            let retry_at =
                Timestamp(now.0.saturating_add(u64::try_from(missing.div_ceil(n)).unwrap()));
            return Err(Refusal::TooFast { retry_at });
        }
        self.evict(now);
        self.cells.insert(key, full_at + p);
        Ok(())
    }

    /// Removes up to two cells that have expired, in the order of their expiry.
    fn evict(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        for (key, full_at) in &self.cells {
            let Quota::Limited(rate) = self.quota(key.2) else { continue };
            let n = u128::from(rate.cells.get());
            let window = u128::from(rate.per_ms.get()) * u128::from(rate.burst.get());
            let expiry = (full_at + window).div_ceil(n);
            if expiry <= u128::from(now.0) && expiry < u128::from(u64::MAX) {
                due.push((expiry, *key));
            }
        }
        due.sort();
        for (_, key) in due.into_iter().take(2) {
            self.cells.remove(&key);
        }
    }

    /// Whether the tombstone of a group that was dissolved at that time has expired.
    fn is_expired(&self, dissolved_at: Timestamp, now: Timestamp) -> bool {
        is_past(dissolved_at, self.config.tombstone_ms, now)
    }

    /// Removes up to two tombstones that have expired, the oldest first.
    fn clean_tombstones(&mut self, now: Timestamp) {
        let mut expired: Vec<_> = self
            .tombstones
            .iter()
            .filter(|(_, tombstone)| self.is_expired(tombstone.at, now))
            .map(|(group, tombstone)| (tombstone.at, *group))
            .collect();
        expired.sort();
        for (_, group) in expired.into_iter().take(2) {
            self.tombstones.remove(&group);
        }
    }

    /// The group, or the refusal (404) that says why there is none.
    pub fn living_group(&self, group: GroupId, now: Timestamp) -> Result<&Group, Refusal<UserId>> {
        self.groups.get(&group).ok_or_else(|| match self.tombstones.get(&group) {
            Some(Tombstone { by, at, farewell }) if !self.is_expired(*at, now) => {
                let Farewell { note, successor } = farewell.clone();
                Refusal::Dissolved { by: *by, at: *at, note, successor }
            }
            _ => Refusal::NoSuchGroup,
        })
    }

    /// Makes a signal, with the next key.
    fn signal(
        &mut self,
        group: GroupId,
        (from, actor): (UserId, UserId),
        version: u64,
        event: Event<UserId>,
        to: impl IntoIterator<Item = UserId>,
    ) -> ModelSignal {
        let key = SignalKey((u128::from(self.config.instance) << 64) + u128::from(self.next_key));
        self.next_key += 1;
        let mut to: Vec<UserId> = to.into_iter().collect();
        to.sort();
        ModelSignal { key, group, from, actor, version, event, to }
    }

    /// Makes the signal that says that a user of this rank joined, left or was kicked.
    ///
    /// In a quiet group, such a signal about a plain member goes to the staff only (the owner and
    /// the admins), and the version does not grow.
    fn signal_of_move(
        &mut self,
        group: GroupId,
        (user, actor): (UserId, UserId),
        rank: Rank,
        event: Event<UserId>,
        is_recipient: impl Fn(UserId) -> bool,
    ) -> ModelSignal {
        let state = self.groups.get_mut(&group).unwrap();
        let quiet = state.options.announce == Announce::Staff && rank == Rank::Member;
        if !quiet {
            state.version += 1;
        }
        let is_staff = |member: &UserId| state.owner == *member || state.admins.contains(member);
        let possible = state.members.keys().copied().filter(|member| !quiet || is_staff(member));
        let mut to: BTreeSet<UserId> = possible.filter(|member| is_recipient(*member)).collect();
        // A user who was added or kicked gets the signal in every group.
        if actor != user {
            to.insert(user);
        }
        let version = state.version;
        self.signal(group, (user, actor), version, event, to)
    }

    /// Makes the user a member under a new stint.
    fn begin_stint(&mut self, user: UserId, group: GroupId) -> Stint {
        let stint = Stint(self.next_stint);
        self.next_stint += 1;
        let group = self.groups.get_mut(&group).unwrap();
        group.members.insert(user, Member { stint, reads_from: Seq(group.next_seq) });
        stint
    }

    fn create(
        &mut self,
        owner: UserId,
        group: GroupId,
        options: GroupOptions,
        now: Timestamp,
    ) -> Answer {
        if self.groups.contains_key(&group) {
            return Err(Refusal::GroupExists);
        }
        if let Some(Tombstone { at, .. }) = self.tombstones.get(&group)
            && !self.is_expired(*at, now)
        {
            let until = Timestamp(at.0.saturating_add(self.config.tombstone_ms));
            return Err(Refusal::IdReserved { until });
        }
        self.check_room_for_member(owner, None)?;
        self.tombstones.remove(&group);
        let empty = Group {
            owner,
            options,
            version: self.next_stint,
            members: BTreeMap::new(),
            admins: BTreeSet::new(),
            bans: BTreeMap::new(),
            mutes: BTreeMap::new(),
            log: Vec::new(),
            next_seq: 0,
            last_at: Timestamp(0),
            departures: Vec::new(),
        };
        self.groups.insert(group, empty);
        Ok((Value::Stint(self.begin_stint(owner, group)), vec![]))
    }

    fn join(&mut self, user: UserId, group: GroupId, now: Timestamp) -> Answer {
        let state = self.living_group(group, now)?;
        if let Some(ban) = state.bans.get(&user).filter(|ban| ban.holds(now)) {
            return Err(Refusal::Banned { by: ban.by, until: ban.until });
        }
        if state.options.admission == Admission::Closed {
            return Err(Refusal::Closed);
        }
        if state.members.contains_key(&user) {
            return Err(Refusal::AlreadyMember);
        }
        self.check_room_for_member(user, Some(state))?;
        let (stint, signal) = self.admit(user, group, None, now);
        Ok((Value::Stint(stint), vec![signal]))
    }

    fn add(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let needs = self.living_group(group, now)?.options.add;
        let state = self.acting(by, group, needs, now)?;
        if state.members.contains_key(&user) {
            return Err(Refusal::AlreadyMember);
        }
        if let Some(ban) = state.bans.get(&user).filter(|ban| ban.holds(now)) {
            return Err(Refusal::TargetBanned { by: ban.by, until: ban.until });
        }
        self.check_room_for_member(user, Some(state))?;
        let (stint, signal) = self.admit(user, group, Some(by), now);
        Ok((Value::Stint(stint), vec![signal]))
    }

    /// Makes a user a member, and makes the signal. The caller has checked that the user may become
    /// a member.
    fn admit(
        &mut self,
        user: UserId,
        group: GroupId,
        by: Option<UserId>,
        now: Timestamp,
    ) -> (Stint, ModelSignal) {
        let bans = &mut self.groups.get_mut(&group).unwrap().bans;
        bans.remove(&user);
        clean(bans, now);
        let stint = self.begin_stint(user, group);
        let actor = by.unwrap_or(user);
        let event = Event::MemberJoin { by };
        let is_recipient = |member| member != actor;
        (stint, self.signal_of_move(group, (user, actor), Rank::Member, event, is_recipient))
    }

    fn leave(
        &mut self,
        user: UserId,
        group: GroupId,
        named: Option<Stint>,
        now: Timestamp,
    ) -> Answer {
        let state = self.living_group(group, now)?;
        let stint = stint_of(state, user).map_err(Refusal::NotMember)?;
        if named.is_some_and(|named| named != stint) {
            return Err(Refusal::NotMember(Absence::StintOver));
        }
        if state.owner == user
            && state.members.len() > 1
            && state.options.owner_exit == OwnerExit::Refuse
        {
            return Err(Refusal::OwnerMustStay);
        }
        Ok(self.depart(user, group, now))
    }

    /// Ends the membership of a user who leaves, and makes the signals. The caller has checked that
    /// the user may leave.
    fn depart(
        &mut self,
        user: UserId,
        group: GroupId,
        now: Timestamp,
    ) -> (Value, Vec<ModelSignal>) {
        let state = &self.groups[&group];
        let stint = state.members[&user].stint;
        let senior = state.admins.iter().min_by_key(|admin| state.members[*admin].stint).copied();
        let owner = state.owner == user;
        if owner && (senior.is_none() || state.options.owner_exit == OwnerExit::Dissolve) {
            return self.dissolve(group, Farewell::default(), now);
        }
        let rank = self.end_stint(user, group, None, now);
        let left = self.signal_of_move(group, (user, user), rank, Event::MemberLeave, |_| true);
        let Some(new_owner) = senior.filter(|_| owner) else {
            return (Value::Left(stint), vec![left]);
        };
        let state = self.groups.get_mut(&group).unwrap();
        state.owner = new_owner;
        state.admins.remove(&new_owner);
        let change = Event::OwnerChange { previous: user };
        let changed = self.announce(group, (new_owner, user), change);
        (Value::Succeeded(stint, new_owner), vec![left, changed])
    }

    fn leave_all(&mut self, user: UserId, now: Timestamp) -> (Value, Vec<ModelSignal>) {
        let (mut values, mut signals) = (Vec::new(), Vec::new());
        for (group, _) in self.groups_of(user) {
            let (value, more) = self.depart(user, group, now);
            values.push((group, value));
            signals.extend(more);
        }
        (Value::LeftAll(values), signals)
    }

    fn kick(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        check_outranks(state, by, user)?;
        let stint = stint_of(state, user).map_err(Refusal::TargetNotMember)?;
        let signal = self.expel(by, group, user, now);
        Ok((Value::Stint(stint), vec![signal]))
    }

    /// Ends the membership of a user who is kicked or banned.
    fn expel(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> ModelSignal {
        let rank = self.end_stint(user, group, Some(by), now);
        self.signal_of_move(group, (user, by), rank, Event::MemberKick { by }, |_| true)
    }

    fn ban(
        &mut self,
        by: UserId,
        group: GroupId,
        user: UserId,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        check_outranks(state, by, user)?;
        let stint = stint_of(state, user).ok();
        let max = self.config.limits.bans_per_group;
        let ban = Ban { by, until };
        let bans = self.with_sanction(&state.bans, user, ban, now, Limit::BansPerGroup, max)?;
        self.groups.get_mut(&group).unwrap().bans = bans;
        let signal = stint.map(|_| self.expel(by, group, user, now));
        Ok((Value::Banned(stint), signal.into_iter().collect()))
    }

    /// Returns these bans or mutes with one more: `sanction` on `user`, which replaces an older one
    /// on the same user. Up to two that have ended are removed.
    fn with_sanction(
        &self,
        sanctions: &BTreeMap<UserId, Sanction<UserId>>,
        user: UserId,
        sanction: Sanction<UserId>,
        now: Timestamp,
        limit: Limit,
        max: Option<u64>,
    ) -> Result<BTreeMap<UserId, Sanction<UserId>>, Refusal<UserId>> {
        if !sanction.holds(now) {
            return Err(Refusal::AlreadyExpired);
        }
        let mut after = sanctions.clone();
        after.remove(&user);
        clean(&mut after, now);
        after.insert(user, sanction);
        self.check_growth(limit, max, sanctions.len() as u64, after.len() as u64)?;
        Ok(after)
    }

    fn unban(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        if !state.bans.get(&user).is_some_and(|ban| ban.holds(now)) {
            return Err(Refusal::NotBanned);
        }
        let bans = &mut self.groups.get_mut(&group).unwrap().bans;
        bans.remove(&user);
        clean(bans, now);
        Ok((Value::Done, vec![]))
    }

    fn mute(
        &mut self,
        by: UserId,
        group: GroupId,
        user: UserId,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        check_outranks(state, by, user)?;
        let max = self.config.limits.mutes_per_group;
        let mute = Mute { by, until };
        let mutes = self.with_sanction(&state.mutes, user, mute, now, Limit::MutesPerGroup, max)?;
        self.groups.get_mut(&group).unwrap().mutes = mutes;
        Ok((Value::Done, self.announce_if_member(group, (user, by), Event::Mute { by, until })))
    }

    fn unmute(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        check_outranks(state, by, user)?;
        if !state.mutes.get(&user).is_some_and(|mute| mute.holds(now)) {
            return Err(Refusal::NotMuted);
        }
        let mutes = &mut self.groups.get_mut(&group).unwrap().mutes;
        mutes.remove(&user);
        clean(mutes, now);
        Ok((Value::Done, self.announce_if_member(group, (user, by), Event::Unmute { by })))
    }

    fn set_rank(
        &mut self,
        by: UserId,
        group: GroupId,
        user: UserId,
        rank: Rank,
        now: Timestamp,
    ) -> Answer {
        let state = self.acting(by, group, Rank::Owner, now)?;
        if by == user || rank == Rank::Owner {
            return Err(Refusal::Outranked);
        }
        stint_of(state, user).map_err(Refusal::TargetNotMember)?;
        if state.admins.contains(&user) == (rank == Rank::Admin) {
            return Err(Refusal::AlreadyRanked);
        }
        let state = self.groups.get_mut(&group).unwrap();
        if rank == Rank::Admin {
            state.admins.insert(user);
        } else {
            state.admins.remove(&user);
        }
        let change = Event::RankChange { rank };
        Ok((Value::Done, vec![self.announce(group, (user, by), change)]))
    }

    fn transfer(&mut self, owner: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(owner, group, Rank::Owner, now)?;
        stint_of(state, user).map_err(Refusal::TargetNotMember)?;
        if owner == user {
            return Err(Refusal::AlreadyOwner);
        }
        let state = self.groups.get_mut(&group).unwrap();
        state.owner = user;
        state.admins.remove(&user);
        state.admins.insert(owner);
        let change = Event::OwnerChange { previous: owner };
        Ok((Value::Done, vec![self.announce(group, (user, owner), change)]))
    }

    fn set_options(
        &mut self,
        by: UserId,
        group: GroupId,
        options: GroupOptions,
        now: Timestamp,
    ) -> Answer {
        self.acting(by, group, Rank::Owner, now)?;
        let state = self.groups.get_mut(&group).unwrap();
        // Entries that have expired under the old options stay gone under the new ones.
        state.log = live_entries(state, now);
        state.options = options;
        Ok((Value::Done, vec![]))
    }

    /// Makes a signal to every member. The group's version grows by one.
    fn announce(
        &mut self,
        group: GroupId,
        from_and_actor: (UserId, UserId),
        event: Event<UserId>,
    ) -> ModelSignal {
        let state = self.groups.get_mut(&group).unwrap();
        state.version += 1;
        let (version, to) = (state.version, state.members.keys().copied().collect::<Vec<_>>());
        self.signal(group, from_and_actor, version, event, to)
    }

    /// Makes a signal to every member if it is about a member, otherwise none.
    fn announce_if_member(
        &mut self,
        group: GroupId,
        (user, actor): (UserId, UserId),
        event: Event<UserId>,
    ) -> Vec<ModelSignal> {
        if !self.groups[&group].members.contains_key(&user) {
            return vec![];
        }
        vec![self.announce(group, (user, actor), event)]
    }

    /// The group, if `by` is a member of it and has at least the rank `needs`.
    fn acting(
        &self,
        by: UserId,
        group: GroupId,
        needs: Rank,
        now: Timestamp,
    ) -> Result<&Group, Refusal<UserId>> {
        let state = self.living_group(group, now)?;
        stint_of(state, by).map_err(Refusal::NotMember)?;
        match needs {
            Rank::Admin if rank(state, by) < Some(Rank::Admin) => Err(Refusal::NotAdmin),
            Rank::Owner if state.owner != by => Err(Refusal::NotOwner),
            _ => Ok(state),
        }
    }

    /// Refuses (413) if `count` is over the limit.
    fn check_limit(
        &self,
        limit: Limit,
        max: Option<u64>,
        count: u64,
    ) -> Result<(), Refusal<UserId>> {
        match max {
            Some(max) if count > max => Err(Refusal::OverLimit { limit, max }),
            _ => Ok(()),
        }
    }

    /// Refuses (413) if a number may not change from `before` to `after`. A number above a lowered
    /// limit may stay or shrink, but not grow.
    fn check_growth(
        &self,
        limit: Limit,
        max: Option<u64>,
        before: u64,
        after: u64,
    ) -> Result<(), Refusal<UserId>> {
        if after > before { self.check_limit(limit, max, after) } else { Ok(()) }
    }

    /// Refuses (413) if the limits do not allow one more membership of `user` in `group`. `None`
    /// stands for a new group.
    fn check_room_for_member(
        &self,
        user: UserId,
        group: Option<&Group>,
    ) -> Result<(), Refusal<UserId>> {
        let limits = self.config.limits;
        let members = group.map_or(0, |group| group.members.len() as u64);
        let groups = self.groups_of(user).len() as u64;
        let total = self.groups.values().map(|group| group.members.len() as u64).sum::<u64>();
        self.check_limit(Limit::MembersPerGroup, limits.members_per_group, members + 1)?;
        self.check_limit(Limit::GroupsPerUser, limits.groups_per_user, groups + 1)?;
        self.check_limit(Limit::MembershipsTotal, limits.memberships_total, total + 1)
    }

    /// The bytes of the messages in all logs, including expired entries that are not dropped yet.
    pub fn message_bytes(&self) -> u64 {
        self.groups.values().map(message_bytes).sum()
    }

    fn post(
        &mut self,
        author: UserId,
        group: GroupId,
        message: Arc<str>,
        now: Timestamp,
    ) -> Answer {
        let needs = self.living_group(group, now)?.options.post;
        let state = self.acting(author, group, needs, now)?;
        check_not_muted(state, author, now)?;
        let limits = self.config.limits;
        self.check_limit(Limit::MessageBytes, limits.message_bytes, message.len() as u64)?;
        let keep = state.options.keep_entries.unwrap_or(u64::MAX);
        let before = live_entries(state, now).len() as u64;
        let max = limits.entries_per_group;
        self.check_growth(Limit::EntriesPerGroup, max, before, (before + 1).min(keep))?;

        let (seq, at) = (Seq(state.next_seq), state.last_at.max(now));
        let mut posted = state.clone();
        posted.next_seq += 1;
        posted.last_at = at;
        let text = message.clone();
        let entry = ModelEntry { seq, at, author, message: text, edited: None, erased_by: None };
        posted.log.push(entry);
        drop_expired(&mut posted, now);
        self.check_message_bytes(state, &posted)?;

        let (version, to) = (posted.version, others(&posted, author));
        self.groups.insert(group, posted);
        let event = Event::MessagePost { seq, at, message };
        let signal = self.signal(group, (author, author), version, event, to);
        Ok((Value::Seq(seq), vec![signal]))
    }

    /// Refuses (413) if the limit on the bytes of all messages does not allow a command that
    /// changes `group` into `changed`.
    fn check_message_bytes(&self, group: &Group, changed: &Group) -> Result<(), Refusal<UserId>> {
        let before = self.message_bytes();
        let after = before - message_bytes(group) + message_bytes(changed);
        let max = self.config.limits.message_bytes_total;
        self.check_growth(Limit::MessageBytesTotal, max, before, after)
    }

    fn edit(
        &mut self,
        author: UserId,
        group: GroupId,
        seq: Seq,
        message: Arc<str>,
        now: Timestamp,
    ) -> Answer {
        let state = self.acting(author, group, Rank::Member, now)?;
        let entry = readable_entry(state, author, seq, now)?;
        check_not_muted(state, author, now)?;
        if entry.author != author {
            return Err(Refusal::NotAuthor);
        }
        if entry.erased_by.is_some() {
            return Err(Refusal::AlreadyErased);
        }
        let max = self.config.limits.message_bytes;
        self.check_limit(Limit::MessageBytes, max, message.len() as u64)?;
        let at = entry.at.max(now);
        let mut changed = state.clone();
        let entry = changed.log.iter_mut().find(|entry| entry.seq == seq).unwrap();
        entry.message = message.clone();
        entry.edited = Some(at);
        self.check_message_bytes(state, &changed)?;

        let (version, to) = (changed.version, others(&changed, author));
        self.groups.insert(group, changed);
        let event = Event::MessageEdit { seq, at, message };
        Ok((Value::Done, vec![self.signal(group, (author, author), version, event, to)]))
    }

    fn erase(&mut self, by: UserId, group: GroupId, seq: Seq, now: Timestamp) -> Answer {
        let state = self.acting(by, group, Rank::Member, now)?;
        let entry = readable_entry(state, by, seq, now)?;
        if entry.author != by {
            if rank(state, by) == Some(Rank::Member) {
                return Err(Refusal::NotAuthor);
            }
            check_outranks(state, by, entry.author)?;
        }
        if entry.erased_by.is_some() {
            return Err(Refusal::AlreadyErased);
        }
        let state = self.groups.get_mut(&group).unwrap();
        let entry = state.log.iter_mut().find(|entry| entry.seq == seq).unwrap();
        entry.message = "".into();
        entry.edited = None;
        entry.erased_by = Some(by);
        let (version, to) = (state.version, others(state, by));
        let event = Event::MessageErase { seq };
        Ok((Value::Done, vec![self.signal(group, (by, by), version, event, to)]))
    }

    /// Ends a membership, and remembers the departure. Returns the rank that the user had.
    fn end_stint(
        &mut self,
        user: UserId,
        group: GroupId,
        kicked_by: Option<UserId>,
        at: Timestamp,
    ) -> Rank {
        let kept = usize::from(self.config.departures);
        let state = self.groups.get_mut(&group).unwrap();
        let rank = rank(state, user).unwrap();
        state.members.remove(&user);
        state.admins.remove(&user);
        state.departures.retain(|departure| departure.user != user);
        state.departures.push(PastMember { user, at, kicked_by });
        let too_many = state.departures.len().saturating_sub(kept);
        state.departures.drain(..too_many);
        rank
    }

    fn dissolve(
        &mut self,
        id: GroupId,
        farewell: Farewell<GroupId>,
        now: Timestamp,
    ) -> (Value, Vec<ModelSignal>) {
        let group = self.groups.remove(&id).unwrap();
        let by = group.owner;
        let Farewell { note, successor } = farewell.clone();
        self.tombstones.insert(id, Tombstone { by, at: now, farewell });
        self.next_stint = self.next_stint.max(group.version + 3);
        let to = others(&group, by);
        let purge = Event::HistoryPurge { before: Seq(group.next_seq), note, successor };
        let signals = vec![
            self.signal(id, (by, by), group.version + 1, Event::MemberKick { by }, to.clone()),
            self.signal(id, (by, by), group.version + 2, purge, to),
        ];
        let members = group.members.iter().map(|(user, member)| (*user, member.stint)).collect();
        (Value::Dissolved { members, log: group.log }, signals)
    }

    /// All entries that `reader` may read, the newest first.
    pub fn history(
        &self,
        reader: UserId,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Vec<ModelEntry>, Refusal<UserId>> {
        let state = self.living_group(group, now)?;
        stint_of(state, reader).map_err(Refusal::NotMember)?;
        Ok(readable_entries(state, reader, now).into_iter().rev().collect())
    }

    /// The groups of a user, in the order of joining.
    pub fn groups_of(&self, user: UserId) -> Vec<(GroupId, Stint)> {
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .filter_map(|(id, group)| Some((*id, group.members.get(&user)?.stint)))
            .collect();
        groups.sort_by_key(|(_, stint)| *stint);
        groups
    }
}

/// All members except `user`.
fn others(group: &Group, user: UserId) -> Vec<UserId> {
    group.members.keys().copied().filter(|member| *member != user).collect()
}

/// Whether `ms` milliseconds have passed since `start`.
fn is_past(start: Timestamp, ms: u64, now: Timestamp) -> bool {
    u128::from(start.0) + u128::from(ms) <= u128::from(now.0)
}

/// The entries that have not expired, the oldest first.
fn live_entries(group: &Group, now: Timestamp) -> Vec<ModelEntry> {
    let options = &group.options;
    let is_too_old =
        |entry: &&ModelEntry| options.keep_ms.is_some_and(|ms| is_past(entry.at, ms, now));
    let is_one_too_many = |entry: &&ModelEntry| {
        options.keep_entries.is_some_and(|keep| entry.seq.0 + keep < group.next_seq)
    };
    let live = group.log.iter().filter(|entry| !is_too_old(entry) && !is_one_too_many(entry));
    live.cloned().collect()
}

/// Drops up to four expired entries, the oldest first.
fn drop_expired(group: &mut Group, now: Timestamp) {
    let expired = group.log.len() - live_entries(group, now).len();
    group.log.drain(..expired.min(4));
}

/// All entries that a member may read, the oldest first.
fn readable_entries(group: &Group, reader: UserId, now: Timestamp) -> Vec<ModelEntry> {
    let from = match group.options.history {
        HistoryAccess::Full => Seq(0),
        _ => group.members[&reader].reads_from,
    };
    live_entries(group, now).into_iter().filter(|entry| entry.seq >= from).collect()
}

/// The entry `seq`, if a member may read it (otherwise 404).
fn readable_entry(
    group: &Group,
    reader: UserId,
    seq: Seq,
    now: Timestamp,
) -> Result<ModelEntry, Refusal<UserId>> {
    let mut entries = readable_entries(group, reader, now).into_iter();
    entries.find(|entry| entry.seq == seq).ok_or(Refusal::NoSuchEntry)
}

fn message_bytes(group: &Group) -> u64 {
    group.log.iter().map(|entry| entry.message.len() as u64).sum()
}

/// Refuses (403) if the user is muted.
fn check_not_muted(group: &Group, user: UserId, now: Timestamp) -> Result<(), Refusal<UserId>> {
    match group.mutes.get(&user).filter(|mute| mute.holds(now)) {
        Some(Mute { by, until }) => Err(Refusal::Muted { by: *by, until: *until }),
        None => Ok(()),
    }
}

/// Removes up to two bans or mutes that have ended, in the order of their ends.
fn clean(sanctions: &mut BTreeMap<UserId, Sanction<UserId>>, now: Timestamp) {
    let ended = sanctions.iter().filter(|(_, sanction)| !sanction.holds(now));
    let mut ended: Vec<_> = ended.map(|(user, sanction)| (sanction.until, *user)).collect();
    ended.sort();
    for (_, user) in ended.into_iter().take(2) {
        sanctions.remove(&user);
    }
}

/// The user's rank, or `None` if the user is not a member.
pub fn rank(group: &Group, user: UserId) -> Option<Rank> {
    group.members.get(&user)?;
    Some(match user {
        user if group.owner == user => Rank::Owner,
        user if group.admins.contains(&user) => Rank::Admin,
        _ => Rank::Member,
    })
}

/// Refuses (403) unless `user` has a strictly lower rank than `by`, or is not a member.
fn check_outranks(group: &Group, by: UserId, user: UserId) -> Result<(), Refusal<UserId>> {
    if by == user || rank(group, user) >= rank(group, by) {
        return Err(Refusal::Outranked);
    }
    Ok(())
}

/// The stint of a member, or the reason why the user is not a member.
fn stint_of(group: &Group, user: UserId) -> Result<Stint, Absence<UserId>> {
    if let Some(member) = group.members.get(&user) {
        return Ok(member.stint);
    }
    Err(match group.departures.iter().find(|departure| departure.user == user) {
        None => Absence::NoRecord,
        Some(PastMember { at, kicked_by: None, .. }) => Absence::Left { at: *at },
        Some(PastMember { at, kicked_by: Some(by), .. }) => Absence::Kicked { by: *by, at: *at },
    })
}
