//! Types that wrap one `u64`: their text form, and their conversions.

use std::num::ParseIntError;

/// The text is not a canonical decimal number: digits alone, no leading zero, below 2^64.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("expected a number below 2^64 in decimal digits, without a sign or leading zeros")]
pub struct ParseNumberError(());

impl From<ParseIntError> for ParseNumberError {
    fn from(_: ParseIntError) -> Self {
        ParseNumberError(())
    }
}

/// Reads a `u64` from its one canonical form. `u64::from_str` also takes "+1" and "007": then one id
/// would have two spellings, and a cache two entries for it.
pub(crate) fn parse(text: &str) -> Result<u64, ParseNumberError> {
    let number: u64 = text.parse()?;
    match text.as_bytes() {
        [b'0', _, ..] | [b'+', ..] => Err(ParseNumberError(())),
        _ => Ok(number),
    }
}

/// `Display` and `FromStr` in decimal digits, and `From` to and from `u64`.
macro_rules! decimal {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::decimal::ParseNumberError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::decimal::parse(text).map($name)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                $name(number)
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0
            }
        }
    };
}

pub(crate) use decimal;
