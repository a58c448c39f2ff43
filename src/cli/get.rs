use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use indicatif::{HumanBytes, ProgressBar};
use net::scu::{Step, get};
use serde_json::json;

use super::format::{clean, count};
use super::peer::{block_on, explain};
use super::remote::{Call, Remote};
use super::retrieve::{EXAMPLES, Wanted, is_well, object, progress, show, words};
use super::{say, say_error};

/// Get instances from a peer (C-GET), their bytes as they come
///
/// Exit code 1 when something failed, or nothing came.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// Folder for them: {Study}/{Series}/{SOP}.dcm; nothing in it is overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
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
    let out = &arguments.out;
    make_folder(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let question = arguments.wanted.question();
    target.terms.mechanisms = arguments.wanted.mechanisms();
    let mut tally = Tally { bar: progress(), kept: 0, bytes: 0, there: 0, refused: 0, examples: Vec::new() };
    let got = block_on(get(&target, &settings, &question, out, |step| tally.add(&step)))?;
    tally.bar.finish_and_clear();
    for (instance, reason) in &tally.examples {
        say_error(&format!("not kept {instance}: {reason}"));
    }
    let Ok(got) = got else {
        say_error(&format!("{} kept before it failed", count(tally.kept, "instance", "instances")));
        return got.map(|_| ExitCode::FAILURE).map_err(|error| anyhow!(explain(&error)));
    };
    if arguments.json {
        let mut told = object(&got);
        told["kept"] = json!(tally.kept);
        told["bytes"] = json!(tally.bytes);
        told["there_already"] = json!(tally.there);
        told["refused"] = json!(tally.refused);
        say(&format!("{told:#}"));
    } else {
        say(&tally.tell());
        say(&words(&got));
    }
    let is_done = is_well(&got) && tally.kept > 0 && tally.refused == 0;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes a folder and those above it that are missing; their names are durable after it.
fn make_folder(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|level| !level.as_os_str().is_empty() && !level.is_dir());
    for level in missing.collect::<Vec<_>>().into_iter().rev() {
        fs::create_dir(level)?;
        let above = level.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// What came so far.
struct Tally {
    bar: ProgressBar,
    kept: u64,
    bytes: u64,
    there: u64,
    refused: u64,
    /// The first that were refused, and why.
    examples: Vec<(String, String)>,
}

impl Tally {
    fn add(&mut self, step: &Step<'_>) {
        match step {
            Step::Count(count) => show(&self.bar, *count),
            Step::Kept(kept) => {
                self.kept += 1;
                self.bytes += kept.file_bytes;
                self.there += u64::from(kept.was_there);
            }
            Step::NotKept { instance, reason } => {
                self.refused += 1;
                if self.examples.len() < EXAMPLES {
                    let instance = instance.map_or("an instance without UID".to_owned(), ToString::to_string);
                    self.examples.push((instance, clean(&reason.explain())));
                }
            }
        }
    }

    fn tell(&self) -> String {
        let kept = count(self.kept, "instance", "instances");
        let mut text = format!("{kept} kept, {}", HumanBytes(self.bytes));
        if self.there > 0 {
            text.push_str(&format!(", {} of them there already", self.there));
        }
        if self.refused > 0 {
            text.push_str(&format!(", {} refused", self.refused));
        }
        text
    }
}
