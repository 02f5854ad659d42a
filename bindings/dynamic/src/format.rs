//! Values as bytes, in JSON or in postcard.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How values are written as bytes. Commands, results, reads and snapshots have both formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON in UTF-8. Enums and structs have their names.
    Json,
    /// [postcard](https://postcard.jamesmunns.com): compact, without names. A reader needs the types.
    Postcard,
}

/// Bytes that are not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl Format {
    /// The value as bytes.
    ///
    /// # Errors
    /// None for the types of this crate.
    pub fn encode(self, value: &impl Serialize) -> Result<Vec<u8>, FormatError> {
        match self {
            Format::Json => serde_json::to_vec(value).map_err(said),
            Format::Postcard => postcard::to_stdvec(value).map_err(said),
        }
    }

    /// The value that the bytes are, from the first to the last.
    ///
    /// # Errors
    /// [`FormatError`] if they are none, or if there are more bytes after it.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, FormatError> {
        match self {
            Format::Json => serde_json::from_slice(bytes).map_err(said),
            Format::Postcard => match postcard::take_from_bytes(bytes).map_err(said)? {
                (value, []) => Ok(value),
                (_, rest) => Err(FormatError(format!("{} bytes after the end", rest.len()))),
            },
        }
    }
}

fn said(error: impl ToString) -> FormatError {
    FormatError(error.to_string())
}
