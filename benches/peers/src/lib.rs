//! Compares disband with what people would use instead: the same scripted work, in one run.
//!
//! A [`Peer`] is a system that is measured. Each is written as a good engineer would write it. All
//! give the same answer to each [`Step`]; `tests/agreement.rs` checks this.

#![allow(missing_debug_implementations, reason = "the states are too large to print")]

mod handwritten;
mod ours;
mod peer;
mod redis;
mod sqlite;

pub mod charts;
pub mod clock;
pub mod commands;
pub mod dissolution;
pub mod memory;
pub mod mix;
pub mod ratios;
pub mod report;
pub mod rows;
pub mod script;

pub use handwritten::{Handwritten, Recipients};
pub use ours::Ours;
pub use peer::{Answer, Kind, Peer, SignalSummary, Step};
pub use redis::{Redis, RedisUnusable};
pub use sqlite::Sqlite;
