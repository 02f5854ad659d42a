//! A chat-group server on [`disband`].

#![warn(missing_docs)]
#![allow(missing_debug_implementations, reason = "a node is never printed")]

mod answer;
mod clock;
mod connections;
pub mod disk;
mod dispatcher;
mod health;
mod http;
mod identity;
mod keeper;
mod key;
mod keys;
mod log;
mod machine;
mod metrics;
mod name;
mod node;
mod options;
mod outside;
mod peers;
mod proposer;
mod raft;
mod reads;
pub mod real;
mod replica;
mod requests;
mod runtime;
mod secret;
mod server;
mod service;
pub mod simulated;
mod snapshots;
mod state;
mod tokens;
mod types;
mod unanswered;
mod under_way;
pub mod world;

pub use connections::QUEUE;
pub use name::{Name, NameError};
pub use node::StartError;
pub use options::{Options, Together};
pub use server::Server;
