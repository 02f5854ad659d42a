//! Handles that are null, freed, made up or of another type; and null out parameters.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ptr;

use disband_c::*;
use proptest::prelude::*;

use crate::call::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Engine,
    Outcome,
    Audience,
    Dissolved,
}

use Kind::{Audience, Dissolved, Engine, Outcome};

const KINDS: [Kind; 4] = [Engine, Outcome, Audience, Dissolved];

/// Calls a function with an out parameter that is null or not, and frees what it gave.
fn status<T: Written>(
    null: bool,
    call: impl FnOnce(Option<&mut MaybeUninit<T>>) -> disband_status,
) -> disband_status {
    if null {
        return call(None);
    }
    match given(call) {
        Ok(value) => value.free(),
        Err(status) => status,
    }
}

/// Calls every function with an out parameter that takes a handle of this kind.
fn calls_with_out(kind: Kind, id: u64, null: bool) -> Vec<disband_status> {
    let leave = || br#"{"leave_all":{"user":"9"}}"#[..].into();
    let user = || br#""1""#[..].into();
    match kind {
        Engine => {
            let it = disband_engine { id };
            vec![
                status(null, |out| disband_engine_clone(it, out)),
                status(null, |out| disband_engine_ids(it, out)),
                status(null, |out| disband_engine_apply(it, JSON, leave(), 1, out)),
                status(null, |out| disband_engine_preview(it, JSON, leave(), 1, out)),
                status(null, |out| disband_engine_apply_all(it, JSON, b"[]"[..].into(), 1, out)),
                status(null, |out| disband_engine_charge(it, JSON, leave(), 1, out)),
                status(null, |out| disband_engine_read(it, JSON, b"\"stats\""[..].into(), out)),
                status(null, |out| disband_engine_equal(it, it, out)),
                status(null, |out| disband_engine_save(it, POSTCARD, out)),
            ]
        }
        Outcome => {
            let it = disband_outcome { id };
            vec![
                status(null, |out| disband_outcome_code(it, out)),
                status(null, |out| disband_outcome_encode(it, JSON, out)),
                status(null, |out| disband_outcome_wire_reply(it, out)),
                status(null, |out| disband_outcome_signal_count(it, out)),
                status(null, |out| disband_outcome_wire_frame(it, 0, true, out)),
                status(null, |out| disband_outcome_audience(it, 0, out)),
                status(null, |out| disband_outcome_dissolved_count(it, out)),
                status(null, |out| disband_outcome_dissolved(it, 0, out)),
            ]
        }
        Audience => {
            let it = disband_audience { id };
            let mut ids = [0; 4];
            vec![
                status(null, |out| disband_audience_clone(it, out)),
                status(null, |out| disband_audience_len(it, out)),
                status(null, |out| disband_audience_contains(it, JSON, user(), out)),
                status(null, |out| disband_audience_page(it, JSON, user(), 5, out)),
                // SAFETY: `ids` has that many elements.
                status(null, |out| unsafe {
                    disband_audience_numbers(it, ptr::null(), ids.as_mut_ptr(), ids.len(), out)
                }),
            ]
        }
        Dissolved => {
            let it = disband_dissolved { id };
            vec![
                status(null, |out| disband_dissolved_summary(it, out)),
                status(null, |out| disband_dissolved_group(it, JSON, out)),
                status(null, |out| disband_dissolved_members(it, JSON, user(), 5, out)),
                status(null, |out| disband_dissolved_history(it, JSON, None, 5, out)),
            ]
        }
    }
}

/// Calls every function that takes a handle of this kind, except for `free`.
fn calls(kind: Kind, id: u64) -> Vec<disband_status> {
    let mut all = calls_with_out(kind, id, false);
    if kind == Engine {
        let it = disband_engine { id };
        all.push(disband_engine_set_config(it, JSON, unlimited().as_bytes().into()));
        all.push(disband_engine_sweep(it, 1));
        all.push(disband_engine_check(it));
    }
    all
}

