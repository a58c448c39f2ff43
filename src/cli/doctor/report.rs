//! What is found, step by step: printed as it comes for a reader, or at the end for a program.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{Value, json};

use super::advice::Advice;
use crate::cli::format::{clean, wrap};
use crate::cli::say;

/// What came of one step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) mark: Mark,
    /// In a sentence.
    pub(super) told: String,
    /// What there is to know besides.
    pub(super) notes: Vec<String>,
    /// What to try next, where something is wrong.
    pub(super) next: Option<String>,
    pub(super) took: Option<Duration>,
}

/// How well a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Ok,
    Warning,
    Failed,
    Skipped,
}

/// The steps so far, by what they were about.
pub(super) struct Report {
    is_json: bool,
    has_colour: bool,
    subjects: Vec<Subject>,
}

struct Subject {
    name: String,
    steps: Vec<Step>,
}

impl Step {
    pub(super) fn ok(name: &str, told: impl Into<String>) -> Self {
        Self::new(name, Mark::Ok, told)
    }

    pub(super) fn skipped(name: &str, told: impl Into<String>) -> Self {
        Self::new(name, Mark::Skipped, told)
    }

    pub(super) fn warning(name: &str, told: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::new(name, Mark::Warning, told) }
    }

    pub(super) fn failed(name: &str, told: impl Into<String>, advice: Advice) -> Self {
        let notes = if advice.why.is_empty() { Vec::new() } else { vec![advice.why] };
        Self { next: Some(advice.next), notes, ..Self::new(name, Mark::Failed, told) }
    }

    pub(super) fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    pub(super) fn taking(self, took: Duration) -> Self {
        Self { took: Some(took), ..self }
    }

    fn new(name: &str, mark: Mark, told: impl Into<String>) -> Self {
        Self { name: name.to_owned(), mark, told: told.into(), notes: Vec::new(), next: None, took: None }
    }

    fn object(&self) -> Value {
        json!({
            "step": self.name,
            "result": self.mark.word(),
            "told": clean(&self.told),
            "notes": self.notes.iter().map(|note| clean(note)).collect::<Vec<_>>(),
            "next": self.next.as_deref().map(clean),
            "milliseconds": self.took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        })
    }
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// As terminals know colours (ECMA-48 §8.3.117).
    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Warning => "33",
            Self::Failed => "1;31",
            Self::Skipped => "2",
        }
    }
}

impl Report {
    pub(super) fn new(is_json: bool) -> Self {
        let has_colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { is_json, has_colour, subjects: Vec::new() }
    }

    /// Begins with something else.
    pub(super) fn begin(&mut self, name: String) {
        if !self.is_json {
            let gap = if self.subjects.is_empty() { "" } else { "\n" };
            say(&format!("{gap}{}\n", self.paint(&clean(&name), "1")));
        }
        self.subjects.push(Subject { name, steps: Vec::new() });
    }

    /// Takes a step, and tells it.
    pub(super) fn step(&mut self, step: Step) {
        if !self.is_json {
            say(&self.lines(&step));
        }
        if let Some(subject) = self.subjects.last_mut() {
            subject.steps.push(step);
        }
    }

    /// Tells what it comes to; whether nothing failed.
    pub(super) fn finish(&self) -> bool {
        let failed = self.count(Mark::Failed);
        if self.is_json {
            say(&format!("{:#}", self.object()));
        } else {
            say(&format!("\n{}", self.summary()));
        }
        failed == 0
    }

    fn count(&self, mark: Mark) -> usize {
        self.steps().filter(|(_, step)| step.mark == mark).count()
    }

    fn steps(&self) -> impl Iterator<Item = (&Subject, &Step)> {
        self.subjects.iter().flat_map(|subject| subject.steps.iter().map(move |step| (subject, step)))
    }

    /// The step that matters most: the first that failed, else the first that warns.
    fn worst(&self) -> Option<(&Subject, &Step)> {
        let first = |mark| self.steps().find(move |(_, step)| step.mark == mark);
        first(Mark::Failed).or_else(|| first(Mark::Warning))
    }

