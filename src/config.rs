//! What a host chooses for the whole engine.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::quota::Quotas;

/// Choices that hold for the whole engine. They are part of its state, so replicas can't differ in
/// them. In JSON, those left out are the defaults.
///
/// [`Engine::set_config`](crate::Engine::set_config) changes them, all but the instance number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The upper half of every [`SignalKey`](crate::SignalKey): give each engine whose signals can
    /// reach the same client a number of its own. Default 0.
    pub instance: u64,
    /// The rate limits.
    pub quotas: Quotas,
    /// How long a dissolved group's end is remembered and its id reserved, in milliseconds.
    /// Default 31 days; 0 for not at all.
    pub tombstone_ms: u64,
    /// How many departures each group remembers, to tell a former member why they are none.
    /// Default 16; 0 for none. Each takes some 40 bytes, and looking one up walks them.
    pub departures: u8,
    /// How large anything may grow.
    pub limits: Limits,
}

/// Why a configuration can't take the place of another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It has another instance number: signals would repeat the keys of that instance.
    #[error("the instance number can't change: it is {is}, not {asked}")]
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
