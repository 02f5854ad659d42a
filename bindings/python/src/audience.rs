//! The users that a signal is for.

use disband_dynamic::AnyAudience;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::ids::{PyId, each};
use crate::reclaim::Freed;
use crate::walk::walk;

/// The users that a signal is for, in ascending order. It shares the members with the group: making one
/// is O(1) for a group of any size, and later changes of the group do not change it.
///
/// `len` is O(1), `in` is O(log n), `==` is O(n), and iterating copies a page of users at a time.
#[pyclass(frozen, generic, module = "disband._native")]
pub(crate) struct Audience(Freed<AnyAudience>);

impl Audience {
    pub(crate) const fn new(users: Freed<AnyAudience>) -> Self {
        Audience(users)
    }
}

/// An iterator over the users of an audience.
pub(crate) fn users<'py>(
    py: Python<'py>,
    audience: &Freed<AnyAudience>,
) -> PyResult<Bound<'py, PyIterator>> {
    each!(&**audience, AnyAudience(users) => walk(py, audience.part(users.clone())))
}

#[pymethods]
impl Audience {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __contains__(&self, user: &Bound<'_, PyAny>) -> PyResult<bool> {
        fn contains<U: PyId>(
            users: &disband::Audience<U>,
            user: &Bound<'_, PyAny>,
        ) -> PyResult<bool> {
            Ok(users.contains(&U::from_python(user)?))
        }
        each!(&*self.0, AnyAudience(users) => contains(users, user))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        users(py, &self.0)
    }

    fn __eq__(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    fn __repr__(&self) -> String {
        format!("<disband.Audience of {}>", self.0.len())
    }
}
