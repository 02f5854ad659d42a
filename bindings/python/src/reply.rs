//! The results of commands as Python values.

use std::vec;

use disband::{Departure, Reply, Stint};
use disband_dynamic::{AnyDissolved, AnyOutcome, Kept, KeptResult};
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::dissolved::Dissolved;
use crate::ids::{PyId, each};
use crate::python::DEPARTURES;
use crate::reclaim::Freed;

/// The dissolved groups of an outcome that were not made into Python values yet.
type Left = vec::IntoIter<Freed<AnyDissolved>>;

/// The result of a command, or a tuple of the results of a batch.
pub(crate) fn value<'py>(
    py: Python<'py>,
    outcome: &Freed<AnyOutcome>,
) -> PyResult<Bound<'py, PyAny>> {
    fn value<'py, U: PyId, G: PyId>(
        py: Python<'py>,
        kept: &Kept<U, G>,
        mut dissolved: Left,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut of = |one| reply(py, one, &mut dissolved);
        match (&kept.result, kept.replies()) {
            (KeptResult::One(_), [one]) => of(one),
            (_, replies) => {
                let values = replies.iter().map(of).collect::<PyResult<Vec<_>>>()?;
                Ok(PyTuple::new(py, values)?.into_any())
            }
        }
    }
    let dissolved = outcome.dissolved().into_iter().map(|group| outcome.part(group));
    let dissolved = dissolved.collect::<Vec<_>>().into_iter();
    each!(&**outcome, AnyOutcome(kept) => value(py, kept, dissolved))
}

fn reply<'py, U: PyId, G: PyId>(
    py: Python<'py>,
    reply: &Reply<U, G>,
    dissolved: &mut Left,
) -> PyResult<Bound<'py, PyAny>> {
    let number = |number: u64| Ok(number.into_pyobject(py)?.into_any());
    match reply {
        Reply::Created(Stint(stint))
        | Reply::Joined(Stint(stint))
        | Reply::Added(Stint(stint))
        | Reply::Kicked(Stint(stint)) => number(*stint),
        Reply::Posted(seq) => number(seq.0),
        Reply::Banned(stint) => Ok(stint.map(|stint| stint.0).into_pyobject(py)?),
        Reply::Departed(one) => departure(py, one, dissolved),
        Reply::Dissolved(_) => next(py, dissolved),
        Reply::LeftAll(groups) => {
            let mut pair = |(group, one): &(G, Departure<U>)| {
                Ok((group.to_python(py), departure(py, one, dissolved)?))
            };
            let pairs = groups.iter().map(&mut pair).collect::<PyResult<Vec<_>>>()?;
            Ok(PyTuple::new(py, pairs)?.into_any())
        }
        Reply::Transferred
        | Reply::Ranked
        | Reply::Configured
        | Reply::Unbanned
        | Reply::Muted
        | Reply::Unmuted
        | Reply::Edited
        | Reply::Erased => Ok(py.None().into_bound(py)),
        _ => Err(PyNotImplementedError::new_err("a reply that this version does not know")),
    }
}

fn departure<'py, U: PyId>(
    py: Python<'py>,
    departure: &Departure<U>,
    dissolved: &mut Left,
) -> PyResult<Bound<'py, PyAny>> {
    match departure {
        Departure::Left { stint } => DEPARTURES.make(py, "Left", (stint.0,)),
        Departure::Succeeded { stint, owner } => {
            DEPARTURES.make(py, "Succeeded", (stint.0, owner.to_python(py)))
        }
        Departure::Dissolved(_) => next(py, dissolved),
        _ => Err(PyNotImplementedError::new_err("a departure that this version does not know")),
    }
}

fn next<'py>(py: Python<'py>, dissolved: &mut Left) -> PyResult<Bound<'py, PyAny>> {
    let missing = || PyRuntimeError::new_err("the outcome has no such dissolved group");
    let group = dissolved.next().ok_or_else(missing)?;
    Ok(Bound::new(py, Dissolved::new(group))?.into_any())
}
