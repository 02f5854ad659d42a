//! Ids of users and groups, which the host chooses; memberships and log entries, which the engine
//! numbers.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::decimal::{self, decimal};

/// A type that identifies users or groups. Every type that is `Clone + Ord + Debug` implements it:
/// `u64`, `Uuid`, `Arc<str>`, `String`.
///
/// A command compares ids O(log N) times and clones some tens of them. While a clone of the engine is
/// alive, it can clone more than a thousand, because it copies arrays of up to 62 ids. So comparing
/// and cloning should be cheap: prefer `Arc<str>` to `String`.
///
/// `Ord` must be a total order that never changes. Two ids that compare equal must be the same in
/// every other way too: with an order that ignores case, replicas could keep different spellings.
///
/// Refusals and signals print ids with `Display`; [`wire`](crate::wire) needs it too.
pub trait Id: Clone + Ord + fmt::Debug {}

impl<T: Clone + Ord + fmt::Debug> Id for T {}

struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a string of decimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        decimal::parse(text).map_err(E::custom)
    }
}

macro_rules! decimal_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// In human-readable formats it is a string of decimal digits, in all others an integer.
        ///
        /// # Examples
        /// ```
        #[doc = concat!("use disband::", stringify!($name), ";")]
        ///
        #[doc = concat!("let id = ", stringify!($name), "::from(808080);")]
        #[doc = concat!("assert_eq!(\"808080\".parse(), Ok::<", stringify!($name), ", disband::ParseNumberError>(id));")]
        /// assert_eq!(id.to_string(), "808080");
        /// assert_eq!(u64::from(id), 808080);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        decimal!($name);

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
    /// The id of a user, for hosts that have no id type of their own.
    UserId
}
decimal_id! {
    /// The id of a group, for hosts that have no id type of their own.
    GroupId
}

/// The number of one unbroken membership of one user in one group: it begins when the user joins,
/// and ends when they leave or are kicked. A user who comes back has another stint.
///
/// A stint is unique in the engine, and later ones are larger. Numbers may be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stint(pub u64);

decimal!(Stint);

/// The number of an entry in a group's log. The first entry of a group is 0, each next one is one
/// higher, and no number is used twice in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

decimal!(Seq);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimal_is_an_id() {
        assert_eq!("0".parse(), Ok(UserId(0)));
        assert_eq!("18446744073709551615".parse(), Ok(GroupId(u64::MAX)));
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "18446744073709551616", "١"] {
            assert!(text.parse::<UserId>().is_err(), "{text:?}");
            assert!(text.parse::<Stint>().is_err(), "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<UserId>(&json).is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<UserId>("7").is_err(), "a JSON number is not an id");
    }

    #[test]
    fn ids_are_strings_in_json_and_integers_in_postcard() {
        assert_eq!(serde_json::to_string(&UserId(808080)).unwrap(), r#""808080""#);
        assert_eq!(serde_json::from_str::<GroupId>(r#""7""#).unwrap(), GroupId(7));
        let bytes = postcard::to_stdvec(&UserId(7)).unwrap();
        assert_eq!(bytes, [7]);
        assert_eq!(postcard::from_bytes::<UserId>(&bytes).unwrap(), UserId(7));
    }
}
