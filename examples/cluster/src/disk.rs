//! Replaces files as a whole.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

/// Replaces a file atomically: after a crash either the old or the new content is there, complete.
/// When this returns `Ok`, the new content is on disk. Must not run twice at once for one file.
pub(crate) fn replace(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    let mut file = BufWriter::new(File::create(&temporary)?);
    write(&mut file)?;
    file.into_inner()?.sync_all()?;
    fs::rename(temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}
