//! An engine written by hand with std's collections. It cannot share its state with a clone, so
//! there are no snapshots of it.
//!
//! By default a signal does not hold its recipients: a server must read them from the group before
//! the next command. If the engine copies, a signal holds their ids.

#![allow(clippy::disallowed_types, reason = "a hand-written engine would use them")]
#![allow(dead_code, reason = "a server would read the fields that are only written here")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::peer::{Answer, Kind, MESSAGE, Peer, SignalSummary, Step};

#[derive(Default)]
pub struct Handwritten {
    /// Whether signals hold copies of their recipients' ids.
    copies: bool,
    groups: HashMap<u64, Group>,
    groups_of: HashMap<u64, HashSet<u64>>,
    /// The dissolved groups, and who dissolved each.
    tombstones: HashMap<u64, u64>,
    next_key: u64,
    now: u64,
}

/// A group. A dissolution returns it.
pub struct Group {
    owner: u64,
    /// The members, and when each joined.
    members: HashMap<u64, u64>,
    log: Vec<Entry>,
}

/// One message.
#[derive(Debug)]
struct Entry {
    at: u64,
    author: u64,
    message: Arc<str>,
}

/// One signal for many recipients.
pub struct Signal {
    pub key: u64,
    pub kind: Kind,
    pub from: u64,
    pub group: u64,
    pub recipients: Recipients,
    /// The text, if the signal is a message.
    pub message: Option<Arc<str>>,
}

/// The users a signal is for.
pub enum Recipients {
    /// The members of the group without `except`, and after a kick the kicked user. `count` is the
    /// number of these users until the next command.
    InGroup { except: Option<u64>, count: usize },
    /// A copy of their ids. Later commands do not change it.
    Copied(Vec<u64>),
}

impl Recipients {
    fn count(&self) -> usize {
        match self {
            Recipients::InGroup { count, .. } => *count,
            Recipients::Copied(ids) => ids.len(),
        }
    }
}

impl Group {
    /// The members without `except`, and `kicked`. `except` must be a member, `kicked` must not.
    fn recipients(&self, copy: bool, except: Option<u64>, kicked: Option<u64>) -> Recipients {
        let count =
            self.members.len() - usize::from(except.is_some()) + usize::from(kicked.is_some());
        if !copy {
            return Recipients::InGroup { except, count };
        }
        let mut ids = Vec::with_capacity(count);
        ids.extend(self.members.keys().copied().filter(|id| Some(*id) != except).chain(kicked));
        Recipients::Copied(ids)
    }
}

/// The result of a command: its signals, and the group if the command dissolved it.
pub struct Done {
    pub signals: Vec<Signal>,
    pub dissolved: Option<Group>,
}

impl Done {
    const NOTHING: Done = Done { signals: Vec::new(), dissolved: None };
}

impl Handwritten {
    /// An engine whose signals hold copies of their recipients' ids.
    #[must_use]
    pub fn copying() -> Handwritten {
        Handwritten { copies: true, ..Handwritten::default() }
    }

    fn create(&mut self, owner: u64, group: u64) -> Result<Done, u16> {
        if self.groups.contains_key(&group) || self.tombstones.contains_key(&group) {
            return Err(409);
        }
        let members = HashMap::from([(owner, self.now)]);
        self.groups.insert(group, Group { owner, members, log: Vec::new() });
        self.groups_of.entry(owner).or_default().insert(group);
        Ok(Done::NOTHING)
    }

    fn join(&mut self, user: u64, group: u64) -> Result<Done, u16> {
        let joined = self.groups.get_mut(&group).ok_or(404u16)?;
        if joined.members.contains_key(&user) {
            return Err(409);
        }
        joined.members.insert(user, self.now);
        self.groups_of.entry(user).or_default().insert(group);
        let others = joined.recipients(self.copies, Some(user), None);
        Ok(self.signal(Kind::Join, user, group, others))
    }

    fn leave(&mut self, user: u64, group: u64) -> Result<Done, u16> {
        let left = self.groups.get_mut(&group).ok_or(404u16)?;
        if left.owner == user {
            return Ok(self.dissolve(group));
        }
        left.members.remove(&user).ok_or(400u16)?;
        let remaining = left.recipients(self.copies, None, None);
        self.unlist(user, group);
        Ok(self.signal(Kind::Leave, user, group, remaining))
    }

