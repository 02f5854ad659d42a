//! An engine whose ids are numbers or text.

use disband::{
    Command, Config, ConfigError, Engine, ForgottenCells, GroupId, Id, Refusal, Stats, Timestamp,
    UserId,
};
use serde::{Serialize, Serializer};

use crate::format::{Format, FormatError};
use crate::ids::{Ids, Text, each};
use crate::outcome::{AnyOutcome, Kept};
use crate::query::Query;

/// An [`Engine`] whose type of ids was chosen at run time. A clone is a snapshot and takes O(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyEngine {
    /// The ids are numbers.
    Numbers(Engine<UserId, GroupId>),
    /// The ids are text.
    Text(Engine<Text, Text>),
}

/// Rate cells that a change of the configuration returned, so that they can be freed elsewhere.
#[derive(Debug)]
pub enum ForgottenAny {
    /// The ids are numbers.
    Numbers(ForgottenCells<UserId, GroupId>),
    /// The ids are text.
    Text(ForgottenCells<Text, Text>),
}

impl AnyEngine {
    /// An engine without groups.
    #[must_use]
    pub fn new(ids: Ids, config: Config) -> Self {
        match ids {
            Ids::Numbers => AnyEngine::Numbers(Engine::new(config)),
            Ids::Text => AnyEngine::Text(Engine::new(config)),
        }
    }

    /// The type of its ids.
    #[must_use]
    pub fn ids(&self) -> Ids {
        match self {
            AnyEngine::Numbers(_) => Ids::Numbers,
            AnyEngine::Text(_) => Ids::Text,
        }
    }

    /// Reads a snapshot, which is a serialised engine, and verifies it. O(size).
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no snapshot with such ids, or if the snapshot breaks an invariant
    /// of the engine. A snapshot does not say the type of its ids: in JSON, ids of decimal digits can be
    /// read as either type.
    pub fn load(ids: Ids, snapshot: &[u8], format: Format) -> Result<Self, FormatError> {
        match ids {
            Ids::Numbers => format.decode(snapshot).map(AnyEngine::Numbers),
            Ids::Text => format.decode(snapshot).map(AnyEngine::Text),
        }
    }

    /// Carries out a [`Command`], see [`Engine::apply`].
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no command with ids of this engine's type. The engine is then
    /// unchanged. A refusal is an outcome, not an error.
    pub fn apply(
        &mut self,
        command: &[u8],
        format: Format,
        now: Timestamp,
    ) -> Result<AnyOutcome, FormatError> {
        Ok(match self {
            AnyEngine::Numbers(engine) => {
                AnyOutcome::Numbers(Kept::one(engine.apply(format.decode(command)?, now), now))
            }
            AnyEngine::Text(engine) => {
                AnyOutcome::Text(Kept::one(engine.apply(format.decode(command)?, now), now))
            }
        })
    }

    /// The outcome that [`apply`](Self::apply) would have, see [`Engine::preview`].
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn preview(
        &self,
        command: &[u8],
        format: Format,
        now: Timestamp,
    ) -> Result<AnyOutcome, FormatError> {
        self.clone().apply(command, format, now)
    }

    /// Carries out all of a list of [`Command`]s or none of them, see [`Engine::apply_all`].
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn apply_all(
        &mut self,
        commands: &[u8],
        format: Format,
        now: Timestamp,
    ) -> Result<AnyOutcome, FormatError> {
        Ok(match self {
            AnyEngine::Numbers(engine) => {
                let commands: Vec<_> = format.decode(commands)?;
                AnyOutcome::Numbers(Kept::batch(engine.apply_all(commands, now), now))
            }
            AnyEngine::Text(engine) => {
                let commands: Vec<_> = format.decode(commands)?;
                AnyOutcome::Text(Kept::batch(engine.apply_all(commands, now), now))
            }
        })
    }

    /// Charges the rate limit of a [`Command`] without carrying it out, see [`Engine::charge`]. Returns
    /// the earliest time at which it would not be too fast, if it is too fast.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn charge(
        &mut self,
        command: &[u8],
        format: Format,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, FormatError> {
        fn charge<U: Id, G: Id>(
            engine: &mut Engine<U, G>,
            command: &Command<U, G>,
            now: Timestamp,
        ) -> Option<Timestamp> {
            match engine.charge(command.operation(), command.actor(), command.group(), now) {
                Err(Refusal::TooFast { retry_at }) => Some(retry_at),
                _ => None,
            }
        }
        each!(self, AnyEngine(engine) => Ok(charge(engine, &format.decode(command)?, now)))
    }

    /// Reads what a [`Query`] asks for. The answer borrows the engine and is serialised in `format`
    /// or another one.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no query with ids of this engine's type.
    pub fn read(
        &self,
        query: &[u8],
        format: Format,
    ) -> Result<impl Serialize + use<'_>, FormatError> {
        Ok(match self {
            AnyEngine::Numbers(engine) => Answer::Numbers(engine, format.decode(query)?),
            AnyEngine::Text(engine) => Answer::Text(engine, format.decode(query)?),
        })
    }

    /// The sizes of the engine. O(1).
    #[must_use]
    pub fn stats(&self) -> Stats {
        each!(self, AnyEngine(engine) => engine.stats())
    }

    /// The configuration. O(1).
    #[must_use]
    pub fn config(&self) -> &Config {
        each!(self, AnyEngine(engine) => engine.config())
    }

    /// Replaces the configuration, see [`Engine::set_config`]. O(1).
    ///
    /// # Errors
    /// [`ConfigError`] if the instance number differs. Nothing is changed then.
    pub fn set_config(&mut self, config: Config) -> Result<ForgottenAny, ConfigError> {
        Ok(match self {
            AnyEngine::Numbers(engine) => ForgottenAny::Numbers(engine.set_config(config)?),
            AnyEngine::Text(engine) => ForgottenAny::Text(engine.set_config(config)?),
        })
    }

    /// Removes entries of dissolved groups from the index, see [`Engine::sweep`].
    /// O(budget · log N).
    pub fn sweep(&mut self, budget: usize) {
        each!(self, AnyEngine(engine) => engine.sweep(budget));
    }

    /// Verifies every invariant, see [`Engine::check`]. O(size).
    ///
    /// # Errors
    /// The violated invariant, as text. It would be a defect of disband.
    pub fn check(&self) -> Result<(), String> {
        each!(self, AnyEngine(engine) => engine.check().map_err(|violation| violation.to_string()))
    }
}

/// The snapshot: the same bytes as those of the [`Engine`].
impl Serialize for AnyEngine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        each!(self, AnyEngine(engine) => engine.serialize(serializer))
    }
}

/// A query with the engine that answers it.
enum Answer<'a> {
    Numbers(&'a Engine<UserId, GroupId>, Query<UserId, GroupId>),
    Text(&'a Engine<Text, Text>, Query<Text, Text>),
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Answer::Numbers(engine, query) => query.answer(engine, serializer),
            Answer::Text(engine, query) => query.answer(engine, serializer),
        }
    }
}
