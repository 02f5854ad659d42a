//! Engines: commands, reads and snapshots.

use std::mem::MaybeUninit;
use std::sync::Mutex;

use disband::{Config, Timestamp};
use disband_dynamic::AnyEngine;

use crate::form::{self, disband_format, disband_ids};
use crate::outcome::{Outcome, disband_outcome};
use crate::raw::{disband_bytes, disband_slice};
use crate::status::{Failure, call, disband_status, give};
use crate::table;

/// An engine: all groups with their members and logs. A handle with the id 0 is null.
///
/// A handle is a number, so it may be copied. Handles of all types may be used and freed on any thread.
/// A handle that is null, was freed or is of another type gives `DISBAND_STATUS_BAD_HANDLE`, and is
/// never mistaken for a newer one. If a handle is freed during a call that uses it, that call still
/// succeeds.
///
/// Calls on one engine run one after the other; different engines do not wait for each other.
/// `disband_engine_save`, `_check` and `_equal` work on a clone, so commands do not wait for them.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct disband_engine {
    /// The number of the handle.
    pub id: u64,
}

/// An engine that several threads can use. Its lock is poisoned by a call that panics.
pub(crate) type SharedEngine = Mutex<AnyEngine>;

/// Makes an engine without groups, which the caller frees. `config` is a `Config`; no bytes stand for
/// the default one.
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `ids` or
/// `format` is none, `DISBAND_STATUS_BAD_FORMAT`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_new(
    ids: disband_ids,
    format: disband_format,
    config: disband_slice<'_>,
    engine: Option<&mut MaybeUninit<disband_engine>>,
) -> disband_status {
    give(engine, || {
        let (ids, format) = (form::ids(ids)?, form::format(format)?);
        let config = match config.given()? {
            Some(config) => format.decode(config)?,
            None => Config::default(),
        };
        Ok(added(AnyEngine::new(ids, config)))
    })
}

/// Frees an engine. O(size), in the last call that uses it.
///
/// Errors: `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_free(engine: disband_engine) -> disband_status {
    call(|| table::remove::<SharedEngine>(engine.id).map(drop))
}

/// Makes a clone, which the caller frees. It is a snapshot: later commands on one of the two do not
/// change the other. O(1).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
/// `DISBAND_STATUS_POISONED`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_clone(
    engine: disband_engine,
    clone: Option<&mut MaybeUninit<disband_engine>>,
) -> disband_status {
    give(clone, || Ok(added(snapshot(engine)?)))
}

/// Writes the type of the engine's ids. O(1).
///
/// Errors: those of `disband_engine_clone`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_ids(
    engine: disband_engine,
    ids: Option<&mut MaybeUninit<disband_ids>>,
) -> disband_status {
    give(ids, || with(engine, |engine| Ok(form::ids_number(engine.ids()))))
}

/// Carries out a `Command` at the time `now`, in milliseconds, and gives its outcome to the caller, who
/// frees it. A refusal is an outcome too. O(log N) for N memberships, also if a group of any size is
/// dissolved.
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
/// none, `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_POISONED`, `DISBAND_STATUS_BAD_FORMAT` if the bytes
/// are no command with ids of the engine's type.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_apply(
    engine: disband_engine,
    format: disband_format,
    command: disband_slice<'_>,
    now: u64,
    outcome: Option<&mut MaybeUninit<disband_outcome>>,
) -> disband_status {
    give(outcome, || {
        let (command, format) = (command.bytes()?, form::format(format)?);
        let outcome = with(engine, |engine| Ok(engine.apply(command, format, Timestamp(now))?))?;
        Ok(Outcome::added(outcome))
    })
}

/// Gives the outcome that `disband_engine_apply` would have, and changes nothing. The keys of its
/// signals will be those of other signals.
///
/// Costs and errors: those of `disband_engine_apply`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_preview(
    engine: disband_engine,
    format: disband_format,
    command: disband_slice<'_>,
    now: u64,
    outcome: Option<&mut MaybeUninit<disband_outcome>>,
) -> disband_status {
    give(outcome, || {
        let (command, format) = (command.bytes()?, form::format(format)?);
        let outcome = snapshot(engine)?.preview(command, format, Timestamp(now))?;
        Ok(Outcome::added(outcome))
    })
}

