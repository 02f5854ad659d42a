//! The configuration of an engine.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::quota::Quotas;

/// The configuration of an engine. It is part of the engine's state and of its snapshots, so a
/// replica that was loaded from a snapshot has the same one. In JSON, a field that is left out has
/// its default.
///
/// [`Engine::set_config`](crate::Engine::set_config) changes everything except the instance number,
/// and has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The upper half of every [`SignalKey`](crate::SignalKey). If signals of several engines can
    /// reach one client, give each engine another number. Default 0.
    pub instance: u64,
    /// The rate limits.
    pub quotas: Quotas,
    /// For how many milliseconds a dissolved group is remembered and its id reserved. The record is
    /// called a *tombstone*. Default 31 days; 0 remembers nothing. If the clock goes back to
    /// before the dissolution, the group is still remembered.
    pub tombstone_ms: u64,
    /// How many departures (memberships that ended) each group remembers. With them a refusal can
    /// say that the user left or was kicked. Default 16; 0 remembers none. Each takes some 40 bytes,
    /// and a look-up walks all of them.
    pub departures: u8,
    /// Limits on sizes.
    pub limits: Limits,
}

/// Why [`Engine::set_config`](crate::Engine::set_config) refused a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It has another instance number. Signals could then repeat the keys of another engine.
    #[error("the instance number cannot change: it is {is}, and the new configuration has {asked}")]
    Instance {
        /// The engine's instance number.
        is: u64,
        /// The one in the new configuration.
        asked: u64,
    },
}

impl Default for Config {
    fn default() -> Self {
        Config {
            instance: 0,
            quotas: Quotas::default(),
            tombstone_ms: 31 * 24 * 60 * 60 * 1000,
            departures: 16,
            limits: Limits::default(),
        }
    }
}
