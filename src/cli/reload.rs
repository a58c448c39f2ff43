use std::process::ExitCode;

use clap::Args;

use super::{BAD_CONFIGURATION, ConfigFile, say, say_error};
use crate::control::{self, Answer};

/// Have the running server read its rules and certificates anew; exit code 64 when it refuses them and goes on with those it has
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Only to find the server: what is wrong it says itself.
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    match control::ask_to_reload(&config.archive.data_dir)? {
        Answer::Done(told) => {
            say(&told);
            Ok(ExitCode::SUCCESS)
        }
        Answer::Refused(told) => {
            say_error(&told);
            Ok(ExitCode::from(BAD_CONFIGURATION))
        }
    }
}
