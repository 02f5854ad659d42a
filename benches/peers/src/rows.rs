//! The rows of the tables: which peer is measured under which conditions, and for which tables.

use clap::ValueEnum;

use crate::handwritten::Handwritten;
use crate::ours::Ours;
use crate::peer::Peer;
use crate::redis::{Redis, RedisUnusable};
use crate::sqlite::Sqlite;

/// A peer (a system that is measured), and the conditions under which it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// disband without rate limits. Nothing else shares its state.
    Disband,
    /// disband under `Config::default()`.
    DisbandDefault,
    /// disband, while its host keeps the outcomes of the last 64 commands.
    DisbandOutcomes,
    /// disband, while its host keeps a snapshot.
    DisbandSnapshot,
    /// An engine written by hand with std's collections.
    Handwritten,
    /// The same engine, but each signal holds a copy of its recipients' ids.
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
    /// A mix of commands, as in a service at work.
    Mix,
    /// Bytes of memory for a membership, and for a log entry.
    Memory,
}

/// A measurement that works for every peer.
pub trait Measure {
    type Figures;

    /// Measures a peer that is empty.
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

    /// The conditions that the title does not state.
    #[must_use]
    pub const fn meaning(self) -> Option<&'static str> {
        match self {
            Row::Disband => Some(
                "`Config::default()`, but without rate limits and without a record of departures \
                 (memberships that ended), because the other systems have none of these. Nothing \
                 else shares its state.",
            ),
            Row::DisbandDefault => Some(
                "with rate limits, and with a record of the last 16 departures of each group. The \
                 clock advances far enough between commands that none is refused as too fast.",
            ),
            Row::DisbandOutcomes => Some(
                "like `disband`, but the host keeps the outcomes of the last 64 commands, \
                 as if it had not delivered them yet.",
            ),
            Row::DisbandSnapshot => Some(
                "like `disband`, but the host keeps a clone of the engine. For dissolutions and \
                 single commands, the clone is taken just before the command.",
            ),
            Row::Handwritten => Some(
                "a signal does not hold its recipients. A server must read them from the group \
                 before the next command.",
            ),
            Row::HandwrittenCopying => Some(
                "a signal holds a copy of its recipients' ids, so it stays valid, as with disband. \
                 This engine runs only a hundredth of the commands, because each command in a \
                 large group copies the ids of all members.",
            ),
            Row::Sqlite | Row::Redis => None,
        }
    }

    /// Makes the peer and measures it.
    ///
    /// # Errors
    /// If the row is Redis, and `redis` is not the address of an empty Redis database.
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
    /// The rows of its table, in order.
    #[must_use]
    pub const fn rows(self) -> &'static [Row] {
        match self {
            // Two rows are left out, because they would repeat others. Outcomes that are alive
            // share nothing that a dissolution changes. Both hand-written engines dissolve a group
            // in the same way, without copying the recipients.
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
