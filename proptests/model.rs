//! The rules of the domain, in the most naive way: std collections, walks over everything, copies of
//! everything. Written from the rules, not from the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use disband::{
    Absence, Ban, BatchRefusal, Command, Config, Event, GroupId, GroupOptions, HistoryAccess,
    Limit, Operation, OwnerExit, Quota, Rank, Refusal, Seq, SignalKey, Stint, Timestamp, UserId,
};

/// A signal with its recipients written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub key: SignalKey,
    pub group: GroupId,
    pub from: UserId,
    pub version: u64,
    pub event: Event<UserId>,
    pub to: Vec<UserId>,
}

/// A command's value, with everything it owns written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Stint(Stint),
    Seq(Seq),
    Left(Stint),
    Succeeded(Stint, UserId),
    Dissolved { members: Vec<(UserId, Stint)>, log: Vec<Said> },
    LeftAll(Vec<(GroupId, Value)>),
    Banned(Option<Stint>),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub seq: Seq,
    pub at: Timestamp,
    pub author: UserId,
    pub message: Arc<str>,
}

pub type Answer = Result<(Value, Vec<Told>), Refusal<UserId>>;

#[derive(Debug, Clone)]
pub struct Past {
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
    /// What was said and not dropped.
    pub log: Vec<Said>,
    pub next_seq: u64,
    pub last_at: Timestamp,
    pub past: Vec<Past>,
}

