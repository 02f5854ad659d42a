//! The rules of DESIGN, in the most naive way: std collections, walks over everything, copies of
//! everything. Written from the rules, not from the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use disband::{
    Absence, Command, Config, Event, GroupId, GroupOptions, Operation, OwnerExit, Quota, Refusal,
    Seq, SignalKey, Stint, Timestamp, UserId,
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
    Dissolved { members: Vec<(UserId, Stint)>, log: Vec<Said> },
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
    pub log: Vec<Said>,
    pub past: Vec<Past>,
}

#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub stint: Stint,
    /// The log's length when they joined: they read from there.
    pub reads_from: usize,
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
        self.clean_tombstones(now);
        match command {
            Command::Create { owner, group, options } => {
                self.create(owner, group, options.unwrap_or_default(), now)
            }
            Command::Join { user, group } => self.join(user, group, now),
            Command::Leave { user, group, stint } => self.leave(user, group, stint, now),
            Command::Kick { by, group, user } => self.kick(by, group, user, now),
            Command::Post { author, group, message } => self.post(author, group, message, now),
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
            other => panic!("the model does not know {other:?}"),
        }
    }

    /// Rules 10 to 12.
    fn charge(
        &mut self,
        command: &Command<UserId, GroupId>,
        now: Timestamp,
    ) -> Result<(), Refusal<UserId>> {
        let Quota::Limited(rate) = self.quota(command.kind()) else { return Ok(()) };
        let (n, p) = (u128::from(rate.cells.get()), u128::from(rate.per_ms.get()));
        let window = p * u128::from(rate.burst.get());
        let at = u128::from(now.0) * n;
        let alive = self.groups.contains_key(command.group());
        let key = (*command.actor(), alive.then_some(*command.group()), command.kind());

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

    /// Rule 12: those due, the first due first, two at most.
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

    fn until(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.config.tombstone_ms))
    }

    /// Rule 20: those that stand no more, the oldest first, two at most.
    fn clean_tombstones(&mut self, now: Timestamp) {
        let mut over: Vec<_> = self
            .tombstones
            .iter()
            .filter(|(_, (_, at))| self.until(*at) <= now)
            .map(|(group, (_, at))| (*at, *group))
            .collect();
        over.sort();
        for (_, group) in over.into_iter().take(2) {
            self.tombstones.remove(&group);
        }
    }

    /// Rule 7.
    pub fn living(&self, group: GroupId, now: Timestamp) -> Result<&Group, Refusal<UserId>> {
        self.groups.get(&group).ok_or_else(|| match self.tombstones.get(&group) {
            Some((by, at)) if now < self.until(*at) => Refusal::Dissolved { by: *by, at: *at },
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
        group.members.insert(user, Member { stint, reads_from: group.log.len() });
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
        if let Some((_, at)) = self.tombstones.get(&group) {
            let until = self.until(*at);
            if now < until {
                return Err(Refusal::IdReserved { until });
            }
        }
        self.tombstones.remove(&group);
        let empty = Group {
            owner,
            options,
            version: self.next_stint,
            members: BTreeMap::new(),
            log: Vec::new(),
            past: Vec::new(),
        };
        self.groups.insert(group, empty);
        Ok((Value::Stint(self.begin(owner, group)), vec![]))
    }

    fn join(&mut self, user: UserId, group: GroupId, now: Timestamp) -> Answer {
        if self.living(group, now)?.members.contains_key(&user) {
            return Err(Refusal::AlreadyMember);
        }
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
        if state.owner == user {
            return match state.options.owner_exit {
                OwnerExit::Dissolve => Ok(self.dissolve(group, now)),
                other => panic!("the model does not know {other:?}"),
            };
        }
        let version = self.end(user, group, None, now);
        let to = others(&self.groups[&group], user);
        let told = self.tell(group, user, version, Event::MemberLeave, to);
        Ok((Value::Left(stint), vec![told]))
    }

    fn kick(&mut self, by: UserId, group: GroupId, user: UserId, now: Timestamp) -> Answer {
        let state = self.living(group, now)?;
        member(state, by).map_err(Refusal::NotMember)?;
        if state.owner != by {
            return Err(Refusal::NotOwner);
        }
        if state.owner == user {
            return Err(Refusal::Outranked);
        }
        let stint = member(state, user).map_err(Refusal::TargetNotMember)?;
        let version = self.end(user, group, Some(by), now);
        let to = others(&self.groups[&group], user).into_iter().chain([user]);
        let told = self.tell(group, user, version, Event::MemberKick { by }, to);
        Ok((Value::Stint(stint), vec![told]))
    }

    fn post(
        &mut self,
        author: UserId,
        group: GroupId,
        message: Arc<str>,
        now: Timestamp,
    ) -> Answer {
        member(self.living(group, now)?, author).map_err(Refusal::NotMember)?;
        let state = self.groups.get_mut(&group).unwrap();
        let seq = Seq(state.log.len() as u64);
        let at = state.log.last().map_or(now, |last| last.at.max(now));
        state.log.push(Said { seq, at, author, message: message.clone() });
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
        let purge = Event::HistoryPurge { before: Seq(group.log.len() as u64) };
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
        let from = state.members[&reader].reads_from;
        Ok(state.log[from..].iter().rev().cloned().collect())
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

/// Rule 8.
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
