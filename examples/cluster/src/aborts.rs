//! For tests of what ends the process.

use std::os::unix::process::ExitStatusExt;
use std::{env, process};

const SIGABRT: i32 = 6;

/// Whether the test of this name is to abort here. Where it is not, it is run once more in a process of its
/// own, which must.
pub(crate) fn here(test: &str) -> bool {
    if env::var_os("ABORT").is_some() {
        return true;
    }
    let mut again = process::Command::new(env::current_exe().expect("a test runs"));
    let ended = again.args(["--exact", test]).env("ABORT", "here").output().expect("it runs again");
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    false
}
