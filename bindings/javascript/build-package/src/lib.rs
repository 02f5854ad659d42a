//! Builds the npm package of disband: the engine as WebAssembly, with the hand-written files beside it.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";

/// The name of the WebAssembly file in the package, and of the JavaScript file that loads it.
const NAME: &str = "disband";

/// The settings of the build. They are given here, because Cargo reads profiles only from the root of
/// a workspace, and they are for this build alone.
///
/// Sizes after gzip: with `opt-level` 3 500 kB, with `s` 326 kB, with `z` 279 kB. A post takes a few
/// microseconds with each of them, the most with `z`. wasm-opt is not run: it makes the file smaller, but
/// larger after gzip (with `s` 390 kB), and not measurably faster.
const PROFILE: [&str; 4] = [
    "profile.release.opt-level='s'",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic='abort'",
];

/// Builds the package into the folder `out`, which is made if there is none. Files that are there are
/// replaced.
///
/// It needs `cargo`. The target `wasm32-unknown-unknown` is added with `rustup` if it is missing. Returns
/// the size of the WebAssembly file in bytes.
///
/// # Errors
/// What `cargo`, wasm-bindgen or the file system reports.
pub fn build_package(out: &Path) -> Result<u64, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let compiled = compile(&folder)?;
    fs::create_dir_all(out)?;
    Bindgen::new()
        .input_path(compiled)
        .web(true)?
        .typescript(false)
        .out_name(NAME)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)?;
    copy_files(&folder.join("package"), out)?;
    fs::copy(folder.join("README.md"), out.join("README.md"))?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(folder.join("../..").join(licence), out.join(licence))?;
    }
    Ok(fs::metadata(out.join(format!("{NAME}_bg.wasm")))?.len())
}

/// Compiles the crate and returns the path of the WebAssembly file.
fn compile(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    add_target(folder)?;
    let target = match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => std::path::absolute(target)?,
        None => folder.join("../../target"),
    };
    // A folder of its own: other builds of the workspace have other settings.
    let target = target.join("javascript");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(folder).args(["build", "--release", "--lib"]);
    cargo.args(["--package", "disband-javascript", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target);
    cargo.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    run(&mut cargo)?;
    Ok(target.join(TARGET).join("release/disband_javascript.wasm"))
}

/// Adds the target with rustup, unless it is installed.
fn add_target(folder: &Path) -> Result<(), Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let found = Command::new(rustc)
        .current_dir(folder)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let libraries = String::from_utf8(found.stdout)?;
    if Path::new(libraries.trim()).exists() {
        return Ok(());
    }
    run(Command::new("rustup").current_dir(folder).args(["target", "add", TARGET]))
}

fn copy_files(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
