//! The rows of the tables: who is measured, in which circumstances, and in which part of the report.

use clap::ValueEnum;

use crate::handwritten::Handwritten;
use crate::ours::Ours;
use crate::peer::Peer;
use crate::redis::{Redis, RedisUnusable};
use crate::sqlite::Sqlite;

/// A peer, and the circumstances in which it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// disband without rate limits, sole owner of its state.
    Disband,
    /// disband under `Config::default()`.
    DisbandDefault,
    /// disband with the last outcomes alive.
    DisbandOutcomes,
    /// disband with a snapshot alive.
    DisbandSnapshot,
    /// An engine with std's collections.
    Handwritten,
    /// The same, but each signal holds its recipients.
    HandwrittenCopying,
    /// SQLite in memory.
    Sqlite,
    /// Redis, at `REDIS_URL`.
    Redis,
}

/// A part of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Dissolutions of groups of ten to a million.
    Dissolutions,
    /// Single commands in a group of a million, and a walk over an audience.
    Commands,
    /// A service at work.
    Mix,
    /// Bytes of memory.
    Memory,
}

/// Something that is measured of any peer.
pub trait Measure {
    type Figures;

    /// Measures a peer that holds nothing yet.
    fn of<P: Peer>(&self, peer: P) -> Self::Figures;
}

impl Row {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Row::Disband => "disband",
            Row::DisbandDefault => "disband, Config::default()",
            Row::DisbandOutcomes => "disband, 64 outcomes alive",
            Row::DisbandSnapshot => "disband, a snapshot alive",
            Row::Handwritten => "hand-written",
            Row::HandwrittenCopying => "hand-written, recipients copied",
            Row::Sqlite => "SQLite",
            Row::Redis => "Redis",
        }
    }

    /// What the title does not say.
    #[must_use]
    pub const fn meaning(self) -> Option<&'static str> {
        match self {
            Row::Disband => Some(
                "no rate limits and no departures remembered, as the other systems have none. \
                 Nothing else shares its state.",
            ),
            Row::DisbandDefault => Some(
                "rate limits, the last 16 departures of each group remembered, and limits on sizes. \
                 Time passes so that no command is refused as too fast.",
            ),
            Row::DisbandOutcomes => Some(
                "as the first, but the host has not yet delivered the outcomes of the last 64 \
                 commands, and keeps them.",
            ),
            Row::DisbandSnapshot => Some(
                "as the first, but the host keeps a clone of the engine. For a dissolution and a \
                 single command it is taken just before.",
            ),
            Row::Handwritten => Some(
                "a signal does not hold its recipients: they must be read from the group before the \
                 next command.",
            ),
            Row::HandwrittenCopying => Some(
                "a signal holds a copy of its recipients' ids, so it stays valid, as disband's do. \
                 It runs a hundredth of the commands, because each in a large group copies as many \
                 ids as the group has members.",
            ),
            Row::Sqlite | Row::Redis => None,
        }
    }

    /// Makes the peer and measures it.
    ///
    /// # Errors
    /// If the row is Redis, and `redis` is not the address of an empty one.
    pub fn measure<M: Measure>(
        self,
        what: &M,
        redis: Option<&str>,
    ) -> Result<M::Figures, RedisUnusable> {
        Ok(match self {
            Row::Disband => what.of(Ours::default()),
            Row::DisbandDefault => what.of(Ours::with_default_config()),
            Row::DisbandOutcomes => what.of(Ours::with_outcomes_alive()),
            Row::DisbandSnapshot => what.of(Ours::with_snapshot_alive()),
            Row::Handwritten => what.of(Handwritten::default()),
            Row::HandwrittenCopying => what.of(Handwritten::copying()),
            Row::Sqlite => what.of(Sqlite::default()),
            Row::Redis => what.of(Redis::connect(redis)?),
        })
    }
}

impl Part {
    /// Who is measured in it, in the order of the table.
    #[must_use]
    pub const fn rows(self) -> &'static [Row] {
        match self {
            // Undelivered outcomes do not share what a dissolution changes. Both hand-written
            // engines dissolve alike: neither copies the recipients.
            Part::Dissolutions => &[
                Row::Disband,
                Row::DisbandDefault,
                Row::DisbandSnapshot,
                Row::Handwritten,
                Row::Sqlite,
                Row::Redis,
            ],
            Part::Commands | Part::Mix => &[
                Row::Disband,
                Row::DisbandDefault,
                Row::DisbandOutcomes,
                Row::DisbandSnapshot,
                Row::Handwritten,
                Row::HandwrittenCopying,
                Row::Sqlite,
                Row::Redis,
            ],
            Part::Memory => &[Row::Disband, Row::Handwritten, Row::Sqlite, Row::Redis],
        }
    }
}
