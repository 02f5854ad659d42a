//! Refusals as exceptions of the classes in `disband.refusals`.

use disband::{Absence, GroupId, Refusal, Timestamp, UserId, wire};
use disband_dynamic::{AnyOutcome, Format, Kept, Text};
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};

use crate::argument::Time;
use crate::ids::{PyId, each};
use crate::python::{ABSENCES, OPTIONS, REFUSALS};

/// What an exception keeps of its refusal, to be pickled and to become a reply.
#[pyclass(frozen, name = "_RefusalData", module = "disband._native")]
pub(crate) struct RefusalData(AnyOutcome);

#[pymethods]
impl RefusalData {
    /// The reply of the chat API, as JSON.
    fn reply(&self, now: Time) -> PyResult<String> {
        fn reply<U: PyId, G: PyId>(kept: &Kept<U, G>, now: Timestamp) -> PyResult<String> {
            let (refusal, _) = kept.refusal().ok_or_else(missing)?;
            let json = serde_json::to_string(&wire::reply::<(), U, G>(&Err(refusal.clone()), now));
            json.map_err(|error| PyRuntimeError::new_err(error.to_string()))
        }
        each!(&self.0, AnyOutcome(kept) => reply(kept, now.0))
    }

    /// Arguments of `_restore_refusal`: whether ids are numbers, and the refusal as bytes.
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<(bool, Bound<'py, PyBytes>)> {
        let bytes = each!(&self.0, AnyOutcome(kept) => {
            let (refusal, _) = kept.refusal().ok_or_else(missing)?;
            Format::Postcard.encode(refusal)
        });
        let bytes = bytes.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok((matches!(self.0, AnyOutcome::Numbers(_)), PyBytes::new(py, &bytes)))
    }
}

/// Makes an exception from the `parts` of another. `index` is its place in a batch.
#[pyfunction(name = "_restore_refusal")]
pub(crate) fn restore_refusal<'py>(
    py: Python<'py>,
    numbers: bool,
    refusal: PyBackedBytes,
    index: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let invalid = |error: disband_dynamic::FormatError| PyValueError::new_err(error.to_string());
    let format = Format::Postcard;
    let outcome = if numbers {
        let refusal: Refusal<UserId, GroupId> = format.decode(&refusal).map_err(invalid)?;
        AnyOutcome::Numbers(Kept::one(Err(refusal), Timestamp(0)))
    } else {
        let refusal: Refusal<Text, Text> = format.decode(&refusal).map_err(invalid)?;
        AnyOutcome::Text(Kept::one(Err(refusal), Timestamp(0)))
    };
    exception(py, outcome, index)
}

/// The exception for an outcome that is a refusal.
pub(crate) fn refused(py: Python<'_>, outcome: AnyOutcome) -> PyErr {
    let index = each!(&outcome, AnyOutcome(kept) => kept.refusal().and_then(|(_, index)| index));
    exception(py, outcome, index).map_or_else(|error| error, PyErr::from_value)
}

fn exception(
    py: Python<'_>,
    outcome: AnyOutcome,
    index: Option<usize>,
) -> PyResult<Bound<'_, PyAny>> {
    let fields = PyDict::new(py);
    let (name, text) = each!(&outcome, AnyOutcome(kept) => {
        let (refusal, _) = kept.refusal().ok_or_else(missing)?;
        (describe(refusal, &fields)?, refusal.to_string())
    });
    let class = REFUSALS.get(py, name)?;
    class.call((text, RefusalData(outcome), index), Some(&fields))
}

fn missing() -> PyErr {
    PyRuntimeError::new_err("the outcome is not a refusal")
}

/// The name of a refusal's class. Its fields are added to `fields`.
fn describe<U: PyId, G: PyId>(
    refusal: &Refusal<U, G>,
    fields: &Bound<'_, PyDict>,
) -> PyResult<&'static str> {
    let py = fields.py();
    let at = |name: &str, time: Timestamp| fields.set_item(name, time.0);
    let user = |name: &str, user: &U| fields.set_item(name, user.to_python(py));
    let sanction = |by: &U, until: &Option<Timestamp>| {
        user("by", by)?;
        fields.set_item("until", until.map(|until| until.0))
    };
    Ok(match refusal {
        Refusal::TooFast { retry_at } => {
            at("retry_at", *retry_at)?;
            "TooFast"
        }
        Refusal::NoSuchGroup => "NoSuchGroup",
        Refusal::Dissolved { by, at: when, note, successor } => {
            user("by", by)?;
            at("at", *when)?;
            fields.set_item("note", note.as_deref())?;
            fields.set_item("successor", successor.as_ref().map(|group| group.to_python(py)))?;
            "Dissolved"
        }
        Refusal::NotMember(reason) => {
            fields.set_item("absence", absence(py, reason)?)?;
            "NotMember"
        }
        Refusal::NotOwner => "NotOwner",
        Refusal::Outranked => "Outranked",
        Refusal::TargetNotMember(reason) => {
            fields.set_item("absence", absence(py, reason)?)?;
            "TargetNotMember"
        }
        Refusal::GroupExists => "GroupExists",
        Refusal::IdReserved { until } => {
            at("until", *until)?;
            "IdReserved"
        }
        Refusal::AlreadyMember => "AlreadyMember",
        Refusal::NotAdmin => "NotAdmin",
        Refusal::Banned { by, until } => {
            sanction(by, until)?;
            "Banned"
        }
        Refusal::OwnerMustStay => "OwnerMustStay",
        Refusal::AlreadyOwner => "AlreadyOwner",
        Refusal::AlreadyRanked => "AlreadyRanked",
        Refusal::NotBanned => "NotBanned",
        Refusal::AlreadyExpired => "AlreadyExpired",
        Refusal::OverLimit { limit, max } => {
            fields.set_item("limit", OPTIONS.make(py, "Limit", (limit.name(),))?)?;
            fields.set_item("max", max)?;
            "OverLimit"
        }
        Refusal::Closed => "Closed",
        Refusal::TargetBanned { by, until } => {
            sanction(by, until)?;
            "TargetBanned"
        }
        Refusal::Muted { by, until } => {
            sanction(by, until)?;
            "Muted"
        }
        Refusal::NotMuted => "NotMuted",
        Refusal::NoSuchEntry => "NoSuchEntry",
        Refusal::NotAuthor => "NotAuthor",
        Refusal::AlreadyErased => "AlreadyErased",
        other => return Err(PyNotImplementedError::new_err(other.to_string())),
    })
}

fn absence<'py, U: PyId>(py: Python<'py>, absence: &Absence<U>) -> PyResult<Bound<'py, PyAny>> {
    match absence {
        Absence::StintOver => ABSENCES.make(py, "StintOver", ()),
        Absence::Left { at } => ABSENCES.make(py, "Left", (at.0,)),
        Absence::Kicked { by, at } => ABSENCES.make(py, "Kicked", (by.to_python(py), at.0)),
        Absence::NoRecord => ABSENCES.make(py, "NoRecord", ()),
        other => Err(PyNotImplementedError::new_err(other.to_string())),
    }
}
