//! Outcomes of commands and batches.

use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};

use disband_dynamic::{AnyDissolved, AnyOutcome};

use crate::audience::disband_audience;
use crate::dissolved::disband_dissolved;
use crate::form::{self, disband_format};
use crate::raw::disband_bytes;
use crate::status::{Failure, call, disband_status, give};
use crate::table;

/// The outcome of a command or a batch: what was done, with the signals to deliver; or why it was
/// refused. It never changes, and several threads may read it at once. A handle with the id 0 is null.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct disband_outcome {
    /// The number of the handle.
    pub id: u64,
}

/// Frees an outcome. It holds groups that were dissolved, and shares them with its audiences and
/// dissolved groups and with clones of the engine from before. What is freed last frees the members and
/// the log, in O(members + entries). That takes many milliseconds for a million, so free it on a thread
/// that may take long. Without a dissolved group it is O(signals).
///
/// Errors: `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_free(outcome: disband_outcome) -> disband_status {
    call(|| table::remove::<Outcome>(outcome.id).map(drop))
}

/// Writes the HTTP status: 200, or that of the refusal. O(1).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_code(
    outcome: disband_outcome,
    code: Option<&mut MaybeUninit<u32>>,
) -> disband_status {
    give(code, || Ok(u32::from(get(outcome)?.any.code())))
}

/// Gives the whole outcome as bytes: `done` with the reply and the signals, or `refused` with the
/// refusal. Of an audience and of a dissolved group there is only the size. O(replies + signals).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
/// none, `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_encode(
    outcome: disband_outcome,
    format: disband_format,
    bytes: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(bytes, || {
        let format = form::format(format)?;
        Ok(format.encode(&get(outcome)?.any)?.into())
    })
}

/// Gives the reply as JSON of the chat API. O(reply).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
/// `DISBAND_STATUS_BAD_ARGUMENT` for the outcome of a batch, which has no such reply.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_wire_reply(
    outcome: disband_outcome,
    json: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(json, || {
        let reply = get(outcome)?.any.wire_reply();
        let batch = || bad_argument("the outcome of a batch has no wire reply");
        Ok(reply.ok_or_else(batch)?.into_bytes().into())
    })
}

/// Writes how many signals there are; 0 for a refusal. O(1).
///
/// Errors: those of `disband_outcome_code`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_signal_count(
    outcome: disband_outcome,
    count: Option<&mut MaybeUninit<usize>>,
) -> disband_status {
    give(count, || Ok(get(outcome)?.any.signals()))
}

/// Gives a signal as JSON of the chat API, with the version of the group if `versioned`. `index` counts
/// from 0, in the order in which signals are to be delivered. O(signal).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
/// `DISBAND_STATUS_BAD_ARGUMENT` if there is no such signal.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_wire_frame(
    outcome: disband_outcome,
    index: usize,
    versioned: bool,
    json: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(json, || {
        let frame = get(outcome)?.any.wire_frame(index, versioned);
        Ok(frame.ok_or_else(|| no("signal", index))?.into_bytes().into())
    })
}

/// Gives the audience of a signal, which the caller frees. It may outlive the outcome. O(1).
///
/// Errors: those of `disband_outcome_wire_frame`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_audience(
    outcome: disband_outcome,
    index: usize,
    audience: Option<&mut MaybeUninit<disband_audience>>,
) -> disband_status {
    give(audience, || {
        let audience = get(outcome)?.any.audience(index).ok_or_else(|| no("signal", index))?;
        Ok(disband_audience { id: table::insert(audience) })
    })
}

/// Writes how many groups were dissolved. O(replies) in the first call of this function or of
/// `disband_outcome_dissolved`, then O(1).
///
/// Errors: those of `disband_outcome_code`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_dissolved_count(
    outcome: disband_outcome,
    count: Option<&mut MaybeUninit<usize>>,
) -> disband_status {
    give(count, || Ok(get(outcome)?.dissolved().len()))
}

/// Gives a dissolved group, which the caller frees. It may outlive the outcome. `index` counts from 0, in
/// the order of the reply. Costs: those of `disband_outcome_dissolved_count`.
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
/// `DISBAND_STATUS_BAD_ARGUMENT` if there is no such group.
#[unsafe(no_mangle)]
pub extern "C" fn disband_outcome_dissolved(
    outcome: disband_outcome,
    index: usize,
    dissolved: Option<&mut MaybeUninit<disband_dissolved>>,
) -> disband_status {
    give(dissolved, || {
        let outcome = get(outcome)?;
        let group = outcome.dissolved().get(index).ok_or_else(|| no("dissolved group", index))?;
        Ok(disband_dissolved { id: table::insert(group.clone()) })
    })
}

/// What a `disband_outcome` stands for.
pub(crate) struct Outcome {
    any: AnyOutcome,
    /// The dissolved groups, once they were asked for: an outcome can have very many.
    dissolved: OnceLock<Vec<AnyDissolved>>,
}

impl Outcome {
    pub(crate) fn added(any: AnyOutcome) -> disband_outcome {
        disband_outcome { id: table::insert(Outcome { any, dissolved: OnceLock::new() }) }
    }

    fn dissolved(&self) -> &[AnyDissolved] {
        self.dissolved.get_or_init(|| self.any.dissolved())
    }
}

fn get(outcome: disband_outcome) -> Result<Arc<Outcome>, Failure> {
    table::get(outcome.id)
}

fn no(what: &str, index: usize) -> Failure {
    bad_argument(&format!("there is no {what} {index}"))
}

fn bad_argument(message: &str) -> Failure {
    Failure::new(disband_status::BadArgument, message)
}
