//! Engines in files: JSON or postcard, by the file's ending.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use disband::Engine;
use tempfile::NamedTempFile;

/// Where a snapshot is, and in which form.
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
    /// The engine in the file, verified; or what is wrong with it, in words.
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

    /// Writes the engine. The file is the old one or the new one, whatever happens on the way: it is
    /// written and synced beside it under another name, and takes its name in one step.
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
        // The name is the folder's to keep.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}
