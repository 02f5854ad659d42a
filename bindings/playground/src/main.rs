//! Builds the JavaScript package and serves the playground, or writes it to a folder.

mod server;
mod site;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use disband_javascript_build::build_package;

use server::Server;
use site::Site;

/// The playground: a page on which disband runs in the browser.
///
/// It is built from the sources of this repository. The server listens on 127.0.0.1 only.
#[derive(Parser)]
struct Options {
    /// The port to listen on; 0 is any free one. The address is printed.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Write the site into this folder and end, without serving it.
    #[arg(long, value_name = "DIR", conflicts_with = "port")]
    out: Option<PathBuf>,
    /// Take the JavaScript package from this folder, instead of building it.
    #[arg(long, value_name = "DIR")]
    package: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("disband-playground: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = match &options.package {
        Some(folder) => folder.clone(),
        None => {
            let folder = here.join("../javascript/pkg");
            build_package(&folder)?;
            folder
        }
    };
    let mut site = Site::default();
    site.add_folder("", &here.join("page"))?;
    site.add_folder("disband/", &package)?;
    if let Some(folder) = &options.out {
        site.write(folder)?;
        println!("wrote {} files to {}", site.len(), folder.display());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(options.port, site).await.map_err(|error| {
            io::Error::new(error.kind(), format!("port {}: {error}", options.port))
        })?;
        println!("the playground is at http://{}", server.address()?);
        match server.run().await {}
    })
}
