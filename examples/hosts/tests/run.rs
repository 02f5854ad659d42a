//! Each program runs, ends by itself with success, and prints what it shows.

use std::process::{Command, Stdio};

#[test]
fn actor_delivers_the_signals_of_a_dissolution() {
    prints(env!("CARGO_BIN_EXE_actor"), |line| {
        line.starts_with("signal for 2: ") && line.contains(r#""type":"historypurge""#)
    });
}

#[test]
fn http_answers_a_leave() {
    prints(env!("CARGO_BIN_EXE_http"), |line| {
        line == r#"POST /x/group/leave/6228482 as 808080: 200 OK {"ok":true,"code":200,"msg":"OK"}"#
    });
}

#[test]
fn import_ends_with_the_same_members_in_both_places() {
    prints(env!("CARGO_BIN_EXE_import"), |line| {
        line == "chats and their numbers of members: [(1, 2)]"
    });
}

/// Runs a program, which must succeed and print a line that `is_expected`.
#[track_caller]
fn prints(program: &str, is_expected: impl Fn(&str) -> bool) {
    let output = Command::new(program).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}{errors}", output.status);
    assert!(text.lines().any(is_expected), "no such line:\n{text}{errors}");
}