    fn result(&self) -> &'static str {
        self.worst().map_or("ok", |(_, step)| step.mark.word())
    }

    fn summary(&self) -> String {
        let Some((subject, step)) = self.worst() else { return self.paint("All well.", "32") };
        let others = match (self.count(Mark::Failed), self.count(Mark::Warning)) {
            (0, 1) | (1, 0) => String::new(),
            (0, warnings) => format!(", one of {warnings} warnings"),
            (1, warnings) => format!(", with {warnings} to be warned of"),
            (failed, _) => format!(", the first of {failed}"),
        };
        let place = match self.subjects.len() {
            0 | 1 => String::new(),
            _ => format!(" of {}", subject.name),
        };
        let head = match step.mark {
            Mark::Failed => format!("Failed: {}{place}{others}.", step.name),
            Mark::Warning | Mark::Ok | Mark::Skipped => {
                format!("Works, with a warning: {}{place}{others}.", step.name)
            }
        };
        let next = step.next.as_deref().unwrap_or("see above");
        let next = wrap(&clean(&format!("Next thing to try: {next}.")), 0, 0);
        format!("{}\n{next}", self.paint(&clean(&head), step.mark.colour()))
    }

    fn object(&self) -> Value {
        let subject = |subject: &Subject| {
            let steps: Vec<Value> = subject.steps.iter().map(Step::object).collect();
            json!({ "name": clean(&subject.name), "steps": steps })
        };
        json!({
            "result": self.result(),
            "failed": self.count(Mark::Failed),
            "warnings": self.count(Mark::Warning),
            "next": self.worst().and_then(|(_, step)| step.next.as_deref()).map(clean),
            "subjects": self.subjects.iter().map(subject).collect::<Vec<_>>(),
        })
    }

    fn lines(&self, step: &Step) -> String {
        let mark = self.paint(&format!("{:<7}", step.mark.word()), step.mark.colour());
        let took = step.took.map(|took| format!(" ({})", milliseconds(took))).unwrap_or_default();
        let told = wrap(&clean(&format!("{}{took}", step.told)), INDENT, INDENT);
        let mut lines = format!("  {mark}  {:<NAME$}  {}", clean(&step.name), told.trim_start());
        for note in &step.notes {
            lines.push_str(&format!("\n{}", wrap(&clean(note), INDENT, INDENT)));
        }
        if let Some(next) = &step.next {
            let next = wrap(&clean(&format!("Try: {next}.")), INDENT, INDENT + 5);
            lines.push_str(&format!("\n{next}"));
        }
        lines
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        if self.has_colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A time to two digits that matter.
pub(super) fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    match milliseconds {
        ..0.1 => format!("{:.0} µs", milliseconds * 1e3),
        ..10.0 => format!("{milliseconds:.1} ms"),
        ..10_000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.0} s", milliseconds / 1e3),
    }
}

/// How wide the names of steps are, and where what is told of them begins.
const NAME: usize = 16;
const INDENT: usize = 2 + 7 + 2 + NAME + 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(marks: &[Mark]) -> Report {
        let mut report = Report { is_json: true, has_colour: false, subjects: Vec::new() };
        report.begin("PACS".to_owned());
        for (number, mark) in marks.iter().enumerate() {
            let step = Step::new(&format!("step {number}"), *mark, "told");
            report.step(Step { next: Some(format!("advice {number}")), ..step });
        }
        report
    }

    #[test]
    fn the_summary_is_about_what_matters_most() {
        use Mark::{Failed, Ok, Skipped, Warning};
        for (marks, expected) in [
            (&[Ok, Skipped][..], "All well."),
            (&[Ok, Warning], "Works, with a warning: step 1.\nNext thing to try: advice 1."),
            (
                &[Warning, Warning],
                "Works, with a warning: step 0, one of 2 warnings.\nNext thing to try: advice 0.",
            ),
            (&[Ok, Warning, Failed], "Failed: step 2, with 1 to be warned of.\nNext thing to try: advice 2."),
            (&[Failed, Ok, Failed], "Failed: step 0, the first of 2.\nNext thing to try: advice 0."),
        ] {
            assert_eq!(report(marks).summary(), expected);
        }
        assert_eq!(report(&[Ok, Failed]).object()["next"], "advice 1");
        assert_eq!(report(&[Ok]).object()["result"], "ok");
    }

    #[test]
    fn a_step_is_lines_under_its_name_and_moves_no_cursor() {
        let advice = Advice { why: "It is\u{1b}[2J full.".to_owned(), next: "wait".to_owned() };
        let step = Step::failed("association", "rejected", advice).taking(Duration::from_micros(1234));
        let lines = report(&[]).lines(&step);
        let expected = "  failed   association       rejected (1.2 ms)\n                             It is\\u{1b}[2J full.\n                             Try: wait.";
        assert_eq!(lines, expected);
    }

    #[test]
    fn times_have_few_digits() {
        for (microseconds, expected) in
            [(7, "7 µs"), (450, "0.5 ms"), (12_345, "12 ms"), (1_234_000, "1234 ms"), (20_000_000, "20 s")]
        {
            assert_eq!(milliseconds(Duration::from_micros(microseconds)), expected);
        }
    }
}
