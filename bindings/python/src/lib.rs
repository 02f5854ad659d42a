//! disband for Python: the native module of the package `disband`.
//!
//! A class of this crate holds what is large or used often: engines, outcomes, signals, audiences,
//! groups. All else, such as events, refusals and options, is a dataclass or an exception in Python, and
//! this crate makes instances of it.

mod argument;
mod audience;
mod command;
mod dissolved;
mod engine;
mod event;
mod group;
mod ids;
mod message;
mod outcome;
mod python;
mod read;
mod reclaim;
mod refusal;
mod reply;
mod run;
mod signal;
mod slot;
mod walk;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::audience::Audience;
    #[pymodule_export]
    use crate::dissolved::Dissolved;
    #[pymodule_export]
    use crate::engine::{Engine, restore};
    #[pymodule_export]
    use crate::group::Group;
    #[pymodule_export]
    use crate::message::{MessageEdit, MessagePost};
    #[pymodule_export]
    use crate::outcome::Outcome;
    #[pymodule_export]
    use crate::reclaim::{reclaimed, set_large};
    #[pymodule_export]
    use crate::refusal::{RefusalData, restore_refusal};
    #[pymodule_export]
    use crate::signal::Signal;
}
