//! One who sends commands, and does not let go before there is an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::machine::{Answer, SessionId};
use crate::wire::{self, Ask, Connection, Consistency, Digest, Request, Response, Seen, Shard};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before the next one, where nobody could say who leads.
const PAUSE: Duration = Duration::from_millis(20);

/// Over how many slots groups are spread. Shards take slots in turn, so that their number may once be
/// another without every group's having to move.
pub const SLOTS: u16 = 1024;

/// The slot of a group: the first two bytes of the BLAKE3 hash of its id's eight (little-endian, both),
/// modulo 1,024. Written down, as it must be the same everywhere and for good.
#[must_use]
pub fn slot(group: GroupId) -> u16 {
    let hash = blake3::hash(&group.0.to_le_bytes());
    let [low, high, ..] = *hash.as_bytes();
    u16::from_le_bytes([low, high]) % SLOTS
}

/// The shard that a group lives in.
#[must_use]
pub fn shard_of(group: GroupId, shards: Shard) -> Shard {
    slot(group) % shards
}

/// Nobody has answered in time. Whether the command was, or will be, carried out is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer in time: whether it was done is not known")]
pub struct Unanswered;

/// A client: a session in each shard that it uses, one command at a time.
#[derive(Debug)]
pub struct Client {
    connections: BTreeMap<u64, Connection>,
    shards: Shard,
    sessions: BTreeMap<Shard, (SessionId, u64)>,
    leaders: BTreeMap<Shard, u64>,
    /// How long to try.
    pub patience: Duration,
}

impl Client {
    /// Of a cluster with these replicas and so many shards.
    #[must_use]
    pub fn new(replicas: &BTreeMap<u64, String>, shards: Shard) -> Self {
        let connection = |(id, address): (&u64, &String)| (*id, Connection::new(address.clone()));
        Client {
            connections: replicas.iter().map(connection).collect(),
            shards,
            sessions: BTreeMap::new(),
            leaders: BTreeMap::new(),
            patience: Duration::from_secs(60),
        }
    }

    /// Carries out a command on one group, once, however often it has to be sent.
    ///
    /// # Errors
    /// No answer came in time. Whether it was done stays unknown: the next command begins a session of
    /// its own.
    pub async fn send(&mut self, command: Command<UserId, GroupId>) -> Result<Answer, Unanswered> {
        let shard = command.group().map_or(0, |group| shard_of(*group, self.shards));
        self.send_to(shard, command).await
    }

