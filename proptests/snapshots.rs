//! An engine that is restored from a snapshot behaves identically.

use disband::{Config, Engine};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sight::view;
use crate::world::{Turn, change, config, run, run_turn, steps, turns};

fn to_json(engine: &Engine) -> String {
    serde_json::to_string(engine).unwrap()
}

fn to_postcard(engine: &Engine) -> Vec<u8> {
    postcard::to_stdvec(engine).unwrap()
}

/// The parts of a snapshot in JSON. The cells are not in a `Value`, because a cell's number may be
/// too large for it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    format: u32,
    config: Config,
    next_stint: u64,
    next_key: u64,
    groups: Value,
    tombstones: Value,
    cells: Vec<(Value, u128)>,
}

/// Writes a snapshot of the engine, puts another configuration into it, and restores an engine from
/// it. The cells (the states of rate limits) of operations whose quota differs are removed.
fn read_back_with(engine: &Engine, config: Config) -> Engine {
    let mut parts: Parts = serde_json::from_str(&to_json(engine)).unwrap();
    let quotas = |config: Config| serde_json::to_value(config.quotas).unwrap();
    let (old, new) = (quotas(parts.config), quotas(config));
    parts.cells.retain(|(key, _)| {
        let operation = key["operation"].as_str().unwrap();
        old[operation] == new[operation]
    });
    parts.config = config;
    serde_json::from_str(&serde_json::to_string(&parts).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_restored_engine_behaves_identically(
        config in config(), turns in turns(80), at in any::<prop::sample::Index>(), budget in 0..9usize
    ) {
        let cut = at.index(turns.len());
        let mut engine: Engine = Engine::new(config);
        for turn in &turns[..cut] {
            run_turn(&mut engine, turn);
        }
        let (json, bytes) = (to_json(&engine), to_postcard(&engine));
        engine.sweep(budget);
        prop_assert_eq!(&to_postcard(&engine), &bytes, "a sweep does not change the snapshot");

        let mut loaded: Engine = serde_json::from_str(&json).unwrap();
        let other: Engine = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!((&loaded, &other), (&engine, &engine));
        prop_assert_eq!((to_json(&loaded), to_postcard(&other)), (json, bytes));
        prop_assert_eq!(loaded.stats().unswept, 0);
        prop_assert_eq!(loaded.check(), Ok(()));

        for turn in &turns[cut..] {
            if let Turn::Command(_, now) | Turn::Charge(_, now) = turn {
                prop_assert_eq!(view(&loaded, *now), view(&engine, *now));
            }
            prop_assert_eq!(run_turn(&mut loaded, turn), run_turn(&mut engine, turn));
            prop_assert_eq!(to_postcard(&loaded), to_postcard(&engine));
        }
    }

    #[test]
    fn set_config_equals_restoring_a_snapshot_with_the_new_configuration(
        config in config(), steps in steps(80), at in any::<prop::sample::Index>(), change in change()
    ) {
        let cut = at.index(steps.len());
        let mut engine = run(config, &steps[..cut], |_, _, _, _| {});
        let new = Config { instance: config.instance, ..change.new_config(config) };
        let mut other = read_back_with(&engine, new);
        let forgotten = engine.set_config(new).unwrap();
        prop_assert_eq!(&other, &engine);
        prop_assert_eq!(to_postcard(&other), to_postcard(&engine));
        prop_assert_eq!(engine.check(), Ok(()));
        drop(forgotten);

        for (command, now) in &steps[cut..] {
            prop_assert_eq!(view(&other, *now), view(&engine, *now));
            prop_assert_eq!(other.apply(command.clone(), *now), engine.apply(command.clone(), *now));
            prop_assert_eq!(to_postcard(&other), to_postcard(&engine));
        }
    }
}
