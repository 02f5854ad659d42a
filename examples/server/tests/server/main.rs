//! Tests of the server over real sockets.

mod api;
mod browser;
mod faults;
mod hostile;
mod node;
mod signals;
mod world;
