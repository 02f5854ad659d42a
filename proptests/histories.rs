//! Writes random histories of the property tests as files, for `disband-replay` and for the replay
//! programs of the bindings. The same seed gives the same files.
//!
//! `cargo run -p proptests --example histories -- FOLDER COUNT SEED`
//!
//! History n is `random-n.jsonl`, and its first configuration `random-n.config.json`.

#![allow(dead_code, unreachable_pub, reason = "the modules have more than is used here")]

mod model;
mod sight;
mod world;

use std::error::Error;
use std::fs;
use std::path::Path;

use disband::{Command, Config, GroupId, Timestamp, UserId};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde::Serialize;

use world::Turn;

/// The most random turns of a history.
const TURNS: usize = 200;

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Step<'a> {
    Command(&'a Command<UserId, GroupId>),
    Config(Box<Config>),
}

#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    step: Step<'a>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, seed] = &arguments[..] else {
        return Err("expected three arguments: FOLDER COUNT SEED".into());
    };
    let (folder, count): (_, u32) = (Path::new(folder), count.parse()?);
    fs::create_dir_all(folder)?;
    let mut runner = runner(seed.parse()?);
    for number in 0..count {
        let history = (world::config(), world::turns(TURNS));
        let (config, turns) =
            history.new_tree(&mut runner).map_err(|reason| reason.to_string())?.current();
        let name = |ending: &str| folder.join(format!("random-{number}.{ending}"));
        fs::write(name("config.json"), serde_json::to_string(&config)?)?;
        fs::write(name("jsonl"), lines(config, &turns)?)?;
    }
    Ok(())
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(proptest::test_runner::Config::default(), rng)
}

/// The turns as lines of a history, without those that only charge a rate limit.
fn lines(mut config: Config, turns: &[Turn]) -> Result<String, serde_json::Error> {
    let (mut text, mut at) = (String::new(), Timestamp(0));
    for turn in turns {
        let step = match turn {
            Turn::Charge(..) => continue,
            Turn::Command(command, now) => {
                at = *now;
                Step::Command(command)
            }
            Turn::Change(change) => {
                let new = change.new_config(config);
                if new.instance == config.instance {
                    config = new;
                }
                Step::Config(Box::new(new))
            }
        };
        text.push_str(&serde_json::to_string(&Line { at, step })?);
        text.push('\n');
    }
    Ok(text)
}
