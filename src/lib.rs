#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod guide;

mod audience;
mod authority;
mod chat;
mod check;
mod command;
mod config;
mod decimal;
mod directory;
mod ended;
mod engine;
mod farewell;
mod format1;
mod group;
mod id;
mod limiter;
mod limits;
mod listing;
mod log;
mod map;
mod membership;
mod name;
mod options;
mod outcome;
mod quota;
mod rank;
mod refusal;
mod sanctions;
mod signal;
mod snapshot;
mod state;
mod stats;
mod sums;
mod time;
mod timed;
mod tombstone;
mod tree;
mod walk;
pub mod wire;

pub use audience::{Audience, Recipients};
pub use check::Violation;
pub use command::Command;
pub use config::{Config, ConfigError};
pub use decimal::ParseNumberError;
pub use directory::GroupsOf;
pub use engine::{Engine, Groups};
pub use farewell::Farewell;
pub use group::{Group, Members, MembersAfter, PastMember};
pub use id::{GroupId, Id, Seq, Stint, UserId};
pub use limiter::ForgottenCells;
pub use limits::{Limit, Limits};
pub use log::{Entry, History, Page};
pub use name::ParseNameError;
pub use options::{Admission, Announce, GroupOptions, HistoryAccess, OwnerExit};
pub use outcome::{BatchResult, CommandResult, Departure, Dissolved, Outcome, Reply, Summary};
pub use quota::{Operation, Quota, QuotaError, Quotas, Rate};
pub use rank::Rank;
pub use refusal::{Absence, BatchRefusal, Refusal};
pub use sanctions::{Ban, Mute, Sanction};
pub use signal::{Event, ParseKeyError, Signal, SignalKey};
pub use snapshot::{Snapshot, SnapshotError, SnapshotList};
pub use stats::Stats;
pub use time::Timestamp;
