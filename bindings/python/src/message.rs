//! The events that are made for each message. They are native, because they are the most frequent ones,
//! and share the text with the log until it is read.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

use crate::argument::{Number, Words};

macro_rules! message_event {
    ($name:ident, $text:literal, $(#[$doc:meta])*) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, module = "disband.events")]
        #[derive(PartialEq, Eq, Hash)]
        pub(crate) struct $name {
            pub(crate) seq: u64,
            pub(crate) at: u64,
            pub(crate) message: Arc<str>,
        }

        #[pymethods]
        impl $name {
            #[classattr]
            #[pyo3(name = "__match_args__")]
            const MATCH_ARGS: (&'static str, &'static str, &'static str) = ("seq", "at", "message");

            #[new]
            fn new(seq: Number, at: Number, message: Words) -> Self {
                $name { seq: seq.0, at: at.0, message: message.0 }
            }

            /// The number of its entry in the log.
            #[getter]
            fn seq(&self) -> u64 {
                self.seq
            }

            #[doc = $text]
            #[getter]
            fn at(&self) -> u64 {
                self.at
            }

            /// The text.
            #[getter]
            fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
                PyString::new(py, &self.message)
            }

            fn __reduce__<'py>(
                this: &Bound<'py, Self>,
            ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
                let event = this.get();
                let fields = (event.seq, event.at, &*event.message).into_pyobject(this.py())?;
                Ok((this.get_type(), fields))
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let (seq, at, message) = (self.seq, self.at, self.message(py).repr()?);
                Ok(format!("{}(seq={seq}, at={at}, message={message})", stringify!($name)))
            }
        }
    };
}

message_event! {
    MessagePost, "The time of its entry in the log.",
    /// `from_` posted a message. Audience: the other members.
}

message_event! {
    MessageEdit, "The time of the edit.",
    /// `from_` changed the text of their own message. Audience: the other members.
}
