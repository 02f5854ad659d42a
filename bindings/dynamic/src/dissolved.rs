//! A dissolved group, walked in pages.

use disband::{Dissolved, Page, Summary, UserId};
use serde::Serialize;

use crate::format::{Format, FormatError};
use crate::ids::{Text, each};
use crate::query::{entries, members};
use crate::view::GroupView;

/// A dissolved group with its members and its log, [`Dissolved`]. The engine no longer holds it.
///
/// The last value that shares the group frees it: this one, its clones, its outcome, the audiences of
/// its signals, and clones of the engine from before. That takes many milliseconds for a million
/// members, so drop it where that delays nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyDissolved {
    /// The ids are numbers.
    Numbers(Dissolved<UserId>),
    /// The ids are text.
    Text(Dissolved<Text>),
}

impl AnyDissolved {
    /// How many members and entries it had. O(1).
    #[must_use]
    pub fn summary(&self) -> Summary {
        each!(self, AnyDissolved(group) => group.summary())
    }

    /// The group at its end, as [`GroupView`]. O(1).
    ///
    /// # Errors
    /// None.
    pub fn group(&self, format: Format) -> Result<Vec<u8>, FormatError> {
        each!(self, AnyDissolved(group) => format.encode(&GroupView::from(group.group())))
    }

    /// A page of its members in ascending order of ids, as a list of
    /// [`MemberView`](crate::MemberView): the first `limit` whose id is larger than `after`, an id in
    /// that format. O(limit · log n).
    ///
    /// # Errors
    /// [`FormatError`] if `after` is no id of this engine's type.
    pub fn members(
        &self,
        after: Option<&[u8]>,
        limit: u64,
        format: Format,
    ) -> Result<Vec<u8>, FormatError> {
        fn page<U: disband::Id + Serialize + serde::de::DeserializeOwned>(
            dissolved: &Dissolved<U>,
            after: Option<&[u8]>,
            limit: u64,
            format: Format,
        ) -> Result<Vec<u8>, FormatError> {
            let after: Option<U> = after.map(|id| format.decode(id)).transpose()?;
            format.encode(&members(dissolved.group(), after.as_ref(), limit))
        }
        each!(self, AnyDissolved(group) => page(group, after, limit, format))
    }

    /// A page of its log, newest first, as a list of [`EntryView`](crate::EntryView). It includes
    /// entries past their retention that were not dropped yet. O(log n + limit).
    ///
    /// # Errors
    /// None.
    pub fn history(&self, page: Page, format: Format) -> Result<Vec<u8>, FormatError> {
        each!(self, AnyDissolved(group) => format.encode(&entries(group.page(page))))
    }
}
