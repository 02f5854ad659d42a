//! Checks that the random commands get every refusal and every result. Without this check, a
//! property test could pass because its commands never reach the interesting case.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::sight::EngineResult;
use crate::world::{config, run, steps};

/// The refusals and the results, by the names that serde gives them.
const ALL: [&str; 54] = [
    "Err too_fast",
    "Err no_such_group",
    "Err dissolved",
    "Err not_member stint_over",
    "Err not_member left",
    "Err not_member kicked",
    "Err not_member no_record",
    "Err not_owner",
    "Err not_admin",
    "Err outranked",
    "Err banned",
    "Err target_not_member left",
    "Err target_not_member kicked",
    "Err target_not_member no_record",
    "Err group_exists",
    "Err id_reserved",
    "Err already_member",
    "Err owner_must_stay",
    "Err already_owner",
    "Err already_ranked",
    "Err not_banned",
    "Err already_expired",
    "Err over_limit members_per_group",
    "Err over_limit groups_per_user",
    "Err over_limit message_bytes",
    "Err over_limit entries_per_group",
    "Err over_limit bans_per_group",
    "Err closed",
    "Err target_banned",
    "Err muted",
    "Err not_muted",
    "Err no_such_entry",
    "Err not_author",
    "Err already_erased",
    "Err over_limit mutes_per_group",
    "Err over_limit note_bytes",
    "Err over_limit message_bytes_total",
    "Err over_limit memberships_total",
    "Ok created",
    "Ok joined",
    "Ok departed left",
    "Ok departed dissolved",
    "Ok departed succeeded",
    "Ok kicked",
    "Ok posted",
    "Ok dissolved",
    "Ok transferred",
    "Ok ranked",
    "Ok configured",
    "Ok added",
    "Ok muted",
    "Ok unmuted",
    "Ok edited",
    "Ok erased",
];

/// The other results. `name` splits bans and `left_all` by what they did, because serde's name does
/// not say it.
const MORE: [&str; 6] = [
    "Ok banned a member",
    "Ok banned a stranger",
    "Ok unbanned",
    "Ok left_all of none",
    "Ok left_all of one",
    "Ok left_all of many",
];

/// The name of a serialised refusal or reply.
fn name(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        Value::Object(fields) => {
            let (name, inner) = fields.iter().next().unwrap();
            match (name.as_str(), inner) {
                ("not_member" | "target_not_member" | "departed", inner) => {
                    format!("{name} {}", self::name(inner))
                }
                ("over_limit", inner) => format!("{name} {}", inner["limit"].as_str().unwrap()),
                ("banned", Value::Null) => "banned a stranger".into(),
                ("banned", Value::Number(_)) => "banned a member".into(),
                ("left_all", Value::Array(groups)) => {
                    format!("left_all of {}", ["none", "one", "many"][groups.len().min(2)])
                }
                _ => name.clone(),
            }
        }
        other => panic!("{other}"),
    }
}

/// How often each refusal and each result occurred.
#[derive(Debug, Default)]
pub struct Reached(BTreeMap<String, u64>);

impl Reached {
    pub fn count(&mut self, result: &EngineResult) {
        let name = match result {
            Ok(outcome) => format!("Ok {}", name(&serde_json::to_value(&outcome.value).unwrap())),
            Err(refusal) => format!("Err {}", name(&serde_json::to_value(refusal).unwrap())),
        };
        *self.0.entry(name).or_default() += 1;
    }

    /// Asserts that each name in `ALL` and `MORE` occurred, and no other name.
    #[track_caller]
    pub fn assert_all(&self) {
        for name in ALL.iter().chain(&MORE) {
            assert!(self.0.contains_key(*name), "no command got {name}");
        }
        for name in self.0.keys() {
            let mut known = ALL.iter().chain(&MORE);
            assert!(known.any(|known| known == name), "{name} is not in ALL or MORE");
        }
    }
}

#[test]
fn the_random_commands_reach_every_refusal_and_every_result() {
    let mut runner = TestRunner::deterministic();
    let mut reached = Reached::default();
    for _ in 0..600 {
        let (config, steps) = (config(), steps(100)).new_tree(&mut runner).unwrap().current();
        run(config, &steps, |_, _, result, _| {
            reached.count(result);
        });
    }
    println!("{reached:?}");
    reached.assert_all();
}
