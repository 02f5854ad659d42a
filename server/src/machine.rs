//! The replicated state machine: the engine, and what is needed to carry out each request once.
//!
//! Machines that apply the same changes in the same order are equal, and equal machines give equal bytes.

use disband::{Config, ForgottenCells, Operation, Reply, Timestamp};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Caused, Done, Value};
use crate::key::Key;
use crate::keys::{Fingerprint, KeyRefusal, Keys, KeysData, Known};
use crate::name::Name;
use crate::requests::{RequestId, Requests, Seen, Window};
use crate::types::{Command, Engine, Refusal, Signal};

/// The machine's time goes back only if it would go back by more than this many milliseconds. Less is
/// the difference between the clocks of two leaders.
const CORRECTION_MS: u64 = 10_000;

/// A change of the machine: the content of one log entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Carry out these requests, in this order.
    Batch {
        /// The time by the clock of the leader that proposes them.
        at: Timestamp,
        requests: Vec<Request>,
    },
    /// Replace the engine's configuration.
    Configure(Box<Config>),
}

/// A request to carry out a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    /// The client's own key of the command.
    pub(crate) key: Option<Key>,
    pub(crate) content: Content,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Content {
    Command(Command),
    /// A command with a long text that the leader knows to be refused: without the text.
    Refused(Box<Refused>),
}

/// A command that is refused, without its text. Applying it charges the rate limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) user: Name,
    pub(crate) group: Option<Name>,
    pub(crate) operation: Operation,
    pub(crate) refusal: Refusal,
    /// The fingerprint of the whole command, if it has a key.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It is too old to tell whether it was carried out before.
    TooOld,
    /// Because of its key.
    Key(KeyRefusal),
}

/// The result of a request.
pub(crate) type Response = Result<Answer, NotDone>;

/// What applying a change leads to.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The responses, in order. A request that was carried out before has none: its node has it already.
    pub(crate) responses: Vec<(RequestId, Response)>,
    /// The signals to deliver, in order.
    pub(crate) signals: Vec<Signal>,
    /// Values that take long to free.
    pub(crate) garbage: Vec<Garbage>,
}

/// A value that takes long to free.
#[derive(Debug)]
#[expect(dead_code, reason = "it is only dropped")]
pub(crate) enum Garbage {
    /// A group that ended.
    Group(Reply<Name, Name>),
    /// Rate cells that were forgotten.
    Cells(Box<ForgottenCells<Name, Name>>),
}

/// The state machine. A clone is O(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    engine: Engine,
    requests: Requests,
    keys: Keys,
    now: Timestamp,
    /// How often the machine's time was set back.
    corrections: u64,
}

/// The machine as it is serialised.
#[derive(Serialize, Deserialize)]
struct MachineData {
    engine: Engine,
    requests: Vec<(u64, Window)>,
    keys: KeysData,
    now: Timestamp,
    corrections: u64,
}

