//! Our own side: configuration, data folder, index, ports, certificates, destinations.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use archive::checkup::{self, FileSystem, SyncTimes};
use archive::{Desk, Error};
use indicatif::HumanBytes;
use net::tls::KeyFiles;
use tokio::time::timeout;

use super::advice::{Advice, advice};
use super::report::{Mark, Report, Step, milliseconds};
use super::steps::{causes, with_expiry};
use super::{destinations, ports};
use crate::cli::format::count;
use crate::config::{Config, Faults};
use crate::control::{self, Presence};

/// A configuration that cannot be used.
pub(super) fn faulty(faults: &Faults) -> Step {
    let why = "No server starts with it.";
    Step::failed("configuration", "it cannot be used", advice(why, "mend what is told above"))
        .noting(faults.to_string().lines().map(str::to_owned))
}

/// Looks at all of it. Without a file, it is that of the defaults, which is probably not meant.
pub(super) async fn look(config: &Config, has_file: bool, report: &mut Report) {
    let hint = "every key has its default: name the server's configuration by --config";
    let hint = (!has_file).then(|| hint.to_owned());
    report.step(configuration(config).noting(hint));
    let presence = kept(config, report).await;
    ports::look(config, presence, report).await;
    certificates(config, report).await;
    for destination in &config.destinations {
        destinations::look(destination, report).await;
    }
}

fn configuration(config: &Config) -> Step {
    let peers = count(config.net.peers.len() as u64, "peer", "peers");
    let destinations = count(config.destinations.len() as u64, "destination", "destinations");
    let rules = config.rules.as_ref().map_or(0, |rules| rules.rules().len() as u64);
    let told = format!("no fault; {peers}, {destinations}, {}", count(rules, "rule", "rules"));
    match config.warnings.len() as u64 {
        0 => Step::ok("configuration", told),
        warnings => {
            let told = format!("{told}; {}", count(warnings, "warning", "warnings"));
            let notes = config
                .warnings
                .iter()
                .flat_map(|warning| warning.to_string().lines().map(str::to_owned).collect::<Vec<_>>());
            Step::warning("configuration", told, "see what gantry check says of it").noting(notes)
        }
    }
}

/// Looks at the data folder, and whether a server runs on it.
async fn kept(config: &Config, report: &mut Report) -> Presence {
    let data_dir = &config.archive.data_dir;
    let folder = data_dir.clone();
    let Some(presence) = within(ANSWERS_WITHIN, move || control::presence(&folder)).await else {
        report.step(hangs("data folder", data_dir, ANSWERS_WITHIN));
        return Presence::Unknown;
    };
    report.step(match presence {
        Presence::Runs => Step::ok("server", "runs on this data folder"),
        Presence::None => Step::skipped("server", "none runs on this data folder"),
        Presence::Unknown => {
            let told = "cannot tell whether one runs: this user may not use its control socket";
            Step::warning("server", told, AS_ITS_OWNER)
        }
    });
    let (kept, patience) = (config.archive.clone(), PATIENCE.saturating_add(ANSWERS_WITHIN));
    match within(patience, move || data_folder(&kept, presence)).await {
        Some(steps) => steps.into_iter().for_each(|step| report.step(step)),
        None => report.step(hangs("data folder", data_dir, patience)),
    }
    presence
}

/// Looks at what may hang, as on a file system that is gone; `None` where it does.
pub(super) async fn within<T: Send + 'static>(
    patience: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    timeout(patience, tokio::task::spawn_blocking(look)).await.ok()?.ok()
}

fn hangs(name: &str, path: &Path, patience: Duration) -> Step {
    let told = format!("{} does not answer within {} s", path.display(), patience.as_secs());
    let next = "look at its file system: the server that it is on (NFS, SMB), its disk (dmesg), its mount";
    Step::failed(name, told, advice("A server would hang with it.", next))
}

