//! The place of an engine, which is empty once the engine is closed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use disband::Engine;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::ids::PyId;
use crate::python::CONFIG;
use crate::reclaim::{Freed, Since};

type Place<U, G> = Option<Freed<Engine<U, G>>>;

/// An engine behind a lock. While a thread holds the lock, it runs no Python code, and it never waits for
/// the GIL. So a thread that holds the GIL may wait for the lock, and it gives the GIL up meanwhile.
pub(crate) struct Slot<U: PyId, G: PyId>(Mutex<Place<U, G>>);

impl<U: PyId, G: PyId> Slot<U, G> {
    pub(crate) const fn new(engine: Engine<U, G>) -> Self {
        Slot(Mutex::new(Some(Freed::new(engine))))
    }

    /// Uses the engine. `run` must be short, because the GIL is held, and must not run Python code.
    pub(crate) fn with<T>(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&mut Engine<U, G>) -> T,
    ) -> PyResult<T> {
        let mut place = self.lock(py)?;
        match &mut *place {
            Some(engine) => Ok(run(engine.get_mut())),
            None => {
                drop(place);
                Err(closed(py))
            }
        }
    }

    /// Uses the engine without the GIL. Commands from other threads wait, other Python code does not.
    pub(crate) fn with_detached<T: Send>(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&mut Engine<U, G>) -> T + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| {
            let mut place = self.0.lock().map_err(|_| ())?;
            Ok(place.as_mut().map(|engine| run(engine.get_mut())))
        });
        match done {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(closed(py)),
            Err(()) => Err(broken()),
        }
    }

    /// A snapshot. O(1).
    pub(crate) fn snapshot(&self, py: Python<'_>, since: Since) -> PyResult<Freed<Engine<U, G>>> {
        self.with(py, |engine| Freed::shared(engine.clone(), since))
    }

    pub(crate) fn close(&self, py: Python<'_>) {
        let place = self.0.lock_py_attached(py);
        let closed = place.unwrap_or_else(PoisonError::into_inner).take();
        drop(closed);
    }

    pub(crate) fn is_closed(&self, py: Python<'_>) -> bool {
        self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Place<U, G>>> {
        self.0.lock_py_attached(py).map_err(|_| broken())
    }
}

fn closed(py: Python<'_>) -> PyErr {
    match CONFIG.make(py, "EngineClosed", ("the engine is closed",)) {
        Ok(closed) => PyErr::from_value(closed),
        Err(error) => error,
    }
}

/// A command panicked. That would be a defect of disband.
fn broken() -> PyErr {
    PyRuntimeError::new_err("a command of this engine failed half-way: load a snapshot of before")
}
