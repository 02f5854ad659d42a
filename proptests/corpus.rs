//! What the fuzzer found worth keeping, run again.

use std::fs;
use std::path::Path;

use crate::bytes::{self, Depth};
use crate::reach::Reached;

/// The inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn snapshots() {
    let depths: Vec<Depth> =
        corpus("snapshot").iter().map(|bytes| bytes::snapshot(bytes)).collect();
    for (depth, least) in [(Depth::Unread, 10), (Depth::Broken, 10), (Depth::Engine, 10)] {
        let count = depths.iter().filter(|reached| **reached == depth).count();
        println!("{depth:?}: {count}");
        assert!(count >= least, "{count} inputs are {depth:?}");
    }
}

#[test]
fn commands() {
    let mut reached = Reached::default();
    for bytes in corpus("commands") {
        bytes::commands(&bytes, |done| reached.count(done));
    }
    println!("{reached:?}");
    reached.assert_all();
}
