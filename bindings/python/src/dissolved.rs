//! A group that was dissolved.

use disband::Page;
use disband_dynamic::AnyDissolved;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::argument::Number;
use crate::group::{AnyGroup, Group, entries, page};
use crate::ids::{each, each_to};
use crate::python::VIEWS;
use crate::reclaim::Freed;

/// A dissolved group with all that was in it: its members, including the owner, and its log. The engine
/// no longer holds any of it.
///
/// When the last of the values that share the group is dropped (this one, its outcome, the signals and
/// audiences, snapshots from before), a large group is freed on another thread.
#[pyclass(frozen, generic, module = "disband._native")]
pub(crate) struct Dissolved(Freed<AnyDissolved>);

impl Dissolved {
    pub(crate) const fn new(group: Freed<AnyDissolved>) -> Self {
        Dissolved(group)
    }
}

#[pymethods]
impl Dissolved {
    /// How many members and entries it had. O(1).
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let summary = self.0.summary();
        VIEWS.make(py, "Summary", (summary.members, summary.entries))
    }

    /// The membership of its owner, which ended with it.
    #[getter]
    fn stint(&self) -> Option<u64> {
        each!(&*self.0, AnyDissolved(dissolved) => {
            let group = dissolved.group();
            group.stint(group.owner()).map(|stint| stint.0)
        })
    }

    /// The group at its end. O(1).
    #[getter]
    fn group(&self) -> Group {
        Group::new(each_to!(&*self.0, AnyDissolved(dissolved) => AnyGroup({
            self.0.part(dissolved.group().clone()).into()
        })))
    }

    /// A page of its log, newest first: the last `limit` entries before the entry `before`. It includes
    /// entries past their retention that were not dropped yet. O(log n + limit).
    #[pyo3(signature = (before=None, limit=Number(50)), text_signature = "(self, before=None, limit=50)")]
    fn history<'py>(
        &self,
        py: Python<'py>,
        before: Option<Number>,
        limit: Number,
    ) -> PyResult<Bound<'py, PyList>> {
        let page: Page = page(before, limit);
        each!(&*self.0, AnyDissolved(dissolved) => entries(py, dissolved.page(page)))
    }

    fn __eq__(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    fn __repr__(&self) -> String {
        let summary = self.0.summary();
        let (members, entries) = (summary.members, summary.entries);
        format!("<disband.Dissolved of {members} members and {entries} entries>")
    }
}
