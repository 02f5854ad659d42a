//! The C functions, called from Rust: what they do, and what they do with bad input.

mod bytes;
mod call;
mod commands;
mod handles;
mod readme;
mod results;
mod threads;
