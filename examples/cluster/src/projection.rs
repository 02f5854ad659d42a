//! Which groups a user is in, across all shards, as far as this process has heard.
//!
//! Each shard's engine knows it exactly of its own groups. This is one index of them all: a projection of
//! what the shards tell. It is idempotent by the groups' versions: what is told again changes nothing, and
//! where a version is missing, the first one for example, the group is read as it is now. In a quiet group
//! the coming and going of plain members has no version: whether they are members is then looked up in the
//! shard's engine.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use disband::{Event, GroupId, Signal, UserId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::machine::Machine;
use crate::news::News;
use crate::slots::Shard;

/// How many memberships are looked at with each news, whether they are true still.
const LOOKS: usize = 4;

/// How many groups, or members of a group, are read under one lock.
const TOGETHER: usize = 1000;

/// When a membership was heard of: the group's version, and how often the shards had been read then.
type Heard = (u64, u64);

/// The index.
#[derive(Debug, Default)]
struct Projection {
    groups: BTreeMap<GroupId, Life>,
    /// Each with when it was heard of. The end of a group does not walk its members:
    /// what is of a group that has gone, or was heard before its `since`, is untrue, and goes as the
    /// cursor comes by.
    memberships: BTreeMap<(UserId, GroupId), Heard>,
    cursor: Option<(UserId, GroupId)>,
    /// How many shards have never been read yet.
    unread: Shard,
    /// How often groups have been read.
    readings: u64,
}

/// What has been heard of a group.
#[derive(Debug)]
struct Life {
    /// No membership that was heard of before this is one.
    since: Heard,
    /// The last version; 0 while the group is read for the first time.
    version: u64,
}

/// Why a signal alone does not say what the index should hold.
#[derive(Debug, PartialEq, Eq)]
enum Missing {
    /// Something was not heard of the group.
    Group,
    /// The signal has no version of its own, or an old one: whether its user is a member must be
    /// looked up.
    Member,
}

impl Projection {
    fn groups_of(&self, user: UserId) -> Vec<GroupId> {
        let theirs = (user, GroupId(0))..=(user, GroupId(u64::MAX));
        let true_ones =
            self.memberships.range(theirs).filter(|(at, heard)| self.holds(at, **heard));
        true_ones.map(|((_, group), _)| *group).collect()
    }

    fn holds(&self, (_, group): &(UserId, GroupId), heard: Heard) -> bool {
        self.groups.get(group).is_some_and(|life| life.since <= heard)
    }

    fn knows(&self, group: GroupId, version: u64) -> bool {
        self.groups.get(&group).is_some_and(|life| life.version >= version)
    }

    /// O(log memberships), a dissolution too.
    fn take(&mut self, signal: &Signal<UserId, GroupId>) -> Result<(), Missing> {
        let &Signal { group, from, version, .. } = signal;
        let is_of_a_member = match &signal.event {
            Event::MemberJoin { .. } | Event::MemberLeave => true,
            Event::MemberKick { by } => *by != from,
            // Messages have no version of their own.
            Event::MessagePost { .. } | Event::MessageEdit { .. } | Event::MessageErase { .. } => {
                return Ok(());
            }
            _ => false,
        };
        let life = self.groups.get_mut(&group).ok_or(Missing::Group)?;
        if version <= life.version {
            return if is_of_a_member { Err(Missing::Member) } else { Ok(()) };
        }
        if version > life.version + 1 {
            return Err(Missing::Group);
        }
        life.version = version;
        let heard = (version, life.since.1);
        match &signal.event {
            Event::MemberJoin { .. } => _ = self.memberships.insert((from, group), heard),
            Event::MemberLeave => _ = self.memberships.remove(&(from, group)),
            Event::MemberKick { by } if *by != from => _ = self.memberships.remove(&(from, group)),
            Event::HistoryPurge { .. } => _ = self.groups.remove(&group),
            // Nobody comes or goes by those; and with a kick of all comes a purge.
            _ => {}
        }
        self.sweep();
        Ok(())
    }

    /// What was looked up of a user.
    fn set(&mut self, user: UserId, group: GroupId, is_member: bool) {
        let Some(life) = self.groups.get(&group).filter(|_| is_member) else {
            self.memberships.remove(&(user, group));
            return;
        };
        self.memberships.insert((user, group), (life.version, life.since.1));
    }

    fn sweep(&mut self) {
        for _ in 0..LOOKS {
            let after = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.memberships.range((after, Bound::Unbounded)).next();
            self.cursor = next.map(|(at, _)| *at);
            let Some((&at, &heard)) = next else { return };
            if !self.holds(&at, heard) {
                self.memberships.remove(&at);
            }
        }
    }
}

/// One projection, which each shard has a thread to feed. A group is its shard's thread's alone.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<Projection>>);

impl Shared {
    /// Of so many shards, of none of which anything was heard.
    pub(crate) fn new(shards: Shard) -> Self {
        let projection = Projection { unread: shards, ..Projection::default() };
        Shared(Arc::new(Mutex::new(projection)))
    }