/// Carries out all of a list of `Command`s or, if one is refused, none. They are not charged against
/// rate limits. The outcome has the reply to each command, and the signals of all. O(commands * log N).
///
/// Errors: those of `disband_engine_apply`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_apply_all(
    engine: disband_engine,
    format: disband_format,
    commands: disband_slice<'_>,
    now: u64,
    outcome: Option<&mut MaybeUninit<disband_outcome>>,
) -> disband_status {
    give(outcome, || {
        let (commands, format) = (commands.bytes()?, form::format(format)?);
        let outcome =
            with(engine, |engine| Ok(engine.apply_all(commands, format, Timestamp(now))?))?;
        Ok(Outcome::added(outcome))
    })
}

/// Charges the rate limit of a `Command` without carrying it out: for requests that the host refuses
/// itself. Writes 0 if it was charged. Otherwise it is too fast, nothing was charged, and the earliest
/// time is written at which it would not be too fast. O(log N).
///
/// Errors: those of `disband_engine_apply`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_charge(
    engine: disband_engine,
    format: disband_format,
    command: disband_slice<'_>,
    now: u64,
    retry_at: Option<&mut MaybeUninit<u64>>,
) -> disband_status {
    give(retry_at, || {
        let (command, format) = (command.bytes()?, form::format(format)?);
        // A time to try again is later than `now`, so it is never 0.
        with(engine, |engine| {
            let retry_at = engine.charge(command, format, Timestamp(now))?;
            Ok(retry_at.map_or(0, |time| time.0))
        })
    })
}

/// Reads what a `Query` asks for, and gives the answer as bytes in the same format. What is read of a
/// group that does not exist is null.
///
/// Errors: those of `disband_engine_apply`, for a query.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_read(
    engine: disband_engine,
    format: disband_format,
    query: disband_slice<'_>,
    answer: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(answer, || {
        let (query, format) = (query.bytes()?, form::format(format)?);
        with(engine, |engine| Ok(format.encode(&engine.read(query, format)?)?.into()))
    })
}

/// Replaces the configuration. For each quota that changed, all users get a full allowance; freeing
/// their records takes O(records), during which other calls on the engine do not wait.
///
/// Errors: those of `disband_engine_apply`, for a `Config`; then `DISBAND_STATUS_CONFIG` if the instance
/// number differs.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_set_config(
    engine: disband_engine,
    format: disband_format,
    config: disband_slice<'_>,
) -> disband_status {
    call(|| {
        let (config, format) = (config.bytes()?, form::format(format)?);
        let forgotten = with(engine, |engine| Ok(engine.set_config(format.decode(config)?)?))?;
        drop(forgotten);
        Ok(())
    })
}

/// Removes up to `budget` entries of dissolved groups from the index. Commands do this too, a few
/// entries at a time. O(budget * log N).
///
/// Errors, in this order: `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_POISONED`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_sweep(engine: disband_engine, budget: usize) -> disband_status {
    call(|| {
        with(engine, |engine| {
            engine.sweep(budget);
            Ok(())
        })
    })
}

/// Verifies every invariant. O(size).
///
/// Errors, in this order: `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_POISONED`,
/// `DISBAND_STATUS_INVARIANT`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_check(engine: disband_engine) -> disband_status {
    call(|| {
        let violated = |violation| Failure::new(disband_status::Invariant, violation);
        snapshot(engine)?.check().map_err(violated)
    })
}

/// Writes whether two engines have the same configuration, groups, records of dissolved groups, rate
/// limits and counters. Engines with different types of ids are not equal. O(size).
///
/// Errors: those of `disband_engine_clone`, for `left` and then for `right`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_equal(
    left: disband_engine,
    right: disband_engine,
    equal: Option<&mut MaybeUninit<bool>>,
) -> disband_status {
    give(equal, || Ok(snapshot(left)? == snapshot(right)?))
}

/// Gives a snapshot of the engine as bytes. The same engine always gives the same bytes. O(size). What
/// the engine loses meanwhile is freed at the end of this call.
///
/// Errors: those of `disband_engine_apply`, without a command.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_save(
    engine: disband_engine,
    format: disband_format,
    saved: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(saved, || Ok(form::format(format)?.encode(&snapshot(engine)?)?.into()))
}

/// Makes an engine of a snapshot and verifies it. The caller frees the engine. O(size).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `ids` or
/// `format` is none, `DISBAND_STATUS_BAD_FORMAT` if the bytes are no snapshot with such ids, or if the
/// snapshot violates an invariant. A snapshot does not say the type of its ids, so pass the type that
/// they had: in JSON, ids of decimal digits can be read as either type.
#[unsafe(no_mangle)]
pub extern "C" fn disband_engine_load(
    ids: disband_ids,
    format: disband_format,
    saved: disband_slice<'_>,
    engine: Option<&mut MaybeUninit<disband_engine>>,
) -> disband_status {
    give(engine, || {
        let (saved, ids, format) = (saved.bytes()?, form::ids(ids)?, form::format(format)?);
        Ok(added(AnyEngine::load(ids, saved, format)?))
    })
}

