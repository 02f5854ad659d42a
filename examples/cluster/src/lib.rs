//! [`disband`] replicated: openraft keeps the same engine identical on several machines.
//!
//! - [`Machine`] is what is replicated: the engine, and the clients' sessions
//! - [`Replica`] connects a machine to openraft; `snapshots` stores its newest snapshot in a file
//! - `log` is a replica's log on disk; `propose` puts commands that arrive together into one entry
//! - [`ShardEvent`] is what a replica publishes; `projection` is an index built from these events
//! - [`Node`] is one process with a replica of each shard; `listener` serves its connections;
//!   `wire` and `network` carry the traffic between processes
//! - [`Client`] sends commands
//! - [`Local`] runs three processes on this machine, for tests that kill them

#![warn(missing_docs)]
#![allow(missing_debug_implementations, reason = "replicas and nodes are never printed")]

mod abort;
mod client;
mod disk;
mod events;
mod free;
mod listener;
mod local;
mod log;
mod machine;
mod network;
mod node;
mod projection;
mod propose;
mod replica;
mod slots;
mod snapshots;
mod types;
mod wire;

pub use client::{Client, ClientError, Subscription};
pub use events::{EventSender, ShardEvent, event_sender};
pub use local::{Local, addresses};
pub use log::Durability;
pub use machine::{Answer, Machine, Proposal, ReadError, SessionId, Step};
pub use node::{Node, Options};
pub use replica::Replica;
pub use slots::{SLOTS, Shard, shard_of, slot};
pub use types::TypeConfig;
pub use wire::{Digest, GroupState};
