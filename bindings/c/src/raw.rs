//! Memory that the caller and the library pass to each other.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::{ptr, slice};

use crate::status::{Failure, call, disband_status};

/// Bytes of the caller. The library only reads them, and only during the call. If `len` is 0, `data` is
/// not read and may be null. `disband_text` makes one of a string.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct disband_slice<'a> {
    /// The first byte.
    data: *const c_void,
    /// How many bytes there are.
    len: usize,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> disband_slice<'a> {
    /// The bytes.
    ///
    /// # Errors
    /// - `NullPointer` if `data` is null and `len` is not 0
    /// - `BadArgument` if no memory has that many bytes
    pub(crate) fn bytes(self) -> Result<&'a [u8], Failure> {
        if self.len == 0 {
            return Ok(&[]);
        }
        if self.data.is_null() {
            let message = format!("the data of a slice of {} bytes is null", self.len);
            return Err(Failure::new(disband_status::NullPointer, message));
        }
        check_size::<u8>(self.len)?;
        // SAFETY: a slice comes from a Rust slice of the same lifetime, or from C, where the caller
        // promises that `data` can be read for `len` bytes and does not change during the call. It is
        // not null, and `len` is at most `isize::MAX`.
        Ok(unsafe { slice::from_raw_parts(self.data.cast(), self.len) })
    }

    /// The bytes, or `None` if there are none: for parameters that may be left out. No value is written
    /// as zero bytes.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes).
    pub(crate) fn given(self) -> Result<Option<&'a [u8]>, Failure> {
        Ok(Some(self.bytes()?).filter(|bytes| !bytes.is_empty()))
    }
}

impl<'a> From<&'a [u8]> for disband_slice<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        disband_slice { data: bytes.as_ptr().cast(), len: bytes.len(), bytes: PhantomData }
    }
}

