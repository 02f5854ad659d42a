//! Builds the npm package into a folder, `bindings/javascript/pkg` by default.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use disband_javascript_build::build_package;

fn main() -> ExitCode {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../pkg").into();
    let out: PathBuf = env::args_os().nth(1).unwrap_or_else(default).into();
    match build_package(&out) {
        Ok(bytes) => {
            println!("{}: {bytes} bytes of WebAssembly", out.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("build: {error}");
            ExitCode::FAILURE
        }
    }
}
