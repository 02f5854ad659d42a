//! Files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

/// Writes a file anew: whatever happens, the old one or the new one is there, and after this the new one.
/// One writes at a time.
pub(crate) fn replace(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    let mut file = BufWriter::new(File::create(&beside)?);
    write(&mut file)?;
    file.into_inner()?.sync_all()?;
    fs::rename(beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}
