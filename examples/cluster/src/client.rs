//! One who sends commands, and does not let go before there is an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::machine::{Answer, SessionId};
use crate::slots::{Shard, shard_of};
use crate::wire::{self, Ask, Connection, Consistency, Digest, Request, Response, Seen};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before the next one, where nobody could say who leads.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody has answered in time, or can be reached. Whether the command was, or will be, carried out
    /// is not known.
    #[error("no answer in time: whether it was done is not known")]
    Late,
    /// It was turned away at the door. It was not carried out, and will not be.
    #[error("refused: {0}")]
    Refused(String),
}

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
        let connection = |(id, address): (&u64, &String)| (*id, Connection::new(address));
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
    /// its own. Or it was refused: because it is too long, or of no one group.
    pub async fn send(&mut self, command: Command<UserId, GroupId>) -> Result<Answer, Unanswered> {
        let Some(group) = command.group() else {
            return Err(Unanswered::Refused("it is of no one group".into()));
        };
        self.send_to(shard_of(*group, self.shards), command).await
    }

    async fn send_to(
        &mut self,
        shard: Shard,
        command: Command<UserId, GroupId>,
    ) -> Result<Answer, Unanswered> {
        let (session, serial) = match self.sessions.get(&shard) {
            Some(&(session, serial)) => (session, serial),
            None => match self.until_answered(shard, Ask::Open).await? {
                Response::Answer(Answer::Opened(session)) => (session, 0),
                _ => return Err(Unanswered::Late),
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
            _ => Err(Unanswered::Late),
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
                _ => return Err(Unanswered::Late),
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
        &self,
        replica: u64,
        user: UserId,
    ) -> Result<Vec<GroupId>, Unanswered> {
        match self.ask(replica, &Request::GroupsHeard { user }).await? {
            Response::Groups(groups) => Ok(groups),
            _ => Err(Unanswered::Late),
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
        let connection = self.connections.get(&replica).ok_or(Unanswered::Late)?;
        let request = Request::Follow { shard, user };
        match timeout(PATIENCE, connection.open(&request)).await {
            Ok(Ok((stream, Response::Following))) => Ok(Follower { stream }),
            Ok(Ok((_, Response::Refused(why)))) => Err(Unanswered::Refused(why)),
            _ => Err(Unanswered::Late),
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
            _ => Err(Unanswered::Late),
        }
    }

    /// What one replica knows of a group. It may be late.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn read_local(
        &self,
        replica: u64,
        group: GroupId,
    ) -> Result<Option<Seen>, Unanswered> {
        let shard = shard_of(group, self.shards);
        let ask = Ask::Read { group, consistency: Consistency::Local };
        match self.ask(replica, &Request::In(shard, ask)).await? {
            Response::Seen(seen) => Ok(seen),
            _ => Err(Unanswered::Late),
        }
    }

    /// What one replica holds.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn digest(&self, replica: u64, shard: Shard) -> Result<Digest, Unanswered> {
        match self.ask(replica, &Request::In(shard, Ask::Digest)).await? {
            Response::Digest(digest) => Ok(digest),
            _ => Err(Unanswered::Late),
        }
    }

    /// Has a replica take a snapshot, beside its work.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn compact(&self, replica: u64, shard: Shard) -> Result<(), Unanswered> {
        match self.ask(replica, &Request::In(shard, Ask::Compact)).await? {
            Response::Compacting => Ok(()),
            _ => Err(Unanswered::Late),
        }
    }

    /// Who leads a shard.
    ///
    /// # Errors
    /// Nobody says so in time.
    pub async fn leader(&mut self, shard: Shard) -> Result<u64, Unanswered> {
        // Who can answer this is it.
        self.until_answered(shard, Ask::Groups { user: UserId(0) }).await?;
        self.leaders.get(&shard).copied().ok_or(Unanswered::Late)
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
        Err(Unanswered::Late)
    }

    async fn ask(&self, replica: u64, request: &Request) -> Result<Response, Unanswered> {
        let connection = self.connections.get(&replica).ok_or(Unanswered::Late)?;
        match connection.ask(request, PATIENCE).await {
            Ok(Response::Refused(why)) => Err(Unanswered::Refused(why)),
            Ok(response) => Ok(response),
            Err(_) => Err(Unanswered::Late),
        }
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
                None => others.next().ok_or(Unanswered::Late)?,
            };
            match self.ask(replica, &request).await {
                Ok(Response::Elsewhere(Some(leader))) if leader != replica => {
                    self.leaders.insert(shard, leader);
                }
                Err(refused @ Unanswered::Refused(_)) => return Err(refused),
                Ok(Response::Elsewhere(_) | Response::Unknown(_)) | Err(Unanswered::Late) => {
                    self.leaders.remove(&shard);
                    sleep(PAUSE).await;
                }
                Ok(answer) => {
                    self.leaders.insert(shard, replica);
                    return Ok(answer);
                }
            }
        }
        Err(Unanswered::Late)
    }
}

/// Signals as they come. At its end, whatever the cause, there may be others that are not told: follow again,
/// here or at another replica, and **then** read the state; what comes at or below the version that was read
/// is in it. In the other order, what happens between the two would be missed. A signal that comes again has
/// the key that it had.
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
