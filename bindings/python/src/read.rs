//! Reads of an engine with ids of one type.

use std::sync::Arc;

use disband::{Entry, Group, Page, Refusal, Seq, Stint, Timestamp};
use pyo3::prelude::*;

use crate::ids::PyId;
use crate::python::VIEWS;
use crate::reclaim::{Freed, Since};
use crate::slot::Slot;

/// A view of a group.
pub(crate) fn group<U: PyId, G: PyId>(
    py: Python<'_>,
    slot: &Slot<U, G>,
    group: &Bound<'_, PyAny>,
    since: Since,
) -> PyResult<Option<Arc<Freed<Group<U>>>>> {
    let group = G::from_python(group)?;
    let view = |group: &Group<U>| Arc::new(Freed::shared(group.clone(), since));
    slot.with(py, |engine| engine.group(&group).map(view))
}

/// Entries with their numbers, or why the log may not be read.
type Read<U, G> = Result<Vec<(Seq, Entry<U>)>, Refusal<U, G>>;

pub(crate) fn history<U: PyId, G: PyId>(
    py: Python<'_>,
    slot: &Slot<U, G>,
    reader: &Bound<'_, PyAny>,
    group: &Bound<'_, PyAny>,
    page: Page,
    now: Timestamp,
) -> PyResult<Read<U, G>> {
    let (reader, group) = (U::from_python(reader)?, G::from_python(group)?);
    slot.with(py, |engine| {
        let history = engine.history(&reader, &group, page, now)?;
        Ok(history.map(|(seq, entry)| (seq, entry.clone())).collect())
    })
}

pub(crate) fn groups_of<'py, U: PyId, G: PyId>(
    slot: &Slot<U, G>,
    user: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let (py, user) = (user.py(), U::from_python(user)?);
    let groups: Vec<(G, Stint)> = slot.with(py, |engine| {
        engine.groups_of(&user).map(|(group, stint)| (group.clone(), stint)).collect()
    })?;
    let membership =
        |(group, stint): (G, Stint)| VIEWS.make(py, "Membership", (group.to_python(py), stint.0));
    groups.into_iter().map(membership).collect()
}

pub(crate) fn owned_by<'py, U: PyId, G: PyId>(
    slot: &Slot<U, G>,
    user: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let (py, user) = (user.py(), U::from_python(user)?);
    let owned: Vec<G> =
        slot.with(py, |engine| engine.owned_by(&user).map(|(group, _)| group.clone()).collect())?;
    Ok(owned.iter().map(|group| group.to_python(py)).collect())
}

pub(crate) fn contains<U: PyId, G: PyId>(
    slot: &Slot<U, G>,
    group: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let id = G::from_python(group)?;
    slot.with(group.py(), |engine| engine.group(&id).is_some())
}