/// Blocks.
fn data_folder(config: &archive::Config, presence: Presence) -> Vec<Step> {
    let data_dir = &config.data_dir;
    let shown = data_dir.display();
    let owner = match fs::metadata(data_dir) {
        Ok(found) if found.is_dir() => found.uid(),
        Ok(_) => {
            let told = format!("{shown} is no folder");
            return vec![Step::failed("data folder", told, advice("", "look at `data_dir`"))];
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let told = format!("{shown} is not there yet; the first start makes it");
            let next = "see whether a file system is to be mounted there, which is not";
            return vec![Step::warning("data folder", told, next)];
        }
        Err(error) => {
            let told = format!("{shown}: {error}");
            return vec![Step::failed("data folder", told, advice("", AS_ITS_OWNER))];
        }
    };
    let is_owner = owner == rustix::process::geteuid().as_raw();
    let times = checkup::time_syncs(data_dir);
    let mut steps = vec![room(config, times.as_ref().err(), is_owner)];
    steps.extend(times.ok().map(sync));
    // Without a server, SQLite makes files beside the index that would be another user's.
    steps.push(if !is_owner && presence != Presence::Runs {
        Step::skipped("index", format!("not looked at, as it belongs to another user: {AS_ITS_OWNER}"))
    } else {
        index(data_dir)
    });
    steps
}

fn room(config: &archive::Config, error: Option<&std::io::Error>, is_owner: bool) -> Step {
    let data_dir = &config.data_dir;
    let shown = data_dir.display();
    if let Some(error) = error {
        let next = if is_owner {
            "look at its mode, and whether its file system is mounted read-only or full"
        } else {
            AS_ITS_OWNER
        };
        return Step::failed("data folder", format!("{shown} cannot be written: {error}"), advice("", next));
    }
    let (room, kind) = match (checkup::room(data_dir), checkup::file_system(data_dir)) {
        (Ok(room), Ok(kind)) => (room, kind),
        (Err(error), _) | (_, Err(error)) => {
            return Step::failed("data folder", causes(&error), advice("", "look at its file system"));
        }
    };
    let (free, total) = (HumanBytes(room.free_bytes), HumanBytes(room.total_bytes));
    let told = format!("{shown} can be written; {free} of {total} free");
    let least = config.min_free_bytes;
    match kind {
        _ if room.free_bytes < least => {
            let why = format!("What is received is refused below {} (min_free_bytes).", HumanBytes(least));
            Step::failed("data folder", told, advice(why, "make room, or put `data_dir` on a larger disk"))
        }
        _ if room.free_bytes < least.saturating_mul(2) => Step::warning(
            "data folder",
            format!("{told}, and {} are to be left free", HumanBytes(least)),
            "make room soon, or put `data_dir` on a larger disk",
        ),
        FileSystem::Memory => Step::warning(
            "data folder",
            format!("{told}; it is in memory, and gone when the machine restarts"),
            "put `data_dir` on a disk",
        ),
        FileSystem::Network(protocol) => Step::warning(
            "data folder",
            format!("{told}; it is on another machine, by {protocol}, whose locks SQLite cannot rely on"),
            "put `data_dir` on a disk of this machine",
        ),
        FileSystem::Other => Step::ok("data folder", told),
    }
}

/// How fast it syncs, and what that means.
fn sync(times: SyncTimes) -> Step {
    let SyncTimes { writes, median, slowest } = times;
    let told = format!(
        "a small write is on disk after {} (median of {writes}; the slowest {})",
        milliseconds(median),
        milliseconds(slowest)
    );
    if median < UNBELIEVABLE {
        return Step::warning(
            "sync",
            format!("{told}: no disk is so fast, so that a power cut may take what was acknowledged"),
            "see that the disk, its controller or hypervisor does not only say that it wrote (write cache without battery)",
        );
    }
    if median >= SLOW {
        return Step::warning(
            "sync",
            format!("{told}: slow, senders on one association wait for it with every object"),
            "use a disk with a protected write cache (an SSD with power-loss protection), and see what else writes there",
        );
    }
    if slowest > HICCUP {
        return Step::warning(
            "sync",
            format!("{told}: mostly fast, with a long wait in between"),
            "see what else writes to this disk (backup, RAID check, snapshots)",
        );
    }
    Step::ok("sync", told)
}

