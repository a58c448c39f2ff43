//! Gantry: DICOM imaging router and PACS bridge.

mod cli;
mod config;
mod logging;
mod open_files;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
