//! A signal of an outcome.

use std::sync::Arc;

use disband::{Id, Signal as EngineSignal};
use disband_dynamic::{AnyOutcome, Kept};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::audience::{Audience, users};
use crate::event::event;
use crate::ids::{PyId, each};
use crate::python::each_with;
use crate::reclaim::Freed;

/// Something that happened in a group, and the users to deliver it to.
#[pyclass(frozen, generic, module = "disband._native")]
pub(crate) struct Signal {
    outcome: Arc<Freed<AnyOutcome>>,
    /// The place of the signal in the outcome.
    index: usize,
    event: PyOnceLock<Py<PyAny>>,
}

impl Signal {
    pub(crate) fn new(outcome: &Arc<Freed<AnyOutcome>>, index: usize) -> Self {
        Signal { outcome: outcome.clone(), index, event: PyOnceLock::new() }
    }
}

#[pymethods]
impl Signal {
    /// The signal's key: 32 hexadecimal digits, the same for all its recipients. One engine never uses a
    /// key twice, so a client can use it to drop duplicates.
    #[getter]
    fn key(&self) -> PyResult<String> {
        each!(&**self.outcome, AnyOutcome(kept) => Ok(at(kept, self.index)?.key.to_string()))
    }

    /// The group in which it happened.
    #[getter]
    fn group<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&**self.outcome, AnyOutcome(kept) => Ok(at(kept, self.index)?.group.to_python(py)))
    }

    /// The user that the signal is about; see the classes of `disband.events`. (`from` is a keyword of
    /// Python.)
    #[getter]
    fn from_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&**self.outcome, AnyOutcome(kept) => Ok(at(kept, self.index)?.from.to_python(py)))
    }

    /// The user whose command caused the signal. Most audiences leave this user out, since they have the
    /// command's result.
    #[getter]
    fn actor<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&**self.outcome, AnyOutcome(kept) => Ok(at(kept, self.index)?.actor().to_python(py)))
    }

    /// The group's version. A client that sees a gap has missed a signal.
    #[getter]
    fn version(&self) -> PyResult<u64> {
        each!(&**self.outcome, AnyOutcome(kept) => Ok(at(kept, self.index)?.version))
    }

    /// What happened, an instance of a class of `disband.events`. It is made when it is first read.
    #[getter]
    fn event<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let make = || {
            each!(&**self.outcome, AnyOutcome(kept) => event(py, &at(kept, self.index)?.event))
                .map(Bound::unbind)
        };
        self.event.get_or_try_init(py, make).map(|event| event.bind(py).clone())
    }

    /// The users to deliver the signal to. O(1).
    #[getter]
    fn audience(&self) -> PyResult<Audience> {
        let audience = self.outcome.audience(self.index).ok_or_else(missing)?;
        Ok(Audience::new(self.outcome.part(audience)))
    }

    /// An iterator over pairs of a user of the audience and this signal, for `Outcome.deliveries`.
    #[pyo3(name = "_deliveries")]
    fn deliveries<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let signal = this.get();
        let audience = signal.outcome.audience(signal.index).ok_or_else(missing)?;
        each_with(users(this.py(), &signal.outcome.part(audience))?.as_any(), this.as_any())
    }

    /// The signal as JSON of the chat API, with the group's version if `versioned`.
    #[pyo3(signature = (versioned=false))]
    fn frame(&self, versioned: bool) -> PyResult<String> {
        self.outcome.wire_frame(self.index, versioned).ok_or_else(missing)
    }

    /// Whether the signals are the same, with the same audience. O(n) for an audience of n users.
    fn __eq__(&self, other: &Self) -> PyResult<bool> {
        Ok(match (&**self.outcome, &**other.outcome) {
            (AnyOutcome::Numbers(one), AnyOutcome::Numbers(two)) => {
                at(one, self.index)? == at(two, other.index)?
            }
            (AnyOutcome::Text(one), AnyOutcome::Text(two)) => {
                at(one, self.index)? == at(two, other.index)?
            }
            _ => false,
        })
    }

    fn __hash__(&self) -> PyResult<u64> {
        each!(&**self.outcome, AnyOutcome(kept) => Ok(at(kept, self.index)?.key.0 as u64))
    }

    fn __repr__(&self) -> PyResult<String> {
        each!(&**self.outcome, AnyOutcome(kept) => {
            Ok(format!("<disband.Signal: {}>", at(kept, self.index)?))
        })
    }
}

fn at<U: Id, G>(kept: &Kept<U, G>, index: usize) -> PyResult<&EngineSignal<U, G>> {
    kept.signals().get(index).ok_or_else(missing)
}

/// A signal is only made for a place that has one.
fn missing() -> PyErr {
    PyRuntimeError::new_err("the outcome has no such signal")
}
