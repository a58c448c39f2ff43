//! The command line: one file per command.

mod check;
mod echo;
mod peer;
mod send;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config};

/// DICOM archive gateway: receives, keeps, finds and serves images
#[derive(Debug, Parser)]
#[command(name = "gantry", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Check(check::Arguments),
    Echo(echo::Arguments),
    Send(send::Arguments),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file; without it every key has its default, and no file is looked for
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Exit code of a configuration that cannot be used (EX_USAGE of sysexits).
const BAD_CONFIGURATION: u8 = 64;

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Echo(arguments) => echo::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        say_error(&format!("gantry: {error:#}"));
        ExitCode::FAILURE
    })
}

impl ConfigFile {
    /// The configuration; faults are printed, and then there is only an exit code.
    fn load(&self) -> Result<Config, ExitCode> {
        config::load(self.config.as_deref()).map_err(|faults| {
            say_error(&faults.to_string());
            ExitCode::from(BAD_CONFIGURATION)
        })
    }
}

/// Prints a line for the user.
fn say(line: &str) {
    // A closed pipe is the reader's wish to hear no more.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Prints a line about what went wrong.
fn say_error(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
