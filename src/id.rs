//! Ids: the host's own for users and groups, ours for stints and log entries.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// What may identify a user or a group: any type that can be cloned, ordered and shown.
///
/// It is implemented for all of them (`u64`, `Uuid`, `Arc<str>`, `String` …). A command compares
/// ids O(log n) times and clones a few, and up to 62 more for each array that it copies: those of
/// small maps, and of maps that a clone shares. So both should be cheap. `Ord` must be a
/// total order that never changes, and ids that are equal must be the same to whoever looks: an
/// order that ignores case would let replicas differ in which spelling they kept.
pub trait Id: Clone + Ord + fmt::Debug {}

impl<T: Clone + Ord + fmt::Debug> Id for T {}

/// The text is not the canonical decimal form of an id: digits alone, no leading zero, below 2^64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is a number below 2^64 in plain decimal digits")]
pub struct ParseIdError(());

impl From<ParseIntError> for ParseIdError {
    fn from(_: ParseIntError) -> Self {
        ParseIdError(())
    }
}

fn parse_canonical(text: &str) -> Result<u64, ParseIdError> {
    let id: u64 = text.parse()?;
    // `u64` also takes "+1" and "007": two spellings of one id would be two keys to a cache.
    match text.as_bytes() {
        [b'0', _, ..] | [b'+', ..] => Err(ParseIdError(())),
        _ => Ok(id),
    }
}

struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a string of decimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        parse_canonical(text).map_err(E::custom)
    }
}

macro_rules! decimal_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// It reads and writes as a decimal string, as the wire does; in formats that are not for
        /// people it is an integer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_canonical(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(&self.0)
                } else {
                    serializer.serialize_u64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(DecimalVisitor).map($name)
                } else {
                    u64::deserialize(deserializer).map($name)
                }
            }
        }
    };
}

decimal_id! {
    /// A user, where the host has no id type of its own.
    UserId
}
decimal_id! {
    /// A group, where the host has no id type of its own.
    GroupId
}

/// One unbroken membership of one user in one group.
///
/// Unique in the engine, and later ones are larger; numbers may be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stint(pub u64);

impl fmt::Display for Stint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The number of an entry in a group's log: dense from 0, never reused in that group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_in_canonical_decimal_only() {
        assert_eq!("0".parse(), Ok(UserId(0)));
        assert_eq!("18446744073709551615".parse(), Ok(GroupId(u64::MAX)));
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "18446744073709551616", "١"] {
            assert_eq!(text.parse::<UserId>(), Err(ParseIdError(())), "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<UserId>(&json).is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<UserId>("7").is_err(), "a JSON number is not an id");
    }

    #[test]
    fn ids_are_strings_to_people_and_integers_to_machines() {
        assert_eq!(serde_json::to_string(&UserId(808080)).unwrap(), r#""808080""#);
        assert_eq!(serde_json::from_str::<GroupId>(r#""7""#).unwrap(), GroupId(7));
        let bytes = postcard::to_stdvec(&UserId(7)).unwrap();
        assert_eq!(bytes, [7]);
        assert_eq!(postcard::from_bytes::<UserId>(&bytes).unwrap(), UserId(7));
    }
}
