//! A peer from first to last, and what is tried at it on request.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::attributes::Attributes;
use model::query::Root;
use model::{AeTitle, QueryRetrieveLevel, Tag, Vr};
use net::Error;
use net::scu::{Class, Outcome, Question, Settings, Target, find, find_meaning, send_all, store_meaning};
use tokio::time::timeout;

use super::advice::{Advice, advice};
use super::report::{Report, Step};
use super::steps::{Examined, Way};
use super::synthetic::{Capture, PATIENT_ID, uid};
use crate::cli::format::clean;
use crate::cli::peer::explain;
use crate::config::Config;

/// What is tried beyond a look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) store: bool,
    pub(super) query: bool,
    pub(super) commitment: bool,
}

/// Looks at a peer.
pub(super) async fn peer(
    name: &str,
    target: Target,
    calling: AeTitle,
    config: &Config,
    wanted: Wanted,
    report: &mut Report,
) {
    let by = if target.terms.tls.is_some() { " by TLS" } else { "" };
    let known = if name.contains('@') { String::new() } else { format!("{name}: ") };
    report.begin(format!("{known}{} at {}{by}, called by {calling}", target.ae_title, target.address));
    let mut examined = Examined::new(target, &Settings::new(&config.net, calling));
    let Some(way) = examined.look(report).await else { return };
    let stored = if wanted.store { examined.store(&way, report).await } else { None };
    if wanted.query {
        examined.query(stored.as_ref(), report).await;
    }
    if wanted.commitment {
        examined.commitment(&way, stored.as_ref(), config, report).await;
    }
}

impl Examined {
    /// Stores one object; which, where the peer took it.
    async fn store(&self, way: &Way, report: &mut Report) -> Option<Capture> {
        let Some(syntax) = &way.capture_syntax else {
            let why = "What is stored here is a Secondary Capture, which any archive should take.";
            let next = "have Secondary Capture Image Storage allowed for us at the peer";
            report.step(Step::failed("store", "the peer takes no Secondary Capture", advice(why, next)));
            return None;
        };
        let capture = match Capture::make(syntax) {
            Ok(capture) => capture,
            Err(error) => {
                let told = format!("no object could be made in {}: {error}", std::env::temp_dir().display());
                report.step(Step::failed(
                    "store",
                    told,
                    advice("", "see that this folder can be written (TMPDIR)"),
                ));
                return None;
            }
        };
        let begin = Instant::now();
        let mut stored: Option<Result<Outcome, Arc<Error>>> = None;
        let instances = vec![capture.instance.clone()];
        send_all(&self.target, &self.settings, instances, NonZeroUsize::MIN, |_, outcome| {
            stored = Some(outcome)
        })
        .await;
        let took = begin.elapsed();
        let (step, is_stored) = told_of_store(stored, &capture);
        report.step(step.taking(took));
        is_stored.then_some(capture)
    }

    /// Asks for a study: for that of `stored`, or for one that nobody has.
    async fn query(&self, stored: Option<&Capture>, report: &mut Report) {
        let study = stored.map_or_else(uid, |capture| capture.study.clone());
        let begin = Instant::now();
        loop {
            let mut rows = 0_u64;
            let question = question(&study);
            let asked = find(&self.target, &self.settings, &question, MOST_ROWS, |_| rows += 1);
            let Ok(asked) = timeout(LONGEST_QUERY, asked).await else {
                let told = format!("no end of the answer within {} s", LONGEST_QUERY.as_secs());
                let why = "It may search all that it has for one Study Instance UID.";
                let next = advice(why, "look at what the peer logs, and at its database");
                report.step(Step::failed("query", told, next).taking(begin.elapsed()));
                return;
            };
            let found = match asked {
                // What is beyond the limit was cancelled.
                Ok(found) if found.has_more || found.outcome.status.class() == Class::Success => rows,
                asked => {
                    report.step(no_query(asked.map(|found| found.outcome)).taking(begin.elapsed()));
                    return;
                }
            };
            let step = match (stored, found) {
                (None, 0) => Step::ok("query", "answered: nothing, as it should for a study that nobody has"),
                (None, rows) => {
                    let told = format!("answered {rows} matches or more for a study that nobody has");
                    let why = "It does not match by Study Instance UID, and may answer a query with all that it has.";
                    Step::failed("query", told, advice(why, "look at how queries are configured at the peer"))
                }
                (Some(_), 0) if begin.elapsed() < INDEXED_WITHIN => {
                    tokio::time::sleep(BETWEEN_QUERIES).await;
                    continue;
                }
                (Some(_), 0) => {
                    let told =
                        format!("the study that it took is not found after {} s", INDEXED_WITHIN.as_secs());
                    let next = "look at the peer for a work list of what it holds back (unknown patients), or whether it only \
                                passes on what it takes";
                    Step::warning("query", told, next)
                }
                (Some(_), _) => Step::ok("query", "the study that was stored is found"),
            };
            report.step(step.taking(begin.elapsed()));
            return;
        }
    }
}