fn index(data_dir: &Path) -> Step {
    let begin = Instant::now();
    let checked = Desk::open(data_dir).and_then(|desk| desk.quick_check(PATIENCE));
    let took = begin.elapsed();
    let step = match checked {
        Ok(found) if !found.faults.is_empty() => {
            let advice = damaged();
            Step::failed("index", "SQLite finds it damaged", advice).noting(found.faults)
        }
        Ok(found) if found.is_complete => {
            Step::ok("index", format!("schema version {}, SQLite finds no damage", found.schema))
        }
        Ok(found) => {
            let seconds = PATIENCE.as_secs();
            let told =
                format!("schema version {}; it is large: no damage found in {seconds} s", found.schema);
            Step::ok("index", told)
        }
        Err(Error::NoIndex) => Step::skipped("index", "there is none yet; the first start makes it"),
        Err(error @ Error::OlderSchema { .. }) => Step::warning(
            "index",
            causes(&error),
            "start the server of this version, which brings it up to date",
        ),
        Err(error @ Error::NewerSchema { .. }) => Step::failed(
            "index",
            causes(&error),
            advice("", "use the version of gantry that last ran here, or a later one"),
        ),
        Err(error @ Error::Index(_)) => Step::failed("index", causes(&error), damaged()),
        Err(error) => Step::failed("index", causes(&error), advice("", AS_ITS_OWNER)),
    };
    step.taking(took)
}

fn damaged() -> Advice {
    advice(
        "What it says cannot be trusted; the objects themselves are files of their own.",
        "stop the server, keep a copy of the data folder, and restore the index from a backup; then look at the disk (dmesg, SMART)",
    )
}

/// Our certificates, each once.
async fn certificates(config: &Config, report: &mut Report) {
    let server = config.net.tls.iter().map(|tls| ("for callers".to_owned(), tls.settings().own.clone()));
    let calls = config.net.peers.iter().filter_map(|peer| {
        let own = peer.as_called.tls.as_ref()?.settings().own.clone()?;
        Some((format!("for calls to {}", peer.name), own))
    });
    let mut seen: Vec<KeyFiles> = Vec::new();
    for (purpose, own) in server.chain(calls) {
        if seen.contains(&own) {
            continue;
        }
        seen.push(own.clone());
        let path = own.certificate.clone();
        report.step(match within(ANSWERS_WITHIN, move || certificate(&purpose, &own)).await {
            Some(step) => step,
            None => hangs("certificate", &path, ANSWERS_WITHIN),
        });
    }
}

fn certificate(purpose: &str, own: &KeyFiles) -> Step {
    let told = format!("{}, {purpose}", own.certificate.display());
    match own.check() {
        Ok(certificate) => with_expiry("certificate", told, &certificate, "your CA"),
        Err(error) => {
            let next =
                if error.is_unreadable { AS_ITS_OWNER } else { "put a certificate and its key in place" };
            let step = Step::failed("certificate", error.to_string(), advice("", next));
            // Keys are not for everybody, and the server may read what we may not.
            if error.is_unreadable { Step { mark: Mark::Warning, ..step } } else { step }
        }
    }
}

const AS_ITS_OWNER: &str = "run this as the user that the server runs as";
/// A data folder that needs longer for what takes no time is as good as gone.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long the index is looked at.
const PATIENCE: Duration = Duration::from_secs(20);
/// The fastest disks with power-loss protection take some tens of microseconds.
const UNBELIEVABLE: Duration = Duration::from_micros(15);
/// A spinning disk takes about ten milliseconds.
const SLOW: Duration = Duration::from_millis(25);
const HICCUP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_left() {
        let (release, hanging) = std::sync::mpsc::sync_channel::<()>(1);
        let look = move || hanging.recv().is_ok();
        assert_eq!(within(Duration::from_millis(20), look).await, None);
        drop(release);
        assert_eq!(within(ANSWERS_WITHIN, || 7).await, Some(7));
        let step = hangs("data folder", Path::new("/data"), ANSWERS_WITHIN);
        assert!(step.mark == Mark::Failed && step.told.contains("/data does not answer"), "{step:?}");
    }

    #[test]
    fn times_of_syncs_are_judged() {
        for (median, slowest, mark, words) in [
            (3, 20, Mark::Warning, "no disk is so fast"),
            (60, 400, Mark::Ok, "60 µs"),
            (9_000, 30_000, Mark::Ok, "9.0 ms"),
            (9_000, 900_000, Mark::Warning, "a long wait in between"),
            (40_000, 90_000, Mark::Warning, "slow"),
        ] {
            let times = SyncTimes {
                writes: 32,
                median: Duration::from_micros(median),
                slowest: Duration::from_micros(slowest),
            };
            let step = sync(times);
            assert!(step.mark == mark && step.told.contains(words), "{step:?}");
        }
    }
}