/// Why bytes are not those of a machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The bytes cannot be decoded, or the engine's own checks refuse them.
    #[error("the state cannot be decoded: {0}")]
    Undecodable(#[from] postcard::Error),
    /// There are more bytes than the machine has.
    #[error("{0} bytes after the state")]
    TrailingBytes(usize),
    /// The serial numbers of requests, or the answers to keys, are not those of a machine.
    #[error("the {0} in the state are not valid")]
    NotValid(&'static str),
}

impl Machine {
    /// An empty machine of the cluster with this id. The id is the instance number of its engine.
    pub(crate) fn new(cluster: u64) -> Machine {
        Machine {
            engine: Engine::new(Config { instance: cluster, ..Config::default() }),
            requests: Requests::default(),
            keys: Keys::default(),
            now: Timestamp(0),
            corrections: 0,
        }
    }

    /// The engine, for reads.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How often the machine's time was set back.
    pub(crate) fn corrections(&self) -> u64 {
        self.corrections
    }

    /// How many answers are kept for keys.
    pub(crate) fn kept_answers(&self) -> usize {
        self.keys.len()
    }

    /// What is known of a client's key at the machine's time `now`.
    pub(crate) fn look_up(
        &self,
        user: &Name,
        key: &Key,
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Known {
        self.keys.look_up(&(user.clone(), key.clone()), fingerprint, now)
    }

    /// The machine's time for a change that is proposed at this time of a leader's clock.
    pub(crate) fn time_for(&self, at: Timestamp) -> Timestamp {
        let back = self.now.since(at);
        if back == 0 || back > CORRECTION_MS { at } else { self.now }
    }

    /// Applies a change. Costs what the engine takes for the commands, and O(log answers) for each that
    /// has a key.
    pub(crate) fn apply(&mut self, change: Change) -> Effects {
        let mut effects = Effects::default();
        match change {
            Change::Batch { at, requests } => {
                self.set_time(at);
                self.keys.tidy(self.now);
                for request in requests {
                    self.carry_out(request, &mut effects);
                }
            }
            // The instance number never differs: the leader takes it from its machine.
            Change::Configure(config) => {
                if let Ok(cells) = self.engine.set_config(*config) {
                    effects.garbage.push(Garbage::Cells(Box::new(cells)));
                }
            }
        }
        effects
    }

    fn set_time(&mut self, at: Timestamp) {
        let now = self.time_for(at);
        if now < self.now {
            self.corrections += 1;
            self.keys.correct(now);
        }
        self.now = now;
    }

    fn carry_out(&mut self, request: Request, effects: &mut Effects) {
        let Request { id, key, content } = request;
        let response = match self.requests.begin(id) {
            Seen::Repeated => return,
            Seen::TooOld => Err(NotDone::TooOld),
            Seen::New => match key {
                None => Ok(self.execute(content, effects)),
                Some(key) => self.execute_once(key, content, effects),
            },
        };
        effects.responses.push((id, response));
    }

    /// Carries out a request with a key, unless it was carried out before.
    fn execute_once(&mut self, key: Key, content: Content, effects: &mut Effects) -> Response {
        self.keys.tidy(self.now);
        let fingerprint = content.fingerprint();
        let place = (content.user().clone(), key);
        match self.keys.look_up(&place, &fingerprint, self.now) {
            Known::Answered(answer) => return Ok(answer),
            Known::Refused(refusal) => return Err(NotDone::Key(refusal)),
            Known::New => {}
        }
        let answer = self.execute(content, effects);
        // A command that came too fast did nothing. It may be sent again, with the same key.
        if !matches!(answer.result, Err(Refusal::TooFast { .. })) {
            self.keys.keep(place, fingerprint, answer.clone(), self.now);
        }
        Ok(answer)
    }

    fn execute(&mut self, content: Content, effects: &mut Effects) -> Answer {
        let result = match content {
            Content::Command(command) => self.engine.apply(command, self.now).map(|outcome| {
                let caused = outcome.signals.iter().map(Caused::from).collect();
                let value = Value::from(&outcome.value);
                effects.signals.extend(outcome.signals);
                if holds_group(&outcome.value) {
                    effects.garbage.push(Garbage::Group(outcome.value));
                }
                Done { value, caused }
            }),
            Content::Refused(refused) => {
                let Refused { user, group, operation, refusal, .. } = *refused;
                let charged = self.engine.charge(operation, &user, group.as_ref(), self.now);
                Err(charged.err().unwrap_or(refusal))
            }
        };
        Answer { at: self.now, result }
    }

    /// Serialises the machine. Equal machines give equal bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let data = MachineData {
            engine: self.engine.clone(),
            requests: self.requests.iter().map(|(node, window)| (node, window.clone())).collect(),
            keys: self.keys.to_data(),
            now: self.now,
            corrections: self.corrections,
        };
        postcard::to_stdvec(&data).expect("writing to memory cannot fail")
    }

    /// Reads a machine from its bytes, and verifies it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Machine, MachineError> {
        let (data, rest) = postcard::take_from_bytes(bytes)?;
        if !rest.is_empty() {
            return Err(MachineError::TrailingBytes(rest.len()));
        }
        let MachineData { engine, requests, keys, now, corrections } = data;
        let requests = Requests::from_parts(requests).ok_or(MachineError::NotValid("requests"))?;
        let keys = Keys::from_data(keys).ok_or(MachineError::NotValid("answers"))?;
        Ok(Machine { engine, requests, keys, now, corrections })
    }
}

/// Whether a reply holds the members and the log of a group that ended.
fn holds_group(reply: &Reply<Name, Name>) -> bool {
    match reply {
        Reply::Dissolved(_) | Reply::Departed(disband::Departure::Dissolved(_)) => true,
        Reply::LeftAll(groups) => !groups.is_empty(),
        _ => false,
    }
}

impl Content {
    /// The user whose command it is.
    fn user(&self) -> &Name {
        match self {
            Content::Command(command) => command.actor(),
            Content::Refused(refused) => &refused.user,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        match self {
            Content::Command(command) => fingerprint(command),
            Content::Refused(refused) => refused.fingerprint.unwrap_or_default(),
        }
    }
}

/// A hash of a command, to recognise it when it is sent again.
pub(crate) fn fingerprint(command: &Command) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    postcard::to_io(command, &mut hasher).expect("writing to a hasher cannot fail");
    let mut fingerprint = Fingerprint::default();
    hasher.finalize_xof().fill(&mut fingerprint);
    fingerprint
}

impl Change {
    /// The change as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("writing to memory cannot fail")
    }

    /// The change from its bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Change, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests;