fn told_of_store(stored: Option<Result<Outcome, Arc<Error>>>, capture: &Capture) -> (Step, bool) {
    match stored {
        Some(Ok(outcome)) => {
            let status = outcome.status;
            let told = format!("{status} {}{}", store_meaning(status), comment(&outcome));
            let place = [
                format!("the peer now has a test object of patient {PATIENT_ID}: delete it there when done"),
                format!("study {}", capture.study),
            ];
            match status.class() {
                Class::Success => (Step::ok("store", told).noting(place), true),
                Class::Warning => {
                    let next =
                        "look at what the peer changed: it says that what it keeps is not what was sent";
                    (Step::warning("store", told, next).noting(place), true)
                }
                Class::Failure | Class::Cancel | Class::Pending => {
                    (Step::failed("store", told, refused(status.0)), false)
                }
            }
        }
        Some(Err(error)) => {
            let next = advice("", "look at what the peer logs");
            (Step::failed("store", explain(&error), next), false)
        }
        None => (Step::failed("store", "nothing came of it", advice("", "try again")), false),
    }
}

/// Of a status of C-STORE that is a failure (PS3.4 Table B.2-1, PS3.7 §C.5).
fn refused(status: u16) -> Advice {
    match status {
        0xA700..=0xA7FF => advice("The peer is out of resources.", "see that its disk is not full"),
        0xA900..=0xA9FF => advice(
            "What was sent is not what its SOP class promises, the peer says.",
            "look at what the peer logs: it may want attributes that a test object lacks",
        ),
        0xC000..=0xCFFF => {
            advice("The peer does not understand the object.", "look at what the peer logs about it")
        }
        0x0122 => advice("The peer does not support this SOP class after all.", "look at what the peer logs"),
        0x0124 => advice(
            "The peer does not allow us to store.",
            "have storing allowed for our AE title at the peer",
        ),
        _ => advice("", "look at what the peer logs"),
    }
}

fn no_query(asked: Result<Outcome, Error>) -> Step {
    match asked {
        Ok(outcome) => {
            let status = outcome.status;
            let told = format!("{status} {}{}", find_meaning(status), comment(&outcome));
            Step::failed("query", told, advice("", "look at what the peer logs"))
        }
        Err(error @ Error::NotAccepted { .. }) => Step::failed(
            "query",
            error.explain(),
            advice("It cannot be asked what it has by DICOM.", "ask its administrator whether we may query"),
        ),
        Err(error) => Step::failed("query", explain(&error), advice("", "look at what the peer logs")),
    }
}

fn comment(outcome: &Outcome) -> String {
    let comment = outcome.error_comment.as_ref();
    comment.map(|comment| format!(" ({})", clean(comment.as_str()))).unwrap_or_default()
}

/// Study Root, at study level, by Study Instance UID.
fn question(study: &str) -> Question {
    let mut keys = Attributes::new();
    keys.insert_text(Tag(0x0020, 0x000D), Vr::UI, study);
    Question { root: Root::Study, level: QueryRetrieveLevel::Study, keys }
}

/// One may be there; a second one tells enough.
const MOST_ROWS: Option<NonZeroU64> = NonZeroU64::new(2);
const LONGEST_QUERY: Duration = Duration::from_secs(30);
/// Archives index behind what they take.
const INDEXED_WITHIN: Duration = Duration::from_secs(10);
const BETWEEN_QUERIES: Duration = Duration::from_millis(500);