/// The bytes of a string, without the zero at its end. The slice points into the string and is valid as
/// long as the string is. For null, an empty slice. O(length).
///
/// # Safety
/// `text` is null, or points to a string that ends with a zero byte and does not change while the slice
/// is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disband_text<'a>(text: *const c_char) -> disband_slice<'a> {
    if text.is_null() {
        return disband_slice::from(&[][..]);
    }
    // SAFETY: `text` is not null, and the caller promises the rest.
    disband_slice::from(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Bytes that a function gave to the caller, who owns them and frees them once, with
/// `disband_bytes_free`, on any thread. After them there is a zero byte, which `len` does not count. So
/// JSON can be used as a string: it contains no zero byte.
#[repr(C)]
#[derive(Debug)]
pub struct disband_bytes {
    /// The first byte; null if a call failed or the bytes were freed.
    data: *mut u8,
    /// How many bytes there are.
    len: usize,
    /// For the library. It must not be changed.
    capacity: usize,
}

impl disband_bytes {
    /// The bytes, for Rust.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: `data` and `len` are of the vector in `from`, which is freed only through
        // `&mut self`.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}

impl Default for disband_bytes {
    fn default() -> Self {
        disband_bytes { data: ptr::null_mut(), len: 0, capacity: 0 }
    }
}

impl From<Vec<u8>> for disband_bytes {
    fn from(mut bytes: Vec<u8>) -> Self {
        bytes.push(0);
        let (data, len, capacity) = bytes.into_raw_parts();
        disband_bytes { data, len: len - 1, capacity }
    }
}

/// Frees bytes and sets all fields to zero. Bytes whose fields are zero may be freed again. A copy of
/// the struct must not be freed too. O(1).
///
/// Errors: `DISBAND_STATUS_NULL_POINTER`.
#[unsafe(no_mangle)]
pub extern "C" fn disband_bytes_free(bytes: Option<&mut disband_bytes>) -> disband_status {
    call(|| {
        let null = || Failure::new(disband_status::NullPointer, "the pointer to the bytes is null");
        let disband_bytes { data, capacity, .. } = std::mem::take(bytes.ok_or_else(null)?);
        if !data.is_null() {
            // SAFETY: `data` and `capacity` are of the vector in `From`, and the fields are taken, so
            // the vector is freed once. Bytes need no destructor, so the length does not matter.
            drop(unsafe { Vec::from_raw_parts(data, 0, capacity) });
        }
        Ok(())
    })
}

/// The number at `number`, or `None` if it is null.
///
/// # Safety
/// `number` is null or points to a number.
pub(crate) unsafe fn read(number: *const u64) -> Option<u64> {
    // SAFETY: the caller promises that it is null or can be read.
    (!number.is_null()).then(|| unsafe { number.read() })
}

/// An array of the caller, set to zeros. O(len).
///
/// # Errors
/// - `NullPointer` if `data` is null and `len` is not 0
/// - `BadArgument` if no memory has that many numbers
///
/// # Safety
/// `data` is null or points to `len` numbers, also not yet written ones, that nothing else uses while
/// the result is alive.
pub(crate) unsafe fn array<'a>(data: *mut u64, len: usize) -> Result<&'a mut [u64], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    if data.is_null() {
        return Err(Failure::new(disband_status::NullPointer, "the array is null"));
    }
    check_size::<u64>(len)?;
    // SAFETY: the caller promises that `data` can be written for `len` numbers and is used by nothing
    // else. All of them are set before a slice is made. Its size is at most `isize::MAX` bytes.
    Ok(unsafe {
        data.write_bytes(0, len);
        slice::from_raw_parts_mut(data, len)
    })
}

fn check_size<T>(len: usize) -> Result<(), Failure> {
    if len > isize::MAX as usize / size_of::<T>() {
        let message = format!("no memory has {len} elements of {} bytes", size_of::<T>());
        return Err(Failure::new(disband_status::BadArgument, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::status::disband_last_error;

    fn last_error() -> &'static str {
        // SAFETY: the library returns a string. The tests read it before the next call.
        unsafe { CStr::from_ptr(disband_last_error()) }.to_str().unwrap()
    }

    fn status_of(slice: disband_slice<'_>) -> disband_status {
        call(|| slice.bytes().map(drop))
    }

    #[test]
    fn a_slice_is_read_only_if_it_has_bytes() {
        let slice = |data, len| disband_slice { data, len, bytes: PhantomData };
        assert_eq!(slice(ptr::null(), 0).bytes().unwrap(), b"");
        assert_eq!(slice(ptr::dangling(), 0).given().unwrap(), None);
        assert_eq!(status_of(slice(ptr::null(), 5)), disband_status::NullPointer);
        assert_eq!(last_error(), "the data of a slice of 5 bytes is null");
        assert_eq!(status_of(slice(ptr::dangling(), usize::MAX)), disband_status::BadArgument);
        assert_eq!(last_error(), format!("no memory has {} elements of 1 bytes", usize::MAX));
    }

    #[test]
    fn bytes_end_with_a_zero_and_are_freed_once() {
        let mut bytes = disband_bytes::from(b"abc".to_vec());
        assert_eq!(bytes.as_slice(), b"abc");
        // SAFETY: there is a zero after the bytes.
        assert_eq!(unsafe { CStr::from_ptr(bytes.data.cast()) }, c"abc");
        for _ in 0..2 {
            assert_eq!(disband_bytes_free(Some(&mut bytes)), disband_status::Ok);
            assert_eq!((bytes.data, bytes.len, bytes.capacity), (ptr::null_mut(), 0, 0));
            assert_eq!(bytes.as_slice(), b"");
        }
        assert_eq!(disband_bytes_free(None), disband_status::NullPointer);
    }

    #[test]
    fn an_array_is_checked_before_it_is_written() {
        let check = |data, len| {
            // SAFETY: an array that is null or too long is not written.
            call(|| unsafe { array(data, len) }.map(drop))
        };
        assert_eq!(check(ptr::null_mut(), 1), disband_status::NullPointer);
        assert_eq!(check(ptr::dangling_mut(), usize::MAX / 8), disband_status::BadArgument);
        assert_eq!(check(ptr::null_mut(), 0), disband_status::Ok);
    }

    #[test]
    fn a_text_is_a_slice_without_the_zero() {
        // SAFETY: both are strings or null.
        let (abc, null) = unsafe { (disband_text(c"abc".as_ptr()), disband_text(ptr::null())) };
        assert_eq!((abc.bytes().unwrap(), null.bytes().unwrap()), (&b"abc"[..], &b""[..]));
    }
}
