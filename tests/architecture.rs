//! Imports in `src/` go one way: a file imports only files that come before it in [`ORDER`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ORDER: [&str; 38] = [
    "decimal",
    "name",
    "id",
    "time",
    "stats",
    "tree",
    "walk",
    "map",
    "timed",
    "ended",
    "listing",
    "rank",
    "quota",
    "limits",
    "options",
    "config",
    "limiter",
    "refusal",
    "farewell",
    "sanctions",
    "sums",
    "log",
    "group",
    "audience",
    "signal",
    "tombstone",
    "directory",
    "outcome",
    "command",
    "state",
    "membership",
    "authority",
    "chat",
    "engine",
    "check",
    "format1",
    "snapshot",
    "wire",
];

#[test]
fn a_file_imports_only_files_that_come_before_it_in_the_order() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() || name == "lib" || name == "guide" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let place = ORDER.iter().position(|file| *file == name);
        let place = place.unwrap_or_else(|| panic!("{name} is missing from ORDER"));
        for line in text.lines().filter_map(|line| line.strip_prefix("use crate::")) {
            let used = line.split([':', ';']).next().unwrap();
            let before = ORDER[..place].contains(&used);
            assert!(before, "{name} imports {used}, which does not come before it in ORDER");
        }
        files.insert(name);
    }
    assert_eq!(files, ORDER.iter().map(|file| (*file).to_owned()).collect());
}

/// A method of a trait has the trait's documentation, so only functions with `pub` count.
#[test]
fn every_public_function_has_an_example_or_names_one() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut functions, mut missing) = (0, Vec::new());
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut docs = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                docs.push_str(doc);
                docs.push('\n');
            } else if line.starts_with("pub fn ") || line.starts_with("pub const fn ") {
                functions += 1;
                let words = docs.split_whitespace().collect::<Vec<_>>().join(" ");
                if !docs.contains("```") && !words.contains("has an example") {
                    missing.push(format!("{}: {line}", path.display()));
                }
                docs.clear();
            } else if !line.starts_with("#[") {
                docs.clear();
            }
        }
    }
    assert!(functions > 70, "{functions}");
    assert!(missing.is_empty(), "{missing:#?}");
}
