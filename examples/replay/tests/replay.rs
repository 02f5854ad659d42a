//! Runs the program as a user does.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HISTORY: &str = "golden/irc.jsonl";
const EXPECTED: &str = include_str!("../golden/irc.out.jsonl");
const MODERATION: &str = "golden/moderation.jsonl";
const MODERATED: &str = include_str!("../golden/moderation.out.jsonl");

fn replay(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_disband-replay"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The write fails if the program stops before it has read everything. This is ignored, because
    // the tests check the output.
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
fn a_real_history_gives_the_golden_output_from_a_file_from_a_gzip_file_and_from_standard_input() {
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

/// The history has a closed group, mutes, edits, erasures, changes of the configuration and a
/// farewell. The group is quiet at first: only the staff (the owner and the admins) gets the signals
/// that plain members join and leave.
#[test]
fn the_history_of_a_moderated_group_gives_the_golden_output() {
    assert_ok(&replay(&[MODERATION], b""), MODERATED);
}

#[test]
fn a_malformed_line_stops_the_run_after_all_lines_before_it_were_answered() {
    let history = std::fs::read_to_string(HISTORY).unwrap();
    let mut lines: Vec<&str> = history.lines().take(3).collect();
    lines.extend([r#"{"at":1,"command":{"leave":{"user":"2","group":"1","stnt":1}}}"#, lines[0]]);
    let output = replay(&[], lines.join("\n").as_bytes());
    let answered: Vec<&str> = EXPECTED.lines().take(3).collect();
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), answered);
    let error = text(&output.stderr);
    assert!(error.starts_with("replay: line 4: unknown field `stnt`"), "{error}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn no_limits_lifts_the_rate_limits() {
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
fn a_configuration_is_read_from_a_file_and_its_errors_name_the_file() {
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
fn quiet_prints_a_summary() {
    let output = replay(&["--quiet", HISTORY], b"");
    let summary = text(&output.stdout);
    for line in
        ["commands           303", "signals ", "groups left        0", "memberships left   0"]
    {
        assert!(summary.contains(line), "{summary}");
    }
}

#[test]
fn a_history_run_in_two_parts_gives_the_same_output_and_the_same_last_snapshot() {
    let history = std::fs::read_to_string(HISTORY).unwrap();
    let lines: Vec<&str> = history.lines().collect();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    for ending in ["json", "postcard"] {
        let named = |name: &str| path(&format!("{name}.{ending}"));
        assert_ok(&replay(&[HISTORY, "--snapshot-out", &named("whole")], b""), EXPECTED);
        for cut in [0, 1, 77, 150, 299, lines.len()] {
            let (before, after) = lines.split_at(cut);
            let first = replay(&["--snapshot-out", &named("half")], before.join("\n").as_bytes());
            let arguments = ["--snapshot-in", &named("half"), "--snapshot-out", &named("end")];
            let second = replay(&arguments, after.join("\n").as_bytes());
            assert_ok(&second, &EXPECTED[first.stdout.len()..]);
            assert_eq!(text(&first.stdout), &EXPECTED[..first.stdout.len()]);
            let (end, whole) = (format!("end.{ending}"), format!("whole.{ending}"));
            assert!(bytes(&end) == bytes(&whole), "cut at {cut}, the last snapshot differs");
        }
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 6, "there are other files: {names:?}");
}

#[test]
fn a_run_that_fails_does_not_replace_an_older_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.json");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "an old one").unwrap();
    let output = replay(&["--snapshot-out", file], b"not a command");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an old one");

    let output = replay(&["--snapshot-in", file], b"");
    assert!(text(&output.stderr).contains("snapshot.json: expected value at line 1 column 1"));
    assert_eq!(output.status.code(), Some(2));

    let nowhere = folder.path().join("nowhere/snapshot.json");
    let output = replay(&["--snapshot-out", nowhere.to_str().unwrap()], b"");
    assert_eq!((output.status.code(), text(&output.stderr).is_empty()), (Some(1), false));
}

#[test]
fn trailing_bytes_other_file_endings_and_conflicting_options_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.postcard");
    let file = path.to_str().unwrap();
    assert_eq!(replay(&["--snapshot-out", file], b"").status.code(), Some(0));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.push(0);
    std::fs::write(&path, bytes).unwrap();
    let error = replay(&["--snapshot-in", file], b"").stderr;
    assert!(text(&error).contains("1 bytes after its end"), "{}", text(&error));

    for arguments in [
        ["--snapshot-in", "history.txt", "--quiet"],
        ["--snapshot-in", file, "--no-limits"],
        ["--snapshot-out", "snapshot", "--quiet"],
    ] {
        assert_eq!(replay(&arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_line_can_change_the_configuration_for_later_lines() {
    let lines = [
        r#"{"at":1,"command":{"create":{"owner":"1","group":"7"}}}"#,
        r#"{"at":2,"config":{"limits":{"message_bytes":2}}}"#,
        r#"{"at":3,"command":{"post":{"author":"1","group":"7","message":"hi!"}}}"#,
        r#"{"at":4,"config":{"instance":5}}"#,
        r#"{"at":5,"command":{"post":{"author":"1","group":"7","message":"hi"}}}"#,
    ];
    let input = lines.join("\n");
    let expected = [
        r#"{"reply":{"ok":true,"code":200,"msg":"OK","data":{"stint":1}},"signals":[]}"#,
        r#"{"config":"set"}"#,
        r#"{"reply":{"ok":false,"code":413,"msg":"GRPS_413","data":{"reason":"over_limit","limit":"message_bytes","max":2}},"signals":[]}"#,
        r#"{"error":"the instance number cannot change: it is 0, and the new configuration has 5"}"#,
        r#"{"reply":{"ok":true,"code":200,"msg":"OK","data":{"seq":0}},"signals":[{"frame":{"key":"00000000000000000000000000000001","from":"1","type":"message","groupid":"7","seq":0,"at":5,"message":"hi"},"to":[]}]}"#,
    ];
    assert_ok(&replay(&[], input.as_bytes()), &(expected.join("\n") + "\n"));
    let output = replay(&["--quiet"], input.as_bytes());
    assert!(text(&output.stdout).contains("configurations set 1, refused 1\n"));

    for (line, error) in [
        (r#"{"at":1}"#, "replay: line 1: missing field `command`, or `config`"),
        (
            r#"{"at":1,"config":{},"command":{"leave_all":{"user":"1"}}}"#,
            "replay: line 1: both `command` and `config`",
        ),
        (r#"{"at":1,"config":{"departure":1}}"#, "replay: line 1: unknown field `departure`"),
    ] {
        let output = replay(&[], line.as_bytes());
        assert!(text(&output.stderr).starts_with(error), "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn no_limits_also_applies_to_configurations_in_the_history() {
    let stranger = r#"{"at":1,"command":{"leave":{"user":"2","group":"1"}}}"#;
    let mut lines = vec![r#"{"at":1,"config":{}}"#];
    lines.extend([stranger; 5]);
    let output = replay(&["--no-limits"], lines.join("\n").as_bytes());
    assert_eq!(text(&output.stdout).matches("GRPS_404").count(), 5);
}
