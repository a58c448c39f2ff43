mod files;
mod summary;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use net::scu::{Instance, Settings, Target, send_all};

use super::peer::{Peer, block_on};
use super::{say, say_error};
use files::{Found, Sendable};
use summary::Summary;

/// Send files and folders to a peer (C-STORE), their bytes as they are
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    peer: Peer,
    /// Files, and folders with all that is in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Over how many associations to send at once (1 to 64)
    #[arg(long, value_name = "N", default_value = "1", value_parser = associations)]
    associations: NonZeroUsize,
    /// How many instances to send on each association before the first is answered, where the peer grants it (1 to 64)
    #[arg(long, value_name = "N", default_value = "1", value_parser = ahead)]
    ahead: u16,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.peer.settings()?;
    let mut target = arguments.peer.target()?;
    target.terms.ahead = arguments.ahead;
    let Found { instances, skipped, refused } = files::find(&arguments.paths);
    for (path, reason) in &skipped {
        say_error(&format!("skipped {}: {reason}", path.display()));
    }
    for (path, reason) in &refused {
        say_error(&format!("not sent {}: {reason}", path.display()));
    }
    let total = instances.len();
    if total == 0 {
        say_error("nothing to send");
        return Ok(ExitCode::FAILURE);
    }
    let started = Instant::now();
    let summary = block_on(send(&target, &settings, instances, arguments.associations))?;
    say(&summary.tell(total, started.elapsed()));
    let is_done = refused.is_empty() && summary.sent() == total;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn send(
    target: &Target,
    settings: &Settings,
    found: Vec<Sendable>,
    associations: NonZeroUsize,
) -> Summary {
    let bar = progress(found.len());
    let mut summary = Summary::default();
    let files: Vec<_> = found.iter().map(|one| (one.instance.path.clone(), one.bytes)).collect();
    let instances: Vec<Instance> = found.into_iter().map(|one| one.instance).collect();
    let report = |index: usize, outcome| {
        if let Some((path, bytes)) = files.get(index) {
            summary.add(path, *bytes, outcome);
        }
        bar.inc(1);
    };
    send_all(target, settings, instances, associations, report).await;
    bar.finish_and_clear();
    summary
}

fn associations(given: &str) -> Result<NonZeroUsize, String> {
    let number = given.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX_ASSOCIATIONS);
    number.ok_or_else(|| format!("it is a number from 1 to {MAX_ASSOCIATIONS}"))
}

fn ahead(given: &str) -> Result<u16, String> {
    let number = given.parse().ok().filter(|number| (1..=MAX_AHEAD).contains(number));
    number.ok_or_else(|| format!("it is a number from 1 to {MAX_AHEAD}"))
}

/// Their responses wait in our socket meanwhile, and must not fill it.
const MAX_AHEAD: u16 = 64;

/// More make no peer faster, and take the places of its other callers.
const MAX_ASSOCIATIONS: usize = 64;

/// A bar on standard error, when that is a terminal.
fn progress(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta} left");
    bar.with_style(style.expect("the template is right"))
}
