//! The replicated state machine: the engine, and the clients' sessions.
//!
//! A client that got no answer sends its command again, perhaps to another leader, although the
//! command may have been carried out already. So each client has a session, and each of its
//! commands has a serial number. A command that arrives again gets its first answer again and
//! changes nothing. This is section 6.3 of Ongaro's thesis on Raft.

use std::sync::Arc;

use disband::{Command, Config, Engine, GroupId, Reply, Timestamp, UserId, wire};
use im::OrdMap;
use serde::{Deserialize, Serialize};

use crate::events::ShardEvent;

/// How many sessions are remembered. A new session beyond that replaces the least recently used
/// one, whose client then gets [`Answer::NoSession`].
const MAX_SESSIONS: usize = 100_000;

/// Identifies a session: one client's numbered sequence of commands in one shard.
pub type SessionId = u64;

/// What a leader puts into the replicated log for a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Proposal {
    /// Begin a session.
    Open,
    /// Carry out a command.
    Do {
        /// The time, by the clock of the leader that proposed it. The machine's time never goes
        /// back, even if this does.
        at: Timestamp,
        /// The session that the command belongs to.
        session: SessionId,
        /// The number of the command in its session, counted from 1. A client sends the next
        /// command only when it has the answer to the one before.
        serial: u64,
        /// The command.
        command: Command<UserId, GroupId>,
    },
}

/// The result of a proposal. A refusal by the engine is an answer like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A session has begun.
    Opened(SessionId),
    /// The engine carried out or refused the command. This is its reply, in the form of
    /// [`disband::wire`].
    Done {
        /// The reply's status code.
        code: u16,
        /// The reply as JSON.
        body: Arc<str>,
    },
    /// The session never existed or was forgotten. It is not known whether the command was carried
    /// out earlier.
    NoSession,
    /// The serial was already used for another command.
    SerialReused,
    /// The session has already answered a later command, so the answer to this one is no longer
    /// stored. Or the serial is 0.
    SerialPast,
    /// An earlier command of the session has not arrived yet.
    SerialAhead,
}

/// The engine and the sessions. A clone is O(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    engine: Engine,
    sessions: OrdMap<SessionId, Session>,
    /// The sessions by their last use, the least recently used one first.
    by_use: OrdMap<u64, SessionId>,
    /// How many times sessions have been used, all together.
    uses: u64,
    now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    serial: u64,
    /// A hash of the last command, to recognise it when it is sent again.
    fingerprint: [u8; 16],
    answer: Answer,
    used: u64,
}

/// The machine as it is serialised.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineData {
    engine: Engine,
    sessions: Vec<(SessionId, Session)>,
    uses: u64,
    now: Timestamp,
}

/// The effects of one proposal.
#[derive(Debug)]
pub struct Step {
    /// The answer for the client.
    pub answer: Answer,
    /// The events to publish. None if the command was a repetition.
    pub events: Vec<ShardEvent>,
    /// The contents of a dissolved group, to be freed on another thread.
    pub to_free: Option<Box<Reply<UserId, GroupId>>>,
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Step { answer, events: Vec::new(), to_free: None }
    }
}

