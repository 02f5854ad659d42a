//! The types of ids that an engine can have.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An id that is a text. Cloning it does not allocate.
pub type Text = Arc<str>;

/// The type of all ids of one engine, of users and of groups. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ids {
    /// Integers from 0 to 2^64 - 1: [`UserId`](disband::UserId) and [`GroupId`](disband::GroupId). In
    /// JSON they are strings of decimal digits.
    Numbers,
    /// Any text in UTF-8.
    Text,
}

/// The same expression for an engine, outcome, audience or other value with each type of ids.
#[macro_export]
macro_rules! each {
    ($any:expr, $of:ident($one:pat) => $do:expr) => {
        match $any {
            $of::Numbers($one) => $do,
            $of::Text($one) => $do,
        }
    };
}

pub(crate) use each;
