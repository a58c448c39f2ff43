//! What became of the instances, by status.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanBytes;
use net::Error;
use net::scu::{Class, Outcome, Status, store_meaning};

use crate::cli::peer::explain;

/// What became of the instances so far.
#[derive(Debug, Default)]
pub(super) struct Summary {
    sent: usize,
    sent_bytes: u64,
    answers: BTreeMap<Answer, Group>,
}

/// How the peer answered, or why it was not asked.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Status(Status),
    NotSent(String),
}

#[derive(Debug, Default)]
struct Group {
    count: usize,
    /// The first files, where something is to be looked at.
    files: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    path: PathBuf,
    comment: Option<String>,
}

/// How many files of a group are named.
const EXAMPLES: usize = 10;

impl Summary {
    /// Adds how the sending of one file ended.
    pub(super) fn add(&mut self, path: &Path, bytes: u64, outcome: Result<Outcome, Arc<Error>>) {
        let (answer, class, comment) = match outcome {
            Ok(outcome) => {
                let comment = outcome.error_comment.map(|comment| comment.as_str().to_owned());
                (Answer::Status(outcome.status), outcome.status.class(), comment)
            }
            Err(error) => (Answer::NotSent(explain(&error)), Class::Failure, None),
        };
        if matches!(class, Class::Success | Class::Warning) {
            self.sent += 1;
            self.sent_bytes += bytes;
        }
        let group = self.answers.entry(answer).or_default();
        group.count += 1;
        if class != Class::Success && group.files.len() < EXAMPLES {
            group.files.push(Example { path: path.to_owned(), comment });
        }
    }

    /// How many the peer took.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// The summary in lines.
    pub(super) fn tell(&self, total: usize, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let mut text = format!(
            "{} of {total} instances sent, {} in {seconds:.1} s ({:.0} per second)",
            self.sent,
            HumanBytes(self.sent_bytes),
            self.sent as f64 / seconds.max(1e-9),
        );
        for (answer, group) in &self.answers {
            let what = match answer {
                Answer::Status(status) => format!("{status} {}", store_meaning(*status)),
                Answer::NotSent(reason) => format!("not sent: {reason}"),
            };
            push(&mut text, format_args!("\n  {:>6}  {what}", group.count));
            for Example { path, comment } in &group.files {
                let comment = comment.as_ref().map(|comment| format!(" ({comment})")).unwrap_or_default();
                push(&mut text, format_args!("\n          {}{comment}", path.display()));
            }
            let unnamed = group.count.saturating_sub(group.files.len());
            if !group.files.is_empty() && unnamed > 0 {
                push(&mut text, format_args!("\n          and {unnamed} more"));
            }
        }
        text
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_by_status_and_names_what_failed() {
        let mut summary = Summary::default();
        for n in 0..20 {
            let status = if n < 5 { Status::SUCCESS } else { Status(0xA700) };
            summary.add(Path::new(&format!("{n}.dcm")), 1024, Ok(status.into()));
        }
        let lost = Error::Response;
        summary.add(Path::new("x.dcm"), 1024, Err(Arc::new(lost)));
        assert_eq!(summary.sent(), 5);
        let told = summary.tell(21, Duration::from_secs(2));
        let lines: Vec<_> = told.lines().map(str::trim).collect();
        assert_eq!(lines[0], "5 of 21 instances sent, 5.00 KiB in 2.0 s (2 per second)");
        assert_eq!(lines[1], "5  0000H success");
        assert_eq!(lines[2], "15  A700H refused: out of resources");
        assert_eq!(lines[3], "5.dcm");
        assert_eq!(lines[13], "and 5 more");
        assert_eq!(lines[14], "1  not sent: the peer answered something else");
        assert_eq!(lines[15], "x.dcm");
    }
}
