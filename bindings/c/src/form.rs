//! Choices that the caller makes with a number: the type of ids and the format of bytes.

use disband_dynamic::{Format, Ids};

use crate::status::{Failure, disband_status};

/// The type of all ids of one engine: `DISBAND_IDS_NUMBERS` or `DISBAND_IDS_TEXT`. It never changes.
pub type disband_ids = u32;

/// Ids are integers from 0 to 2^64 - 1. In JSON they are strings of decimal digits.
pub const DISBAND_IDS_NUMBERS: disband_ids = 1;

/// Ids are any text in UTF-8.
pub const DISBAND_IDS_TEXT: disband_ids = 2;

/// How values are written as bytes: `DISBAND_FORMAT_JSON` or `DISBAND_FORMAT_POSTCARD`.
pub type disband_format = u32;

/// JSON in UTF-8. Enums and structs have their names.
pub const DISBAND_FORMAT_JSON: disband_format = 1;

/// postcard (postcard.jamesmunns.com): compact and quick, without names.
pub const DISBAND_FORMAT_POSTCARD: disband_format = 2;

pub(crate) fn ids(number: disband_ids) -> Result<Ids, Failure> {
    match number {
        DISBAND_IDS_NUMBERS => Ok(Ids::Numbers),
        DISBAND_IDS_TEXT => Ok(Ids::Text),
        _ => Err(bad("type of ids", number)),
    }
}

pub(crate) fn ids_number(ids: Ids) -> disband_ids {
    match ids {
        Ids::Numbers => DISBAND_IDS_NUMBERS,
        Ids::Text => DISBAND_IDS_TEXT,
    }
}

pub(crate) fn format(number: disband_format) -> Result<Format, Failure> {
    match number {
        DISBAND_FORMAT_JSON => Ok(Format::Json),
        DISBAND_FORMAT_POSTCARD => Ok(Format::Postcard),
        _ => Err(bad("format", number)),
    }
}

fn bad(what: &str, number: u32) -> Failure {
    Failure::new(disband_status::BadArgument, format!("there is no {what} {number}"))
}
