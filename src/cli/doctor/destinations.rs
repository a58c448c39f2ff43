//! The destinations that are no peers: whether they could take something now.

use dest::{Folder, FolderProbe, Probed, S3};

use super::advice::{self, advice};
use super::report::{Report, Step, milliseconds};
use crate::config::{self, Destination, Kind};
use crate::destinations;

/// Looks at one destination.
pub(super) async fn look(destination: &Destination, report: &mut Report) {
    let name = format!("to {}", destination.name);
    let step = match &destination.kind {
        Kind::Dicom { peer, .. } => {
            Step::skipped(&name, format!("DICOM: see gantry doctor {peer}, or --all"))
        }
        Kind::S3(bucket) => s3(&name, destination, bucket).await,
        Kind::Folder { path, parallel } => {
            let folder = Folder::new(destination.name.clone(), path.clone(), *parallel);
            let shown = path.display();
            match folder.probe().await {
                FolderProbe::Writable(took) => {
                    Step::ok(&name, format!("{shown} can be written")).taking(took)
                }
                FolderProbe::Absent(above) => {
                    let told =
                        format!("{shown} is not there; the first delivery makes it in {}", above.display());
                    Step::warning(
                        &name,
                        told,
                        "see whether a file system is to be mounted there, which is not",
                    )
                }
                FolderProbe::Unusable(reason) => {
                    let why = "Deliveries wait until it can be written.";
                    let next = "look at its owner and mode, and whether its file system is mounted read-only or gone";
                    Step::failed(&name, reason, advice(why, next))
                }
            }
        }
    };
    report.step(step);
}

async fn s3(name: &str, destination: &Destination, bucket: &config::S3) -> Step {
    let unusable = |error: &anyhow::Error| {
        Step::failed(name, format!("{error:#}"), advice("", "look at its keys in the configuration"))
    };
    let config = match destinations::s3(bucket) {
        Ok(config) => config,
        Err(error) => return unusable(&error),
    };
    let s3 = match S3::new(destination.name.clone(), config) {
        Ok(s3) => s3,
        Err(error) => return unusable(&error.into()),
    };
    let steps = s3.probe().await;
    told(name, s3.place(), &steps)
}

/// What the requests of a probe come to.
fn told(name: &str, place: &str, steps: &[Probed]) -> Step {
    let times = steps.iter().filter(|step| step.outcome.is_ok());
    let times: Vec<String> =
        times.map(|step| format!("{} {}", step.doing, milliseconds(step.took))).collect();
    let done = if times.is_empty() { String::new() } else { format!(" ({})", times.join(", ")) };
    let failed = steps.iter().find_map(|step| Some((step.doing, step.outcome.as_ref().err()?)));
    match failed {
        None => Step::ok(name, format!("{place} takes objects{done}")),
        // Deliveries delete nothing.
        Some(("delete", reason)) => Step::warning(
            name,
            format!("{reason}, when deleting the test object gantry-doctor{done}"),
            "delete that object by hand; deliveries do not need to delete",
        ),
        Some((doing, reason)) => {
            let advice = advice("Deliveries wait until it works.", advice::bucket(reason));
            Step::failed(name, format!("{doing}: {reason}{done}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::Mark;
    use super::*;

    #[test]
    fn what_cannot_be_deleted_is_no_failure() {
        let step = |doing, outcome: Result<(), &str>| Probed {
            doing,
            took: Duration::from_millis(3),
            outcome: outcome.map_err(str::to_owned),
        };
        let (fine, denied) =
            (Ok(()), Err("s3/b answers 403 AccessDenied: look at what access_key_id may do"));
        for (steps, mark, words) in [
            (
                vec![step("put", fine), step("get", fine), step("delete", fine)],
                Mark::Ok,
                "put 3.0 ms, get 3.0 ms",
            ),
            (
                vec![step("put", fine), step("get", fine), step("delete", denied)],
                Mark::Warning,
                "gantry-doctor",
            ),
            (vec![step("put", denied)], Mark::Failed, "put: s3/b answers 403"),
            (vec![step("put", fine), step("get", denied), step("delete", denied)], Mark::Failed, "get: s3/b"),
        ] {
            let told = told("to b", "s3/b", &steps);
            assert!(told.mark == mark && told.told.contains(words), "{told:?}");
        }
    }
}
