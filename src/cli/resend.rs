use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::format::count;
use super::{ConfigFile, desk, destination, say};

/// Queue a study, series or instance for a destination once more, whatever the rules say
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A Study, Series or SOP Instance UID
    #[arg(value_name = "UID")]
    uid: String,
    /// Where to
    #[arg(long, value_name = "DESTINATION")]
    to: String,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let to = destination(&arguments.to, &config)?;
    let resent = desk(&config)?.resend(arguments.uid.trim(), &to).context(arguments.uid.trim().to_owned())?;
    say(&format!("{} queued for {to}", count(resent.instances, "instance is", "instances are")));
    Ok(ExitCode::SUCCESS)
}
