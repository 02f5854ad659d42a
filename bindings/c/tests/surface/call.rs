//! Calls of the C functions, for short tests: results and failures as values.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use disband_c::*;

/// What a call gave, or how it failed.
pub(crate) type Given<T> = Result<T, disband_status>;

/// What functions write to their out parameter.
pub(crate) trait Written: Default {
    /// Frees it, if it must be freed.
    fn free(self) -> disband_status {
        disband_status::Ok
    }
}

impl Written for bool {}
impl Written for u32 {}
impl Written for u64 {}
impl Written for usize {}
impl Written for disband_summary {}

impl Written for disband_bytes {
    fn free(mut self) -> disband_status {
        disband_bytes_free(Some(&mut self))
    }
}

impl Written for disband_engine {
    fn free(self) -> disband_status {
        disband_engine_free(self)
    }
}

impl Written for disband_outcome {
    fn free(self) -> disband_status {
        disband_outcome_free(self)
    }
}

impl Written for disband_audience {
    fn free(self) -> disband_status {
        disband_audience_free(self)
    }
}

impl Written for disband_dissolved {
    fn free(self) -> disband_status {
        disband_dissolved_free(self)
    }
}

/// Calls a function that has an out parameter.
pub(crate) fn given<T: Written>(
    call: impl FnOnce(Option<&mut MaybeUninit<T>>) -> disband_status,
) -> Given<T> {
    let mut out = MaybeUninit::uninit();
    let status = call(Some(&mut out));
    // SAFETY: a function always writes its out parameter, if that is not null. The tests with the
    // sanitizer would find one that does not.
    let value = unsafe { out.assume_init() };
    if status == disband_status::Ok { Ok(value) } else { Err(status) }
}

/// The result of a function without an out parameter.
pub(crate) fn done(status: disband_status) -> Given<()> {
    if status == disband_status::Ok { Ok(()) } else { Err(status) }
}

pub(crate) fn string(text: *const c_char) -> &'static str {
    // SAFETY: the library returns a string. The tests use it before the thread's next call.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap()
}

pub(crate) fn last_error() -> String {
    string(disband_last_error()).to_owned()
}

pub(crate) const JSON: disband_format = DISBAND_FORMAT_JSON;
pub(crate) const POSTCARD: disband_format = DISBAND_FORMAT_POSTCARD;
pub(crate) const NUMBERS: disband_ids = DISBAND_IDS_NUMBERS;
pub(crate) const TEXT: disband_ids = DISBAND_IDS_TEXT;
pub(crate) const NOTHING: &[u8] = &[];

/// Every rate limit is off.
pub(crate) fn unlimited() -> String {
    serde_json::to_string(&disband::Config {
        quotas: disband::Quotas::UNLIMITED,
        ..disband::Config::default()
    })
    .unwrap()
}

pub(crate) fn engine(ids: disband_ids) -> disband_engine {
    given(|out| disband_engine_new(ids, JSON, unlimited().as_bytes().into(), out)).unwrap()
}

pub(crate) fn apply(engine: disband_engine, command: &str, now: u64) -> Given<disband_outcome> {
    given(|out| disband_engine_apply(engine, JSON, command.as_bytes().into(), now, out))
}

pub(crate) fn batch(engine: disband_engine, commands: &str, now: u64) -> Given<disband_outcome> {
    given(|out| disband_engine_apply_all(engine, JSON, commands.as_bytes().into(), now, out))
}

/// Applies a command and returns its code.
pub(crate) fn code_of(engine: disband_engine, command: &str, now: u64) -> Given<u32> {
    let outcome = apply(engine, command, now)?;
    let code = given(|out| disband_outcome_code(outcome, out));
    done(outcome.free())?;
    code
}

pub(crate) fn read(engine: disband_engine, query: &str) -> Given<String> {
    given(|out| disband_engine_read(engine, JSON, query.as_bytes().into(), out)).map(taken)
}

pub(crate) fn encoded(outcome: disband_outcome) -> Given<String> {
    given(|out| disband_outcome_encode(outcome, JSON, out)).map(taken)
}

pub(crate) fn saved(engine: disband_engine, format: disband_format) -> Vec<u8> {
    taken_bytes(given(|out| disband_engine_save(engine, format, out)).unwrap())
}

pub(crate) fn equal(left: disband_engine, right: disband_engine) -> Given<bool> {
    given(|out| disband_engine_equal(left, right, out))
}

/// The bytes, which are freed.
pub(crate) fn taken_bytes(bytes: disband_bytes) -> Vec<u8> {
    let vec = bytes.as_slice().to_vec();
    assert_eq!(bytes.free(), disband_status::Ok);
    vec
}

/// The bytes as text. They are freed.
pub(crate) fn taken(bytes: disband_bytes) -> String {
    String::from_utf8(taken_bytes(bytes)).unwrap()
}

/// An engine with a group 7 of the owner 1 and the members 2 to `members`.
pub(crate) fn group_of(members: u64) -> disband_engine {
    let engine = engine(NUMBERS);
    let joins = (2..=members).map(|user| format!(r#",{{"join":{{"user":"{user}","group":"7"}}}}"#));
    let create = r#"{"create":{"owner":"1","group":"7"}}"#;
    let commands = format!("[{create}{}]", joins.collect::<String>());
    assert_eq!(batch(engine, &commands, 1000).unwrap().free(), disband_status::Ok);
    engine
}
