//! disband beside what people would use instead: the same scripted work, in one run.
//!
//! Each peer is written as a good engineer would write it, and answers the same to each [`Step`]:
//! `tests/agreement.rs` holds them to it.

#![allow(missing_debug_implementations, reason = "nobody prints a million members")]

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
pub use peer::{Answer, Kind, Peer, Step, Told};
pub use redis::{Redis, RedisUnusable};
pub use sqlite::Sqlite;
