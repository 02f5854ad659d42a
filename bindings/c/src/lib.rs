//! disband for C and C++: a library with a C interface. `include/disband.h` is made from this crate, so
//! the documentation of the functions and types is written for readers of the header.
//!
//! Handles are numbers in a table (`table.rs`), so an invalid handle is an error and not undefined
//! behaviour. Raw pointers are used in `raw.rs` and, for one function with an array, in `audience.rs`.
//! Everything else is safe code: out parameters are `Option<&mut MaybeUninit<T>>`, which is `T *` in C,
//! and null is `None`.

#![allow(non_camel_case_types, reason = "types have the same name in C and here")]

#[cfg(not(panic = "unwind"))]
compile_error!("panics must unwind, so that the functions can catch them");

// The header has the types and functions in this order.
mod status;

mod form;

mod raw;

mod engine;

mod outcome;

mod audience;

mod dissolved;

mod table;

pub use audience::*;
pub use dissolved::*;
pub use engine::*;
pub use form::*;
pub use outcome::*;
pub use raw::*;
pub use status::*;

use std::ffi::c_char;

/// The version of the library, such as "0.1.0". It is a constant string, which is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn disband_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
