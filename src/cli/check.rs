use std::process::ExitCode;

use clap::Args;

use super::{ConfigFile, say};

/// Tell everything that is wrong with a configuration; exit code 64 when something is
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Err(code) = arguments.config.load() {
        return Ok(code);
    }
    match &arguments.config.config {
        Some(file) => say(&format!("no fault in {}", file.display())),
        None => say("no fault: without --config every key has its default"),
    }
    Ok(ExitCode::SUCCESS)
}
