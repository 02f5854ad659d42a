//! Why a call did nothing.

use std::collections::TryReserveError;

use disband_dynamic::FormatError;

/// Why a call did nothing. JavaScript gets [`Failure::status`], a negative number.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There may not be enough memory.
    OutOfMemory,
    /// The engine refused the command. The refusal is in the output.
    Refused,
    /// The bytes are not what they should be, or a configuration cannot be set: the reason.
    Invalid(String),
    /// There is no value with the given number. It would be a defect of the JavaScript part.
    NoValue,
}

impl Failure {
    /// The number that JavaScript knows the failure by.
    pub(crate) const fn status(&self) -> i32 {
        match self {
            Failure::OutOfMemory => -1,
            Failure::Refused => -2,
            Failure::Invalid(_) => -3,
            Failure::NoValue => -4,
        }
    }
}

impl From<TryReserveError> for Failure {
    fn from(_: TryReserveError) -> Self {
        Failure::OutOfMemory
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        Failure::Invalid(error.to_string())
    }
}
