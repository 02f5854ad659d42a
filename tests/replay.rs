//! The `replay` example, as a user runs it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HISTORY: &str = "tests/golden/irc.jsonl";
const EXPECTED: &str = include_str!("golden/irc.out.jsonl");

fn replay(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "replay", "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may stop before it has read everything; that is for the output to show.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn assert_ok(output: &Output, expected: &str) {
    assert_eq!(text(&output.stderr), "");
    assert!(text(&output.stdout) == expected, "the output differs from the golden file");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_real_history_gives_the_golden_lines_from_a_file_packed_or_not_and_from_standard_input() {
    assert_ok(&replay(&[HISTORY], b""), EXPECTED);

    let plain = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(HISTORY)).unwrap();
    assert_ok(&replay(&[], &plain), EXPECTED);

    let packed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("irc.jsonl.gz");
    let file = std::fs::File::create(&packed).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    encoder.write_all(&plain).unwrap();
    encoder.finish().unwrap();
    assert_ok(&replay(&[packed.to_str().unwrap()], b""), EXPECTED);
}

#[test]
fn a_line_that_does_not_parse_stops_the_run_and_all_before_it_is_answered() {
    let history = std::fs::read_to_string(HISTORY).unwrap();
    let mut lines: Vec<&str> = history.lines().take(3).collect();
    lines.extend([r#"{"at":1,"command":{"leave":{"user":"2","group":"1","stnt":1}}}"#, lines[0]]);
    let output = replay(&[], lines.join("\n").as_bytes());
    let answered: Vec<&str> = EXPECTED.lines().take(3).collect();
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), answered);
    let complaint = text(&output.stderr);
    assert!(complaint.starts_with("replay: line 4: unknown field `stnt`"), "{complaint}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn no_limits_lifts_rate_limits_only() {
    let stranger = r#"{"at":1,"command":{"leave":{"user":"2","group":"1"}}}"#;
    let five = [stranger; 5].join("\n");
    let count = |arguments: &[&str], code: &str| {
        let output = replay(arguments, five.as_bytes());
        text(&output.stdout).lines().filter(|line| line.contains(code)).count()
    };
    assert_eq!((count(&[], "GRPS_404"), count(&[], "GRPS_429")), (3, 2));
    assert_eq!(count(&["--no-limits"], "GRPS_404"), 5);
}

#[test]
fn a_configuration_comes_from_a_file_and_says_where_it_is_wrong() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config.json");
    let create = br#"{"at":1,"command":{"create":{"owner":"2","group":"1"}}}
{"at":1,"command":{"leave":{"user":"2","group":"1"}}}"#;
    std::fs::write(&path, r#"{"instance":2778}"#).unwrap();
    let output = replay(&["--config", path.to_str().unwrap()], create);
    assert!(text(&output.stdout).contains(r#""key":"0000000000000ada0000000000000001""#));

    std::fs::write(&path, r#"{"instances":1}"#).unwrap();
    let output = replay(&["--config", path.to_str().unwrap()], create);
    assert!(text(&output.stderr).contains("config.json: unknown field `instances`"));
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]));
}

#[test]
fn quiet_sums_up() {
    let output = replay(&["--quiet", HISTORY], b"");
    let summary = text(&output.stdout);
    for line in
        ["commands           303", "signals ", "groups left        0", "memberships left   0"]
    {
        assert!(summary.contains(line), "{summary}");
    }
}
