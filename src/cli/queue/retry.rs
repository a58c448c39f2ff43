use std::process::ExitCode;

use clap::Args;
use model::DestinationName;

use super::super::{ConfigFile, desk, destination, say};

/// Try again now what failed and waits for its time, and with --dead what was given up
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Only of this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Dead letters only: they are queued as if they were new
    #[arg(long, conflicts_with = "all")]
    dead: bool,
    /// Both what waits and dead letters
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let only = arguments.destination.as_deref().map(|name| destination(name, &config)).transpose()?;
    let which = archive::Retry {
        destination: only.clone(),
        dead: arguments.dead || arguments.all,
        waiting: !arguments.dead,
    };
    let retried = desk(&config)?.retry(&which)?;
    say(&tell(retried, &which, only.as_ref()));
    Ok(ExitCode::SUCCESS)
}

fn tell(retried: u64, which: &archive::Retry, only: Option<&DestinationName>) -> String {
    let of = only.map(|name| format!(" of {name}")).unwrap_or_default();
    match retried {
        0 if which.dead => format!("nothing to retry{of}"),
        0 => format!("nothing to retry{of}; dead letters are retried with --dead"),
        1 => format!("1 delivery{of} is due now"),
        retried => format!("{retried} deliveries{of} are due now"),
    }
}
