//! Ids: a Python `int` or `str`, whichever the engine has.

use std::fmt::Display;

use disband::{GroupId, Id, UserId};
use disband_dynamic::Text;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The same expression for each type of ids, as the variant of another enum with the same name.
macro_rules! each_to {
    ($any:expr, $of:ident($one:pat) => $to:ident($do:expr)) => {
        match $any {
            $of::Numbers($one) => $to::Numbers($do),
            $of::Text($one) => $to::Text($do),
        }
    };
}

/// The same expression for each type of ids.
pub(crate) use disband_dynamic::each;
pub(crate) use each_to;

/// An id that is a Python object outside of this crate.
pub(crate) trait PyId:
    Id + Display + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The id that the object is. It never runs Python code.
    fn from_python(id: &Bound<'_, PyAny>) -> PyResult<Self>;

    fn to_python<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny>;
}

macro_rules! number {
    ($id:ident) => {
        impl PyId for $id {
            fn from_python(id: &Bound<'_, PyAny>) -> PyResult<Self> {
                whole(id, "an id of this engine").map($id)
            }

            fn to_python<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
                PyInt::new(py, self.0).into_any()
            }
        }
    };
}

number!(UserId);
number!(GroupId);

impl PyId for Text {
    fn from_python(id: &Bound<'_, PyAny>) -> PyResult<Self> {
        match id.cast::<PyString>() {
            Ok(text) => Ok(text.to_str()?.into()),
            Err(_) => {
                let is = id.get_type().name()?;
                Err(PyTypeError::new_err(format!("an id of this engine is a str, not {is}")))
            }
        }
    }

    fn to_python<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        PyString::new(py, self).into_any()
    }
}

/// The number that the object is: an `int`, but not a `bool`, from 0 to 2^64 - 1. `what` begins the
/// text of the error.
pub(crate) fn whole(number: &Bound<'_, PyAny>, what: &str) -> PyResult<u64> {
    if !number.is_instance_of::<PyInt>() || number.is_instance_of::<PyBool>() {
        let is = number.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{what} is an int, not {is}")));
    }
    let out_of_range = || PyOverflowError::new_err(format!("{what} is from 0 to 2**64 - 1"));
    number.extract().map_err(|_| out_of_range())
}