impl Machine {
    /// An empty machine.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Machine {
            engine: Engine::new(config),
            sessions: OrdMap::new(),
            by_use: OrdMap::new(),
            uses: 0,
            now: Timestamp(0),
        }
    }

    /// The engine, for reads.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Carries out a proposal. Costs what the engine takes for the command, plus O(log sessions).
    pub fn apply(&mut self, proposal: Proposal) -> Step {
        match proposal {
            Proposal::Open => self.open().into(),
            Proposal::Do { at, session, serial, command } => {
                self.execute(at, session, serial, command)
            }
        }
    }

    fn open(&mut self) -> Answer {
        if self.sessions.len() >= MAX_SESSIONS
            && let Some((oldest, id)) = self.by_use.get_min().cloned()
        {
            self.by_use.remove(&oldest);
            self.sessions.remove(&id);
        }
        self.uses += 1;
        // Each use has its own number, so the number of a session's first use can be its id.
        let (id, used) = (self.uses, self.uses);
        let answer = Answer::Opened(id);
        let session = Session { serial: 0, fingerprint: [0; 16], answer: answer.clone(), used };
        self.sessions.insert(id, session);
        self.by_use.insert(used, id);
        answer
    }

    fn execute(
        &mut self,
        at: Timestamp,
        id: SessionId,
        serial: u64,
        command: Command<UserId, GroupId>,
    ) -> Step {
        let Some(session) = self.sessions.get(&id) else { return Answer::NoSession.into() };
        let fingerprint = fingerprint(&command);
        if serial == session.serial && serial > 0 {
            let same = session.fingerprint == fingerprint;
            return if same { session.answer.clone() } else { Answer::SerialReused }.into();
        }
        if serial <= session.serial {
            return Answer::SerialPast.into();
        }
        if serial > session.serial.saturating_add(1) {
            return Answer::SerialAhead.into();
        }
        self.now = self.now.max(at);
        let group = command.group().copied();
        let result = self.engine.apply(command, self.now);
        let reply = wire::reply(&result, self.now);
        let body = serde_json::to_string(&reply)
            .expect("a reply has only string keys and no floats, so it is valid JSON");
        let answer = Answer::Done { code: reply.code(), body: body.into() };
        self.by_use.remove(&session.used);
        self.uses += 1;
        let used = self.uses;
        self.by_use.insert(used, id);
        self.sessions.insert(id, Session { serial, fingerprint, answer: answer.clone(), used });
        let Ok(outcome) = result else { return answer.into() };
        let mut events: Vec<_> = outcome.signals.into_iter().map(ShardEvent::Signal).collect();
        if let (Some(group), Reply::Created(_)) = (group, &outcome.value) {
            events.push(ShardEvent::GroupCreated(group));
        }
        let to_free = events.iter().any(ShardEvent::ends_group).then(|| Box::new(outcome.value));
        Step { answer, events, to_free }
    }

    /// Serialises the machine. Equal machines give equal bytes.
    ///
    /// # Errors
    /// The serialiser failed. This does not happen unless there is a bug.
    pub fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        let sessions = self.sessions.iter().map(|(id, session)| (*id, session.clone()));
        postcard::to_stdvec(&MachineData {
            engine: self.engine.clone(),
            sessions: sessions.collect(),
            uses: self.uses,
            now: self.now,
        })
    }

    /// Reads a machine from its bytes, and verifies it.
    ///
    /// # Errors
    /// The bytes are not those of a valid machine.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let (written, rest) = postcard::take_from_bytes(bytes)?;
        if !rest.is_empty() {
            return Err(ReadError::TrailingBytes(rest.len()));
        }
        let MachineData { engine, sessions, uses, now } = written;
        let mut by_use = OrdMap::new();
        let mut before = 0;
        for (id, session) in &sessions {
            // A session's id is the number of its first use, and no two uses have the same number.
            let named = before < *id && *id <= session.used && session.used <= uses;
            if !named || by_use.insert(session.used, *id).is_some() {
                return Err(ReadError::Session(*id));
            }
            before = *id;
        }
        if sessions.len() > MAX_SESSIONS {
            return Err(ReadError::Sessions(sessions.len()));
        }
        Ok(Machine { engine, sessions: sessions.into_iter().collect(), by_use, uses, now })
    }
}

/// Why bytes are not those of a valid machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes cannot be decoded, or the engine's own checks refuse them.
    #[error("{0}")]
    Undecodable(#[from] postcard::Error),
    /// There are this many extra bytes at the end.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// This session is out of order, or its last use is impossible: before its first use, the same
    /// as another session's, or in the future.
    #[error("session {0} is out of order or has an impossible last use")]
    Session(SessionId),
    /// There are more sessions than a machine remembers.
    #[error("{0} sessions are too many")]
    Sessions(usize),
}

