//! What `gantry move` and `gantry get` have in common: what is retrieved, progress, and how it ended.

use std::fmt;

use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use model::attributes::Attributes;
use model::query::{Mechanisms, Root};
use model::{QueryRetrieveLevel, Tag, Vr};
use net::scu::{Class, Question, Retrieved, SubOperations, retrieve_meaning};
use serde_json::{Value, json};

use super::format::clean;

/// What is to be retrieved.
#[derive(Args)]
#[command(group = above("study_or_relational", "study"), group = above("series_or_relational", "series"))]
pub(super) struct Wanted {
    /// All of this patient, or what follows of it; the peer is asked by its Patient Root model
    #[arg(long, value_name = "ID", value_parser = single, required_unless_present_any = ["study", "series", "instance"])]
    patient: Option<String>,
    /// This study
    #[arg(long, value_name = "UID", value_parser = single)]
    study: Option<String>,
    /// Only this series of it
    #[arg(long, value_name = "UID", value_parser = single, requires = "study_or_relational")]
    series: Option<String>,
    /// Only this instance of it
    #[arg(long, value_name = "UID", value_parser = single, requires = "series_or_relational")]
    instance: Option<String>,
    /// Ask for relational retrieval, which does without the UIDs of the levels above
    #[arg(long)]
    relational: bool,
}

/// What a key of a level needs.
fn above(id: &'static str, level: &'static str) -> ArgGroup {
    ArgGroup::new(id).args([level, "relational"]).multiple(true)
}

/// Without the patient.
impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").finish_non_exhaustive()
    }
}

impl Wanted {
    /// The unique keys of the levels down to what is wanted (PS3.4 §C.4.2.1.4.1).
    pub(super) fn question(&self) -> Question {
        let mut keys = Attributes::new();
        let mut level = QueryRetrieveLevel::Patient;
        for (at, tag, vr, value) in [
            (QueryRetrieveLevel::Patient, Tag(0x0010, 0x0020), Vr::LO, &self.patient),
            (QueryRetrieveLevel::Study, Tag(0x0020, 0x000D), Vr::UI, &self.study),
            (QueryRetrieveLevel::Series, Tag(0x0020, 0x000E), Vr::UI, &self.series),
            (QueryRetrieveLevel::Image, Tag(0x0008, 0x0018), Vr::UI, &self.instance),
        ] {
            if let Some(value) = value {
                keys.insert_text(tag, vr, value);
                level = at;
            }
        }
        let root = if self.patient.is_some() { Root::Patient } else { Root::Study };
        Question { root, level, keys }
    }

    /// What is asked for by extended negotiation (PS3.4 §C.5.2.1, §C.5.3.1).
    pub(super) fn mechanisms(&self) -> Mechanisms {
        Mechanisms { relational: self.relational, ..Mechanisms::default() }
    }
}

/// A retrieve takes values, no patterns: what looks like one would be taken for a value by some peers, and for more by others.
fn single(given: &str) -> Result<String, String> {
    match given {
        "" => Err("it is empty".to_owned()),
        _ if given.contains(['*', '?', '\\']) => Err("it is one value, without * ? \\".to_owned()),
        _ => Ok(given.to_owned()),
    }
}

/// A bar on standard error, when that is a terminal.
pub(super) fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta} left");
    ProgressBar::new(0).with_style(style.expect("the template is right"))
}

/// Shows what the peer counts.
pub(super) fn show(bar: &ProgressBar, count: SubOperations) {
    let done = done(count);
    bar.set_length(done + u64::from(count.remaining.unwrap_or(0)));
    bar.set_position(done);
}

fn done(count: SubOperations) -> u64 {
    [count.completed, count.failed, count.warning].into_iter().flatten().map(u64::from).sum()
}

/// Whether the peer sent something, and all of it.
pub(super) fn is_well(retrieved: &Retrieved) -> bool {
    let is_done = matches!(retrieved.outcome.status.class(), Class::Success | Class::Warning);
    let count = retrieved.sub_operations;
    // Counters are optional, and what nobody counted is not known to be nothing.
    let is_nothing =
        count.completed.is_some_and(|completed| completed == 0) && count.warning.unwrap_or(0) == 0;
    is_done && count.failed.unwrap_or(0) == 0 && retrieved.failed.is_empty() && !is_nothing
}

/// How the peer says that it ended, in a line, and below it the first instances that failed.
pub(super) fn words(retrieved: &Retrieved) -> String {
    let Retrieved { outcome, sub_operations: count, failed } = retrieved;
    let status = outcome.status;
    let comment = outcome.error_comment.as_ref();
    let comment = comment.map(|comment| format!(" ({})", clean(comment.as_str()))).unwrap_or_default();
    let mut text = format!("{status} {}{comment}", retrieve_meaning(status));
    for (number, word) in [
        (count.completed, "completed"),
        (count.warning.filter(|number| *number > 0), "with warnings"),
        (count.failed.filter(|number| *number > 0), "failed"),
        (count.remaining.filter(|number| *number > 0), "not begun"),
    ] {
        if let Some(number) = number {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    for instance in failed.iter().take(EXAMPLES) {
        text.push_str(&format!("\n  failed  {instance}"));
    }
    if failed.len() > EXAMPLES {
        text.push_str(&format!("\n  and {} more", failed.len() - EXAMPLES));
    }
    text
}

/// The same for a program.
pub(super) fn object(retrieved: &Retrieved) -> Value {
    let Retrieved { outcome, sub_operations: count, failed } = retrieved;
    json!({
        "status": outcome.status.to_string(),
        "meaning": retrieve_meaning(outcome.status),
        "comment": outcome.error_comment.as_ref().map(|comment| comment.as_str()),
        "completed": count.completed,
        "warning": count.warning,
        "failed": count.failed,
        "remaining": count.remaining,
        "failed_instances": failed.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// How many instances are named.
pub(super) const EXAMPLES: usize = 10;

#[cfg(test)]
mod tests {
    use net::scu::Status;

    use super::*;

    fn retrieved(status: u16, completed: Option<u16>, failed: Option<u16>) -> Retrieved {
        let sub_operations = SubOperations { completed, failed, ..SubOperations::default() };
        Retrieved { outcome: Status(status).into(), sub_operations, failed: Vec::new() }
    }

    #[test]
    fn done_is_what_succeeded_and_was_something() {
        for (status, completed, failed, expected) in [
            (0x0000, Some(3), Some(0), true),
            (0x0000, None, None, true),
            (0x0000, Some(0), Some(0), false),
            (0xB000, Some(2), Some(1), false),
            (0xB000, Some(2), Some(0), true),
            (0xA801, None, None, false),
            (0xFE00, Some(2), None, false),
        ] {
            assert_eq!(is_well(&retrieved(status, completed, failed)), expected, "{status:04X}");
        }
    }

    #[test]
    fn tells_the_status_and_what_failed() {
        let mut ended = retrieved(0xB000, Some(2), Some(12));
        ended.failed = (0..12).filter_map(|n| model::SopInstanceUid::lenient(&format!("1.2.{n}"))).collect();
        let told = words(&ended);
        let lines: Vec<&str> = told.lines().collect();
        let first = "B000H warning: sub-operations complete, one or more failures or warnings, 2 completed, 12 failed";
        assert_eq!((lines[0], lines[1], lines[11]), (first, "  failed  1.2.0", "  and 2 more"));
        assert_eq!(object(&ended)["failed_instances"][11], "1.2.11");
        assert_eq!(words(&retrieved(0xA801, None, None)), "A801H refused: move destination unknown");
    }
}
