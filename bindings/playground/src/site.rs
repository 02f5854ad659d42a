//! The files of the site, in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use hyper::body::Bytes;

/// A static site: a fixed list of files. Paths are `index.html` or `disband/index.js`: relative, with
/// `/` between the parts.
#[derive(Debug, Default)]
pub(crate) struct Site {
    files: BTreeMap<String, File>,
}

/// A file of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its MIME type, for the header `content-type`.
    pub(crate) mime: &'static str,
    /// Its content.
    pub(crate) bytes: Bytes,
}

impl Site {
    /// Adds the files that lie directly in `folder` and have a type that a page needs, under
    /// `prefix`. Other files, folders and symbolic links are left out.
    ///
    /// # Errors
    /// If the folder or one of its files cannot be read. The error names the path.
    pub(crate) fn add_folder(&mut self, prefix: &str, folder: &Path) -> io::Result<()> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        for entry in fs::read_dir(folder).map_err(|error| named(folder, error))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((name, mime)) = name.to_str().and_then(|name| Some((name, mime(name)?)))
            else {
                continue;
            };
            if entry.file_type()?.is_file() {
                let bytes = fs::read(entry.path()).map_err(|error| named(&entry.path(), error))?;
                self.add(format!("{prefix}{name}"), mime, bytes.into());
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, mime: &'static str, bytes: Bytes) {
        self.files.insert(path, File { mime, bytes });
    }

    /// The file that a request for `path` gets; `/` is `index.html`. The path is compared as it is:
    /// nothing in it is decoded or resolved, so there is no way out of the list.
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        match path.strip_prefix('/')? {
            "" => self.files.get("index.html"),
            path => self.files.get(path),
        }
    }

    /// Writes all files into `folder`, which is created if it does not exist. Files that are already
    /// there are replaced, and others stay.
    ///
    /// # Errors
    /// If a file cannot be written. The files before it are written then.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        for (path, file) in &self.files {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, &file.bytes)?;
        }
        Ok(())
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }
}

/// The MIME type of a file that a page needs.
fn mime(name: &str) -> Option<&'static str> {
    Some(match Path::new(name).extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A site with two files.
    pub(crate) fn small() -> Site {
        let mut site = Site::default();
        let files = [("index.html", "<!doctype html>"), ("disband/core.wasm", "\0asm")];
        for (path, text) in files {
            site.add(path.into(), mime(path).unwrap(), Bytes::from_static(text.as_bytes()));
        }
        site
    }

    #[test]
    fn only_paths_of_the_list_are_found() {
        let site = small();
        assert_eq!(site.get("/"), site.get("/index.html"));
        assert_eq!(site.get("/disband/core.wasm").unwrap().mime, "application/wasm");
        for path in ["", "index.html", "//index.html", "/./index.html", "/disband", "/%69ndex.html"]
        {
            assert_eq!(site.get(path), None, "{path}");
        }
        for path in ["/../Cargo.toml", "/disband/../index.html", "/disband/..%2findex.html"] {
            assert_eq!(site.get(path), None, "{path}");
        }
    }

    #[test]
    fn a_folder_is_read_without_links_and_other_types_and_written_again() {
        let folder = std::env::temp_dir().join(format!("disband-site-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("below")).unwrap();
        for name in ["page.js", "page.css", "notes.txt", "below/deep.js"] {
            fs::write(from.join(name), name).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(from.join("page.js"), from.join("link.js")).unwrap();

        let mut site = Site::default();
        site.add_folder("a/", &from).unwrap();
        assert!(site.files.keys().eq(["a/page.css", "a/page.js"]));
        site.write(&to).unwrap();
        assert_eq!(fs::read(to.join("a/page.js")).unwrap(), b"page.js");
        assert!(
            site.add_folder("b/", &folder.join("none")).unwrap_err().to_string().contains("none")
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
