//! An engine that was written and read back is the engine that never stopped.

use disband::Engine;
use proptest::prelude::*;

use crate::sight::sight;
use crate::world::{config, run, steps};

fn to_json(engine: &Engine) -> String {
    serde_json::to_string(engine).unwrap()
}

fn to_postcard(engine: &Engine) -> Vec<u8> {
    postcard::to_stdvec(engine).unwrap()
}

proptest! {
    #[test]
    fn a_snapshot_goes_on_as_if_nothing_had_happened(
        config in config(), steps in steps(80), at in any::<prop::sample::Index>(), budget in 0..9usize
    ) {
        let cut = at.index(steps.len());
        let mut engine = run(config, &steps[..cut], |_, _, _, _| {});
        let (json, bytes) = (to_json(&engine), to_postcard(&engine));
        engine.sweep(budget);
        prop_assert_eq!(&to_postcard(&engine), &bytes, "what waits for the sweep is not in it");

        let mut loaded: Engine = serde_json::from_str(&json).unwrap();
        let other: Engine = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!((&loaded, &other), (&engine, &engine));
        prop_assert_eq!((to_json(&loaded), to_postcard(&other)), (json, bytes));
        prop_assert_eq!(loaded.stats().unswept, 0);
        prop_assert_eq!(loaded.check(), Ok(()));

        for (command, now) in &steps[cut..] {
            prop_assert_eq!(sight(&loaded, *now), sight(&engine, *now));
            prop_assert_eq!(loaded.apply(command.clone(), *now), engine.apply(command.clone(), *now));
            prop_assert_eq!(to_postcard(&loaded), to_postcard(&engine));
        }
    }
}