#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub stint: Stint,
    /// The first entry after they joined: they read from there.
    pub reads_from: Seq,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub config: Config,
    pub groups: BTreeMap<GroupId, Group>,
    pub tombstones: BTreeMap<GroupId, (UserId, Timestamp)>,
    /// When each allowance is full again: milliseconds, as a fraction over the quota's cells.
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
        self.charge(&command, now)?;
        self.execute(command, now)
    }

    /// All or nothing, and no rate limit.
    pub fn apply_all(
        &mut self,
        commands: Vec<Command<UserId, GroupId>>,
        now: Timestamp,
    ) -> Result<(Vec<Value>, Vec<Told>), BatchRefusal<UserId>> {
        let mut trial = self.clone();
        let (mut values, mut signals) = (Vec::new(), Vec::new());
        for (index, command) in commands.into_iter().enumerate() {
            let done = trial.execute(command, now);
            let (value, told) = done.map_err(|refusal| BatchRefusal { index, refusal })?;
            values.push(value);
            signals.extend(told);
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
            Command::Dissolve { owner, group } => {
                self.acting(owner, group, Rank::Owner, now)?;
                Ok(self.dissolve(group, now))
            }
            Command::Transfer { owner, group, user } => self.transfer(owner, group, user, now),
            Command::SetRank { by, group, user, rank } => self.set_rank(by, group, user, rank, now),
            Command::SetOptions { by, group, options } => self.set_options(by, group, options, now),
            Command::Ban { by, group, user, until } => self.ban(by, group, user, until, now),
            Command::Unban { by, group, user } => self.unban(by, group, user, now),
            Command::LeaveAll { user } => Ok(self.leave_all(user, now)),
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
            other => panic!("the model does not know {other:?}"),
        }
    }

    /// GCRA: an allowance is the time at which it is full again.
    fn charge(
        &mut self,
        command: &Command<UserId, GroupId>,
        now: Timestamp,
    ) -> Result<(), Refusal<UserId>> {
        let Quota::Limited(rate) = self.quota(command.kind()) else { return Ok(()) };
        let (n, p) = (u128::from(rate.cells.get()), u128::from(rate.per_ms.get()));
        let window = p * u128::from(rate.burst.get());
        let at = u128::from(now.0) * n;
        let alive = command.group().filter(|group| self.groups.contains_key(group));
        let key = (*command.actor(), alive.copied(), command.kind());

        let mut full_at = self.cells.get(&key).copied().unwrap_or(at).max(at);
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

    /// Those due, the first due first, two at most.
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

    fn is_over(&self, dissolved_at: Timestamp, now: Timestamp) -> bool {
        is_past(dissolved_at, self.config.tombstone_ms, now)
    }

    /// Those that stand no more, the oldest first, two at most.
    fn clean_tombstones(&mut self, now: Timestamp) {
        let mut over: Vec<_> = self
            .tombstones
            .iter()
            .filter(|(_, (_, at))| self.is_over(*at, now))
            .map(|(group, (_, at))| (*at, *group))
            .collect();
        over.sort();
        for (_, group) in over.into_iter().take(2) {
            self.tombstones.remove(&group);
        }
    }

    /// Or the 404 that says what became of it.
    pub fn living(&self, group: GroupId, now: Timestamp) -> Result<&Group, Refusal<UserId>> {
        self.groups.get(&group).ok_or_else(|| match self.tombstones.get(&group) {
            Some((by, at)) if !self.is_over(*at, now) => Refusal::Dissolved { by: *by, at: *at },
            _ => Refusal::NoSuchGroup,
        })
    }

    fn tell(
        &mut self,
        group: GroupId,
        from: UserId,
        version: u64,
        event: Event<UserId>,
        to: impl IntoIterator<Item = UserId>,
    ) -> Told {
        let key = SignalKey((u128::from(self.config.instance) << 64) + u128::from(self.next_key));
        self.next_key += 1;
        let mut to: Vec<UserId> = to.into_iter().collect();
        to.sort();
        Told { key, group, from, version, event, to }
    }

    fn begin(&mut self, user: UserId, group: GroupId) -> Stint {
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
        if let Some((_, at)) = self.tombstones.get(&group)
            && !self.is_over(*at, now)
        {
            let until = Timestamp(at.0.saturating_add(self.config.tombstone_ms));
            return Err(Refusal::IdReserved { until });
        }
        self.limit(Limit::MembersPerGroup, self.config.limits.members_per_group, 1)?;
        self.one_more_group(owner)?;
        self.tombstones.remove(&group);
        let empty = Group {
            owner,
            options,
            version: self.next_stint,
            members: BTreeMap::new(),
            admins: BTreeSet::new(),
            bans: BTreeMap::new(),
            log: Vec::new(),
            next_seq: 0,
            last_at: Timestamp(0),
            past: Vec::new(),
        };
        self.groups.insert(group, empty);
        Ok((Value::Stint(self.begin(owner, group)), vec![]))
    }

    fn join(&mut self, user: UserId, group: GroupId, now: Timestamp) -> Answer {
        let state = self.living(group, now)?;
        if let Some(ban) = state.bans.get(&user).filter(|ban| ban.holds(now)) {
            return Err(Refusal::Banned { by: ban.by, until: ban.until });
        }
        if state.members.contains_key(&user) {
            return Err(Refusal::AlreadyMember);
        }
        let members = state.members.len() as u64 + 1;
        self.limit(Limit::MembersPerGroup, self.config.limits.members_per_group, members)?;
        self.one_more_group(user)?;
        let bans = &mut self.groups.get_mut(&group).unwrap().bans;
        bans.remove(&user);
        clean_bans(bans, now);
        let stint = self.begin(user, group);
        let state = self.groups.get_mut(&group).unwrap();
        state.version += 1;
        let (version, to) = (state.version, others(state, user));
        let told = self.tell(group, user, version, Event::MemberJoin, to);
        Ok((Value::Stint(stint), vec![told]))
    }

    fn leave(
        &mut self,
        user: UserId,
        group: GroupId,
        named: Option<Stint>,
        now: Timestamp,
    ) -> Answer {
        let state = self.living(group, now)?;
        let stint = member(state, user).map_err(Refusal::NotMember)?;
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

    /// Leaving, where nothing is refused any more.
    fn depart(&mut self, user: UserId, group: GroupId, now: Timestamp) -> (Value, Vec<Told>) {
        let state = &self.groups[&group];
        let stint = state.members[&user].stint;
        let senior = state.admins.iter().min_by_key(|admin| state.members[*admin].stint).copied();
        let owner = state.owner == user;
        if owner && (senior.is_none() || state.options.owner_exit == OwnerExit::Dissolve) {
            return self.dissolve(group, now);
        }
        let version = self.end(user, group, None, now);
        let to = others(&self.groups[&group], user);
        let left = self.tell(group, user, version, Event::MemberLeave, to.clone());
        let Some(heir) = senior.filter(|_| owner) else {
            return (Value::Left(stint), vec![left]);
        };
        let state = self.groups.get_mut(&group).unwrap();
        state.owner = heir;
        state.admins.remove(&heir);
        state.version += 1;
        let version = state.version;
        let change = Event::OwnerChange { previous: user };
        let changed = self.tell(group, heir, version, change, to);
        (Value::Succeeded(stint, heir), vec![left, changed])
    }

    fn leave_all(&mut self, user: UserId, now: Timestamp) -> (Value, Vec<Told>) {
        let (mut values, mut signals) = (Vec::new(), Vec::new());
        for (group, _) in self.groups_of(user) {
            let (value, told) = self.depart(user, group, now);
            values.push((group, value));
            signals.extend(told);
        }
        (Value::LeftAll(values), signals)
    }

    fn kick(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        outranks(state, by, user)?;
        let stint = member(state, user).map_err(Refusal::TargetNotMember)?;
        let told = self.expel(by, group, user, now);
        Ok((Value::Stint(stint), vec![told]))
    }

    fn expel(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Told {
        let version = self.end(user, group, Some(by), now);
        let to = others(&self.groups[&group], user).into_iter().chain([user]);
        self.tell(group, user, version, Event::MemberKick { by }, to)
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
        outranks(state, by, user)?;
        let stint = member(state, user).ok();
        let ban = Ban { by, until };
        if !ban.holds(now) {
            return Err(Refusal::AlreadyExpired);
        }
        let mut bans = state.bans.clone();
        bans.remove(&user);
        clean_bans(&mut bans, now);
        bans.insert(user, ban);
        self.limit(Limit::BansPerGroup, self.config.limits.bans_per_group, bans.len() as u64)?;
        self.groups.get_mut(&group).unwrap().bans = bans;
        let told = stint.map(|_| self.expel(by, group, user, now));
        Ok((Value::Banned(stint), told.into_iter().collect()))
    }

    fn unban(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(by, group, Rank::Admin, now)?;
        if !state.bans.get(&user).is_some_and(|ban| ban.holds(now)) {
            return Err(Refusal::NotBanned);
        }
        let bans = &mut self.groups.get_mut(&group).unwrap().bans;
        bans.remove(&user);
        clean_bans(bans, now);
        Ok((Value::Done, vec![]))
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
        member(state, user).map_err(Refusal::TargetNotMember)?;
        if state.admins.contains(&user) == (rank == Rank::Admin) {
            return Err(Refusal::AlreadyRanked);
        }
        let state = self.groups.get_mut(&group).unwrap();
        if rank == Rank::Admin {
            state.admins.insert(user);
        } else {
            state.admins.remove(&user);
        }
        Ok((Value::Done, vec![self.announce(group, user, Event::RankChange { rank })]))
    }

    fn transfer(&mut self, owner: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.acting(owner, group, Rank::Owner, now)?;
        member(state, user).map_err(Refusal::TargetNotMember)?;
        if owner == user {
            return Err(Refusal::AlreadyOwner);
        }
        let state = self.groups.get_mut(&group).unwrap();
        state.owner = user;
        state.admins.remove(&user);
        state.admins.insert(owner);
        let change = Event::OwnerChange { previous: owner };
        Ok((Value::Done, vec![self.announce(group, user, change)]))
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
        let expired = state.log.len() - live(state, now).len();
        state.log.drain(..expired);
        state.options = options;
        Ok((Value::Done, vec![]))
    }

    fn announce(&mut self, group: GroupId, from: UserId, event: Event<UserId>) -> Told {
        let state = self.groups.get_mut(&group).unwrap();
        state.version += 1;
        let (version, to) = (state.version, state.members.keys().copied().collect::<Vec<_>>());
        self.tell(group, from, version, event, to)
    }

    fn acting(
        &self,
        by: UserId,
        group: GroupId,
        needs: Rank,
        now: Timestamp,
    ) -> Result<&Group, Refusal<UserId>> {
        let state = self.living(group, now)?;
        member(state, by).map_err(Refusal::NotMember)?;
        match needs {
            Rank::Admin if rank(state, by) < Some(Rank::Admin) => Err(Refusal::NotAdmin),
            Rank::Owner if state.owner != by => Err(Refusal::NotOwner),
            _ => Ok(state),
        }
    }

    fn limit(&self, limit: Limit, max: Option<u64>, count: u64) -> Result<(), Refusal<UserId>> {
        match max {
            Some(max) if count > max => Err(Refusal::OverLimit { limit, max }),
            _ => Ok(()),
        }
    }

    fn one_more_group(&self, user: UserId) -> Result<(), Refusal<UserId>> {
        let groups = self.groups_of(user).len() as u64 + 1;
        self.limit(Limit::GroupsPerUser, self.config.limits.groups_per_user, groups)
    }

    fn post(
        &mut self,
        author: UserId,
        group: GroupId,
        message: Arc<str>,
        now: Timestamp,
    ) -> Answer {
        let state = self.acting(author, group, Rank::Member, now)?;
        let limits = self.config.limits;
        self.limit(Limit::MessageBytes, limits.message_bytes, message.len() as u64)?;
        let keep = state.options.keep_entries.unwrap_or(u64::MAX);
        let entries = (live(state, now).len() as u64 + 1).min(keep);
        self.limit(Limit::EntriesPerGroup, limits.entries_per_group, entries)?;

        let state = self.groups.get_mut(&group).unwrap();
        let (seq, at) = (Seq(state.next_seq), state.last_at.max(now));
        state.next_seq += 1;
        state.last_at = at;
        state.log.push(Said { seq, at, author, message: message.clone() });
        let expired = state.log.len() - live(state, now).len();
        state.log.drain(..expired.min(4));
        let (version, to) = (state.version, others(state, author));
        let told = self.tell(group, author, version, Event::MessagePost { seq, at, message }, to);
        Ok((Value::Seq(seq), vec![told]))
    }

    fn end(
        &mut self,
        user: UserId,
        group: GroupId,
        kicked_by: Option<UserId>,
        at: Timestamp,
    ) -> u64 {
        let kept = usize::from(self.config.departures);
        let state = self.groups.get_mut(&group).unwrap();
        state.members.remove(&user);
        state.admins.remove(&user);
        state.past.retain(|past| past.user != user);
        state.past.push(Past { user, at, kicked_by });
        let over = state.past.len().saturating_sub(kept);
        state.past.drain(..over);
        state.version += 1;
        state.version
    }

    fn dissolve(&mut self, id: GroupId, now: Timestamp) -> (Value, Vec<Told>) {
        let group = self.groups.remove(&id).unwrap();
        let by = group.owner;
        self.tombstones.insert(id, (by, now));
        self.next_stint = self.next_stint.max(group.version + 3);
        let to = others(&group, by);
        let purge = Event::HistoryPurge { before: Seq(group.next_seq) };
        let told = vec![
            self.tell(id, by, group.version + 1, Event::MemberKick { by }, to.clone()),
            self.tell(id, by, group.version + 2, purge, to),
        ];
        let members = group.members.iter().map(|(user, member)| (*user, member.stint)).collect();
        (Value::Dissolved { members, log: group.log }, told)
    }

    /// What `reader` may read, newest first.
    pub fn history(
        &self,
        reader: UserId,
        group: GroupId,
        now: Timestamp,
    ) -> Result<Vec<Said>, Refusal<UserId>> {
        let state = self.living(group, now)?;
        member(state, reader).map_err(Refusal::NotMember)?;
        let from = match state.options.history {
            HistoryAccess::Full => Seq(0),
            _ => state.members[&reader].reads_from,
        };
        Ok(live(state, now).into_iter().rev().filter(|said| said.seq >= from).collect())
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

fn others(group: &Group, user: UserId) -> Vec<UserId> {
    group.members.keys().copied().filter(|member| *member != user).collect()
}

/// Whether `ms` milliseconds have passed since `start`.
fn is_past(start: Timestamp, ms: u64, now: Timestamp) -> bool {
    u128::from(start.0) + u128::from(ms) <= u128::from(now.0)
}

/// What is within its retention.
fn live(group: &Group, now: Timestamp) -> Vec<Said> {
    let options = &group.options;
    let too_old = |said: &&Said| options.keep_ms.is_some_and(|ms| is_past(said.at, ms, now));
    let too_many =
        |said: &&Said| options.keep_entries.is_some_and(|keep| said.seq.0 + keep < group.next_seq);
    group.log.iter().filter(|said| !too_old(said) && !too_many(said)).cloned().collect()
}

/// Those that are over, the first to end first, two at most.
fn clean_bans(bans: &mut BTreeMap<UserId, Ban<UserId>>, now: Timestamp) {
    let ended = bans.iter().filter(|(_, ban)| !ban.holds(now));
    let mut over: Vec<_> = ended.map(|(user, ban)| (ban.until, *user)).collect();
    over.sort();
    for (_, user) in over.into_iter().take(2) {
        bans.remove(&user);
    }
}

pub fn rank(group: &Group, user: UserId) -> Option<Rank> {
    group.members.get(&user)?;
    Some(match user {
        user if group.owner == user => Rank::Owner,
        user if group.admins.contains(&user) => Rank::Admin,
        _ => Rank::Member,
    })
}

/// One acts on a strictly lower rank, or on a stranger.
fn outranks(group: &Group, by: UserId, user: UserId) -> Result<(), Refusal<UserId>> {
    if by == user || rank(group, user) >= rank(group, by) {
        return Err(Refusal::Outranked);
    }
    Ok(())
}

/// Or why they are none.
fn member(group: &Group, user: UserId) -> Result<Stint, Absence<UserId>> {
    if let Some(member) = group.members.get(&user) {
        return Ok(member.stint);
    }
    Err(match group.past.iter().find(|past| past.user == user) {
        None => Absence::NoRecord,
        Some(Past { at, kicked_by: None, .. }) => Absence::Left { at: *at },
        Some(Past { at, kicked_by: Some(by), .. }) => Absence::Kicked { by: *by, at: *at },
    })
}
