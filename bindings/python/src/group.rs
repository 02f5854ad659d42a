//! A view of a group, and its members and entries as Python values.

use std::sync::Arc;

use disband::{Entry, Group as EngineGroup, Page, Rank, Sanction, Seq, Stint, UserId};
use disband_dynamic::Text;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use pythonize::pythonize;

use crate::argument::{Number, Time};
use crate::ids::{PyId, each};
use crate::python::{OPTIONS, VIEWS, rank as name};
use crate::reclaim::Freed;
use crate::walk::walk;

/// A group as it was when the view was made: later commands do not change it. It shares the members and
/// the log with the engine, so making one is O(1) for a group of any size. n is the number of members.
#[pyclass(frozen, generic, module = "disband._native")]
pub(crate) struct Group(AnyGroup);

pub(crate) enum AnyGroup {
    Numbers(Arc<Freed<EngineGroup<UserId>>>),
    Text(Arc<Freed<EngineGroup<Text>>>),
}

impl Group {
    pub(crate) const fn new(group: AnyGroup) -> Self {
        Group(group)
    }
}

#[pymethods]
impl Group {
    /// The owner. Every group has exactly one, who is always a member.
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        each!(&self.0, AnyGroup(group) => group.owner().to_python(py))
    }

    /// The options, a `GroupOptions`.
    #[getter]
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let options = each!(&self.0, AnyGroup(group) => pythonize(py, group.options()))?;
        OPTIONS.get(py, "GroupOptions")?.call_method1("from_dict", (options,))
    }

    /// The version of the last signal. Before the first signal it is the stint that the creator of the
    /// group got.
    #[getter]
    fn version(&self) -> u64 {
        each!(&self.0, AnyGroup(group) => group.version())
    }

    /// How many entries the log has, including those past their retention that are not dropped yet.
    #[getter]
    fn entries(&self) -> u64 {
        each!(&self.0, AnyGroup(group) => group.log_len())
    }

    /// The number of the next entry.
    #[getter]
    fn next_seq(&self) -> u64 {
        each!(&self.0, AnyGroup(group) => group.next_seq().0)
    }

    /// The rank of a user, or `None` if they are not a member. O(log n).
    fn rank<'py>(
        &self,
        py: Python<'py>,
        user: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let rank = each!(&self.0, AnyGroup(group) => group.rank(&id(group, user)?));
        rank.map(|rank| name(py, rank)).transpose()
    }

    /// The number of a user's membership, or `None` if they are not a member. O(log n).
    fn stint(&self, user: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        let stint = each!(&self.0, AnyGroup(group) => group.stint(&id(group, user)?));
        Ok(stint.map(|stint| stint.0))
    }

    /// An iterator over the members, as `Member`, in ascending order of ids. It copies a page at a time;
    /// a step is O(log n).
    fn members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        each!(&self.0, AnyGroup(group) => walk(py, group.clone()))
    }

    /// The admins, the longest membership first. O(admins).
    fn admins<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        each!(&self.0, AnyGroup(group) => {
            let admin = |(user, stint)| member(py, user, stint, Rank::Admin);
            PyList::new(py, group.admins().map(admin).collect::<PyResult<Vec<_>>>()?)
        })
    }

    /// The ban of a user that is in force at `now`, or `None`. O(log bans).
    fn ban<'py>(
        &self,
        py: Python<'py>,
        user: &Bound<'py, PyAny>,
        now: Time,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        each!(&self.0, AnyGroup(group) => {
            let user = id(group, user)?;
            group.ban(&user, now.0).map(|ban| sanction(py, (&user, ban))).transpose()
        })
    }

    /// The bans in force at `now`, in ascending order of user ids. O(bans).
    fn bans<'py>(&self, py: Python<'py>, now: Time) -> PyResult<Bound<'py, PyList>> {
        each!(&self.0, AnyGroup(group) => {
            let bans = group.bans(now.0).map(|ban| sanction(py, ban));
            PyList::new(py, bans.collect::<PyResult<Vec<_>>>()?)
        })
    }

    /// The mute of a user that is in force at `now`, or `None`. O(log mutes).
    fn mute<'py>(
        &self,
        py: Python<'py>,
        user: &Bound<'py, PyAny>,
        now: Time,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        each!(&self.0, AnyGroup(group) => {
            let user = id(group, user)?;
            group.mute(&user, now.0).map(|mute| sanction(py, (&user, mute))).transpose()
        })
    }

    /// The mutes in force at `now`, in ascending order of user ids. O(mutes).
    fn mutes<'py>(&self, py: Python<'py>, now: Time) -> PyResult<Bound<'py, PyList>> {
        each!(&self.0, AnyGroup(group) => {
            let mutes = group.mutes(now.0).map(|mute| sanction(py, mute));
            PyList::new(py, mutes.collect::<PyResult<Vec<_>>>()?)
        })
    }

    /// The departures that the group remembers, the oldest first, one per user.
    fn departures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        each!(&self.0, AnyGroup(group) => {
            let past = group.departures().iter().map(|past| {
                let kicked_by = past.kicked_by.as_ref().map(|by| by.to_python(py));
                VIEWS.make(py, "PastMember", (past.user.to_python(py), past.at.0, kicked_by))
            });
            PyList::new(py, past.collect::<PyResult<Vec<_>>>()?)
        })
    }

    /// How many members there are, including the owner. O(1).
    fn __len__(&self) -> usize {
        each!(&self.0, AnyGroup(group) => group.len())
    }

    fn __contains__(&self, user: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(each!(&self.0, AnyGroup(group) => group.contains(&id(group, user)?)))
    }

    fn __eq__(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (AnyGroup::Numbers(one), AnyGroup::Numbers(two)) => ***one == ***two,
            (AnyGroup::Text(one), AnyGroup::Text(two)) => ***one == ***two,
            _ => false,
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (owner, members) = (self.owner(py).repr()?, self.__len__());
        Ok(format!("<disband.Group of {owner}, {members} members>"))
    }
}

