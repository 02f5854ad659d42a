//! The Python modules of the package, whose classes this crate makes instances of.

use disband::Rank;
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyString};

pub(crate) static BATCH: Namespace = Namespace::new("disband._batch");
static BUILTINS: Namespace = Namespace::new("builtins");
pub(crate) static COMMANDS: Namespace = Namespace::new("disband.commands");
pub(crate) static CONFIG: Namespace = Namespace::new("disband._config");
pub(crate) static DEPARTURES: Namespace = Namespace::new("disband.departures");
pub(crate) static ABSENCES: Namespace = Namespace::new("disband.absences");
pub(crate) static EVENTS: Namespace = Namespace::new("disband.events");
pub(crate) static OPTIONS: Namespace = Namespace::new("disband._options");
pub(crate) static REFUSALS: Namespace = Namespace::new("disband.refusals");
static ITERTOOLS: Namespace = Namespace::new("itertools");
pub(crate) static VIEWS: Namespace = Namespace::new("disband._views");

/// A module, imported when it is first used. These modules import this crate's module, so it cannot
/// import them when it is loaded.
pub(crate) struct Namespace {
    name: &'static str,
    module: PyOnceLock<Py<PyModule>>,
}

impl Namespace {
    const fn new(name: &'static str) -> Self {
        Namespace { name, module: PyOnceLock::new() }
    }

    /// A class or function of the module.
    pub(crate) fn get<'py>(
        &self,
        py: Python<'py>,
        name: impl IntoPyObject<'py, Target = PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let import = || py.import(self.name).map(Bound::unbind);
        self.module.get_or_try_init(py, import)?.bind(py).getattr(name)
    }

    /// An instance of a class of the module.
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        class: impl IntoPyObject<'py, Target = PyString>,
        fields: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.get(py, class)?.call1(fields)
    }
}

/// A `Rank`.
pub(crate) fn rank(py: Python<'_>, rank: Rank) -> PyResult<Bound<'_, PyAny>> {
    static ADMIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static MEMBER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static OWNER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = match rank {
        Rank::Admin => &ADMIN,
        Rank::Owner => &OWNER,
        _ => &MEMBER,
    };
    let make = || OPTIONS.make(py, "Rank", (rank.name(),)).map(Bound::unbind);
    Ok(made.get_or_try_init(py, make)?.bind(py).clone())
}

/// `itertools.chain.from_iterable`: an iterator over the elements of all of the iterables. It takes less
/// time for each element than an iterator of this crate would.
pub(crate) fn chain<'py>(
    py: Python<'py>,
    iterables: impl IntoPyObject<'py>,
) -> PyResult<Bound<'py, PyIterator>> {
    static CHAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let find = || ITERTOOLS.get(py, "chain")?.getattr("from_iterable").map(Bound::unbind);
    let chain = CHAIN.get_or_try_init(py, find)?.bind(py);
    Ok(chain.call1((iterables,))?.cast_into()?)
}

/// An iterator over what `function` returns for each element of `iterable`.
pub(crate) fn map<'py>(
    function: &Bound<'py, PyAny>,
    iterable: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    BUILTINS.make(function.py(), "map", (function, iterable))
}

/// An iterator over pairs of an element of `iterable` and `value`, which is always the same.
pub(crate) fn each_with<'py>(
    iterable: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = iterable.py();
    BUILTINS.make(py, "zip", (iterable, ITERTOOLS.make(py, "repeat", (value,))?))
}
