//! Property tests: they run random commands and check rules that must hold after any commands.

#![allow(unreachable_pub)]

mod bytes;
mod corpus;
mod laws;
mod limits;
mod model;
mod reach;
mod sight;
mod small_worlds;
mod snapshots;
mod world;
