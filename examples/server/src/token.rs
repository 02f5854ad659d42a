//! Who calls: the stand-in for the host's own log-in.
//!
//! A token is the user's id and a keyed hash of it. Nobody can make one without the key, and nothing
//! has to be remembered of those that were given out. What is missing is everything else that a
//! log-in is: proof of who asks, an end of the token's life, a way to revoke it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use disband::UserId;

/// Makes tokens, and tells whose they are.
#[derive(Debug)]
pub struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    /// With a key that ends with the process.
    ///
    /// # Errors
    /// The machine has no random numbers to give.
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Tokens { key })
    }

    /// With the key in this file, which is made if there is none.
    ///
    /// # Errors
    /// It can't be read or made, or is no key.
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

    /// A token that names `user`.
    #[must_use]
    pub fn of(&self, user: UserId) -> String {
        format!("{user}.{}", self.mac(user).to_hex())
    }

    /// The user whom a token names, if it is one of ours.
    #[must_use]
    pub fn user(&self, token: &str) -> Option<UserId> {
        let (user, mac) = token.split_once('.')?;
        let user = user.parse().ok()?;
        // Compared in constant time.
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
    fn a_token_names_its_user_and_nobody_else() {
        let (ours, others) = (Tokens::new().unwrap(), Tokens::new().unwrap());
        let token = ours.of(UserId(7));
        assert_eq!(ours.user(&token), Some(UserId(7)));
        assert_eq!(others.user(&token), None);
        assert_eq!(ours.user(&token.replacen('7', "8", 1)), None);
        for wrong in ["", ".", "7", "7.", "7.00", &token[1..], &token[..token.len() - 1]] {
            assert_eq!(ours.user(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_in_a_file_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let token = Tokens::open(&path).unwrap().of(UserId(7));
        assert_eq!(Tokens::open(&path).unwrap().user(&token), Some(UserId(7)));
        fs::write(&path, "short").unwrap();
        assert_eq!(Tokens::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
