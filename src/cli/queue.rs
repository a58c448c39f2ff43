mod commitments;
mod retry;
mod show;

use std::process::ExitCode;

use archive::Desk;
use clap::{Args, Subcommand};

use super::{ConfigFile, desk, say};

/// What waits for each destination, what failed, and why
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON for a program
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Retry(retry::Arguments),
    Commitments(commitments::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Some(Command::Retry(arguments)) => return retry::run(arguments),
        Some(Command::Commitments(arguments)) => return commitments::run(arguments),
        None => {}
    }
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let desk: Desk = desk(&config)?;
    let lanes = desk.lanes()?;
    say(&match arguments.json {
        true => show::json(&lanes),
        false => show::table(&lanes, &config),
    });
    if !arguments.json
        && let Some(note) = commitments::note(desk.commitment_counts()?)
    {
        say(&note);
    }
    Ok(ExitCode::SUCCESS)
}
