//! Imports in `src/` go one way: a file imports only files that come before it in [`ORDER`].
#![allow(clippy::disallowed_methods, reason = "the test reads the sources")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ORDER: [&str; 39] = [
    "name",
    "key",
    "types",
    "answer",
    "requests",
    "keys",
    "machine",
    "disk",
    "world",
    "runtime",
    "simulated",
    "raft",
    "real",
    "identity",
    "snapshots",
    "log",
    "options",
    "unanswered",
    "under_way",
    "health",
    "metrics",
    "connections",
    "dispatcher",
    "state",
    "outside",
    "replica",
    "peers",
    "node",
    "proposer",
    "reads",
    "clock",
    "keeper",
    "tokens",
    "secret",
    "service",
    "http",
    "server",
    "lib",
    "main",
];

/// The text of a file and of the files in the folder with its name, without tests.
fn text(src: &Path, name: &str) -> String {
    let mut text = fs::read_to_string(src.join(format!("{name}.rs"))).unwrap();
    if let Some(tests) = text.find("#[cfg(test)]\nmod tests {") {
        text.truncate(tests);
    }
    if let Ok(folder) = fs::read_dir(src.join(name)) {
        for file in folder {
            let path = file.unwrap().path();
            let part = path.file_stem().unwrap().to_str().unwrap();
            if path.extension().is_some_and(|kind| kind == "rs") && part != "tests" {
                text += &self::text(path.parent().unwrap(), part);
            }
        }
    }
    text
}

#[test]
fn a_file_imports_only_files_that_come_before_it_in_the_order() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    let ordered: BTreeSet<_> = ORDER.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(files, ordered, "ORDER must have all files");
    for (place, name) in ORDER.iter().enumerate() {
        let text = text(&src, name);
        for (later, other) in ORDER.iter().enumerate().skip(place + 1) {
            let path = format!("crate::{other}::");
            let code = |line: &str| !line.trim_start().starts_with("//");
            let imports = text.lines().any(|line| code(line) && line.contains(&path));
            assert!(!imports, "{name} (place {place}) imports {other} (place {later})");
        }
    }
}
