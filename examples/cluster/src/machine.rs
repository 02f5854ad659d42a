//! What is replicated: the engine, and the sessions of those who send commands.
//!
//! A client that got no answer sends its command again, perhaps to another leader, and the command
//! may have been carried out. So each client has a session, and each of its commands a serial number:
//! a command that comes again gets its first answer again and does nothing. This is section 6.3 of
//! Ongaro's thesis on Raft.

use std::sync::Arc;

use disband::{Command, Config, Engine, GroupId, Reply, Timestamp, UserId, wire};
use im::OrdMap;
use serde::{Deserialize, Serialize};

use crate::news::News;

/// How many sessions are remembered. Beyond it, the one that was used least lately is forgotten, and
/// its client is told so.
const SESSIONS: usize = 100_000;

/// One client's row of commands.
pub type SessionId = u64;

/// What goes through the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Proposal {
    /// Begin a session.
    Open,
    /// Carry out a command.
    Do {
        /// When, by the clock of whoever proposed it. It never goes back in the machine.
        at: Timestamp,
        /// Whose command it is.
        session: SessionId,
        /// Which of theirs, counted from 1: a client sends the next one when it has the answer to
        /// the last.
        serial: u64,
        /// What to do.
        command: Command<UserId, GroupId>,
    },
}

/// What comes of a proposal. A refusal is an answer like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A session has begun.
    Opened(SessionId),
    /// The command was carried out, or refused by the engine: the reply as the wire has it.
    Done {
        /// Its status.
        code: u16,
        /// As JSON.
        body: Arc<str>,
    },
    /// There is no such session, or no longer. Whether the command was ever carried out is not known.
    NoSession,
    /// The serial was used for another command.
    SerialReused,
    /// A later command of the session has been answered: this one is over, and so is its answer.
    SerialPast,
    /// A command of the session before this one has not come.
    SerialAhead,
}

/// The engine and its sessions. Cloning it is O(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    engine: Engine,
    sessions: OrdMap<SessionId, Session>,
    /// The sessions by when they were last used.
    by_use: OrdMap<u64, SessionId>,
    /// How often any session was used.
    uses: u64,
    now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    serial: u64,
    /// What the last command was, without keeping it.
    fingerprint: [u8; 16],
    answer: Answer,
    used: u64,
}

/// The machine as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    engine: Engine,
    sessions: Vec<(SessionId, Session)>,
    uses: u64,
    now: Timestamp,
}

/// What one proposal made happen.
#[derive(Debug)]
pub struct Step {
    /// What its proposer is told.
    pub answer: Answer,
    /// What is to be told of it. Nothing if it was a repetition.
    pub news: Vec<News>,
    /// What a dissolved group held, to be freed where it disturbs nobody.
    pub remains: Option<Box<Reply<UserId, GroupId>>>,
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Step { answer, news: Vec::new(), remains: None }
    }
}

impl Machine {
    /// With nothing in it.
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

    /// The engine, to read from.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Carries out a proposal: O(log of everything), and for `LeaveAll` so much for each of the user's
    /// groups.
    pub fn apply(&mut self, proposal: Proposal) -> Step {
        match proposal {
            Proposal::Open => self.open().into(),
            Proposal::Do { at, session, serial, command } => {
                self.execute(at, session, serial, command)
            }
        }
    }

    fn open(&mut self) -> Answer {
        if self.sessions.len() >= SESSIONS
            && let Some((oldest, id)) = self.by_use.get_min().cloned()
        {
            self.by_use.remove(&oldest);
            self.sessions.remove(&id);
        }
        self.uses += 1;
        // A use has a number of its own, so the first use of a session can be its name.
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
        let body = serde_json::to_string(&reply).expect("a reply has string keys and no floats");
        let answer = Answer::Done { code: reply.code(), body: body.into() };
        self.by_use.remove(&session.used);
        self.uses += 1;
        let used = self.uses;
        self.by_use.insert(used, id);
        self.sessions.insert(id, Session { serial, fingerprint, answer: answer.clone(), used });
        let Ok(outcome) = result else { return answer.into() };
        let mut news: Vec<_> = outcome.signals.into_iter().map(News::Signal).collect();
        if let (Some(group), Reply::Created(_)) = (group, &outcome.value) {
            news.push(News::Founded(group));
        }
        let remains = news.iter().any(News::is_end).then(|| Box::new(outcome.value));
        Step { answer, news, remains }
    }