fn free(kind: Kind, id: u64) -> disband_status {
    match kind {
        Engine => disband_engine { id }.free(),
        Outcome => disband_outcome { id }.free(),
        Audience => disband_audience { id }.free(),
        Dissolved => disband_dissolved { id }.free(),
    }
}

/// A handle of each kind. Of the outcome there are a signal and a dissolved group.
fn one_of_each() -> Given<[(Kind, u64); 4]> {
    let engine = group_of(3);
    let outcome = apply(engine, r#"{"leave":{"user":"1","group":"7"}}"#, 2000)?;
    let audience = given(|out| disband_outcome_audience(outcome, 0, out))?;
    let dissolved = given(|out| disband_outcome_dissolved(outcome, 0, out))?;
    Ok([
        (Engine, engine.id),
        (Outcome, outcome.id),
        (Audience, audience.id),
        (Dissolved, dissolved.id),
    ])
}

fn assert_all(statuses: Vec<disband_status>, expected: disband_status, what: &str) {
    assert!(statuses.iter().all(|status| *status == expected), "{what}: {statuses:?}");
}

#[test]
fn a_handle_works_in_every_function_of_its_kind_and_in_no_other() -> Given<()> {
    let handles = one_of_each()?;
    for (of, id) in handles {
        for kind in KINDS {
            let expected = if kind == of { disband_status::Ok } else { disband_status::BadHandle };
            assert_all(calls(kind, id), expected, &format!("{of:?} as {kind:?}"));
            if kind != of {
                assert_eq!(free(kind, id), disband_status::BadHandle);
            }
        }
    }
    assert_eq!(
        disband_outcome_free(disband_outcome { id: handles[0].1 }),
        disband_status::BadHandle
    );
    assert_eq!(last_error(), format!("the handle {} is an engine, not an outcome", handles[0].1));
    for (kind, id) in handles {
        assert_eq!(free(kind, id), disband_status::Ok);
        assert_all(calls(kind, id), disband_status::BadHandle, "freed");
        assert_eq!(free(kind, id), disband_status::BadHandle, "freed twice");
        assert_eq!(last_error(), format!("the handle {id} was freed or never existed"));
    }
    Ok(())
}

#[test]
fn null_and_made_up_handles_are_recognised() {
    for kind in KINDS {
        for id in [0, 1, 15, 1 << 50, u64::MAX] {
            assert_all(calls(kind, id), disband_status::BadHandle, &format!("{kind:?} {id}"));
            assert_eq!(free(kind, id), disband_status::BadHandle);
        }
    }
    assert_eq!(free(Dissolved, 0), disband_status::BadHandle);
    assert_eq!(last_error(), "the handle is null, not a dissolved group");
}

#[test]
fn a_null_out_parameter_is_recognised_before_anything_is_done() -> Given<()> {
    let handles = one_of_each()?;
    let before = saved(disband_engine { id: handles[0].1 }, POSTCARD);
    for (kind, id) in handles {
        assert_all(calls_with_out(kind, id, true), disband_status::NullPointer, "null");
        assert_all(calls_with_out(kind, 0, true), disband_status::NullPointer, "null");
    }
    let engine = disband_engine { id: handles[0].1 };
    let create = br#"{"create":{"owner":"1","group":"8"}}"#;
    let status = disband_engine_apply(engine, JSON, create[..].into(), 1, None);
    assert_eq!(
        (status, last_error().as_str()),
        (disband_status::NullPointer, "the out parameter is null")
    );
    assert!(saved(engine, POSTCARD) == before);

    let new = disband_engine_new(NUMBERS, JSON, NOTHING.into(), None);
    let load = disband_engine_load(NUMBERS, POSTCARD, before[..].into(), None);
    assert_eq!([new, load, disband_bytes_free(None)], [disband_status::NullPointer; 3]);
    for (kind, id) in handles {
        assert_eq!(free(kind, id), disband_status::Ok);
    }
    Ok(())
}

#[test]
fn a_failure_sets_the_out_parameter_to_zero() {
    let none = disband_engine { id: 0 };
    let mut clone = MaybeUninit::new(disband_engine { id: 77 });
    assert_eq!(disband_engine_clone(none, Some(&mut clone)), disband_status::BadHandle);
    let mut saved = MaybeUninit::new(disband_bytes::from(Vec::new()));
    // SAFETY: it was just written.
    let old = unsafe { saved.assume_init_read() };
    assert_eq!(disband_engine_save(none, JSON, Some(&mut saved)), disband_status::BadHandle);
    assert_eq!(old.free(), disband_status::Ok);
    // SAFETY: both were written.
    let (clone, saved) = unsafe { (clone.assume_init(), saved.assume_init()) };
    assert_eq!((clone, saved.as_slice()), (none, NOTHING));
    assert_eq!(saved.free(), disband_status::Ok, "bytes of a failed call may be freed");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Makes a handle of each kind.
    Make,
    /// Calls all functions of a kind with a handle that was once made.
    Call(Kind, prop::sample::Index),
    /// Calls all functions of a kind with any number.
    CallAny(Kind, u64),
    Free(Kind, prop::sample::Index),
    Clone(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || prop::sample::select(&KINDS[..]);
    let index = any::<prop::sample::Index>;
    prop_oneof![
        1 => Just(Step::Make),
        4 => (kind(), index()).prop_map(|(kind, index)| Step::Call(kind, index)),
        1 => (kind(), 1_u64 << 40..).prop_map(|(kind, id)| Step::CallAny(kind, id)),
        4 => (kind(), index()).prop_map(|(kind, index)| Step::Free(kind, index)),
        1 => index().prop_map(Step::Clone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A list of the handles that are alive says for every call whether it succeeds.
    #[test]
    fn random_calls_on_random_handles(steps in prop::collection::vec(step(), 1..60)) {
        let mut made: Vec<u64> = Vec::new();
        let mut alive: BTreeMap<u64, Kind> = BTreeMap::new();
        let expected = |alive: &BTreeMap<u64, Kind>, kind, id| match alive.get(&id) {
            Some(of) if *of == kind => disband_status::Ok,
            _ => disband_status::BadHandle,
        };
        for step in steps {
            match step {
                Step::Make => {
                    for (kind, id) in one_of_each().unwrap() {
                        prop_assert!(!made.contains(&id), "{id} is used again");
                        made.push(id);
                        alive.insert(id, kind);
                    }
                }
                Step::Call(kind, index) if !made.is_empty() => {
                    let id = *index.get(&made);
                    assert_all(calls(kind, id), expected(&alive, kind, id), "call");
                }
                Step::CallAny(kind, id) => {
                    assert_all(calls(kind, id), disband_status::BadHandle, "any");
                }
                Step::Free(kind, index) if !made.is_empty() => {
                    let id = *index.get(&made);
                    let status = expected(&alive, kind, id);
                    prop_assert_eq!(free(kind, id), status);
                    if status == disband_status::Ok {
                        alive.remove(&id);
                    }
                }
                Step::Clone(index) if !made.is_empty() => {
                    let engine = disband_engine { id: *index.get(&made) };
                    let clone = given(|out| disband_engine_clone(engine, out));
                    prop_assert_eq!(clone.err().unwrap_or(disband_status::Ok), expected(&alive, Engine, engine.id));
                    if let Ok(disband_engine { id }) = clone {
                        made.push(id);
                        alive.insert(id, Engine);
                    }
                }
                Step::Call(..) | Step::Free(..) | Step::Clone(..) => {}
            }
        }
        for (id, kind) in alive {
            prop_assert_eq!(free(kind, id), disband_status::Ok);
        }
    }
}
