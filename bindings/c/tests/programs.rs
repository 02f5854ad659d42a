//! Programs in C and C++, compiled with the installed library, and run.
//!
//! `DISBAND_CFLAGS` has further options for the compilers, such as those of a sanitizer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// The library, installed in a folder for all tests, which each run makes anew.
struct Prefix(PathBuf);

static PREFIX: LazyLock<Prefix> = LazyLock::new(Prefix::new);

/// Which library a program is linked with.
#[derive(Debug, Clone, Copy)]
enum Linked {
    Shared,
    Static,
}

const BOTH: [Linked; 2] = [Linked::Shared, Linked::Static];

impl Prefix {
    fn new() -> Self {
        let prefix = Prefix(Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix"));
        let built = std::env::current_exe().unwrap();
        let installed =
            Command::new(here("install.sh")).arg(&prefix.0).arg(built.parent().unwrap()).output();
        succeeded("install.sh", &installed.unwrap());
        prefix
    }

    fn pkg_config(&self, options: &[&str]) -> Vec<String> {
        let output = Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", self.0.join("lib/pkgconfig"))
            .args(options)
            .arg("disband")
            .output();
        let output = succeeded("pkg-config", &output.unwrap());
        output.split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles a program. Warnings are errors.
    fn compile(&self, source: &str, linked: Linked) -> PathBuf {
        let program = self.0.join(format!("{}-{linked:?}", source.replace('/', "-")));
        let is_cpp = source.ends_with(".cpp");
        let (compiler, standard) = if is_cpp { ("c++", "c++17") } else { ("cc", "c99") };
        let mut command = Command::new(compiler);
        command.arg(format!("-std={standard}"));
        command.args(["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"]);
        command.arg(format!("-DVERSION=\"{}\"", env!("CARGO_PKG_VERSION")));
        command.args(std::env::var("DISBAND_CFLAGS").unwrap_or_default().split_whitespace());
        command.arg(here(source)).arg("-o").arg(&program);
        match linked {
            Linked::Shared => {
                command.args(self.pkg_config(&["--cflags", "--libs"]));
                command.arg(format!("-Wl,-rpath,{}", self.0.join("lib").display()));
            }
            // A linker prefers the shared library, unless it is told the name of the file.
            Linked::Static => {
                let flags = self.pkg_config(&["--cflags", "--libs", "--static"]);
                let named = |flag: &str| flag.replace("-ldisband", "-l:libdisband.a");
                command.args(flags.iter().map(|flag| named(flag)));
            }
        }
        succeeded(source, &command.output().unwrap());
        program
    }

    fn run(&self, source: &str, linked: Linked, arguments: &[&Path]) -> Output {
        Command::new(self.compile(source, linked)).args(arguments).output().unwrap()
    }
}

/// A file of this folder.
fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The standard output of a program that must succeed.
fn succeeded(what: &str, output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_contract_is_kept_in_c_and_cpp() {
    for source in ["tests/contract.c", "tests/contract.cpp"] {
        for linked in BOTH {
            let out = succeeded(source, &PREFIX.run(source, linked, &[]));
            assert_eq!(out, "contract kept\n", "{source} {linked:?}");
        }
    }
}

#[test]
fn the_example_prints_a_chat() {
    let out = succeeded("chat", &PREFIX.run("examples/chat.c", Linked::Shared, &[]));
    let expected = r#"> {"create":{"owner":"alice","group":"cats"}}
reply {"ok":true,"code":200,"msg":"OK","data":{"stint":1}}
> {"join":{"user":"bob","group":"cats"}}
reply {"ok":true,"code":200,"msg":"OK","data":{"stint":2}}
signal {"key":"00000000000000000000000000000001","from":"bob","type":"memberjoin","groupid":"cats"}
to ["alice"]
> {"post":{"author":"bob","group":"cats","message":"hello"}}
reply {"ok":true,"code":200,"msg":"OK","data":{"seq":0}}
signal {"key":"00000000000000000000000000000002","from":"bob","type":"message","groupid":"cats","seq":0,"at":3000,"message":"hello"}
to ["alice"]
> {"leave":{"user":"alice","group":"cats"}}
reply {"ok":true,"code":200,"msg":"OK"}
signal {"key":"00000000000000000000000000000003","from":"alice","type":"memberkick","groupid":"cats"}
to ["bob"]
signal {"key":"00000000000000000000000000000004","from":"alice","type":"historypurge","groupid":"cats"}
to ["bob"]
> {"leave":{"user":"bob","group":"cats"}}
reply {"ok":false,"code":404,"msg":"GRPS_404","data":{"reason":"dissolved","by":"alice","at":4000}}
"#;
    assert_eq!(out, expected);
}

#[test]
fn a_program_can_be_wholly_static() {
    if std::env::var_os("DISBAND_CFLAGS").is_some() {
        return; // Sanitizers need shared libraries.
    }
    let program = PREFIX.0.join("chat");
    let mut command = Command::new("cc");
    command.arg("-static").arg(here("examples/chat.c")).arg("-o").arg(&program);
    command.args(PREFIX.pkg_config(&["--cflags", "--libs", "--static"]));
    succeeded("cc", &command.output().unwrap());
    let out = succeeded("chat", &Command::new(&program).output().unwrap());
    assert!(out.contains(r#""data":{"stint":2}"#), "{out}");
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_no_others() {
    let library = PREFIX.0.join("lib/libdisband.so");
    let listed = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().unwrap();
    let listed = succeeded("nm", &listed);
    let mut exported: Vec<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    exported.sort_unstable();

    let header = fs::read_to_string(here("include/disband.h")).unwrap();
    let declared = header.lines().filter(|line| !line.starts_with("//")).filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        Some(before.rsplit([' ', '*']).next()?.to_owned())
    });
    let mut declared: Vec<String> = declared.filter(|name| name.starts_with("disband_")).collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);

    let headers = Command::new("readelf").arg("-d").arg(&library).output().unwrap();
    let headers = succeeded("readelf", &headers);
    let (compatible, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap();
    assert!(headers.contains(&format!("soname: [libdisband.so.{compatible}]")), "{headers}");
}

#[test]
fn figures_are_printed() {
    let output = PREFIX.run("examples/figures.c", Linked::Static, &[Path::new("--quick")]);
    let out = succeeded("figures", &output);
    let names: Vec<&str> = out.lines().map(|line| line.split('\t').next().unwrap()).collect();
    let expected = [
        "post",
        "post_decoded",
        "post_json",
        "dissolve",
        "dissolve_free",
        "dissolve_free_elsewhere",
        "audience",
        "snapshot_write",
        "snapshot_read",
        "snapshot_bytes",
        "clone",
    ];
    assert_eq!(names, expected);
    for line in out.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, value, "ns" | "us" | "ms" | "bytes"] = fields[..] else { panic!("{line}") };
        assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
    }
}

const GOLDEN: [&str; 2] = ["irc", "moderation"];

fn golden(name: &str) -> PathBuf {
    here("../../examples/replay/golden").join(name)
}

#[test]
fn replay_writes_the_golden_outputs() {
    let folder = tempfile::tempdir().unwrap();
    for name in GOLDEN {
        let history = format!("{name}.jsonl");
        fs::copy(golden(&history), folder.path().join(history)).unwrap();
    }
    let config = r#"{"departures":2,"instance":9}"#;
    fs::write(folder.path().join("set.config.json"), config).unwrap();
    let lines = [
        r#"{"at":18446744073709551615,"command":{"create":{"owner":"18446744073709551615","group":"0"}}}"#,
        r#"{"at":0,"config":{"instance":9,"quotas":{"post":"unlimited"}}}"#,
        r#"{"at":0,"config":{"instance":8}}"#,
    ];
    fs::write(folder.path().join("set.jsonl"), lines.join("\n") + "\n").unwrap();

    let all: [&Path; 2] = [Path::new("--all"), folder.path()];
    let output = PREFIX.run("examples/replay.c", Linked::Shared, &all);
    assert_eq!(succeeded("replay --all", &output), "");
    let written = |name: &str| fs::read(folder.path().join(name)).unwrap();
    for name in GOLDEN {
        let expected = fs::read(golden(&format!("{name}.out.jsonl"))).unwrap();
        assert!(written(&format!("{name}.c.out")) == expected, "{name}");
        let snapshot = written(&format!("{name}.c.postcard"));
        let engine: disband::Engine = postcard::from_bytes(&snapshot).unwrap();
        assert_eq!(written(&format!("{name}.c.json")), serde_json::to_vec(&engine).unwrap());
        assert_eq!(snapshot, postcard::to_stdvec(&engine).unwrap());
    }
    assert_eq!(
        text(&written("set.c.out")),
        r#"{"reply":{"ok":true,"code":200,"msg":"OK","data":{"stint":1}},"signals":[]}
{"config":"set"}
{"error":"the instance number cannot change: it is 9, and the new configuration has 8"}
"#
    );
    let engine: disband::Engine = serde_json::from_slice(&written("set.c.json")).unwrap();
    assert_eq!(engine.config().quotas.post, disband::Quota::Unlimited);
    assert_eq!(engine.config().departures, disband::Config::default().departures);
}

#[test]
fn replay_stops_at_a_line_that_it_cannot_run() {
    let program = PREFIX.compile("examples/replay.c", Linked::Static);
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("bad.jsonl");
    let first = r#"{"at":1,"command":{"create":{"owner":"1","group":"7"}}}"#;
    for (line, why) in [
        ("", "expected {\"at\": and a time"),
        (r#"{"at":01,"command":{}}"#, "expected {\"at\": and a time"),
        (r#"{"at":18446744073709551616,"command":{}}"#, "expected {\"at\": and a time"),
        (r#"{"at":1,"query":{}}"#, "expected ,\"command\": or ,\"config\":"),
        (r#"{"at":1,"command":"#, "expected } at the end"),
        (r#"{"at":1,"command":{"join":{"user":"1","group":"7"}}"#, "EOF while parsing"),
        (r#"{"at":1,"command":{"join":{"user":"1","group":"x"}}}"#, "decimal digits"),
        (r#"{"at":1,"config":{"departures":-1}}"#, "invalid value"),
    ] {
        fs::write(&history, format!("{first}\n{line}\n")).unwrap();
        let output = Command::new(&program).arg(&history).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_eq!(text(&output.stdout).lines().count(), 1, "{line}");
        let err = text(&output.stderr);
        assert!(err.starts_with("replay: line 2: ") && err.contains(why), "{line}: {err}");
    }
    for arguments in
        [&["a", "b"][..], &["--config", "a"], &["--snapshot-out", "a.txt", "b"], &["missing"], &[]]
    {
        let output = Command::new(&program).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
