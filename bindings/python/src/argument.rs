//! Arguments of methods that are not ids.

use std::str::FromStr;
use std::sync::Arc;

use disband::{Config, GroupOptions, Operation, Rank, Timestamp};
use disband_dynamic::Format;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pythonize::depythonize;
use serde::de::DeserializeOwned;

use crate::ids::whole;
use crate::python::{CONFIG, Namespace, OPTIONS};

/// A time.
pub(crate) struct Time(pub(crate) Timestamp);

impl<'py> FromPyObject<'_, 'py> for Time {
    type Error = PyErr;

    fn extract(time: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        whole(&time, "a time, in milliseconds,").map(|ms| Time(Timestamp(ms)))
    }
}

/// A stint, the number of an entry, or a number of things.
pub(crate) struct Number(pub(crate) u64);

impl<'py> FromPyObject<'_, 'py> for Number {
    type Error = PyErr;

    fn extract(number: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        whole(&number, "the number").map(Number)
    }
}

/// A message or a note.
pub(crate) struct Words(pub(crate) Arc<str>);

impl<'py> FromPyObject<'_, 'py> for Words {
    type Error = PyErr;

    fn extract(text: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Words(text.cast::<PyString>()?.to_str()?.into()))
    }
}

/// A value that has a name in Python: a string, or an enum of strings.
pub(crate) struct Named<T>(pub(crate) T);

impl<'py, T: Name> FromPyObject<'_, 'py> for Named<T> {
    type Error = PyErr;

    fn extract(name: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let name = name.cast::<PyString>()?;
        let name = name.to_str()?;
        let found = T::from_name(name);
        found.map(Named).ok_or_else(|| PyValueError::new_err(format!("{name:?} is not {}", T::ARE)))
    }
}

pub(crate) trait Name: Sized {
    /// What the names are, for errors.
    const ARE: &'static str;

    fn from_name(name: &str) -> Option<Self>;
}

impl Name for Rank {
    const ARE: &'static str = "the name of a rank";

    fn from_name(name: &str) -> Option<Self> {
        Rank::from_str(name).ok()
    }
}

impl Name for Operation {
    const ARE: &'static str = "the name of an operation";

    fn from_name(name: &str) -> Option<Self> {
        Operation::from_str(name).ok()
    }
}

impl Name for Format {
    const ARE: &'static str = "a format of snapshots: 'json' or 'postcard'";

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Format::Json),
            "postcard" => Some(Format::Postcard),
            _ => None,
        }
    }
}

/// A value of a dataclass that says itself what its fields are.
pub(crate) struct Data<T>(pub(crate) T);

impl<'py, T: Dataclass> FromPyObject<'_, 'py> for Data<T> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = value.py();
        if !value.is_instance(&T::NAMESPACE.get(py, T::NAME)?)? {
            let is = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected a {}, not {is}", T::NAME)));
        }
        Ok(Data(depythonize(&value.call_method0("to_dict")?)?))
    }
}

pub(crate) trait Dataclass: DeserializeOwned {
    const NAMESPACE: &'static Namespace;
    const NAME: &'static str;
}

impl Dataclass for Config {
    const NAMESPACE: &'static Namespace = &CONFIG;
    const NAME: &'static str = "Config";
}

impl Dataclass for GroupOptions {
    const NAMESPACE: &'static Namespace = &OPTIONS;
    const NAME: &'static str = "GroupOptions";
}
