//! How a call ended: its status, and the message if it failed.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use disband::ConfigError;
use disband_dynamic::FormatError;

/// How a call ended. A call that failed has changed nothing, except after `DISBAND_STATUS_PANIC`, and it
/// has set its out parameter, if that is not null, to zero: a null handle, no bytes, 0 or false.
///
/// A command that is refused is not a failure: its outcome has a code other than 200.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum disband_status {
    /// The call succeeded.
    Ok = 0,
    /// A pointer is null that must not be.
    NullPointer = 1,
    /// The handle is null, was freed, was never given out, or is of another type.
    BadHandle = 2,
    /// Another argument is out of its range.
    BadArgument = 3,
    /// Bytes are not a value of the expected type in the given format.
    BadFormat = 4,
    /// The engine cannot have this configuration.
    Config = 5,
    /// `disband_engine_check` found a violated invariant, which is a defect of the library.
    Invariant = 6,
    /// An earlier call on this engine panicked. The engine can only be freed.
    Poisoned = 7,
    /// The call panicked, which is a defect of the library. Each later call on the same engine, if the
    /// panic came from the engine, gives `DISBAND_STATUS_POISONED`.
    Panic = 8,
}

use disband_status as Status;

impl Status {
    const ALL: [(Status, &'static CStr); 9] = [
        (Status::Ok, c"DISBAND_STATUS_OK"),
        (Status::NullPointer, c"DISBAND_STATUS_NULL_POINTER"),
        (Status::BadHandle, c"DISBAND_STATUS_BAD_HANDLE"),
        (Status::BadArgument, c"DISBAND_STATUS_BAD_ARGUMENT"),
        (Status::BadFormat, c"DISBAND_STATUS_BAD_FORMAT"),
        (Status::Config, c"DISBAND_STATUS_CONFIG"),
        (Status::Invariant, c"DISBAND_STATUS_INVARIANT"),
        (Status::Poisoned, c"DISBAND_STATUS_POISONED"),
        (Status::Panic, c"DISBAND_STATUS_PANIC"),
    ];
}

/// The name of a `disband_status`, such as "DISBAND_STATUS_OK"; "unknown status" for other numbers. It
/// is a constant string, which is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn disband_status_name(status: u32) -> *const c_char {
    let named = Status::ALL.iter().find(|(one, _)| *one as u32 == status);
    named.map_or(c"unknown status", |(_, name)| name).as_ptr()
}

/// What went wrong in the last call of this thread that failed, in UTF-8; an empty string if none has
/// failed. Never null. The string belongs to the library, and is valid until the thread's next call that
/// fails or the thread's end.
#[unsafe(no_mangle)]
pub extern "C" fn disband_last_error() -> *const c_char {
    // The value is gone while the thread ends.
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Failure { status, message: message.into() }
    }

    fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Failure::new(Status::Panic, format!("panic: {}", text.unwrap_or("without a message")))
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        Failure::new(Status::BadFormat, error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::new(Status::Config, error.to_string())
    }
}

/// Runs the work of a function without an out parameter.
pub(crate) fn call(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(work));
    let Err(failure) = result.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic))) else {
        return Status::Ok;
    };
    let message = CString::new(failure.message.replace('\0', "\u{fffd}")).unwrap_or_default();
    // While the thread ends, the message is lost. The status still tells what happened.
    let _ = LAST_ERROR.try_with(|last| last.replace(message));
    failure.status
}

/// Runs the work of a function with an out parameter. If `out` is null, the work is not begun.
pub(crate) fn give<T: Default>(
    out: Option<&mut MaybeUninit<T>>,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Status {
    let mut value = T::default();
    let status = call(|| {
        if out.is_none() {
            return Err(Failure::new(Status::NullPointer, "the out parameter is null"));
        }
        value = work()?;
        Ok(())
    });
    if let Some(out) = out {
        out.write(value);
    }
    status
}
