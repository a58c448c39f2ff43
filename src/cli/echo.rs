use std::process::ExitCode;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use net::scu::{Class, echo};

use super::peer::{Peer, block_on, explain};
use super::say;

/// Ask a peer for a sign of life (C-ECHO)
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    peer: Peer,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.peer.settings()?;
    let target = arguments.peer.target()?;
    let started = Instant::now();
    let outcome = block_on(echo(&target, &settings))?;
    let outcome = outcome.map_err(|error| anyhow!(explain(&error)))?;
    let status = outcome.status;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    say(&format!("{}: {status} {} in {elapsed:.1} ms", arguments.peer.name(), status.meaning()));
    Ok(if status.class() == Class::Success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
