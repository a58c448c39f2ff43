//! The destinations that are no peers: whether they could take something now.

use anyhow::anyhow;
use dest::{Folder, FolderProbe, Probed, S3};

use super::advice::{self, advice};
use super::own::{ANSWERS_WITHIN, within};
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
    // Its secrets may be in files.
    let bucket = bucket.clone();
    let config = match within(ANSWERS_WITHIN, move || destinations::s3(&bucket)).await {
        Some(Ok(config)) => config,
        Some(Err(error)) => return unusable(&error),
        None => return unusable(&anyhow!("reading its keys takes too long")),
    };
    let s3 = match S3::new(destination.name.clone(), config) {
        Ok(s3) => s3,
        Err(error) => return unusable(&error.into()),
    };
    let (key, steps) = s3.probe().await;
    told(name, s3.place(), &key, &steps)
}

/// What the requests of a probe come to.
fn told(name: &str, place: &str, key: &str, steps: &[Probed]) -> Step {
    let times = steps.iter().filter(|step| step.outcome.is_ok());
    let times: Vec<String> =
        times.map(|step| format!("{} {}", step.doing, milliseconds(step.took))).collect();
    let done = if times.is_empty() { String::new() } else { format!(" ({})", times.join(", ")) };
    let failed = |doing| {
        let step = steps.iter().find(|step| step.doing == doing)?;
        step.outcome.as_ref().err()
    };
    let left = failed("delete").map(|reason| format!("the test object {key} is left: {reason}"));
    match (failed("put"), failed("get"), left) {
        (Some(reason), _, left) => {
            let advice = advice("Deliveries wait until it works.", advice::bucket(reason));
            // Whether it is there is not known where there was no answer.
            let left =
                left.map(|_| format!("whether the test object {key} is there is not known: delete it"));
            Step::failed(name, format!("put: {reason}{done}"), advice).noting(left)
        }
        // Deliveries look at what is there already, and else read nothing.
        (None, Some(reason), left) => {
            let next = "let access_key_id read what it writes, if deliveries are to know an object that is there already";
            Step::warning(name, format!("{place} takes objects, and gives none back: {reason}{done}"), next)
                .noting(left)
        }
        // Deliveries delete nothing.
        (None, None, Some(left)) => Step::warning(
            name,
            format!("{left}{done}"),
            "delete it by hand; deliveries do not need to delete",
        ),
        (None, None, None) => Step::ok(name, format!("{place} takes objects{done}")),
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
            (
                vec![step("put", fine), step("get", denied), step("delete", fine)],
                Mark::Warning,
                "gives none back",
            ),
            (
                vec![step("put", Err("no answer in time")), step("delete", denied)],
                Mark::Failed,
                "put: no answer",
            ),
        ] {
            let told = told("to b", "s3/b", "gantry-doctor-7", &steps);
            assert!(told.mark == mark && told.told.contains(words), "{told:?}");
            let is_left = steps.iter().any(|step| step.doing == "delete" && step.outcome.is_err());
            assert_eq!(format!("{told:?}").contains("gantry-doctor-7"), is_left, "{told:?}");
        }
    }
}
