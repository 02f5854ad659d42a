//! Audiences: the users that a signal is for.

use std::mem::MaybeUninit;
use std::sync::Arc;

use disband_dynamic::AnyAudience;

use crate::form::{self, disband_format};
use crate::raw::{self, disband_bytes, disband_slice};
use crate::status::{Failure, call, disband_status, give};
use crate::table;

/// The users that a signal is for. It shares the members with the group, so making one is O(1); later
/// changes of the group do not change it, and several threads may read it at once. A handle with the id
/// 0 is null.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct disband_audience {
    /// The number of the handle.
    pub id: u64,
}

/// Frees an audience. If nothing else shares the members any more, O(members); see
/// `disband_outcome_free`.
///
/// Errors: `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_audience_free(audience: disband_audience) -> disband_status {
    call(|| table::remove::<AnyAudience>(audience.id).map(drop))
}

/// Makes another handle of the same users, which the caller frees. O(1).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_audience_clone(
    audience: disband_audience,
    clone: Option<&mut MaybeUninit<disband_audience>>,
) -> disband_status {
    give(clone, || {
        let users = AnyAudience::clone(&*get(audience)?);
        Ok(disband_audience { id: table::insert(users) })
    })
}

/// Writes how many users there are. O(1).
///
/// Errors: those of `disband_audience_clone`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_audience_len(
    audience: disband_audience,
    len: Option<&mut MaybeUninit<usize>>,
) -> disband_status {
    give(len, || Ok(get(audience)?.len()))
}

/// Writes whether `user`, an id in the given format, is one of the users. O(log n).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
/// none, `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_BAD_FORMAT` if `user` is no id of the engine's
/// type.
#[unsafe(no_mangle)]
pub extern "C" fn disband_audience_contains(
    audience: disband_audience,
    format: disband_format,
    user: disband_slice<'_>,
    contains: Option<&mut MaybeUninit<bool>>,
) -> disband_status {
    give(contains, || {
        let (user, format) = (user.bytes()?, form::format(format)?);
        Ok(get(audience)?.contains(user, format)?)
    })
}

/// Gives a list of the first `limit` users, in ascending order, whose id is larger than `after`, an id
/// in the same format. No bytes begin at the first user. O(log n + limit).
///
/// Errors: those of `disband_audience_contains`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_audience_page(
    audience: disband_audience,
    format: disband_format,
    after: disband_slice<'_>,
    limit: u64,
    page: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(page, || {
        let (after, format) = (after.given()?, form::format(format)?);
        let users = get(audience)?;
        Ok(format.encode(&users.page(after, limit, format)?)?.into())
    })
}

/// The quickest way to walk an audience whose ids are numbers. Writes the first users, in ascending
/// order, whose id is larger than `*after` into `ids`, at most `capacity`, and their number into
/// `count`. A null `after` begins at the first user. `after` may point into `ids`; `count` may not. If
/// `count` is less than `capacity`, the walk is at its end. O(log n + count) comparisons, and up to
/// `capacity` elements of `ids` are overwritten.
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER` if `count` is null, `DISBAND_STATUS_BAD_HANDLE`,
/// `DISBAND_STATUS_BAD_ARGUMENT` if the ids are text, `DISBAND_STATUS_NULL_POINTER` if `ids` is null,
/// `capacity` is not 0 and there are users. Nothing is written to `ids` then.
///
/// # Safety
/// `after` is null or points to a number, and `ids` is null or points to memory for `capacity` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disband_audience_numbers(
    audience: disband_audience,
    after: *const u64,
    ids: *mut u64,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
) -> disband_status {
    give(count, || {
        let users = get(audience)?;
        // SAFETY: the caller promises it.
        let after = unsafe { raw::read(after) };
        let AnyAudience::Numbers(_) = *users else {
            return Err(Failure::new(disband_status::BadArgument, "the ids are text, not numbers"));
        };
        // SAFETY: the caller promises that `ids` has `capacity` elements. `after` was read before.
        let ids = unsafe { raw::array(ids, capacity.min(users.len())) }?;
        Ok(users.numbers_after(after, ids).unwrap_or_default())
    })
}

fn get(audience: disband_audience) -> Result<Arc<AnyAudience>, Failure> {
    table::get(audience.id)
}
