//! Reads and writes an engine as a file. The ending of the name selects JSON or postcard.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use disband::Engine;
use tempfile::NamedTempFile;

/// The path of a snapshot, and its format.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    path: PathBuf,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Postcard,
}

impl FromStr for SnapshotFile {
    type Err = &'static str;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(path);
        let form = match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Form::Json,
            Some("postcard") => Form::Postcard,
            _ => return Err("a snapshot's name ends in .json or .postcard"),
        };
        Ok(SnapshotFile { path, form })
    }
}

impl SnapshotFile {
    /// Reads and verifies the engine. The error says in words what is wrong with the file.
    pub(crate) fn read(&self) -> Result<Engine, String> {
        let named = |cause: String| format!("{}: {cause}", self.path.display());
        let bytes = fs::read(&self.path).map_err(|error| named(error.to_string()))?;
        match self.form {
            Form::Json => serde_json::from_slice(&bytes).map_err(|error| named(error.to_string())),
            Form::Postcard => match postcard::take_from_bytes(&bytes) {
                Ok((engine, [])) => Ok(engine),
                Ok((_, rest)) => Err(named(format!("{} bytes after its end", rest.len()))),
                Err(error) => Err(named(error.to_string())),
            },
        }
    }

    /// Writes the engine. At every moment the path has the old file or the new file, complete: the
    /// new file is written and synced under another name, and then renamed in one step.
    pub(crate) fn write(&self, engine: &Engine) -> io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut file = BufWriter::new(NamedTempFile::new_in(folder)?);
        match self.form {
            Form::Json => serde_json::to_writer(&mut file, engine)?,
            Form::Postcard => {
                postcard::to_io(engine, &mut file).map_err(io::Error::other)?;
            }
        }
        file.flush()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        // The new name is stored in the folder, so the folder must be synced too.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}
