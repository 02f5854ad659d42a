//! Ids of users and groups.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The longest id, in bytes.
const MAX: usize = 64;

/// The id of a user or a group: any text of 1 to 64 bytes without control characters. Ids are equal
/// only if all their bytes are: `7` and `007` are two ids.
///
/// A canonical decimal number below 2^64 is stored as a number: it takes no memory of its own, and
/// cloning and comparing it costs what an integer costs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// A canonical decimal number: no sign, no leading zero.
    Number(u64),
    /// Any other text.
    Text(Arc<str>),
}

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("an id has at least one byte")]
    Empty,
    /// The text is too long.
    #[error("an id has at most {MAX} bytes")]
    TooLong,
    /// The text has a control character.
    #[error("an id has no control characters")]
    Control,
}

impl From<u64> for Name {
    fn from(number: u64) -> Self {
        Name(Form::Number(number))
    }
}

/// The number, if the text is its canonical decimal form.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "" => Err(NameError::Empty),
            _ if text.len() > MAX => Err(NameError::TooLong),
            _ if text.chars().any(char::is_control) => Err(NameError::Control),
            _ => Ok(Name(number(text).map_or_else(|| Form::Text(text.into()), Form::Number))),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Number(number) => fmt::Display::fmt(number, f),
            Form::Text(text) => fmt::Display::fmt(text, f),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Numbers come first, in numeric order; then all other texts, in the order of their bytes.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Number(one), Form::Number(two)) => one.cmp(two),
            (Form::Number(_), Form::Text(_)) => Ordering::Less,
            (Form::Text(_), Form::Number(_)) => Ordering::Greater,
            (Form::Text(one), Form::Text(two)) => one.cmp(two),
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Always a string in human-readable formats. In others, a byte that says which form follows.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        match &self.0 {
            Form::Number(number) => serializer.serialize_newtype_variant("Name", 0, "n", number),
            Form::Text(text) => serializer.serialize_newtype_variant("Name", 1, "t", &**text),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename = "Name")]
enum Binary {
    Number(u64),
    Text(TextName),
}

/// A text that is an id, but not a number.
struct TextName(Name);

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for TextName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(TextVisitor)? {
            // Two forms of one id would give equal machines different bytes.
            Name(Form::Number(_)) => Err(de::Error::custom("a number in the form of a text")),
            text => Ok(TextName(text)),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_str(TextVisitor);
        }
        Ok(match Binary::deserialize(deserializer)? {
            Binary::Number(number) => number.into(),
            Binary::Text(TextName(name)) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_numbers_are_stored_as_numbers() {
        for text in ["0", "7", "808080", "18446744073709551615"] {
            let name: Name = text.parse().unwrap();
            assert!(matches!(name.0, Form::Number(_)), "{text}");
            assert_eq!(name.to_string(), text);
        }
        for text in ["007", "00", "+7", "-0", "18446744073709551616", "7 ", "seven", "٧", "a.b"] {
            let name: Name = text.parse().unwrap();
            assert!(matches!(name.0, Form::Text(_)), "{text}");
            assert_eq!(name.to_string(), text);
        }
        assert_ne!("007".parse::<Name>(), "7".parse());
    }

    #[test]
    fn empty_long_and_control_texts_are_refused() {
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert!("x".repeat(64).parse::<Name>().is_ok());
        assert_eq!("x".repeat(65).parse::<Name>(), Err(NameError::TooLong));
        for text in ["a\nb", "\0", "\u{7f}", "\u{85}"] {
            assert_eq!(text.parse::<Name>(), Err(NameError::Control));
        }
    }

    #[test]
    fn ids_keep_their_form_in_json_and_in_postcard() {
        for text in ["0", "7", "007", "18446744073709551616", "bob"] {
            let name: Name = text.parse().unwrap();
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
            let bytes = postcard::to_stdvec(&name).unwrap();
            assert_eq!(postcard::from_bytes::<Name>(&bytes).unwrap(), name);
        }
        assert!(serde_json::from_str::<Name>("7").is_err());
        assert!(postcard::from_bytes::<Name>(&[1, 1, b'7']).is_err(), "a number as a text");
        assert!(postcard::from_bytes::<Name>(&[1, 0]).is_err(), "an empty text");
        assert_eq!(postcard::to_stdvec(&Name::from(808080)).unwrap().len(), 4);
    }

    #[test]
    fn numbers_are_in_numeric_order_and_before_texts() {
        let mut names: Vec<Name> =
            ["b", "10", "9", "007", "a"].iter().map(|text| text.parse().unwrap()).collect();
        names.sort();
        let names: Vec<_> = names.iter().map(Name::to_string).collect();
        assert_eq!(names, ["9", "10", "007", "a", "b"]);
    }
}
