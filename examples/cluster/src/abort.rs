//! Ends the process when it must not continue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

/// Runs `work`, and aborts the process if it panics: the state may then be half changed, and the
/// rest of the process would continue with it.
pub(crate) fn on_panic<T>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| process::abort())
}

/// For a test that must abort its process. In the parent process, runs the named test again in a
/// child process, checks that the child aborts, and returns false. In the child, returns true.
#[cfg(test)]
pub(crate) fn in_child(test: &str) -> bool {
    use std::env;
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;
    if env::var_os("ABORT").is_some() {
        return true;
    }
    let program = env::current_exe().expect("the path of this test program is known");
    let mut child = process::Command::new(program);
    child.args(["--exact", test]).env("ABORT", "here");
    let output = child.output().expect("the child process can be started");
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    false
}
