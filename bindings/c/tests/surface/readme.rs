//! The examples in README.md.

use std::fs;
use std::path::Path;

use disband_c::*;

use crate::call::*;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The blocks of the README in a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = file("README.md");
    let begin = format!("```{language}\n");
    let blocks = readme.split(&begin).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_code_is_that_of_the_example() {
    let blocks = blocks("c");
    assert_eq!(blocks.len(), 1);
    assert!(file("examples/chat.c").contains(&blocks[0]));
}

#[test]
fn the_forms_are_those_of_the_library() -> Given<()> {
    let engine = given(|out| disband_engine_new(NUMBERS, JSON, NOTHING.into(), out))?;
    let block = blocks("text").concat();
    let mut lines = block.lines().filter(|line| !line.is_empty());
    let mut count = 0;
    while let (Some(line), Some(expected)) = (lines.next(), lines.next()) {
        let (function, bytes) = line.split_once(' ').unwrap();
        let outcome = match function {
            "apply" => apply(engine, bytes, 1000)?,
            "apply_all" => batch(engine, bytes, 1000)?,
            "read" => {
                assert_eq!(read(engine, bytes)?, expected, "{line}");
                count += 1;
                continue;
            }
            _ => panic!("{line}"),
        };
        assert_eq!(encoded(outcome)?, expected, "{line}");
        done(outcome.free())?;
        count += 1;
    }
    assert_eq!(count, 8);
    done(engine.free())
}
