//! What must always hold, tried on random commands.

#![allow(unreachable_pub)]

mod laws;
mod limits;
mod model;
mod reach;
mod snapshots;
mod world;
