//! The engine for JavaScript, compiled to WebAssembly. The JavaScript part, in `package`, is what
//! programs import; these functions are its private interface.
//!
//! All arguments and results are numbers. JavaScript names an engine, an outcome, an audience or a
//! dissolved group by a number, and frees it. Bytes go in through the *input*, which JavaScript writes,
//! and come out through the *output*, which is valid until the next call. They are commands, queries,
//! ids and configurations in, outcomes and answers out, in postcard. An integer of 64 bits is passed as
//! two of 32 bits, since a `BigInt` is slower.
//!
//! A function that returns `i32` returns a negative number if it did nothing; `failure` has the
//! meanings.

mod failure;
mod memory;
mod module;
mod outcome;
mod run;
mod table;

use disband::{Page, Seq, Timestamp};
use disband_dynamic::{Format, Ids};
use wasm_bindgen::prelude::wasm_bindgen;

use module::{answer, call, with};

/// Makes room for an input of `length` bytes, and keeps the `keep` bytes that are already there.
/// Returns its address, or 0 if there is not enough memory.
#[wasm_bindgen]
pub fn input(length: usize, keep: usize) -> usize {
    with(|module| {
        let input = &mut module.input;
        if input.len() < length {
            input.truncate(keep);
            if input.try_reserve(length - input.len()).is_err() {
                return 0;
            }
            input.resize(length, 0);
        }
        input.as_ptr() as usize
    })
}

/// The address of the output.
#[wasm_bindgen]
pub fn output() -> usize {
    with(|module| module.output.as_ptr() as usize)
}

/// The length of the output: of the data of a refusal, or of a reason.
#[wasm_bindgen]
pub fn output_length() -> usize {
    with(|module| module.output.len())
}

/// The address of the ids of the last page of an audience.
#[wasm_bindgen]
pub fn numbers() -> usize {
    with(|module| module.numbers.as_ptr() as usize)
}

/// The default configuration, and after it the default options of a group.
#[wasm_bindgen]
pub fn defaults() -> i32 {
    answer(|module| module.defaults())
}

/// An engine with the configuration in the input.
#[wasm_bindgen]
pub fn engine_new(text: bool, length: usize) -> i32 {
    call(|module| module.create(ids(text), length))
}

/// The engine of the snapshot in the input.
#[wasm_bindgen]
pub fn engine_load(text: bool, json: bool, length: usize) -> i32 {
    call(|module| module.load(ids(text), format(json), length))
}

/// A snapshot.
#[wasm_bindgen]
pub fn engine_save(engine: u32, json: bool) -> i32 {
    answer(|module| module.save(engine, format(json)))
}

/// A clone of an engine.
#[wasm_bindgen]
pub fn engine_clone(engine: u32) -> i32 {
    call(|module| module.clone(engine))
}

/// Frees an engine.
#[wasm_bindgen]
pub fn engine_free(engine: u32) {
    drop(with(|module| module.engines.remove(engine)));
}

/// 1 if two engines are equal, else 0.
#[wasm_bindgen]
pub fn engine_equals(one: u32, other: u32) -> i32 {
    call(|module| module.equals(one, other))
}

/// Carries out the command in the input. Returns the outcome.
#[wasm_bindgen]
pub fn engine_apply(engine: u32, length: usize, now_low: u32, now_high: u32) -> i32 {
    call(|module| module.apply(engine, length, Timestamp(wide(now_low, now_high))))
}

/// The outcome that the command in the input would have.
#[wasm_bindgen]
pub fn engine_preview(engine: u32, length: usize, now_low: u32, now_high: u32) -> i32 {
    call(|module| module.preview(engine, length, Timestamp(wide(now_low, now_high))))
}

/// Carries out the `count` commands in the input, or none. Returns the outcome.
#[wasm_bindgen]
pub fn engine_apply_all(
    engine: u32,
    length: usize,
    now_low: u32,
    now_high: u32,
    count: usize,
) -> i32 {
    call(|module| module.apply_all(engine, length, count, Timestamp(wide(now_low, now_high))))
}

/// Charges the rate limit of the command in the input.
#[wasm_bindgen]
pub fn engine_charge(engine: u32, length: usize, now_low: u32, now_high: u32) -> i32 {
    call(|module| module.charge(engine, length, Timestamp(wide(now_low, now_high))))
}

