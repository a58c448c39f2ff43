//! The command line: one file per command.

mod check;
mod conformance;
mod doctor;
mod echo;
mod explain;
mod find;
mod format;
mod get;
mod move_;
mod peer;
mod peers;
mod queue;
mod reload;
mod remote;
mod resend;
mod retrieve;
mod rules;
mod send;
mod serve;
mod tls;
mod user;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use archive::Desk;
use clap::{Args, Parser, Subcommand};
use model::DestinationName;

use crate::config::{self, Config, Faults, For, closest};

/// DICOM router and archive gateway: receives, keeps, finds, serves and routes images
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
    Doctor(doctor::Arguments),
    Echo(echo::Arguments),
    Send(send::Arguments),
    Find(find::Arguments),
    Move(move_::Arguments),
    Get(get::Arguments),
    Queue(queue::Arguments),
    Peer(peers::Arguments),
    Resend(resend::Arguments),
    Explain(explain::Arguments),
    Rules(rules::Arguments),
    Reload(reload::Arguments),
    Conformance(conformance::Arguments),
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
/// Exit code of arguments that lead nowhere, as clap has it.
const WRONG_ARGUMENTS: u8 = 2;

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Echo(arguments) => echo::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Find(arguments) => find::run(&arguments),
        Command::Move(arguments) => move_::run(&arguments),
        Command::Get(arguments) => get::run(&arguments),
        Command::Queue(arguments) => queue::run(&arguments),
        Command::Peer(arguments) => peers::run(&arguments),
        Command::Resend(arguments) => resend::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Conformance(arguments) => conformance::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        say_error(&format!("gantry: {error:#}"));
        ExitCode::FAILURE
    })
}

impl ConfigFile {
    /// The configuration with its rules; faults are printed, and then there is only an exit code.
    fn load(&self, purpose: For) -> Result<Config, ExitCode> {
        config::load(self.config.as_deref(), purpose).map_err(|faults| refuse(&faults))
    }

    /// The configuration without its rules, which may be half written just now.
    fn ask(&self) -> Result<Config, ExitCode> {
        self.load(For::Asking)
    }
}

/// Tells the faults of a configuration; the exit code for them.
fn refuse(faults: &Faults) -> ExitCode {
    say_error(&faults.to_string());
    ExitCode::from(BAD_CONFIGURATION)
}

/// The index of the archive that a configuration names, whether its server runs or not.
fn desk(config: &Config) -> anyhow::Result<Desk> {
    let data_dir = &config.archive.data_dir;
    Desk::open(data_dir).with_context(|| format!("cannot use the index in {}", data_dir.display()))
}

/// A destination of the configuration, by its name.
fn destination(name: &str, config: &Config) -> anyhow::Result<DestinationName> {
    let mut known = config.destinations.iter().map(|destination| &destination.name);
    if let Some(found) = known.clone().find(|known| known.as_str() == name) {
        return Ok(found.clone());
    }
    match closest(name, known.clone().map(DestinationName::as_str)) {
        Some(meant) => bail!("there is no destination {name:?}; did you mean {meant:?}?"),
        None if known.next().is_none() => {
            bail!("there is no destination {name:?}: the configuration has none; is --config missing?")
        }
        None => {
            let names: Vec<&str> = config.destinations.iter().map(|one| one.name.as_str()).collect();
            bail!("there is no destination {name:?}; there are {}", names.join(", "))
        }
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
