//! Tokens: a stand-in for the host's own log-in.
//!
//! A token is the user's id and a keyed hash of it. Without the key, a token cannot be forged. The
//! server does not store tokens. A real log-in also needs what is missing here: proof of the user's
//! identity, and tokens that expire and can be revoked.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use disband::UserId;

/// Creates tokens, and finds the user of a token.
#[derive(Debug)]
pub struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    /// Tokens with a random key that is not stored: they are not valid in another process.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Tokens { key })
    }

    /// Tokens with the key in this file. If there is no file, creates it with a random key.
    ///
    /// # Errors
    /// The file can't be read or created, or does not contain a key.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => match bytes.try_into() {
                Ok(key) => Ok(Tokens { key }),
                Err(_) => {
                    let cause = format!("{}: not a key of 32 bytes", path.display());
                    Err(io::Error::new(io::ErrorKind::InvalidData, cause))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let tokens = Tokens::new()?;
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(&tokens.key)?;
                file.sync_all()?;
                Ok(tokens)
            }
            Err(error) => Err(error),
        }
    }

    /// The token of `user`.
    #[must_use]
    pub fn of(&self, user: UserId) -> String {
        format!("{user}.{}", self.mac(user).to_hex())
    }

    /// The user of a token, if the token was made with this key.
    #[must_use]
    pub fn user(&self, token: &str) -> Option<UserId> {
        let (user, mac) = token.split_once('.')?;
        let user = user.parse().ok()?;
        // `blake3::Hash` compares in constant time, so timing does not help to forge a token.
        (blake3::Hash::from_hex(mac).ok()? == self.mac(user)).then_some(user)
    }

    fn mac(&self, user: UserId) -> blake3::Hash {
        blake3::keyed_hash(&self.key, &user.0.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_for_its_user_and_key_only() {
        let (tokens, other_key) = (Tokens::new().unwrap(), Tokens::new().unwrap());
        let token = tokens.of(UserId(7));
        assert_eq!(tokens.user(&token), Some(UserId(7)));
        assert_eq!(other_key.user(&token), None);
        assert_eq!(tokens.user(&token.replacen('7', "8", 1)), None);
        for wrong in ["", ".", "7", "7.", "7.00", &token[1..], &token[..token.len() - 1]] {
            assert_eq!(tokens.user(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_still_valid_when_the_key_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let token = Tokens::open(&path).unwrap().of(UserId(7));
        assert_eq!(Tokens::open(&path).unwrap().user(&token), Some(UserId(7)));
        fs::write(&path, "short").unwrap();
        assert_eq!(Tokens::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
