//! An index of the groups that each user is in, across all shards.
//!
//! Each shard's engine has an exact index of its own groups. This is one index for all shards,
//! built from the events that this process's replicas publish, so it may be late. It uses the
//! groups' versions: an event that arrives again changes nothing, and if a version is missing, for
//! example the first, the group is read from the shard's engine.
//!
//! A group may be quiet: then only its staff (the owner and the admins) gets signals of plain
//! members joining and leaving, and these signals do not increase the version. After such a signal,
//! the index looks up in the shard's engine whether the user is a member.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use disband::{Event, GroupId, Signal, UserId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::events::ShardEvent;
use crate::machine::Machine;
use crate::slots::Shard;

/// How many memberships are checked with each applied signal, to remove the stale ones.
const SWEEP_STEPS: usize = 4;

/// How many groups, or members of a group, are read while the lock is held once.
const PAGE: usize = 1000;

/// When the index learnt of a membership: the group's version then, and the number of the group's
/// last read (see `reads`) then.
type Stamp = (u64, u64);

/// The index, see the top of this file.
#[derive(Debug, Default)]
struct Projection {
    groups: BTreeMap<GroupId, GroupEntry>,
    /// The memberships, each with its stamp. The end of a group does not remove its memberships one
    /// by one. Instead a membership is stale if its group is gone, or if its stamp is before the
    /// group's `since`. Reads skip stale memberships, and `sweep` removes them a few at a time.
    memberships: BTreeMap<(UserId, GroupId), Stamp>,
    /// The last membership that `sweep` checked.
    cursor: Option<(UserId, GroupId)>,
    /// How many shards have not been read yet.
    unread: Shard,
    /// How many times a group has been read from an engine, all groups together.
    reads: u64,
}

/// What the index knows of a group.
#[derive(Debug)]
struct GroupEntry {
    /// Memberships with an earlier stamp are stale.
    since: Stamp,
    /// The version that the index is at; 0 while the group is read for the first time.
    version: u64,
}

/// What must be read from the engine, because a signal alone does not say what the index should
/// hold.
#[derive(Debug, PartialEq, Eq)]
enum Lookup {
    /// The whole group: the index does not know it, or missed a version.
    Group,
    /// Whether the signal's user is a member: the signal has no version of its own, or an old one.
    Member,
}

impl Projection {
    fn groups_of(&self, user: UserId) -> Vec<GroupId> {
        let theirs = (user, GroupId(0))..=(user, GroupId(u64::MAX));
        let current =
            self.memberships.range(theirs).filter(|(at, stamp)| self.is_current(at, **stamp));
        current.map(|((_, group), _)| *group).collect()
    }

    /// Whether a membership is not stale.
    fn is_current(&self, (_, group): &(UserId, GroupId), stamp: Stamp) -> bool {
        self.groups.get(group).is_some_and(|entry| entry.since <= stamp)
    }

    fn has_version(&self, group: GroupId, version: u64) -> bool {
        self.groups.get(&group).is_some_and(|entry| entry.version >= version)
    }

    /// Applies a signal. O(log memberships), also for a dissolution.
    fn apply(&mut self, signal: &Signal<UserId, GroupId>) -> Result<(), Lookup> {
        let &Signal { group, from, version, .. } = signal;
        let is_of_a_member = match &signal.event {
            Event::MemberJoin { .. } | Event::MemberLeave => true,
            Event::MemberKick { by } => *by != from,
            // Signals of messages do not increase the version, and change no membership.
            Event::MessagePost { .. } | Event::MessageEdit { .. } | Event::MessageErase { .. } => {
                return Ok(());
            }
            _ => false,
        };
        let entry = self.groups.get_mut(&group).ok_or(Lookup::Group)?;
        if version <= entry.version {
            return if is_of_a_member { Err(Lookup::Member) } else { Ok(()) };
        }
        if version > entry.version + 1 {
            return Err(Lookup::Group);
        }
        entry.version = version;
        let stamp = (version, entry.since.1);
        match &signal.event {
            Event::MemberJoin { .. } => _ = self.memberships.insert((from, group), stamp),
            Event::MemberLeave => _ = self.memberships.remove(&(from, group)),
            Event::MemberKick { by } if *by != from => _ = self.memberships.remove(&(from, group)),
            Event::HistoryPurge { .. } => _ = self.groups.remove(&group),
            // The other events change no membership. A dissolution is two signals: a kick with `by`
            // equal to `from`, which changes nothing here, and a history purge, which is handled
            // above.
            _ => {}
        }
        self.sweep();
        Ok(())
    }

    /// Stores whether a user is a member, as it was looked up in the engine.
    fn set_membership(&mut self, user: UserId, group: GroupId, is_member: bool) {
        let Some(entry) = self.groups.get(&group).filter(|_| is_member) else {
            self.memberships.remove(&(user, group));
            return;
        };
        self.memberships.insert((user, group), (entry.version, entry.since.1));
    }

