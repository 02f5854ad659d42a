//! Events as instances of the classes in `disband.events`.

use disband::Event;
use pyo3::prelude::*;

use crate::ids::PyId;
use crate::message::{MessageEdit, MessagePost};
use crate::python::{EVENTS, rank as name};

pub(crate) fn event<'py, U: PyId, G: PyId>(
    py: Python<'py>,
    event: &Event<U, G>,
) -> PyResult<Bound<'py, PyAny>> {
    let user = |user: &U| user.to_python(py);
    match event {
        Event::MemberJoin { by } => EVENTS.make(py, "MemberJoin", (by.as_ref().map(user),)),
        Event::MemberLeave => EVENTS.make(py, "MemberLeave", ()),
        Event::MemberKick { by } => EVENTS.make(py, "MemberKick", (user(by),)),
        Event::HistoryPurge { before, note, successor } => {
            let successor = successor.as_ref().map(|group| group.to_python(py));
            EVENTS.make(py, "HistoryPurge", (before.0, note.as_deref(), successor))
        }
        Event::MessagePost { seq, at, message } => {
            let message = message.clone();
            Ok(Bound::new(py, MessagePost { seq: seq.0, at: at.0, message })?.into_any())
        }
        Event::OwnerChange { previous } => EVENTS.make(py, "OwnerChange", (user(previous),)),
        Event::RankChange { rank } => EVENTS.make(py, "RankChange", (name(py, *rank)?,)),
        Event::MessageEdit { seq, at, message } => {
            let message = message.clone();
            Ok(Bound::new(py, MessageEdit { seq: seq.0, at: at.0, message })?.into_any())
        }
        Event::MessageErase { seq } => EVENTS.make(py, "MessageErase", (seq.0,)),
        Event::Mute { by, until } => {
            EVENTS.make(py, "Mute", (user(by), until.map(|until| until.0)))
        }
        Event::Unmute { by } => EVENTS.make(py, "Unmute", (user(by),)),
        _ => Err(pyo3::exceptions::PyNotImplementedError::new_err(event.name())),
    }
}
