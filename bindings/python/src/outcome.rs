//! The result of a command or of a batch.

use std::sync::Arc;

use disband_dynamic::AnyOutcome;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyTuple};

use crate::python::{chain, map};
use crate::reclaim::{Freed, Since};
use crate::refusal::refused;
use crate::reply::value;
use crate::signal::Signal;

/// The result of a command that was carried out, and the signals to deliver. Its parts are made when
/// they are first read.
#[pyclass(frozen, generic, module = "disband._native")]
pub(crate) struct Outcome {
    outcome: Arc<Freed<AnyOutcome>>,
    value: PyOnceLock<Py<PyAny>>,
    signals: PyOnceLock<Py<PyTuple>>,
}

impl Outcome {
    /// The outcome, or the exception if it is a refusal.
    pub(crate) fn new(py: Python<'_>, outcome: AnyOutcome, since: Since) -> PyResult<Self> {
        if outcome.code() != 200 {
            return Err(refused(py, outcome));
        }
        let outcome = Arc::new(Freed::shared(outcome, since));
        Ok(Outcome { outcome, value: PyOnceLock::new(), signals: PyOnceLock::new() })
    }
}

#[pymethods]
impl Outcome {
    /// The result of the command; of a batch, a tuple of the results of its commands.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let make = || value(py, &self.outcome).map(Bound::unbind);
        self.value.get_or_try_init(py, make).map(|value| value.bind(py).clone())
    }

    /// The signals, in the order in which to deliver them.
    #[getter]
    fn signals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = || {
            let signals =
                (0..self.outcome.signals()).map(|index| Signal::new(&self.outcome, index));
            PyTuple::new(py, signals.collect::<Vec<_>>()).map(Bound::unbind)
        };
        self.signals.get_or_try_init(py, make).map(|signals| signals.bind(py).clone())
    }

    /// An iterator over every signal with every recipient, as pairs `(user, signal)`: signal by signal,
    /// recipients in ascending order. It copies a page of users at a time.
    fn deliveries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let deliveries = py.get_type::<Signal>().getattr("_deliveries")?;
        chain(py, map(deliveries.as_any(), self.signals(py)?.as_any())?)
    }

    /// The reply to the request as JSON of the chat API. `ValueError` for a batch, which comes from the
    /// host and not from a client.
    fn reply(&self) -> PyResult<String> {
        let reply = self.outcome.wire_reply();
        reply.ok_or_else(|| PyValueError::new_err("a batch has no reply of the chat API"))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (value, signals) = (self.value(py)?.repr()?, self.outcome.signals());
        Ok(format!("<disband.Outcome: {value}, {signals} signals>"))
    }
}