fn fingerprint(command: &Command<UserId, GroupId>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    postcard::to_io(command, &mut hasher).expect("writing to a hasher cannot fail");
    let mut fingerprint = [0; 16];
    hasher.finalize_xof().fill(&mut fingerprint);
    fingerprint
}

#[cfg(test)]
mod tests {
    use disband::Quotas;

    use super::*;

    const ALICE: UserId = UserId(1);
    const GROUP: GroupId = GroupId(7);

    fn create() -> Command<UserId, GroupId> {
        Command::Create { owner: ALICE, group: GROUP, options: None }
    }

    fn join(user: u64) -> Command<UserId, GroupId> {
        Command::Join { user: UserId(user), group: GROUP }
    }

    /// A stint is one unbroken membership of one user in one group. `None` means the current one.
    fn leave(user: UserId) -> Command<UserId, GroupId> {
        Command::Leave { user, group: GROUP, stint: None }
    }

    struct World {
        machine: Machine,
        session: SessionId,
    }

    impl World {
        fn new() -> World {
            let config = Config { quotas: Quotas::UNLIMITED, ..Config::default() };
            let mut machine = Machine::new(config);
            let Answer::Opened(session) = machine.apply(Proposal::Open).answer else { panic!() };
            World { machine, session }
        }

        fn send(&mut self, serial: u64, command: Command<UserId, GroupId>) -> Step {
            let session = self.session;
            self.machine.apply(Proposal::Do { at: Timestamp(1000), session, serial, command })
        }
    }

    #[test]
    fn a_repetition_gets_the_first_answer_and_does_nothing() {
        let mut world = World::new();
        world.send(1, create());
        world.send(2, join(2));
        let first = world.send(3, leave(ALICE));
        assert!(matches!(first.events[..], [ShardEvent::Signal(_), ShardEvent::Signal(_)]));
        assert!(first.to_free.is_some());
        let before = world.machine.clone();
        let again = world.send(3, leave(ALICE));
        assert_eq!(again.answer, first.answer);
        assert!(again.events.is_empty() && again.to_free.is_none());
        assert_eq!(world.machine, before);
    }

    #[test]
    fn creating_a_group_publishes_an_event() {
        let mut world = World::new();
        world.send(1, create());
        world.send(2, leave(ALICE));
        let other = Command::Create { owner: ALICE, group: GroupId(8), options: None };
        let step = world.send(3, other);
        assert!(matches!(step.events[..], [ShardEvent::GroupCreated(GroupId(8))]), "{step:?}");
        assert!(world.send(4, create()).events.is_empty(), "a refused command publishes no events");
    }

    #[test]
    fn a_repeated_command_that_was_refused_gets_the_same_refusal() {
        let mut world = World::new();
        let first = world.send(1, leave(ALICE));
        assert!(
            matches!(&first.answer, Answer::Done { code: 404, body } if body.contains("GRPS_404"))
        );
        // The command would succeed now, but its repetition still gets the first answer.
        let Answer::Opened(other) = world.machine.apply(Proposal::Open).answer else { panic!() };
        let mut others = World { machine: world.machine.clone(), session: other };
        others.send(1, create());
        world.machine = others.machine;
        assert_eq!(world.send(1, leave(ALICE)).answer, first.answer);
    }

    #[test]
    fn a_wrong_serial_or_session_is_an_error_and_changes_nothing() {
        let mut world = World::new();
        world.send(1, create());
        world.send(2, join(2));
        let before = world.machine.clone();
        for (serial, command, answer) in [
            (2, join(3), Answer::SerialReused),
            (1, create(), Answer::SerialPast),
            (0, create(), Answer::SerialPast),
            (4, join(3), Answer::SerialAhead),
        ] {
            assert_eq!(world.send(serial, command).answer, answer);
        }
        world.session = 99;
        assert_eq!(world.send(1, join(3)).answer, Answer::NoSession);
        assert_eq!(world.machine, before);
    }

