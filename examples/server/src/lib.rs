//! A chat-group server on [`disband`]: HTTP for commands, WebSockets for signals.
//!
//! - `service` is the engine behind a lock, and what is done with what it returns
//! - `routes` and `socket` are the addresses; `answer` is what goes in and out there
//! - `connections` is who is connected, and what waits for them
//! - [`Journal`] is what is on disk
//! - [`Server`] listens, and ends in order
//! - [`Tokens`] stands in for a log-in

#![warn(missing_docs)]
#![allow(missing_debug_implementations, reason = "nobody prints a service")]

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