    fn lock(&self) -> MutexGuard<'_, Projection> {
        self.0.lock().expect("nothing under this lock panics")
    }

    /// The groups that a user is in; `None` before all shards have been heard of. O(log memberships), and
    /// as much for each group.
    pub(crate) fn groups_of(&self, user: UserId) -> Option<Vec<GroupId>> {
        let projection = self.lock();
        (projection.unread == 0).then(|| projection.groups_of(user))
    }

    /// Hears a shard's news until there are no more. `look` shows its machine, and `mine` says which
    /// groups are its.
    pub(crate) fn hear(
        &self,
        mut news: Receiver<Arc<News>>,
        look: impl Fn() -> Machine,
        mine: impl Fn(GroupId) -> bool,
    ) {
        self.catch_up(&look(), &mine);
        self.lock().unread -= 1;
        loop {
            match news.blocking_recv() {
                Ok(told) => self.take(&told, &look, &mine),
                Err(RecvError::Lagged(_)) => self.catch_up(&look(), &mine),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn take(&self, told: &News, look: impl Fn() -> Machine, mine: &impl Fn(GroupId) -> bool) {
        match told {
            News::Founded(group) => self.read(&look(), *group),
            News::Signal(signal) => {
                let taken = self.lock().take(signal);
                let &Signal { group, from, .. } = signal;
                match taken {
                    Ok(()) => {}
                    Err(Missing::Group) => self.read(&look(), group),
                    Err(Missing::Member) => {
                        let machine = look();
                        let state = machine.engine().group(&group);
                        let is_member = state.is_some_and(|state| state.contains(&from));
                        self.lock().set(from, group, is_member);
                    }
                }
            }
            News::Missed => self.catch_up(&look(), mine),
        }
    }

    /// Reads all groups of a shard of which something was not heard.
    fn catch_up(&self, machine: &Machine, mine: &impl Fn(GroupId) -> bool) {
        let engine = machine.engine();
        let mut after = Bound::Unbounded;
        loop {
            let mut projection = self.lock();
            let known = projection.groups.range((after, Bound::Unbounded)).take(TOGETHER);
            let known: Vec<_> = known.map(|(group, _)| *group).collect();
            let Some(last) = known.last() else { break };
            after = Bound::Excluded(*last);
            for group in known {
                if mine(group) && engine.group(&group).is_none() {
                    projection.groups.remove(&group);
                }
            }
        }
        for (group, _) in engine.groups() {
            self.read_again(machine, *group);
        }
    }

    /// Reads a group as it is, if its version says that there is more to know of it.
    fn read(&self, machine: &Machine, group: GroupId) {
        let version = machine.engine().group(&group).map(disband::Group::version);
        if version.is_none_or(|version| !self.lock().knows(group, version)) {
            self.read_again(machine, group);
        }
    }

    /// Reads a group as it is.
    fn read_again(&self, machine: &Machine, group: GroupId) {
        let Some(state) = machine.engine().group(&group) else {
            self.lock().groups.remove(&group);
            return;
        };
        let version = state.version();
        let since = {
            let mut projection = self.lock();
            projection.readings += 1;
            let since = (version, projection.readings);
            // Or what is read would be swept as that of no group, before it is all there.
            projection.groups.entry(group).or_insert(Life { since, version: 0 });
            since
        };
        // Those who are members still are so at every moment; the others are not with the last line.
        let mut members = state.members().map(|(user, _)| *user).peekable();
        while members.peek().is_some() {
            let mut projection = self.lock();
            for user in members.by_ref().take(TOGETHER) {
                projection.memberships.insert((user, group), since);
            }
        }
        self.lock().groups.insert(group, Life { since, version });
    }
}

#[cfg(test)]
mod tests {
    use disband::{Announce, Command, Config, GroupOptions, Quotas, Timestamp};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::machine::{Answer, Proposal};

    const USERS: u64 = 6;
    const GROUPS: u64 = 4;

    fn command() -> impl Strategy<Value = Command<UserId, GroupId>> {
        let user = || (0..USERS).prop_map(UserId);
        let group = || (0..GROUPS).prop_map(GroupId);
        prop_oneof![
            3 => (user(), group())
                .prop_map(|(owner, group)| Command::Create { owner, group, options: None }),
            6 => (user(), group()).prop_map(|(user, group)| Command::Join { user, group }),
            2 => (user(), group())
                .prop_map(|(user, group)| Command::Leave { user, group, stint: None }),
            1 => (user(), group(), user())
                .prop_map(|(by, group, user)| Command::Kick { by, group, user }),
            1 => (user(), group(), user())
                .prop_map(|(owner, group, user)| Command::Transfer { owner, group, user }),
            1 => (user(), group())
                .prop_map(|(author, group)| Command::Post { author, group, message: "x".into() }),
            1 => user().prop_map(|user| Command::LeaveAll { user }),
            2 => (user(), group(), user())
                .prop_map(|(by, group, user)| Command::Add { by, group, user }),
            2 => (user(), group(), any::<bool>()).prop_map(|(by, group, is_quiet)| {
                let announce = if is_quiet { Announce::Staff } else { Announce::Everyone };
                let options = GroupOptions { announce, ..GroupOptions::default() };
                Command::SetOptions { by, group, options }
            }),
            1 => (user(), group()).prop_map(|(by, group)| {
                Command::Erase { by, group, seq: disband::Seq(0) }
            }),
        ]
    }

    struct World {
        machine: Machine,
        projection: Shared,
        told: Vec<News>,
    }

    impl World {
        fn new() -> World {
            // An id may be used again at once.
            let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
            let machine = Machine::new(config);
            World { machine, projection: Shared::new(0), told: Vec::new() }
        }

        fn carry_out(&mut self, nth: u64, command: Command<UserId, GroupId>) -> Vec<News> {
            let Answer::Opened(session) = self.machine.apply(Proposal::Open).answer else {
                panic!()
            };
            let at = Timestamp(nth * 1000);
            self.machine.apply(Proposal::Do { at, session, serial: 1, command }).news
        }

        fn tell(&self, news: &News) {
            self.projection.take(news, || self.machine.clone(), &|_| true);
        }

        fn same(&self) {
            for user in (0..USERS).map(UserId) {
                let mut groups: Vec<_> =
                    self.machine.engine().groups_of(&user).map(|(group, _)| *group).collect();
                groups.sort_unstable();
                assert_eq!(self.projection.groups_of(user), Some(groups), "of {user}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_heard_in_order_is_known_at_once(commands in prop::collection::vec(command(), 1..120)) {
            let mut world = World::new();
            for (nth, command) in (1..).zip(commands) {
                for news in world.carry_out(nth, command) {
                    world.tell(&news);
                }
                world.same();
            }
        }

        #[test]
        fn what_comes_again_changes_nothing(
            commands in prop::collection::vec((command(), any::<[Index; 3]>()), 1..120),
        ) {
            let mut world = World::new();
            for (nth, (command, again)) in (1..).zip(commands) {
                let news = world.carry_out(nth, command);
                news.iter().for_each(|news| world.tell(news));
                world.told.extend(news);
                for index in again {
                    if !world.told.is_empty() {
                        world.tell(&world.told[index.index(world.told.len())]);
                        world.same();
                    }
                }
            }
        }

        #[test]
        fn what_was_lost_is_read(
            commands in prop::collection::vec((command(), any::<bool>()), 1..120),
        ) {
            let mut world = World::new();
            for (nth, (command, lost)) in (1..).zip(commands) {
                let news = world.carry_out(nth, command);
                if !lost {
                    news.iter().for_each(|news| world.tell(news));
                }
                world.told.extend(news);
            }
            world.tell(&News::Missed);
            world.same();
            // And what was lost may come late.
            for news in &world.told {
                world.tell(news);
                world.same();
            }
        }
    }

    /// While a group is read for the first time, other shards' groups come and go, and the cursor with
    /// them.
    #[test]
    fn what_is_being_read_is_not_swept() {
        const MEMBERS: u64 = 100_000;
        let (large, other) = (GroupId(0), GroupId(1));
        let (mut here, mut there) = (World::new(), World::new());
        here.carry_out(1, Command::Create { owner: UserId(0), group: large, options: None });
        for user in 1..MEMBERS {
            here.carry_out(1, Command::Join { user: UserId(user), group: large });
        }
        there.projection = here.projection.clone();
        let create = Command::Create { owner: UserId(0), group: other, options: None };
        let mut news = there.carry_out(1, create);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| here.projection.read(&here.machine, large));
            let mut nth = 1;
            while !reading.is_finished() {
                news.iter().for_each(|news| there.tell(news));
                nth += 1;
                let user = UserId(MEMBERS + nth);
                news = there.carry_out(nth, Command::Join { user, group: other });
            }
        });
        for user in (0..MEMBERS).map(UserId) {
            assert!(here.projection.groups_of(user).unwrap().contains(&large), "{user} is lost");
        }
    }

    #[test]
    fn what_is_left_of_a_group_is_swept_as_others_come() {
        let mut world = World::new();
        let mut nth = 0;
        let mut told = |world: &mut World, command| {
            nth += 1;
            for news in world.carry_out(nth, command) {
                world.tell(&news);
            }
        };
        let (group, other) = (GroupId(1), GroupId(2));
        told(&mut world, Command::Create { owner: UserId(0), group, options: None });
        for user in (1..100).map(UserId) {
            told(&mut world, Command::Join { user, group });
        }
        told(&mut world, Command::Leave { user: UserId(0), group, stint: None });
        assert!(world.projection.lock().memberships.len() > 90, "the end itself walks nobody");
        told(&mut world, Command::Create { owner: UserId(0), group: other, options: None });
        for user in (1..60).map(UserId) {
            told(&mut world, Command::Join { user, group: other });
        }
        assert_eq!(world.projection.lock().memberships.len(), 60);
    }
}