    /// Checks the next few memberships, and removes those that are stale.
    fn sweep(&mut self) {
        for _ in 0..SWEEP_STEPS {
            let after = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.memberships.range((after, Bound::Unbounded)).next();
            self.cursor = next.map(|(at, _)| *at);
            let Some((&at, &stamp)) = next else { return };
            if !self.is_current(&at, stamp) {
                self.memberships.remove(&at);
            }
        }
    }
}

/// One index for all shards. Each shard has a thread that runs [`run`](Self::run), and only this
/// thread changes the shard's groups.
#[derive(Debug, Clone)]
pub(crate) struct SharedProjection(Arc<Mutex<Projection>>);

impl SharedProjection {
    /// An empty index for this many shards.
    pub(crate) fn new(shards: Shard) -> Self {
        let projection = Projection { unread: shards, ..Projection::default() };
        SharedProjection(Arc::new(Mutex::new(projection)))
    }

    fn lock(&self) -> MutexGuard<'_, Projection> {
        self.0.lock().expect("no code panics while it holds this lock")
    }

    /// The groups that a user is in; `None` until all shards have been read. O(log memberships),
    /// plus as much for each of the user's memberships in the index.
    pub(crate) fn groups_of(&self, user: UserId) -> Option<Vec<GroupId>> {
        let projection = self.lock();
        (projection.unread == 0).then(|| projection.groups_of(user))
    }

    /// Reads a shard, and then applies its events until the sender is dropped. `read_machine`
    /// returns a clone of the shard's machine, and `is_ours` says whether a group belongs to the
    /// shard.
    pub(crate) fn run(
        &self,
        mut events: Receiver<Arc<ShardEvent>>,
        read_machine: impl Fn() -> Machine,
        is_ours: impl Fn(GroupId) -> bool,
    ) {
        self.catch_up(&read_machine(), &is_ours);
        self.lock().unread -= 1;
        loop {
            match events.blocking_recv() {
                Ok(event) => self.apply(&event, &read_machine, &is_ours),
                Err(RecvError::Lagged(_)) => self.catch_up(&read_machine(), &is_ours),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn apply(
        &self,
        event: &ShardEvent,
        read_machine: impl Fn() -> Machine,
        is_ours: &impl Fn(GroupId) -> bool,
    ) {
        match event {
            ShardEvent::GroupCreated(group) => self.read_if_newer(&read_machine(), *group),
            ShardEvent::Signal(signal) => {
                let applied = self.lock().apply(signal);
                let &Signal { group, from, .. } = signal;
                match applied {
                    Ok(()) => {}
                    Err(Lookup::Group) => self.read_if_newer(&read_machine(), group),
                    Err(Lookup::Member) => {
                        let machine = read_machine();
                        let state = machine.engine().group(&group);
                        let is_member = state.is_some_and(|state| state.contains(&from));
                        self.lock().set_membership(from, group, is_member);
                    }
                }
            }
            ShardEvent::Missed => self.catch_up(&read_machine(), is_ours),
        }
    }

    /// Reads all groups of a shard from its engine: at the start, and after events were missed.
    fn catch_up(&self, machine: &Machine, is_ours: &impl Fn(GroupId) -> bool) {
        let engine = machine.engine();
        let mut after = Bound::Unbounded;
        loop {
            let mut projection = self.lock();
            let known = projection.groups.range((after, Bound::Unbounded)).take(PAGE);
            let known: Vec<_> = known.map(|(group, _)| *group).collect();
            let Some(last) = known.last() else { break };
            after = Bound::Excluded(*last);
            for group in known {
                if is_ours(group) && engine.group(&group).is_none() {
                    projection.groups.remove(&group);
                }
            }
        }
        for (group, _) in engine.groups() {
            self.read_group(machine, *group);
        }
    }

    /// Reads a group from the engine, unless the index is already at its version.
    fn read_if_newer(&self, machine: &Machine, group: GroupId) {
        let version = machine.engine().group(&group).map(disband::Group::version);
        if version.is_none_or(|version| !self.lock().has_version(group, version)) {
            self.read_group(machine, group);
        }
    }

    /// Reads a group from the engine.
    fn read_group(&self, machine: &Machine, group: GroupId) {
        let Some(state) = machine.engine().group(&group) else {
            self.lock().groups.remove(&group);
            return;
        };
        let version = state.version();
        let since = {
            let mut projection = self.lock();
            projection.reads += 1;
            let since = (version, projection.reads);
            // Needed before the members are read: `sweep` removes memberships of unknown groups.
            projection.groups.entry(group).or_insert(GroupEntry { since, version: 0 });
            since
        };
        // While this loop runs, users who are still members stay in the index. Setting `since` in
        // the last line then makes the memberships of all other users stale.
        let mut members = state.members().map(|(user, _)| *user).peekable();
        while members.peek().is_some() {
            let mut projection = self.lock();
            for user in members.by_ref().take(PAGE) {
                projection.memberships.insert((user, group), since);
            }
        }
        self.lock().groups.insert(group, GroupEntry { since, version });
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
        projection: SharedProjection,
        /// The events so far.
        past: Vec<ShardEvent>,
    }

    impl World {
        fn new() -> World {
            // The id of a dissolved group may be used again at once.
            let config = Config { quotas: Quotas::UNLIMITED, tombstone_ms: 0, ..Config::default() };
            let machine = Machine::new(config);
            World { machine, projection: SharedProjection::new(0), past: Vec::new() }
        }

        fn carry_out(&mut self, nth: u64, command: Command<UserId, GroupId>) -> Vec<ShardEvent> {
            let Answer::Opened(session) = self.machine.apply(Proposal::Open).answer else {
                panic!()
            };
            let at = Timestamp(nth * 1000);
            self.machine.apply(Proposal::Do { at, session, serial: 1, command }).events
        }

        fn publish(&self, event: &ShardEvent) {
            self.projection.apply(event, || self.machine.clone(), &|_| true);
        }

        /// Asserts that the index equals the engine's.
        fn assert_same(&self) {
            for user in (0..USERS).map(UserId) {
                let mut groups: Vec<_> =
                    self.machine.engine().groups_of(&user).map(|(group, _)| *group).collect();
                groups.sort_unstable();
                assert_eq!(self.projection.groups_of(user), Some(groups), "the groups of {user}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_index_is_exact_after_each_event(
            commands in prop::collection::vec(command(), 1..120),
        ) {
            let mut world = World::new();
            for (nth, command) in (1..).zip(commands) {
                for event in world.carry_out(nth, command) {
                    world.publish(&event);
                }
                world.assert_same();
            }
        }

        #[test]
        fn an_event_that_arrives_again_changes_nothing(
            commands in prop::collection::vec((command(), any::<[Index; 3]>()), 1..120),
        ) {
            let mut world = World::new();
            for (nth, (command, again)) in (1..).zip(commands) {
                let events = world.carry_out(nth, command);
                events.iter().for_each(|event| world.publish(event));
                world.past.extend(events);
                for index in again {
                    if !world.past.is_empty() {
                        world.publish(&world.past[index.index(world.past.len())]);
                        world.assert_same();
                    }
                }
            }
        }

        #[test]
        fn after_lost_events_the_index_is_read_from_the_engine(
            commands in prop::collection::vec((command(), any::<bool>()), 1..120),
        ) {
            let mut world = World::new();
            for (nth, (command, lost)) in (1..).zip(commands) {
                let events = world.carry_out(nth, command);
                if !lost {
                    events.iter().for_each(|event| world.publish(event));
                }
                world.past.extend(events);
            }
            world.publish(&ShardEvent::Missed);
            world.assert_same();
            // All events arrive again, also those that were lost. They must change nothing.
            for event in &world.past {
                world.publish(event);
                world.assert_same();
            }
        }
    }

    /// While one thread reads a large group for the first time, another shard's signals keep
    /// `sweep` running.
    #[test]
    fn a_group_is_not_swept_while_it_is_read() {
        const MEMBERS: u64 = 100_000;
        let (large, other) = (GroupId(0), GroupId(1));
        let (mut first, mut second) = (World::new(), World::new());
        first.carry_out(1, Command::Create { owner: UserId(0), group: large, options: None });
        for user in 1..MEMBERS {
            first.carry_out(1, Command::Join { user: UserId(user), group: large });
        }
        second.projection = first.projection.clone();
        let create = Command::Create { owner: UserId(0), group: other, options: None };
        let mut events = second.carry_out(1, create);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| first.projection.read_if_newer(&first.machine, large));
            let mut nth = 1;
            while !reading.is_finished() {
                events.iter().for_each(|event| second.publish(event));
                nth += 1;
                let user = UserId(MEMBERS + nth);
                events = second.carry_out(nth, Command::Join { user, group: other });
            }
        });
        for user in (0..MEMBERS).map(UserId) {
            assert!(
                first.projection.groups_of(user).unwrap().contains(&large),
                "the membership of {user} is missing"
            );
        }
    }

    #[test]
    fn memberships_of_a_dissolved_group_are_swept_by_later_signals() {
        let mut world = World::new();
        let mut nth = 0;
        let mut execute = |world: &mut World, command| {
            nth += 1;
            for event in world.carry_out(nth, command) {
                world.publish(&event);
            }
        };
        let (group, other) = (GroupId(1), GroupId(2));
        execute(&mut world, Command::Create { owner: UserId(0), group, options: None });
        for user in (1..100).map(UserId) {
            execute(&mut world, Command::Join { user, group });
        }
        execute(&mut world, Command::Leave { user: UserId(0), group, stint: None });
        assert!(
            world.projection.lock().memberships.len() > 90,
            "the dissolution itself removes no memberships"
        );
        execute(&mut world, Command::Create { owner: UserId(0), group: other, options: None });
        for user in (1..60).map(UserId) {
            execute(&mut world, Command::Join { user, group: other });
        }
        assert_eq!(world.projection.lock().memberships.len(), 60);
    }
}