    /// Carries out a command in one shard: for those that are not of one group.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn send_to(
        &mut self,
        shard: Shard,
        command: Command<UserId, GroupId>,
    ) -> Result<Answer, Unanswered> {
        let (session, serial) = match self.sessions.get(&shard) {
            Some(&(session, serial)) => (session, serial),
            None => match self.until_answered(shard, Ask::Open).await? {
                Response::Answer(Answer::Opened(session)) => (session, 0),
                _ => return Err(Unanswered),
            },
        };
        let serial = serial + 1;
        // Should no answer come, the session is over: what was sent may yet be done or not, and no
        // other command can have its serial, nor the next one before it is known.
        self.sessions.remove(&shard);
        match self.until_answered(shard, Ask::Do { session, serial, command }).await? {
            Response::Answer(answer) => {
                if answer != Answer::NoSession {
                    self.sessions.insert(shard, (session, serial));
                }
                Ok(answer)
            }
            _ => Err(Unanswered),
        }
    }

    /// A user's account goes: they leave every group, shard by shard. One command each, so if no answer
    /// comes it can be asked again, and those that are done already do nothing.
    ///
    /// # Errors
    /// No answer came in time from one of the shards; those before it are done.
    pub async fn leave_all(&mut self, user: UserId) -> Result<Vec<Answer>, Unanswered> {
        let mut answers = Vec::new();
        for shard in 0..self.shards {
            answers.push(self.send_to(shard, Command::LeaveAll { user }).await?);
        }
        Ok(answers)
    }

    /// The groups that a user is in, of all shards: each shard's as of when its leader was asked.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn groups_of(&mut self, user: UserId) -> Result<Vec<GroupId>, Unanswered> {
        let mut groups = Vec::new();
        for shard in 0..self.shards {
            match self.until_answered(shard, Ask::Groups { user }).await? {
                Response::Groups(more) => groups.extend(more),
                _ => return Err(Unanswered),
            }
        }
        groups.sort_unstable();
        Ok(groups)
    }

    /// The same as one replica has heard: one question, whatever the number of shards. It may be late.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn groups_heard(
        &mut self,
        replica: u64,
        user: UserId,
    ) -> Result<Vec<GroupId>, Unanswered> {
        match self.ask(replica, &Request::GroupsHeard { user }).await {
            Some(Response::Groups(groups)) => Ok(groups),
            _ => Err(Unanswered),
        }
    }

    /// A user's signals in one shard as one replica has them, from now on.
    ///
    /// # Errors
    /// The replica can't be reached.
    pub async fn follow(
        &self,
        replica: u64,
        shard: Shard,
        user: UserId,
    ) -> Result<Follower, Unanswered> {
        let connection = self.connections.get(&replica).ok_or(Unanswered)?;
        let request = Request::Follow { shard, user };
        match timeout(PATIENCE, connection.open(&request)).await {
            Ok(Ok((stream, Response::Following))) => Ok(Follower { stream }),
            _ => Err(Unanswered),
        }
    }

    /// What is known of a group; by the leader, who makes sure that it still is.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn read(&mut self, group: GroupId) -> Result<Option<Seen>, Unanswered> {
        let shard = shard_of(group, self.shards);
        let ask = Ask::Read { group, consistency: Consistency::Linearizable };
        match self.until_answered(shard, ask).await? {
            Response::Seen(seen) => Ok(seen),
            _ => Err(Unanswered),
        }
    }

    /// What one replica knows of a group. It may be late.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn read_local(
        &mut self,
        replica: u64,
        group: GroupId,
    ) -> Result<Option<Seen>, Unanswered> {
        let shard = shard_of(group, self.shards);
        let ask = Ask::Read { group, consistency: Consistency::Local };
        match self.ask(replica, &Request::In(shard, ask)).await {
            Some(Response::Seen(seen)) => Ok(seen),
            _ => Err(Unanswered),
        }
    }

    /// What one replica holds.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn digest(&mut self, replica: u64, shard: Shard) -> Result<Digest, Unanswered> {
        match self.ask(replica, &Request::In(shard, Ask::Digest)).await {
            Some(Response::Digest(digest)) => Ok(digest),
            _ => Err(Unanswered),
        }
    }

    /// Has a replica take a snapshot, beside its work.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn compact(&mut self, replica: u64, shard: Shard) -> Result<(), Unanswered> {
        match self.ask(replica, &Request::In(shard, Ask::Compact)).await {
            Some(Response::Compacting) => Ok(()),
            _ => Err(Unanswered),
        }
    }

    /// Who leads a shard.
    ///
    /// # Errors
    /// Nobody says so in time.
    pub async fn leader(&mut self, shard: Shard) -> Result<u64, Unanswered> {
        // To read what is certain, it has to be asked.
        let nowhere = Ask::Read { group: GroupId(0), consistency: Consistency::Linearizable };
        self.until_answered(shard, nowhere).await?;
        self.leaders.get(&shard).copied().ok_or(Unanswered)
    }

    /// What all replicas hold, once they have applied the same.
    ///
    /// # Errors
    /// They don't come to hold the same in time.
    pub async fn agreement(&mut self, shard: Shard) -> Result<Digest, Unanswered> {
        let replicas: Vec<u64> = self.connections.keys().copied().collect();
        self.agreement_of(&replicas, shard).await
    }

    /// What these replicas hold, once they have applied the same.
    ///
    /// # Errors
    /// They don't come to hold the same in time.
    pub async fn agreement_of(
        &mut self,
        replicas: &[u64],
        shard: Shard,
    ) -> Result<Digest, Unanswered> {
        let end = Instant::now() + self.patience;
        while Instant::now() < end {
            let mut digests = Vec::new();
            for replica in replicas {
                digests.extend(self.digest(*replica, shard).await);
            }
            if digests.len() == replicas.len()
                && digests.windows(2).all(|pair| pair[0] == pair[1])
                && let Some(digest) = digests.pop()
            {
                return Ok(digest);
            }
            sleep(PAUSE).await;
        }
        Err(Unanswered)
    }

    async fn ask(&mut self, replica: u64, request: &Request) -> Option<Response> {
        self.connections.get_mut(&replica)?.ask(request, PATIENCE).await.ok()
    }

    /// Asks whoever leads, and whoever may, until there is an answer. A time-out says nothing of
    /// whether it was done, nor does a leader who is none any more: the same is sent again.
    async fn until_answered(&mut self, shard: Shard, ask: Ask) -> Result<Response, Unanswered> {
        let request = Request::In(shard, ask);
        let end = Instant::now() + self.patience;
        let replicas: Vec<u64> = self.connections.keys().copied().collect();
        let mut others = replicas.iter().copied().cycle();
        while Instant::now() < end {
            let replica = match self.leaders.get(&shard) {
                Some(leader) => *leader,
                None => others.next().ok_or(Unanswered)?,
            };
            match self.ask(replica, &request).await {
                Some(Response::Elsewhere(Some(leader))) if leader != replica => {
                    self.leaders.insert(shard, leader);
                }
                Some(Response::Elsewhere(_) | Response::Unknown(_)) | None => {
                    self.leaders.remove(&shard);
                    sleep(PAUSE).await;
                }
                Some(answer) => {
                    self.leaders.insert(shard, replica);
                    return Ok(answer);
                }
            }
        }
        Err(Unanswered)
    }
}

/// Signals as they come. At its end, whatever the cause, there may have been others: read the state, and
/// follow again, here or at another replica. A signal that comes again has the key that it had, and a
/// gap shows in the versions.
#[derive(Debug)]
pub struct Follower {
    stream: TcpStream,
}

impl Follower {
    /// The next one, as the wire has it, with its version; `None` at the end.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        match wire::receive(&mut self.stream).await {
            Ok(Some(Response::Signal(text))) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups would be looked for where they are not, were it another.
    #[test]
    fn the_slots_are_written_down() {
        let slots = [0, 1, 2, 6_228_482, u64::MAX].map(|id| slot(GroupId(id)));
        assert_eq!(slots, [113, 282, 490, 834, 371]);
    }

    #[test]
    fn shards_share_the_groups_evenly() {
        let mut counts = [0u32; 4];
        for id in 0..10_000 {
            counts[usize::from(shard_of(GroupId(id), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (2_300..2_700).contains(count)), "{counts:?}");
    }
}