/// The answer to the query in the input.
#[wasm_bindgen]
pub fn engine_read(engine: u32, length: usize) -> i32 {
    answer(|module| module.read(engine, length))
}

/// Sets the configuration in the input.
#[wasm_bindgen]
pub fn engine_set_config(engine: u32, length: usize) -> i32 {
    call(|module| module.set_config(engine, length))
}

/// Sweeps the index of an engine.
#[wasm_bindgen]
pub fn engine_sweep(engine: u32, budget: usize) -> i32 {
    call(|module| module.sweep(engine, budget))
}

/// Verifies every invariant of an engine.
#[wasm_bindgen]
pub fn engine_check(engine: u32) -> i32 {
    call(|module| module.check(engine))
}

/// An outcome with its signals, and the users of small audiences.
#[wasm_bindgen]
pub fn outcome_read(outcome: u32) -> i32 {
    answer(|module| module.outcome(outcome))
}

/// The wire reply.
#[wasm_bindgen]
pub fn outcome_reply(outcome: u32) -> i32 {
    answer(|module| module.reply(outcome))
}

/// The wire frame of a signal.
#[wasm_bindgen]
pub fn outcome_frame(outcome: u32, index: usize, versioned: bool) -> i32 {
    answer(|module| module.frame(outcome, index, versioned))
}

/// The audience of a signal, which may outlive the outcome.
#[wasm_bindgen]
pub fn outcome_audience(outcome: u32, index: usize) -> i32 {
    call(|module| module.audience(outcome, index))
}

/// A dissolved group, which may outlive the outcome.
#[wasm_bindgen]
pub fn outcome_dissolved(outcome: u32, index: usize) -> i32 {
    call(|module| module.dissolved(outcome, index))
}

/// Frees an outcome.
#[wasm_bindgen]
pub fn outcome_free(outcome: u32) {
    drop(with(|module| module.outcomes.remove(outcome)));
}

/// The users after a user, or from the first, as numbers. Returns how many.
#[wasm_bindgen]
pub fn audience_numbers(audience: u32, limit: usize, after: bool, low: u32, high: u32) -> i32 {
    let after = after.then(|| wide(low, high));
    call(|module| module.audience_numbers(audience, after, limit))
}

/// The users after the user in the input, or from the first if the input is empty.
#[wasm_bindgen]
pub fn audience_page(audience: u32, limit: usize, length: usize) -> i32 {
    answer(|module| module.audience_page(audience, length, limit))
}

/// 1 if the user in the input is in the audience, else 0.
#[wasm_bindgen]
pub fn audience_has(audience: u32, length: usize) -> i32 {
    call(|module| module.audience_has(audience, length))
}

/// Frees an audience.
#[wasm_bindgen]
pub fn audience_free(audience: u32) {
    drop(with(|module| module.audiences.remove(audience)));
}

/// A dissolved group at its end.
#[wasm_bindgen]
pub fn dissolved_group(dissolved: u32) -> i32 {
    answer(|module| module.dissolved_group(dissolved))
}

/// The members after the user in the input, or from the first if the input is empty.
#[wasm_bindgen]
pub fn dissolved_members(dissolved: u32, limit: usize, length: usize) -> i32 {
    answer(|module| module.dissolved_members(dissolved, length, limit))
}

/// Entries before an entry, or from the newest.
#[wasm_bindgen]
pub fn dissolved_history(dissolved: u32, limit: u32, before: bool, low: u32, high: u32) -> i32 {
    let before = before.then(|| Seq(wide(low, high)));
    answer(|module| module.dissolved_history(dissolved, Page { before, limit: limit.into() }))
}

/// Frees a dissolved group.
#[wasm_bindgen]
pub fn dissolved_free(dissolved: u32) {
    drop(with(|module| module.dissolved.remove(dissolved)));
}

/// The wire reply for the refusal in the input.
#[wasm_bindgen]
pub fn refusal_reply(text: bool, length: usize, now_low: u32, now_high: u32) -> i32 {
    answer(|module| module.refusal_reply(ids(text), length, Timestamp(wide(now_low, now_high))))
}

fn wide(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn ids(text: bool) -> Ids {
    if text { Ids::Text } else { Ids::Numbers }
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Postcard }
}
