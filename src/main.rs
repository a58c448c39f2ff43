//! Gantry: DICOM imaging router and PACS bridge.

mod allocator;
mod cli;
mod config;
mod control;
mod destinations;
mod logging;
mod open_files;
mod reload;
mod serve;
mod upstreams;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
