//! `[[test]]`: an instance that is made up, and where it should go.

use model::DestinationName;
use time::Date;
use time::macros::date;

use crate::Step;
use crate::explain::{Explained, Verdict};
use crate::file::{Case, Document};
use crate::finding::Finder;
use crate::given::Given;
use crate::set::RuleSet;

/// How one `[[test]]` came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// The name of its file.
    pub file: String,
    /// The line in it where the test's name stands.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Why it failed; `None` when it did not.
    pub failure: Option<String>,
}

/// What `today()` is in a test that does not say: the same whenever it runs.
const TODAY: Date = date!(2026 - 01 - 01);

/// Runs the tests of all files over the rules of all files; one that fails is noted as an error.
pub(crate) fn run(rules: &RuleSet, documents: &[Document], finders: &mut [Finder<'_>]) -> Vec<TestReport> {
    let mut reports = Vec::new();
    for (document, finder) in documents.iter().zip(finders) {
        for case in &document.tests {
            let Some((given, expect)) = case.given.as_ref().zip(case.expect.as_ref()) else { continue };
            let expected: Vec<&DestinationName> = expect.destinations.iter().map(|(name, _)| name).collect();
            let failure = failure(rules, case, given, &expected);
            if let Some(failure) = &failure {
                let message = format!("the test {:?} fails: {}", case.name, failure.message);
                finder.error(&expect.at, message, failure.help.clone());
            }
            let failure = failure.map(|failure| match failure.help {
                Some(help) => format!("{}; {help}", failure.message),
                None => failure.message,
            });
            let (file, line) = (finder.file().to_owned(), finder.line(&case.at));
            reports.push(TestReport { file, line, name: case.name.clone(), failure });
        }
    }
    reports
}

struct Failure {
    message: String,
    help: Option<String>,
}

/// What went where it should not, and what did not go where it should.
fn failure(rules: &RuleSet, case: &Case, given: &Given, expected: &[&DestinationName]) -> Option<Failure> {
    let today = case.today.unwrap_or(TODAY);
    let decision = rules.decide(&given.header, &given.arrival, today);
    let is_sent = |name: &DestinationName| decision.sends.iter().any(|send| send.destination == *name);
    let missing: Vec<&DestinationName> = expected.iter().copied().filter(|name| !is_sent(name)).collect();
    let surplus: Vec<String> = decision
        .sends
        .iter()
        .filter(|send| !expected.contains(&&send.destination))
        .map(|send| {
            let rule = rules.rules.get(send.rule).map(|rule| rule.name.as_str()).unwrap_or_default();
            format!("{} by {rule:?}", send.destination)
        })
        .collect();
    let mut parts = Vec::new();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        parts.push(format!("not sent to {}", names.join(", ")));
    }
    if !surplus.is_empty() {
        parts.push(format!("sent to {}", surplus.join(", ")));
    }
    if parts.is_empty() {
        return None;
    }
    Some(Failure { message: parts.join("; "), help: Some(help(rules, given, today, &missing)) })
}

/// Which rules matched, and why those that should have sent did not.
fn help(rules: &RuleSet, given: &Given, today: Date, missing: &[&DestinationName]) -> String {
    let explanation = rules.explain(&given.header, &given.arrival, today);
    let matched = explanation.rules.iter().filter(|explained| explained.verdict.is_match());
    let matched: Vec<String> = matched.map(|explained| format!("{:?}", explained.name.as_str())).collect();
    let mut parts = vec![match matched.as_slice() {
        [] => "no rule matched".to_owned(),
        [one] => format!("the rule {one} matched"),
        all => format!("the rules {} matched", all.join(", ")),
    }];
    for explained in explanation.rules.iter().filter(|explained| !explained.verdict.is_match()) {
        let send = rules.rules.get(explained.rule).map(|rule| rule.send.as_slice()).unwrap_or_default();
        if send.iter().any(|name| missing.contains(&name)) {
            parts.push(format!(
                "{:?} did not: {}",
                explained.name.as_str(),
                why_not(rules, explained, today)
            ));
        }
    }
    parts.join("; ")
}

fn why_not(rules: &RuleSet, explained: &Explained, today: Date) -> String {
    let name = |index: usize| rules.rules.get(index).map(|rule| rule.name.as_str()).unwrap_or_default();
    match explained.verdict {
        Verdict::NotReached { stopped_by } => format!("{:?} stops before it", name(stopped_by)),
        Verdict::OtherwiseNotTaken { matched } => format!("{:?} matched before it", name(matched)),
        Verdict::GivenUp => "it took too many steps".to_owned(),
        Verdict::NotMatched | Verdict::Matched | Verdict::OtherwiseTaken => {
            let steps = decisive(&explained.steps);
            steps.iter().map(|step| false_step(step, today)).collect::<Vec<_>>().join(", and ")
        }
    }
}

fn false_step(step: &Step, today: Date) -> String {
    let mut text = format!("{} is false", step.text);
    for (name, value) in &step.references {
        text += &format!(", {name} is {value}");
    }
    if step.text.contains("today()") {
        text += &format!(", today() is {today}");
    }
    text
}

/// The innermost sub-expressions that make the whole false.
fn decisive(steps: &[Step]) -> Vec<&Step> {
    let (mut found, mut inside, mut depth) = (Vec::new(), steps, 0);
    loop {
        let is_false = |(_, step): &(usize, &Step)| step.depth == depth && step.value == Some(false);
        let operands: Vec<(usize, &Step)> = inside.iter().enumerate().filter(is_false).collect();
        match operands.as_slice() {
            [] => return found,
            [(index, operand)] => {
                found = vec![*operand];
                let behind = inside.get(index + 1..).unwrap_or_default();
                let count = behind.iter().take_while(|step| step.depth > depth).count();
                inside = behind.get(..count).unwrap_or_default();
                depth += 1;
            }
            several => return several.iter().map(|(_, operand)| *operand).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_the_innermost_that_is_false() {
        let step =
            |depth, text: &str, value| Step { depth, text: text.to_owned(), value, references: Vec::new() };
        let written = |steps: &[Step]| -> Vec<String> {
            decisive(steps).iter().map(|step| step.text.clone()).collect()
        };
        let and = [
            step(0, "a", Some(true)),
            step(0, "b || c", Some(false)),
            step(1, "b", Some(false)),
            step(1, "c", Some(false)),
            step(0, "d", None),
        ];
        assert_eq!(written(&and), ["b", "c"]);
        let not = [step(0, "a", Some(true)), step(0, "!b", Some(false)), step(1, "b", Some(true))];
        assert_eq!(written(&not), ["!b"]);
        assert_eq!(written(&[]), [""; 0]);
    }
}
