//! Memory that may run out.
//!
//! In WebAssembly an allocation that fails ends the module: all engines in it are lost. The engine's
//! own allocations cannot report a failure. So each call first makes sure that there is enough.

use std::hint::black_box;
use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// What one command may allocate at most, apart from its texts, with a wide margin: it copies the
/// paths to what it changes in about ten trees of at most five levels, with nodes of up to 4 KiB.
pub(crate) const COMMAND: usize = 256 * 1024;

/// What a read may allocate at most, apart from its ids and its lists. It is far less than [`COMMAND`], so
/// that an engine can still be read when there is not enough memory for commands.
pub(crate) const READ: usize = 16 * 1024;

/// What a command may allocate at most for each further command of a batch, and for each group of a `leave_all`. They
/// share the upper levels of the paths.
pub(crate) const NEXT: usize = 16 * 1024;

/// What each element of a page takes at most while the page is made.
pub(crate) const ELEMENT: usize = 96;

/// Makes sure that `bytes` bytes can be allocated in one piece. O(1).
pub(crate) fn ensure(bytes: usize) -> Result<(), Failure> {
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(bytes)?;
    // Without this the compiler may remove the allocation, since nothing uses it.
    black_box(&room);
    Ok(())
}

/// Reads a value in postcard, from the first byte to the last.
pub(crate) fn read_postcard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Failure::Invalid(format!("{} bytes after the end", rest.len()))),
        Err(error) => Err(Failure::Invalid(error.to_string())),
    }
}

/// Writes the value in postcard after the end of `output`. It reports a lack of memory, and allocates
/// nothing else if the value's `Serialize` does not.
pub(crate) fn write_postcard(
    output: &mut Vec<u8>,
    value: &(impl Serialize + ?Sized),
) -> Result<(), Failure> {
    // The types of disband can always be serialised, so memory is the only reason to fail.
    postcard::to_io(value, Growing(output)).map(drop).map_err(|_| Failure::OutOfMemory)
}

/// [`write_postcard`] in JSON.
pub(crate) fn write_json(
    output: &mut Vec<u8>,
    value: &(impl Serialize + ?Sized),
) -> Result<(), Failure> {
    serde_json::to_writer(Growing(output), value).map_err(|_| Failure::OutOfMemory)
}

/// A `Write` that reports a lack of memory.
struct Growing<'a>(&'a mut Vec<u8>);

impl Write for Growing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.try_reserve(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
