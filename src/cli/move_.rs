use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use model::AeTitle;
use net::scu::move_to;

use super::peer::{ae_title, block_on, explain};
use super::remote::{Call, Remote};
use super::retrieve::{Wanted, is_well, object, progress, show, words};
use super::say;

/// Have a peer send instances to an application entity that it knows (C-MOVE)
///
/// Exit code 1 when something failed, or nothing was sent.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// The AE title that they are to be sent to; the peer knows where that is
    #[arg(long, value_name = "AET", value_parser = ae_title)]
    to: AeTitle,
    #[command(flatten)]
    wanted: Wanted,
    /// Print an object for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Call { mut target, settings } = match arguments.remote.call() {
        Ok(call) => call,
        Err(code) => return Ok(code),
    };
    let question = arguments.wanted.question();
    target.terms.mechanisms = arguments.wanted.mechanisms();
    let bar = progress();
    let moved = block_on(move_to(&target, &settings, &question, &arguments.to, |count| show(&bar, count)))?;
    bar.finish_and_clear();
    let moved = moved.map_err(|error| anyhow!(explain(&error)))?;
    say(&if arguments.json { format!("{:#}", object(&moved)) } else { words(&moved) });
    Ok(if is_well(&moved) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
