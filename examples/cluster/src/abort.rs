//! What must not go on ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

/// Does this, or ends the process if it panics: whatever it was at is half done, and nobody else would know.
pub(crate) fn on_panic<T>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| process::abort())
}

/// Whether the test of this name is to abort here. Where it is not, it is run once more in a process of its
/// own, which must.
#[cfg(test)]
pub(crate) fn here(test: &str) -> bool {
    use std::env;
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;
    if env::var_os("ABORT").is_some() {
        return true;
    }
    let mut again = process::Command::new(env::current_exe().expect("a test runs"));
    let ended = again.args(["--exact", test]).env("ABORT", "here").output().expect("it runs again");
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    false
}
