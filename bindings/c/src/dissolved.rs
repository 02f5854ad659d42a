//! Dissolved groups.

use std::mem::MaybeUninit;
use std::sync::Arc;

use disband::{Page, Seq};
use disband_dynamic::AnyDissolved;

use crate::form::{self, disband_format};
use crate::raw::{disband_bytes, disband_slice};
use crate::status::{Failure, call, disband_status, give};
use crate::table;

/// A dissolved group with its members and its log, for example to archive it. The engine no longer holds
/// it. It never changes, and several threads may read it at once. A handle with the id 0 is null.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct disband_dissolved {
    /// The number of the handle.
    pub id: u64,
}

/// The size of a dissolved group.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct disband_summary {
    /// How many members it had, including the owner.
    pub members: u64,
    /// How many entries its log had.
    pub entries: u64,
}

/// Frees a dissolved group. If nothing else shares it any more, O(members + entries); see
/// `disband_outcome_free`.
///
/// Errors: `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_dissolved_free(dissolved: disband_dissolved) -> disband_status {
    call(|| table::remove::<AnyDissolved>(dissolved.id).map(drop))
}

/// Writes the size of the group. O(1).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_dissolved_summary(
    dissolved: disband_dissolved,
    summary: Option<&mut MaybeUninit<disband_summary>>,
) -> disband_status {
    give(summary, || {
        let summary = get(dissolved)?.summary();
        Ok(disband_summary { members: summary.members, entries: summary.entries })
    })
}

/// Gives the group at its end as bytes, without its members and entries. O(1).
///
/// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
/// none, `DISBAND_STATUS_BAD_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_dissolved_group(
    dissolved: disband_dissolved,
    format: disband_format,
    group: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(group, || {
        let format = form::format(format)?;
        Ok(get(dissolved)?.group(format)?.into())
    })
}

/// Gives a list of the first `limit` members, in ascending order of ids, whose id is larger than
/// `after`, an id in the same format. No bytes begin at the first member. O(limit * log n).
///
/// Errors: those of `disband_dissolved_group`; then `DISBAND_STATUS_BAD_FORMAT` if `after` is no id of
/// the engine's type.
#[unsafe(no_mangle)]
pub extern "C" fn disband_dissolved_members(
    dissolved: disband_dissolved,
    format: disband_format,
    after: disband_slice<'_>,
    limit: u64,
    page: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(page, || {
        let (after, format) = (after.given()?, form::format(format)?);
        Ok(get(dissolved)?.members(after, limit, format)?.into())
    })
}

/// Gives a list of the newest `limit` entries of the log before the entry `*before`, newest first. A
/// null `before` begins at the newest entry. O(log n + limit).
///
/// Errors: those of `disband_dissolved_group`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_dissolved_history(
    dissolved: disband_dissolved,
    format: disband_format,
    before: Option<&u64>,
    limit: u64,
    page: Option<&mut MaybeUninit<disband_bytes>>,
) -> disband_status {
    give(page, || {
        let (before, format) = (before.copied().map(Seq), form::format(format)?);
        Ok(get(dissolved)?.history(Page { before, limit }, format)?.into())
    })
}

fn get(dissolved: disband_dissolved) -> Result<Arc<AnyDissolved>, Failure> {
    table::get(dissolved.id)
}