fn added(engine: AnyEngine) -> disband_engine {
    disband_engine { id: table::insert(SharedEngine::new(engine)) }
}

/// A clone, to be used without the engine's lock.
fn snapshot(engine: disband_engine) -> Result<AnyEngine, Failure> {
    with(engine, |engine| Ok(engine.clone()))
}

/// Does `work` while no other thread uses the engine.
fn with<T>(
    engine: disband_engine,
    work: impl FnOnce(&mut AnyEngine) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let shared = table::get::<SharedEngine>(engine.id)?;
    let poisoned = "an earlier call on this engine panicked: it can only be freed";
    let mut locked = shared.lock().map_err(|_| Failure::new(disband_status::Poisoned, poisoned))?;
    work(&mut locked)
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::form::{DISBAND_FORMAT_JSON as JSON, DISBAND_IDS_NUMBERS};
    use crate::outcome::disband_outcome_code;
    use crate::status::disband_last_error;

    fn given<T>(
        call: impl FnOnce(Option<&mut MaybeUninit<T>>) -> disband_status,
    ) -> disband_status {
        call(Some(&mut MaybeUninit::uninit()))
    }

    fn new() -> disband_engine {
        let mut engine = MaybeUninit::new(disband_engine::default());
        let none = disband_slice::from(&[][..]);
        let status = disband_engine_new(DISBAND_IDS_NUMBERS, JSON, none, Some(&mut engine));
        assert_eq!(status, disband_status::Ok);
        // SAFETY: it was written.
        unsafe { engine.assume_init() }
    }

    /// What a function does if the engine panics in the middle of a command.
    fn panic_in(engine: disband_engine) -> disband_status {
        given::<u64>(|out| give(out, || with(engine, |_| panic!("a\0b {}", 5))))
    }

    #[test]
    fn a_panic_is_caught_and_the_engine_can_only_be_freed() {
        let (engine, other) = (new(), new());
        assert_eq!(panic_in(engine), disband_status::Panic);
        // SAFETY: the library returns a string.
        let message = unsafe { CStr::from_ptr(disband_last_error()) };
        assert_eq!(message.to_str(), Ok("panic: a\u{fffd}b 5"));

        let slice = || disband_slice::from(&b"{\"leave_all\":{\"user\":\"1\"}}"[..]);
        let calls = |engine| {
            [
                given(|out| disband_engine_clone(engine, out)),
                given(|out| disband_engine_ids(engine, out)),
                given(|out| disband_engine_apply(engine, JSON, slice(), 1, out)),
                given(|out| disband_engine_preview(engine, JSON, slice(), 1, out)),
                given(|out| disband_engine_apply_all(engine, JSON, slice(), 1, out)),
                given(|out| disband_engine_charge(engine, JSON, slice(), 1, out)),
                given(|out| disband_engine_read(engine, JSON, slice(), out)),
                given(|out| disband_engine_equal(other, engine, out)),
                given(|out| disband_engine_save(engine, JSON, out)),
                disband_engine_set_config(engine, JSON, slice()),
                disband_engine_sweep(engine, 1),
                disband_engine_check(engine),
            ]
        };
        assert_eq!(calls(engine), [disband_status::Poisoned; 12]);
        assert_eq!(disband_engine_free(engine), disband_status::Ok);
        assert_eq!(calls(engine), [disband_status::BadHandle; 12]);

        // Other engines go on.
        assert_eq!(disband_engine_check(other), disband_status::Ok);
        assert_eq!(disband_engine_free(other), disband_status::Ok);
    }

    #[test]
    fn a_panic_outside_an_engine_harms_none() {
        let engine = new();
        let status = given::<u32>(|out| give(out, || panic!("no engine is locked")));
        assert_eq!(status, disband_status::Panic);
        assert_eq!(disband_engine_check(engine), disband_status::Ok);
        assert_eq!(disband_engine_free(engine), disband_status::Ok);
        assert_eq!(
            given(|out| disband_outcome_code(disband_outcome { id: 0 }, out)),
            disband_status::BadHandle
        );
    }
}
