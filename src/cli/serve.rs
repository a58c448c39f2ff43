use std::process::ExitCode;

use clap::Args;
use rustix::fs::Mode;
use rustix::process::umask;

use super::ConfigFile;
use crate::config::For;
use crate::{logging, serve};

/// Receive, keep and serve images until SIGTERM or Ctrl-C
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.load(For::Serving) {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    // Images and their index are for the server's user only.
    umask(Mode::RWXG | Mode::RWXO);
    logging::start("info");
    logging::log_panics();
    serve::run(config, arguments.config.config.clone())?;
    Ok(ExitCode::SUCCESS)
}
