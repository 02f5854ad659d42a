//! The engine with the server's ids.

use crate::name::Name;

/// A command of a user.
pub(crate) type Command = disband::Command<Name, Name>;
/// Why the engine refused a command.
pub(crate) type Refusal = disband::Refusal<Name, Name>;
/// Something that happened in a group, and the users to tell.
pub(crate) type Signal = disband::Signal<Name, Name>;
/// The engine.
pub(crate) type Engine = disband::Engine<Name, Name>;
