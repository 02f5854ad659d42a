//! [`disband`] replicated: the same engine on several machines, kept alike by openraft.
//!
//! - [`Machine`] is what is replicated: the engine, and the sessions of those who send commands
//! - [`Replica`] is one replica's machine with its snapshots
//! - [`Log`] is its log on disk
//! - [`Node`] is a process: a replica of each shard, and a socket; `wire` and `network` are between them
//! - [`Client`] is one who sends commands
//! - [`Local`] is three processes on this machine, to be killed

#![warn(missing_docs)]
#![allow(missing_debug_implementations, reason = "nobody prints a replica")]

mod client;
mod local;
mod log;
mod machine;
mod network;
mod node;
mod replica;
mod types;
mod wire;

pub use client::{Client, Follower, SLOTS, Unanswered, shard_of, slot};
pub use local::{Local, addresses};
pub use log::{Durability, Log, OpenError};
pub use machine::{Answer, Machine, Proposal, SessionId, Step};
pub use node::{Node, Options};
pub use replica::Replica;
pub use types::TypeConfig;
pub use wire::{Consistency, Digest, Seen, Shard};
