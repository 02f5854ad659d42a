//! Tokens: a stand-in for the host's own log-in.
//!
//! A token is the user's id and a keyed hash of it: `{id}.{hash}`. Without the key, a token cannot be
//! forged. The server does not store tokens. A real log-in also needs what is missing here: proof of
//! the user's identity, and tokens that expire and can be revoked.

use std::fmt::Write;

use crate::name::Name;

/// Creates tokens, and finds the user of a token.
#[derive(Clone)]
pub(crate) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    /// Tokens with this key. They are valid wherever the key is the same.
    #[must_use]
    pub(crate) fn new(key: [u8; 32]) -> Tokens {
        Tokens { key }
    }

    /// The token of `user`. It has only characters that need no encoding in a header, a query or a
    /// cookie: letters, digits, `-`, `.`, `_` and `~`.
    #[must_use]
    pub(crate) fn of(&self, user: &Name) -> String {
        let id = user.to_string();
        format!("{}.{}", escape(&id), self.mac(&id).to_hex())
    }

    /// The user of a token, if the token was made with this key.
    #[must_use]
    pub(crate) fn user(&self, token: &str) -> Option<Name> {
        // The id may have dots, the hash has none.
        let (id, mac) = token.rsplit_once('.')?;
        let id = unescape(id)?;
        // `blake3::Hash` compares in constant time, so timing does not help to forge a token.
        (blake3::Hash::from_hex(mac).ok()? == self.mac(&id)).then(|| id.parse().ok()).flatten()
    }

    fn mac(&self, id: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, id.as_bytes())
    }
}

/// Does not print the key.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// Writes each byte that is not a letter, a digit, `-`, `.` or `_` as `~` and two hexadecimal digits.
///
/// Percent-encoding would not do: clients put a token into a query without encoding it, and the
/// server decodes the query.
fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'-' | b'.' | b'_' => escaped.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => escaped.push(byte.into()),
            _ => write!(escaped, "~{byte:02x}").expect("writing to a string cannot fail"),
        }
    }
    escaped
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'~', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                after
            }
            (b'~', _) => return None,
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_valid_for_its_user_and_key_only() {
        let (tokens, other_key) = (Tokens::new([1; 32]), Tokens::new([2; 32]));
        let token = tokens.of(&name("7"));
        assert!(token.starts_with("7."), "{token}");
        assert_eq!(tokens.user(&token), Some(name("7")));
        assert_eq!(other_key.user(&token), None);
        assert_eq!(tokens.user(&token.replacen('7', "8", 1)), None);
        assert_eq!(tokens.user(&token.replacen('7', "007", 1)), None);
        for wrong in ["", ".", "7", "7.", "7.00", &token[1..], &token[..token.len() - 1]] {
            assert_eq!(tokens.user(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_token_of_any_id_has_only_characters_that_need_no_encoding() {
        let tokens = Tokens::new([1; 32]);
        let long = "\u{10ffff}".repeat(16);
        for id in ["7", "007", "a.b.c", ".", "~", "a~20b", "a b", "%20", "é/?#&=+", "\"", &long] {
            let token = tokens.of(&name(id));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert!(token.bytes().all(plain), "{token}");
            assert_eq!(tokens.user(&token), Some(name(id)));
        }
    }

    #[test]
    fn a_text_with_a_broken_escape_is_not_a_token() {
        let tokens = Tokens::new([1; 32]);
        let token = tokens.of(&name("a b"));
        assert!(token.starts_with("a~20b."), "{token}");
        for broken in ["a~b.", "a~.", "a~2.", "a~zzb.", "a~ff.", "a~2éb."] {
            assert_eq!(tokens.user(&token.replacen("a~20b.", broken, 1)), None, "{broken}");
        }
    }
}
