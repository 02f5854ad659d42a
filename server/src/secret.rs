//! The key of the tokens, in the file `token.key` of the data folder.

use crate::disk::{self, DataError, Disk, DiskFile};
use crate::world::World;

/// The name of the file.
const FILE: &str = "token.key";

/// The key of the tokens: that of the folder, or a new random one. Without a folder, tokens are not valid
/// after a restart.
///
/// # Errors
/// The file can't be read or written, or does not hold a key. An empty one does not count: it is what a
/// crash of an older version left.
pub(crate) async fn token_key<W: World>(
    world: &W,
    disk: Option<&W::Disk>,
) -> Result<[u8; 32], DataError> {
    let Some(disk) = disk else { return Ok(random(world)) };
    let names = disk.list().await.map_err(DataError::io(FILE))?;
    if names.iter().any(|name| name == FILE) {
        let file = disk.open(FILE).await.map_err(DataError::io(FILE))?;
        let bytes = file.read(0, 33).await.map_err(DataError::io(FILE))?;
        match <[u8; 32]>::try_from(&*bytes) {
            Ok(key) => return Ok(key),
            Err(_) if bytes.is_empty() => {}
            Err(_) => return Err(DataError::damaged(FILE, 0, "not a key of 32 bytes")),
        }
    }
    let key = random(world);
    disk::replace(disk, FILE, key.to_vec()).await.map_err(DataError::io(FILE))?;
    Ok(key)
}

fn random<W: World>(world: &W) -> [u8; 32] {
    let mut key = [0; 32];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&world.random().to_le_bytes());
    }
    key
}
