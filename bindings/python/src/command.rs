//! Commands as data: instances of the classes in `disband.commands`.

use disband::{Command, Operation, Seq, Stint};
use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::prelude::*;

use crate::argument::{Data, Named, Number, Time, Words};
use crate::python::COMMANDS;

/// A command whose ids are not converted yet.
pub(crate) type Ask<'py> = Command<Bound<'py, PyAny>, Bound<'py, PyAny>>;

/// The command that an instance of a class of `disband.commands` is.
pub(crate) fn command<'py>(command: &Bound<'py, PyAny>) -> PyResult<Ask<'py>> {
    let py = command.py();
    if !command.is_instance(&COMMANDS.get(py, pyo3::intern!(py, "Command"))?)? {
        let is = command.get_type().name()?;
        return Err(PyTypeError::new_err(format!("expected a disband.commands.Command, not {is}")));
    }
    macro_rules! field {
        ($name:literal) => {
            command.getattr(pyo3::intern!(py, $name))?
        };
    }
    let Named(operation) = field!("operation").extract()?;
    let group = || Ok::<_, PyErr>(field!("group"));
    let words = || Ok::<_, PyErr>(field!("message").extract::<Words>()?.0);
    let seq = || Ok::<_, PyErr>(Seq(field!("seq").extract::<Number>()?.0));
    let until = || Ok::<_, PyErr>(field!("until").extract::<Option<Time>>()?.map(|time| time.0));
    Ok(match operation {
        Operation::Create => {
            let options: Option<Data<_>> = field!("options").extract()?;
            Command::Create {
                owner: field!("owner"),
                group: group()?,
                options: options.map(|Data(options)| options),
            }
        }
        Operation::Join => Command::Join { user: field!("user"), group: group()? },
        Operation::Leave => {
            let stint: Option<Number> = field!("stint").extract()?;
            let stint = stint.map(|stint| Stint(stint.0));
            Command::Leave { user: field!("user"), group: group()?, stint }
        }
        Operation::LeaveAll => Command::LeaveAll { user: field!("user") },
        Operation::Post => {
            Command::Post { author: field!("author"), group: group()?, message: words()? }
        }
        Operation::Edit => Command::Edit {
            author: field!("author"),
            group: group()?,
            seq: seq()?,
            message: words()?,
        },
        Operation::Erase => Command::Erase { by: field!("by"), group: group()?, seq: seq()? },
        Operation::Add => Command::Add { by: field!("by"), group: group()?, user: field!("user") },
        Operation::Kick => {
            Command::Kick { by: field!("by"), group: group()?, user: field!("user") }
        }
        Operation::Ban => Command::Ban {
            by: field!("by"),
            group: group()?,
            user: field!("user"),
            until: until()?,
        },
        Operation::Unban => {
            Command::Unban { by: field!("by"), group: group()?, user: field!("user") }
        }
        Operation::Mute => Command::Mute {
            by: field!("by"),
            group: group()?,
            user: field!("user"),
            until: until()?,
        },
        Operation::Unmute => {
            Command::Unmute { by: field!("by"), group: group()?, user: field!("user") }
        }
        Operation::SetRank => {
            let Named(rank) = field!("rank").extract()?;
            Command::SetRank { by: field!("by"), group: group()?, user: field!("user"), rank }
        }
        Operation::SetOptions => {
            let Data(options) = field!("options").extract()?;
            Command::SetOptions { by: field!("by"), group: group()?, options }
        }
        Operation::Transfer => {
            Command::Transfer { owner: field!("owner"), group: group()?, user: field!("user") }
        }
        Operation::Dissolve => {
            let note: Option<Words> = field!("note").extract()?;
            let successor: Option<Bound<'py, PyAny>> = field!("successor").extract()?;
            let note = note.map(|Words(note)| note);
            Command::Dissolve { owner: field!("owner"), group: group()?, note, successor }
        }
        other => return Err(PyNotImplementedError::new_err(other.name())),
    })
}
