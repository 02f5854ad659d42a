//! Iterators over what may be large. They fetch pages, so they copy nothing whole and borrow nothing.

use std::sync::Arc;

use disband::{Audience, Engine, Group, Rank, Stint};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};

use crate::group::member;
use crate::ids::PyId;
use crate::python::chain;
use crate::reclaim::Freed;

/// An iterator over the elements of `of`, which are in ascending order of their keys.
pub(crate) fn walk<P: Paged + 'static>(py: Python<'_>, of: P) -> PyResult<Bound<'_, PyIterator>> {
    let pages = Pages { of, last: None, next_size: FIRST_PAGE };
    chain(py, PageIter(Box::new(pages)))
}

/// Something with keys in ascending order, of which pages can be fetched.
pub(crate) trait Paged: Send + Sync {
    type Key: PyId;
    /// What there is with each key.
    type Rest;

    /// The first `limit` keys that are larger than `after`.
    fn page(&self, after: Option<&Self::Key>, limit: usize) -> Vec<(Self::Key, Self::Rest)>;

    fn to_python<'py>(
        py: Python<'py>,
        key: &Self::Key,
        rest: Self::Rest,
    ) -> PyResult<Bound<'py, PyAny>>;
}

const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 1_024;

/// The pages of `of`.
struct Pages<P: Paged> {
    of: P,
    last: Option<P::Key>,
    next_size: usize,
}

trait NextPage: Send + Sync {
    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>>;
}

impl<P: Paged> NextPage for Pages<P> {
    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let page = self.of.page(self.last.as_ref(), self.next_size);
        let Some((last, _)) = page.last() else { return Ok(None) };
        self.last = Some(last.clone());
        self.next_size = self.next_size.saturating_mul(2).min(LARGEST_PAGE);
        let elements = page.into_iter().map(|(key, rest)| P::to_python(py, &key, rest));
        PyList::new(py, elements.collect::<PyResult<Vec<_>>>()?).map(Some)
    }
}

/// An iterator over pages, as lists.
#[pyclass(module = "disband._native")]
struct PageIter(Box<dyn NextPage>);

#[pymethods]
impl PageIter {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.0.next(py)
    }
}

impl<U: PyId> Paged for Freed<Audience<U>> {
    type Key = U;
    type Rest = ();

    fn page(&self, after: Option<&U>, limit: usize) -> Vec<(U, ())> {
        self.iter_after(after).take(limit).map(|user| (user.clone(), ())).collect()
    }

    fn to_python<'py>(py: Python<'py>, user: &U, (): ()) -> PyResult<Bound<'py, PyAny>> {
        Ok(user.to_python(py))
    }
}

impl<U: PyId> Paged for Arc<Freed<Group<U>>> {
    type Key = U;
    type Rest = (Stint, Rank);

    fn page(&self, after: Option<&U>, limit: usize) -> Vec<(U, Self::Rest)> {
        let rank = |user| self.rank(user).unwrap_or(Rank::Member);
        let members = self.members_after(after).take(limit);
        members.map(|(user, stint)| (user.clone(), (stint, rank(user)))).collect()
    }

    fn to_python<'py>(
        py: Python<'py>,
        user: &U,
        (stint, rank): Self::Rest,
    ) -> PyResult<Bound<'py, PyAny>> {
        member(py, user, stint, rank)
    }
}

impl<U: PyId, G: PyId> Paged for Freed<Engine<U, G>> {
    type Key = G;
    type Rest = ();

    fn page(&self, after: Option<&G>, limit: usize) -> Vec<(G, ())> {
        self.groups_after(after).take(limit).map(|(group, _)| (group.clone(), ())).collect()
    }

    fn to_python<'py>(py: Python<'py>, group: &G, (): ()) -> PyResult<Bound<'py, PyAny>> {
        Ok(group.to_python(py))
    }
}
