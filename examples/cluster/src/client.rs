//! A client of the cluster: sends each command again until there is an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use disband::{Command, GroupId, UserId};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::machine::{Answer, SessionId};
use crate::slots::{Shard, shard_of};
use crate::wire::{
    self, Connection, Consistency, Digest, GroupState, Request, Response, ShardRequest,
};

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait before the next attempt, if the replica did not name another leader.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No replica answered in time. It is not known whether the command was or will be carried out.
    #[error("no answer in time: it is not known whether the command was carried out")]
    NoAnswer,
    /// The replica refused the request. The request was not and will not be carried out.
    #[error("refused: {0}")]
    Refused(String),
}

/// A client: it has a session in each shard that it uses, and sends one command at a time.
#[derive(Debug)]
pub struct Client {
    connections: BTreeMap<u64, Connection>,
    shards: Shard,
    /// The session in each shard, and the serial number of its last answered command.
    sessions: BTreeMap<Shard, (SessionId, u64)>,
    /// The presumed leader of each shard.
    leaders: BTreeMap<Shard, u64>,
    /// How long a call tries to get an answer, before it fails.
    pub timeout: Duration,
}

impl Client {
    /// A client of the cluster with these replicas and this many shards.
    #[must_use]
    pub fn new(replicas: &BTreeMap<u64, String>, shards: Shard) -> Self {
        let connection = |(id, address): (&u64, &String)| (*id, Connection::new(address));
        Client {
            connections: replicas.iter().map(connection).collect(),
            shards,
            sessions: BTreeMap::new(),
            leaders: BTreeMap::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Carries out a command on one group exactly once, even if it has to be sent several times.
    ///
    /// # Errors
    /// No answer came in time; it then stays unknown whether the command was carried out, and the
    /// next command opens a new session. Or the command was refused: it is too long, it does not
    /// name one group, or this client is configured with another number of shards than the
    /// replicas.
    pub async fn send(&mut self, command: Command<UserId, GroupId>) -> Result<Answer, ClientError> {
        let Some(group) = command.group() else {
            return Err(ClientError::Refused("the command does not name one group".into()));
        };
        self.send_to(shard_of(*group, self.shards), command).await
    }

    async fn send_to(
        &mut self,
        shard: Shard,
        command: Command<UserId, GroupId>,
    ) -> Result<Answer, ClientError> {
        let (session, serial) = match self.sessions.get(&shard) {
            Some(&(session, serial)) => (session, serial),
            None => match self.send_until_answered(shard, ShardRequest::Open).await? {
                Response::Answer(Answer::Opened(session)) => (session, 0),
                _ => return Err(ClientError::NoAnswer),
            },
        };
        let serial = serial + 1;
        // If there is no answer, this session cannot be used any more. The command may still be
        // carried out, so another command must not use its serial. And the next serial cannot be
        // used until this one is answered.
        self.sessions.remove(&shard);
        match self.send_until_answered(shard, ShardRequest::Do { session, serial, command }).await?
        {
            Response::Answer(answer) => {
                if answer != Answer::NoSession {
                    self.sessions.insert(shard, (session, serial));
                }
                Ok(answer)
            }
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// Makes a user leave every group, when their account is deleted. Sends one command to each
    /// shard, in order. After an error it can be called again: where it was already carried out, it
    /// does nothing.
    ///
    /// # Errors
    /// A shard did not answer in time. The shards before it have carried out the command.
    pub async fn leave_all(&mut self, user: UserId) -> Result<Vec<Answer>, ClientError> {
        let mut answers = Vec::new();
        for shard in 0..self.shards {
            answers.push(self.send_to(shard, Command::LeaveAll { user }).await?);
        }
        Ok(answers)
    }

    /// The groups that a user is in, in all shards. Each shard's groups are as of the moment when
    /// its leader answered, so this is not one consistent view.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn groups_of(&mut self, user: UserId) -> Result<Vec<GroupId>, ClientError> {
        let mut groups = Vec::new();
        for shard in 0..self.shards {
            match self.send_until_answered(shard, ShardRequest::Groups { user }).await? {
                Response::Groups(more) => groups.extend(more),
                _ => return Err(ClientError::NoAnswer),
            }
        }
        groups.sort_unstable();
        Ok(groups)
    }

    /// The groups that a user is in, from one process's index. One request, for any number of
    /// shards. The result may be out of date.
    ///
    /// # Errors
    /// The process did not answer, or has not read all shards yet.
    pub async fn indexed_groups(
        &self,
        replica: u64,
        user: UserId,
    ) -> Result<Vec<GroupId>, ClientError> {
        match self.request(replica, &Request::IndexedGroups { user }).await? {
            Response::Groups(groups) => Ok(groups),
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// Subscribes to a user's signals in one shard at one replica, from now on.
    ///
    /// # Errors
    /// The replica cannot be reached, or does not have the shard.
    pub async fn subscribe(
        &self,
        replica: u64,
        shard: Shard,
        user: UserId,
    ) -> Result<Subscription, ClientError> {
        let connection = self.connections.get(&replica).ok_or(ClientError::NoAnswer)?;
        let request = Request::Subscribe { shard, user };
        match timeout(ATTEMPT_TIMEOUT, connection.request_on_new_connection(&request)).await {
            Ok(Ok((stream, Response::Subscribed))) => Ok(Subscription { stream }),
            Ok(Ok((_, Response::Refused(why)))) => Err(ClientError::Refused(why)),
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// Reads a group from the leader: a linearisable read.
    ///
    /// # Errors
    /// No answer came in time, or the request was refused.
    pub async fn read(&mut self, group: GroupId) -> Result<Option<GroupState>, ClientError> {
        let shard = shard_of(group, self.shards);
        let request = ShardRequest::Read { group, consistency: Consistency::Linearizable };
        match self.send_until_answered(shard, request).await? {
            Response::Group(state) => Ok(state),
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// Reads a group from one replica. The result may be out of date.
    ///
    /// # Errors
    /// The replica did not answer, or refused the request.
    pub async fn read_local(
        &self,
        replica: u64,
        group: GroupId,
    ) -> Result<Option<GroupState>, ClientError> {
        let shard = shard_of(group, self.shards);
        let request = ShardRequest::Read { group, consistency: Consistency::Local };
        match self.request(replica, &Request::Shard(shard, request)).await? {
            Response::Group(state) => Ok(state),
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// Returns the digest of one replica's state.
    ///
    /// # Errors
    /// The replica did not answer, or refused the request.
    pub async fn digest(&self, replica: u64, shard: Shard) -> Result<Digest, ClientError> {
        match self.request(replica, &Request::Shard(shard, ShardRequest::Digest)).await? {
            Response::Digest(digest) => Ok(digest),
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// Makes a replica take a snapshot in the background.
    ///
    /// # Errors
    /// The replica did not answer, or refused the request.
    pub async fn take_snapshot(&self, replica: u64, shard: Shard) -> Result<(), ClientError> {
        match self.request(replica, &Request::Shard(shard, ShardRequest::Snapshot)).await? {
            Response::SnapshotStarted => Ok(()),
            _ => Err(ClientError::NoAnswer),
        }
    }

    /// The leader of a shard.
    ///
    /// # Errors
    /// No leader answered in time.
    pub async fn leader(&mut self, shard: Shard) -> Result<u64, ClientError> {
        // Only the leader can answer this read. It is then in `leaders`.
        self.send_until_answered(shard, ShardRequest::Groups { user: UserId(0) }).await?;
        self.leaders.get(&shard).copied().ok_or(ClientError::NoAnswer)
    }

    /// Waits until all replicas have equal states, and returns their digest.
    ///
    /// # Errors
    /// Their states were not equal in time.
    pub async fn agreement(&mut self, shard: Shard) -> Result<Digest, ClientError> {
        let replicas: Vec<u64> = self.connections.keys().copied().collect();
        self.agreement_of(&replicas, shard).await
    }

    /// Waits until these replicas have equal states, and returns their digest.
    ///
    /// # Errors
    /// Their states were not equal in time.
    pub async fn agreement_of(
        &mut self,
        replicas: &[u64],
        shard: Shard,
    ) -> Result<Digest, ClientError> {
        let end = Instant::now() + self.timeout;
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
            sleep(RETRY_DELAY).await;
        }
        Err(ClientError::NoAnswer)
    }

    /// Sends a request to one replica: one attempt of at most [`ATTEMPT_TIMEOUT`].
    async fn request(&self, replica: u64, request: &Request) -> Result<Response, ClientError> {
        let connection = self.connections.get(&replica).ok_or(ClientError::NoAnswer)?;
        match connection.request(request, ATTEMPT_TIMEOUT).await {
            Ok(Response::Refused(why)) => Err(ClientError::Refused(why)),
            Ok(response) => Ok(response),
            Err(_) => Err(ClientError::NoAnswer),
        }
    }

    /// Sends a request to the presumed leader, or to each replica in turn, until there is an
    /// answer. After a time-out or a change of leader, it is not known whether the request was
    /// carried out, so the same request is sent again.
    async fn send_until_answered(
        &mut self,
        shard: Shard,
        request: ShardRequest,
    ) -> Result<Response, ClientError> {
        let request = Request::Shard(shard, request);
        let end = Instant::now() + self.timeout;
        let replicas: Vec<u64> = self.connections.keys().copied().collect();
        let mut others = replicas.iter().copied().cycle();
        while Instant::now() < end {
            let replica = match self.leaders.get(&shard) {
                Some(leader) => *leader,
                None => others.next().ok_or(ClientError::NoAnswer)?,
            };
            match self.request(replica, &request).await {
                Ok(Response::NotLeader(Some(leader))) if leader != replica => {
                    self.leaders.insert(shard, leader);
                }
                Err(refused @ ClientError::Refused(_)) => return Err(refused),
                Ok(Response::NotLeader(_) | Response::Unknown(_)) | Err(ClientError::NoAnswer) => {
                    self.leaders.remove(&shard);
                    sleep(RETRY_DELAY).await;
                }
                Ok(answer) => {
                    self.leaders.insert(shard, replica);
                    return Ok(answer);
                }
            }
        }
        Err(ClientError::NoAnswer)
    }
}

/// A stream of signals. When it ends, for any reason, signals may have been lost. Then subscribe
/// again, at this or another replica, and **after that** read the state. In the other order,
/// signals between the two steps would be lost. A signal that is sent again has the same key as
/// before.
///
/// The state contains the effects of all signals up to its version, so drop them. Signals about
/// messages repeat the version of the signal before them: drop a new message if its `seq` is below
/// the state's `next_seq`.
#[derive(Debug)]
pub struct Subscription {
    stream: TcpStream,
}

impl Subscription {
    /// The next signal with its group's version, as JSON in the form of [`disband::wire`]; `None`
    /// at the end.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        match wire::receive(&mut self.stream).await {
            Ok(Some(Response::Signal(text))) => Some(text),
            _ => None,
        }
    }
}