    /// As bytes: equal machines give equal bytes.
    ///
    /// # Errors
    /// None that can be helped.
    pub fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        let sessions = self.sessions.iter().map(|(id, session)| (*id, session.clone()));
        postcard::to_stdvec(&Written {
            engine: self.engine.clone(),
            sessions: sessions.collect(),
            uses: self.uses,
            now: self.now,
        })
    }

    /// Back from bytes, verified.
    ///
    /// # Errors
    /// They are not a machine's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let (written, rest) = postcard::take_from_bytes(bytes)?;
        if !rest.is_empty() {
            return Err(ReadError::Longer(rest.len()));
        }
        let Written { engine, sessions, uses, now } = written;
        let mut by_use = OrdMap::new();
        let mut before = 0;
        for (id, session) in &sessions {
            // A session's name is its first use, and no two uses have one number.
            let named = before < *id && *id <= session.used && session.used <= uses;
            if !named || by_use.insert(session.used, *id).is_some() {
                return Err(ReadError::Session(*id));
            }
            before = *id;
        }
        if sessions.len() > SESSIONS {
            return Err(ReadError::Sessions(sessions.len()));
        }
        Ok(Machine { engine, sessions: sessions.into_iter().collect(), by_use, uses, now })
    }
}

/// Why bytes are not a machine's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They don't decode, or the engine's own reader refuses them.
    #[error("{0}")]
    Undecodable(#[from] postcard::Error),
    /// There are so many bytes more than there should be.
    #[error("{0} bytes too many")]
    Longer(usize),
    /// This session is out of order, or was used when another was, or is to be used.
    #[error("session {0} is out of order")]
    Session(SessionId),
    /// There are more sessions than are ever remembered.
    #[error("{0} sessions, which is too many")]
    Sessions(usize),
}

fn fingerprint(command: &Command<UserId, GroupId>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    postcard::to_io(command, &mut hasher).expect("a hasher takes whatever is written");
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
        assert!(matches!(first.news[..], [News::Signal(_), News::Signal(_)]));
        assert!(first.remains.is_some());
        let before = world.machine.clone();
        let again = world.send(3, leave(ALICE));
        assert_eq!(again.answer, first.answer);
        assert!(again.news.is_empty() && again.remains.is_none());
        assert_eq!(world.machine, before);
    }

    /// No signal says so, as nobody is there to hear it.
    #[test]
    fn a_founding_is_news() {
        let mut world = World::new();
        world.send(1, create());
        world.send(2, leave(ALICE));
        let other = Command::Create { owner: ALICE, group: GroupId(8), options: None };
        let step = world.send(3, other);
        assert!(matches!(step.news[..], [News::Founded(GroupId(8))]), "{step:?}");
        assert!(world.send(4, create()).news.is_empty(), "it was refused");
    }

    #[test]
    fn a_refusal_is_an_answer_and_is_repeated_too() {
        let mut world = World::new();
        let first = world.send(1, leave(ALICE));
        assert!(
            matches!(&first.answer, Answer::Done { code: 404, body } if body.contains("GRPS_404"))
        );
        // What has changed meanwhile changes nothing of it.
        let Answer::Opened(other) = world.machine.apply(Proposal::Open).answer else { panic!() };
        let mut others = World { machine: world.machine.clone(), session: other };
        others.send(1, create());
        world.machine = others.machine;
        assert_eq!(world.send(1, leave(ALICE)).answer, first.answer);
    }

    #[test]
    fn serials_go_up_by_one_and_mean_one_command() {
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
    fn the_session_that_was_used_least_lately_goes_first() {
        let mut world = World::new();
        world.send(1, create());
        for _ in 1..SESSIONS {
            world.machine.apply(Proposal::Open);
        }
        // Ours is the oldest but was used since; now the second oldest goes.
        world.send(2, join(2));
        world.machine.apply(Proposal::Open);
        assert_eq!(world.machine.sessions.len(), SESSIONS);
        assert!(matches!(world.send(3, join(3)).answer, Answer::Done { code: 200, .. }));
        assert_eq!(world.machine.by_use.len(), SESSIONS);
    }

    #[test]
    fn reads_back_as_it_was_written() {
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
        assert_eq!(Machine::from_bytes(&[&*bytes, &[0]].concat()), Err(ReadError::Longer(1)));
    }

    #[test]
    fn what_is_wrong_with_sessions_is_named() {
        let config = Config::default();
        let read = |uses, sessions: &[(SessionId, u64)]| {
            let session = |&(id, used)| {
                let answer = Answer::Opened(id);
                (id, Session { serial: 0, fingerprint: [0; 16], answer, used })
            };
            let sessions = sessions.iter().map(session).collect();
            let engine = Engine::new(config);
            let written = Written { engine, sessions, uses, now: Timestamp(0) };
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
        let many = SESSIONS as u64 + 1;
        let sessions: Vec<_> = (1..=many).map(|id| (id, id)).collect();
        assert_eq!(read(many, &sessions), Err(ReadError::Sessions(SESSIONS + 1)));
    }
}
