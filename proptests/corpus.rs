//! Runs the inputs that the fuzzer kept (`fuzz/corpus`) again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::bytes::{self, Depth};
use crate::reach::Reached;

/// The inputs of a fuzz target, in the order of their file names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Every error that a snapshot can have if it deserialises. Derived data is not part of a snapshot:
/// it is rebuilt, so it cannot have an error. `_` stands for an id.
const ERRORS: [&str; 17] = [
    "the groups are not in strictly ascending order",
    "the tombstones are not in strictly ascending order",
    "the rate cells are not in strictly ascending order",
    "the members of a group are not in strictly ascending order",
    "the admins of a group are not in strictly ascending order",
    "the bans of a group are not in strictly ascending order",
    "the mutes of a group are not in strictly ascending order",
    "there is a rate cell of an operation without a limit",
    "there is a rate cell past the largest time",
    "a counter is above 2^63",
    "the owner of _ is not a member of it",
    "the stint of _ in _ was never given out, or is used twice",
    "_ remembers too many departures, or two of one user",
    "the admins or the staff of _ are wrong",
    "a member of _ is banned, or the order of its bans is wrong",
    "the log of _ is out of order",
    "there is a group _ and a tombstone of it",
];

#[test]
fn the_snapshot_corpus_reaches_every_error_and_valid_engines() {
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for bytes in corpus("snapshot") {
        let depth = match bytes::snapshot(&bytes) {
            Depth::Broken(error) => {
                let is_id = |word: &&str| word.contains('(') || word.ends_with(')');
                let words = error.to_string();
                let words = words.split(' ').map(|word| if is_id(&word) { "_" } else { word });
                words.collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        };
        *reached.entry(depth).or_default() += 1;
    }
    println!("{reached:#?}");
    for depth in ERRORS.into_iter().chain(["Unread", "Engine"]) {
        assert!(reached.contains_key(depth), "no input reaches: {depth}");
    }
    assert_eq!(reached.len(), ERRORS.len() + 2, "an error is missing from ERRORS");
}

#[test]
fn the_commands_corpus_reaches_every_refusal_and_every_result() {
    let mut reached = Reached::default();
    for bytes in corpus("commands") {
        bytes::commands(&bytes, |result| reached.count(result));
    }
    println!("{reached:?}");
    reached.assert_all();
}