/// The user id that the object is, of the type of the group's ids.
fn id<U: PyId>(_: &Freed<EngineGroup<U>>, user: &Bound<'_, PyAny>) -> PyResult<U> {
    U::from_python(user)
}

/// A `Member`.
pub(crate) fn member<'py, U: PyId>(
    py: Python<'py>,
    user: &U,
    stint: Stint,
    rank: Rank,
) -> PyResult<Bound<'py, PyAny>> {
    VIEWS.make(py, "Member", (user.to_python(py), stint.0, name(py, rank)?))
}

/// A `Sanction`.
fn sanction<'py, U: PyId>(
    py: Python<'py>,
    (user, sanction): (&U, &Sanction<U>),
) -> PyResult<Bound<'py, PyAny>> {
    let until = sanction.until.map(|until| until.0);
    VIEWS.make(py, "Sanction", (user.to_python(py), sanction.by.to_python(py), until))
}

/// A list of `Entry`.
pub(crate) fn entries<'py, 'a, U: PyId>(
    py: Python<'py>,
    entries: impl Iterator<Item = (Seq, &'a Entry<U>)>,
) -> PyResult<Bound<'py, PyList>> {
    let entry = |(seq, entry): (Seq, &Entry<U>)| {
        let edited = entry.edited().map(|at| at.0);
        let erased_by = entry.erased_by().map(|by| by.to_python(py));
        let author = entry.author.to_python(py);
        VIEWS.make(py, "Entry", (seq.0, entry.at.0, author, &*entry.message, edited, erased_by))
    };
    PyList::new(py, entries.map(entry).collect::<PyResult<Vec<_>>>()?)
}

pub(crate) fn page(before: Option<Number>, limit: Number) -> Page {
    Page { before: before.map(|before| Seq(before.0)), limit: limit.0 }
}
