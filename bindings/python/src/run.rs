//! Carrying out commands on an engine with ids of one type.

use disband::{Command, Operation, Refusal};
use disband_dynamic::Kept;
use pyo3::prelude::*;

use crate::argument::{Named, Time};
use crate::command::{Ask, command as ask};
use crate::ids::PyId;
use crate::slot::Slot;

/// A batch with at least so many commands runs without the GIL.
const LARGE_BATCH: usize = 1_000;

pub(crate) fn run<U: PyId, G: PyId>(
    py: Python<'_>,
    slot: &Slot<U, G>,
    command: Ask<'_>,
    Time(now): Time,
) -> PyResult<Kept<U, G>> {
    let command = typed(command)?;
    slot.with(py, |engine| Kept::one(engine.apply(command, now), now))
}

pub(crate) fn preview<U: PyId, G: PyId>(
    py: Python<'_>,
    slot: &Slot<U, G>,
    command: Ask<'_>,
    Time(now): Time,
) -> PyResult<Kept<U, G>> {
    let command = typed(command)?;
    slot.with(py, |engine| Kept::one(engine.preview(command, now), now))
}

pub(crate) fn apply_all<U: PyId, G: PyId>(
    py: Python<'_>,
    slot: &Slot<U, G>,
    commands: &Bound<'_, PyAny>,
    Time(now): Time,
) -> PyResult<Kept<U, G>> {
    let mut all = Vec::new();
    for command in commands.try_iter()? {
        all.push(typed::<U, G>(ask(&command?)?)?);
    }
    if all.len() < LARGE_BATCH {
        slot.with(py, |engine| Kept::batch(engine.apply_all(all, now), now))
    } else {
        slot.with_detached(py, |engine| Kept::batch(engine.apply_all(all, now), now))
    }
}

/// Nothing, or the refusal as too fast.
type Charged<U, G> = Result<(), Refusal<U, G>>;

pub(crate) fn charge<U: PyId, G: PyId>(
    py: Python<'_>,
    slot: &Slot<U, G>,
    Named(operation): Named<Operation>,
    user: &Bound<'_, PyAny>,
    group: Option<Bound<'_, PyAny>>,
    Time(now): Time,
) -> PyResult<Charged<U, G>> {
    let user = U::from_python(user)?;
    let group = group.map(|group| G::from_python(&group)).transpose()?;
    slot.with(py, |engine| engine.charge(operation, &user, group.as_ref(), now))
}

/// The command with ids of the engine's type.
fn typed<U: PyId, G: PyId>(command: Ask<'_>) -> PyResult<Command<U, G>> {
    command.try_map_ids(|user| U::from_python(&user), |group| G::from_python(&group))
}