    #[test]
    fn time_never_goes_back() {
        let mut world = World::new();
        world.send(1, create());
        let session = world.session;
        let command = leave(ALICE);
        world.machine.apply(Proposal::Do { at: Timestamp(1), session, serial: 2, command });
        let refusal = world.machine.engine.leave(ALICE, GROUP, Timestamp(2000)).unwrap_err();
        let gone = disband::Refusal::Dissolved {
            by: ALICE,
            at: Timestamp(1000),
            note: None,
            successor: None,
        };
        assert_eq!(refusal, gone);
    }

    #[test]
    fn the_least_recently_used_session_is_forgotten_first() {
        let mut world = World::new();
        world.send(1, create());
        for _ in 1..MAX_SESSIONS {
            world.machine.apply(Proposal::Open);
        }
        // Our session is the oldest, but this command uses it. The next `Open` then replaces the
        // second oldest session.
        world.send(2, join(2));
        world.machine.apply(Proposal::Open);
        assert_eq!(world.machine.sessions.len(), MAX_SESSIONS);
        assert!(matches!(world.send(3, join(3)).answer, Answer::Done { code: 200, .. }));
        assert_eq!(world.machine.by_use.len(), MAX_SESSIONS);
    }

    #[test]
    fn a_machine_read_from_its_bytes_is_identical() {
        let mut world = World::new();
        world.send(1, create());
        world.send(2, join(2));
        let bytes = world.machine.to_bytes().unwrap();
        let mut back = Machine::from_bytes(&bytes).unwrap();
        assert_eq!(back, world.machine);
        assert_eq!(back.to_bytes().unwrap(), bytes);
        let session = world.session;
        let next = Proposal::Do { at: Timestamp(2000), session, serial: 3, command: leave(ALICE) };
        assert_eq!(back.apply(next.clone()).answer, world.machine.apply(next).answer);
        assert_eq!(back.to_bytes().unwrap(), world.machine.to_bytes().unwrap());
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(Machine::from_bytes(&bytes[..cut]).is_err());
        }
        assert_eq!(
            Machine::from_bytes(&[&*bytes, &[0]].concat()),
            Err(ReadError::TrailingBytes(1))
        );
    }

    #[test]
    fn invalid_sessions_are_refused_with_their_id() {
        let config = Config::default();
        let read = |uses, sessions: &[(SessionId, u64)]| {
            let session = |&(id, used)| {
                let answer = Answer::Opened(id);
                (id, Session { serial: 0, fingerprint: [0; 16], answer, used })
            };
            let sessions = sessions.iter().map(session).collect();
            let engine = Engine::new(config);
            let written = MachineData { engine, sessions, uses, now: Timestamp(0) };
            Machine::from_bytes(&postcard::to_stdvec(&written).unwrap())
        };
        assert_eq!(read(4, &[(1, 4), (2, 3)]).unwrap().by_use.get_min(), Some(&(3, 2)));
        for (uses, sessions, wrong) in [
            (4, &[(2, 3), (1, 4)][..], 1),
            (4, &[(1, 3), (1, 4)], 1),
            (4, &[(1, 3), (2, 3)], 2),
            (4, &[(3, 2)], 3),
            (4, &[(0, 2)], 0),
            (4, &[(1, 5)], 1),
        ] {
            assert_eq!(read(uses, sessions), Err(ReadError::Session(wrong)));
        }
        let many = MAX_SESSIONS as u64 + 1;
        let sessions: Vec<_> = (1..=many).map(|id| (id, id)).collect();
        assert_eq!(read(many, &sessions), Err(ReadError::Sessions(MAX_SESSIONS + 1)));
    }
}
