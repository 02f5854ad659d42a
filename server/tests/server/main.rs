//! Tests of the server over real sockets.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests are clients in the real world"
)]

mod api;
mod browser;
mod commands;
mod faults;
mod hostile;
mod ids;
mod node;
mod pages;
mod signals;
mod simulated;
mod sockets;
mod world;
