//! Idempotency keys: a client names its command, so that it can send it again.

use std::str::FromStr;
use std::sync::Arc;

use disband::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest key, in bytes.
const MAX: usize = 128;

/// The key of a command, given by the client that sent it: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Key(Arc<str>);

/// The text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key has 1 to {MAX} visible ASCII characters")]
pub(crate) struct KeyError;

impl Key {
    /// Comes before every key.
    pub(crate) fn lowest() -> Key {
        Key("".into())
    }

    /// When the client made the key, by its own clock: only a UUID of version 7 says so (RFC 9562).
    pub(crate) fn time(&self) -> Option<Timestamp> {
        let uuid = Uuid::try_parse(&self.0).ok().filter(|uuid| uuid.get_version_num() == 7)?;
        let (seconds, nanoseconds) = uuid.get_timestamp()?.to_unix();
        Some(Timestamp(
            seconds.saturating_mul(1000).saturating_add(u64::from(nanoseconds) / 1_000_000),
        ))
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let valid = (1..=MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if valid { Ok(Key(text.into())) } else { Err(KeyError) }
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        (*key.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_128_visible_characters() {
        for text in ["k", "!~", &"x".repeat(128)] {
            assert!(text.parse::<Key>().is_ok(), "{text}");
        }
        for text in ["", " ", "a b", "é", "\u{7f}", &"x".repeat(129)] {
            assert_eq!(text.parse::<Key>(), Err(KeyError), "{text}");
        }
        assert!(postcard::from_bytes::<Key>(&[0]).is_err(), "an empty key");
    }

    #[test]
    fn only_a_uuid_of_version_7_has_a_time() {
        // The example of RFC 9562, appendix A.6.
        let key: Key = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F".parse().unwrap();
        assert_eq!(key.time(), Some(Timestamp(1_645_557_742_000)));
        for other in ["919108f7-52d1-4320-9bac-f847db4148a8", "1645557742000", "7"] {
            assert_eq!(other.parse::<Key>().unwrap().time(), None, "{other}");
        }
    }
}