    fn kick(&mut self, by: u64, group: u64, user: u64) -> Result<Done, u16> {
        let left = self.groups.get_mut(&group).ok_or(404u16)?;
        if !left.members.contains_key(&by) {
            return Err(400);
        }
        if left.owner != by || user == by {
            return Err(403);
        }
        left.members.remove(&user).ok_or(400u16)?;
        let recipients = left.recipients(self.copies, None, Some(user));
        self.unlist(user, group);
        Ok(self.signal(Kind::Kick, user, group, recipients))
    }

    fn post(&mut self, author: u64, group: u64) -> Result<Done, u16> {
        let posted_to = self.groups.get_mut(&group).ok_or(404u16)?;
        if !posted_to.members.contains_key(&author) {
            return Err(400);
        }
        let message: Arc<str> = MESSAGE.into();
        posted_to.log.push(Entry { at: self.now, author, message: Arc::clone(&message) });
        let others = posted_to.recipients(self.copies, Some(author), None);
        let mut done = self.signal(Kind::Message, author, group, others);
        done.signals[0].message = Some(message);
        Ok(done)
    }

    /// Returns the whole group. So it copies no recipients and frees nothing of the group. But it
    /// must remove the group from every member's set of groups.
    fn dissolve(&mut self, group: u64) -> Done {
        let Some(dissolved) = self.groups.remove(&group) else {
            return Done::NOTHING;
        };
        for user in dissolved.members.keys() {
            self.unlist(*user, group);
        }
        let owner = dissolved.owner;
        self.tombstones.insert(group, owner);
        let others = || dissolved.recipients(false, Some(owner), None);
        let mut done = self.signal(Kind::Kick, owner, group, others());
        done.signals.extend(self.signal(Kind::Purge, owner, group, others()).signals);
        Done { dissolved: Some(dissolved), ..done }
    }

    fn unlist(&mut self, user: u64, group: u64) {
        if let Some(groups) = self.groups_of.get_mut(&user) {
            groups.remove(&group);
            if groups.is_empty() {
                self.groups_of.remove(&user);
            }
        }
    }

    fn signal(&mut self, kind: Kind, from: u64, group: u64, recipients: Recipients) -> Done {
        let key = self.next_key;
        self.next_key += 1;
        let signal = Signal { key, kind, from, group, recipients, message: None };
        Done { signals: vec![signal], dissolved: None }
    }
}

impl Peer for Handwritten {
    type Output = Result<Done, u16>;

    fn run(&mut self, step: Step) -> Self::Output {
        self.now += 1;
        match step {
            Step::Create { owner, group } => self.create(owner, group),
            Step::Join { user, group } => self.join(user, group),
            Step::Leave { user, group } => self.leave(user, group),
            Step::Kick { by, group, user } => self.kick(by, group, user),
            Step::Post { author, group } => self.post(author, group),
        }
    }

    fn one_in(&self) -> u64 {
        if self.copies { 100 } else { 1 }
    }

    fn answer(output: &Self::Output) -> Answer {
        let done = output.as_ref().map_err(|code| *code)?;
        let summaries = done.signals.iter().map(|signal| SignalSummary {
            kind: signal.kind,
            from: signal.from,
            recipients: signal.recipients.count() as u64,
        });
        Ok(summaries.collect())
    }

    fn dissolved_members(output: &Self::Output) -> Vec<u64> {
        let dissolved = output.as_ref().ok().and_then(|done| done.dissolved.as_ref());
        dissolved.map_or(Vec::new(), |group| sorted(group.members.keys()))
    }

    fn is_large(output: &Self::Output) -> bool {
        output.as_ref().is_ok_and(|done| done.dissolved.is_some())
    }

    fn members(&mut self, group: u64) -> Vec<u64> {
        self.groups.get(&group).map_or(Vec::new(), |group| sorted(group.members.keys()))
    }

    fn entries(&mut self, group: u64) -> u64 {
        self.groups.get(&group).map_or(0, |group| group.log.len() as u64)
    }

    fn groups_of(&mut self, user: u64) -> Vec<u64> {
        self.groups_of.get(&user).map_or(Vec::new(), sorted)
    }

    /// Copies no recipients, because the outputs are dropped.
    fn fill(&mut self, steps: &mut dyn Iterator<Item = Step>) {
        let copies = std::mem::replace(&mut self.copies, false);
        for step in steps {
            drop(self.run(step));
        }
        self.copies = copies;
    }
}

fn sorted<'a>(ids: impl IntoIterator<Item = &'a u64>) -> Vec<u64> {
    let mut ids: Vec<u64> = ids.into_iter().copied().collect();
    ids.sort_unstable();
    ids
}
