//! The key of the tokens, in the file `token.key` of the data folder.

use tracing::info;

use crate::disk::{self, DataError, Disk, DiskFile};
use crate::world::World;

/// The name of the file.
const FILE: &str = "token.key";

/// The bytes of a key.
const KEY: usize = 32;

/// The bytes of the file: the key, and a checksum of it.
const LEN: usize = KEY + 4;

/// The key of the tokens: that of the folder, or a new random one. Without a folder, tokens are not valid
/// after a restart.
///
/// # Errors
/// The file can't be read or written, or is damaged.
pub(crate) async fn token_key<W: World>(
    world: &W,
    disk: Option<&W::Disk>,
) -> Result<[u8; KEY], DataError> {
    let Some(disk) = disk else { return Ok(random(world)) };
    let names = disk.list().await.map_err(DataError::io(FILE))?;
    if names.iter().any(|name| name == FILE) {
        let file = disk.open(FILE).await.map_err(DataError::io(FILE))?;
        let bytes = file.read(0, LEN + 1).await.map_err(DataError::io(FILE))?;
        return decode(&bytes);
    }
    info!("created {FILE}: tokens from before, if there are any, are not valid");
    let key = random(world);
    let sum = crc32fast::hash(&key).to_le_bytes();
    let bytes = [&key[..], &sum].concat();
    disk::replace(disk, FILE, bytes).await.map_err(DataError::io(FILE))?;
    Ok(key)
}

fn decode(bytes: &[u8]) -> Result<[u8; KEY], DataError> {
    let whole = bytes.split_first_chunk::<KEY>();
    let whole = whole.filter(|(key, sum)| *sum == crc32fast::hash(*key).to_le_bytes());
    whole.map(|(key, _)| *key).ok_or_else(|| {
        let what = "not a key with its checksum. If all users may log in again, delete this file";
        DataError::damaged(FILE, 0, what)
    })
}

fn random<W: World>(world: &W) -> [u8; KEY] {
    let mut key = [0; KEY];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&world.random().to_le_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_is_refused() {
        let key = [7; KEY];
        let bytes = [&key[..], &crc32fast::hash(&key).to_le_bytes()].concat();
        assert_eq!(decode(&bytes).unwrap(), key);
        for len in 0..LEN {
            assert_eq!(decode(&bytes[..len]).unwrap_err().file(), FILE);
        }
        for bit in 0..LEN * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err());
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
