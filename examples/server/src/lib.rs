//! A chat-group server on [`disband`]: HTTP for commands, WebSockets for signals.
//!
//! - `service`: the engine behind a lock, and the threads that commit commands and send signals
//! - `routes` and `socket`: the HTTP routes and the WebSocket; `answer`: replies and request
//!   parsing
//! - `connections`: the connected sockets, each with its queue of frames
//! - [`Journal`]: commands and snapshots on disk
//! - [`Server`]: the listener and the shutdown
//! - [`Tokens`]: a stand-in for a real log-in

#![warn(missing_docs)]
#![allow(missing_debug_implementations, reason = "a service is never printed")]

mod answer;
mod clock;
mod connections;
mod journal;
mod metrics;
mod routes;
mod server;
mod service;
mod socket;
mod token;

pub use connections::QUEUE;
pub use journal::{Journal, JournalError, Storage};
pub use server::{Options, Server, StartError};
pub use token::Tokens;
