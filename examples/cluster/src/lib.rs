//! [`disband`] replicated: the same engine on several machines, kept alike by openraft.
//!
//! - [`Machine`] is what is replicated: the engine, and the sessions of those who send commands
//! - [`Replica`] is one replica's machine, as openraft drives it; `snapshots` has its file
//! - `log` is a replica's log on disk; commands that come together go into it together, which `propose`
//!   sees to
//! - [`News`] is what a replica tells; `projection` is an index that lives on it
//! - [`Node`] is a process: a replica of each shard, and a `door`; `wire` and `network` are between them
//! - [`Client`] is one who sends commands
//! - [`Local`] is three processes on this machine, to be killed

#![warn(missing_docs)]
#![allow(missing_debug_implementations, reason = "nobody prints a replica")]

mod abort;
mod client;
mod disk;
mod door;
mod free;
mod local;
mod log;
mod machine;
mod network;
mod news;
mod node;
mod projection;
mod propose;
mod replica;
mod slots;
mod snapshots;
mod types;
mod wire;

pub use client::{Client, Follower, Unanswered};
pub use local::{Local, addresses};
pub use log::Durability;
pub use machine::{Answer, Machine, Proposal, ReadError, SessionId, Step};
pub use news::{News, Teller, teller};
pub use node::{Node, Options};
pub use replica::Replica;
pub use slots::{SLOTS, Shard, shard_of, slot};
pub use types::TypeConfig;
pub use wire::{Digest, Seen};
