mod files;
mod summary;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use net::scu::{Instance, Settings, Target, send_all};
use tokio_util::task::TaskTracker;

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
    /// Over how many associations to send at once
    #[arg(long, value_name = "N", default_value = "1")]
    associations: NonZeroUsize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.peer.settings()?;
    let Found { instances, skipped, refused } = files::find(&arguments.paths);
    for (path, reason) in &skipped {
        say_error(&format!("skipped {}: {reason}", path.display()));
    }
    for (path, reason) in &refused {
        say_error(&format!("not sent {}: {reason}", path.display()));
    }
    let total = instances.len();
    let started = Instant::now();
    let summary = block_on(send(&arguments.peer.target, &settings, instances, arguments.associations))?;
    say(&summary.tell(total, started.elapsed()));
    let is_done = refused.is_empty() && summary.sent() == total;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends over several associations at once; each takes every n-th instance.
async fn send(
    target: &Target,
    settings: &Settings,
    instances: Vec<Sendable>,
    associations: NonZeroUsize,
) -> Summary {
    let bar = progress(instances.len());
    let summary = Arc::new(Mutex::new(Summary::default()));
    let tracker = TaskTracker::new();
    for lane in lanes(instances, associations.get()) {
        let (target, settings) = (target.clone(), settings.clone());
        let (bar, summary) = (bar.clone(), Arc::clone(&summary));
        tracker.spawn(async move {
            let files: Vec<_> = lane.iter().map(|one| (one.instance.path.clone(), one.bytes)).collect();
            let instances: Vec<Instance> = lane.into_iter().map(|one| one.instance).collect();
            let report = |index: usize, outcome| {
                if let Some((path, bytes)) = files.get(index) {
                    summary.lock().unwrap_or_else(PoisonError::into_inner).add(path, *bytes, outcome);
                }
                bar.inc(1);
            };
            send_all(&target, &settings, instances, report).await;
        });
    }
    tracker.close();
    tracker.wait().await;
    bar.finish_and_clear();
    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut summary)
}

fn lanes(instances: Vec<Sendable>, count: usize) -> Vec<Vec<Sendable>> {
    let count = count.min(instances.len());
    let mut lanes: Vec<Vec<Sendable>> = (0..count).map(|_| Vec::new()).collect();
    for (lane, instance) in (0..count).cycle().zip(instances) {
        if let Some(lane) = lanes.get_mut(lane) {
            lane.push(instance);
        }
    }
    lanes
}

/// A bar on standard error, when that is a terminal.
fn progress(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta} left");
    bar.with_style(style.expect("the template is right"))
}
