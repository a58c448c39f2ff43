//! From the files to a rule set: what is checked between rules, and in which order.

use std::collections::HashMap;

use model::{DestinationName, RuleName, limits};

use crate::dictionary::closest;
use crate::file::{self, Document, Draft};
use crate::finding::{Finder, Finding};
use crate::quoted::Quoted;
use crate::set::{Condition, Rule, RuleSet};
use crate::source::{Source, version};
use crate::test_case::{self, TestReport};
use crate::{Program, Symbols, reach};

/// What [`load`] makes of rule files.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; `None` when an error stands in the way.
    pub rules: Option<RuleSet>,
    /// What an operator should know, in the order of the files.
    pub findings: Vec<Finding>,
    /// Every `[[test]]` that was run: none where another error stands in the way.
    pub tests: Vec<TestReport>,
    /// The destinations that no rule sends to; none where a rule has an error, which may be the reason.
    pub unused: Vec<DestinationName>,
}

/// Reads rule files, checks them and runs their tests. A test that fails is an error like any other.
///
/// `sources` stand in the order in which their rules are asked. `destinations` are those that there are; without them, as for the
/// rules of another day, no destination is checked and no test is run.
pub fn load(sources: &[Source], destinations: Option<&[DestinationName]>) -> Loaded {
    let mut finders: Vec<Finder<'_>> =
        sources.iter().map(|source| Finder::new(&source.name, &source.text)).collect();
    let documents: Vec<Document> = finders.iter_mut().map(Document::read).collect();
    let mut symbols = Symbols::default();
    let rules = compile(&documents, &mut symbols, &mut finders);
    refuse_repeated_names(&documents, &mut finders);
    if let Some(destinations) = destinations {
        check_destinations(&documents, destinations, &mut finders);
    }
    let (mut tests, mut unused) = (Vec::new(), Vec::new());
    let mut set = None;
    if !finders.iter().any(Finder::has_error) {
        let texts = sources.iter().flat_map(|source| [source.name.as_str(), source.text.as_str()]);
        let rules = RuleSet { version: version(texts), sources: sources.to_vec(), rules, symbols };
        reach::check(&rules, &documents, &mut finders);
        if let Some(destinations) = destinations {
            tests = test_case::run(&rules, &documents, &mut finders);
            let is_used = |name: &DestinationName| rules.rules.iter().any(|rule| rule.send.contains(name));
            unused = destinations.iter().filter(|name| !is_used(name)).cloned().collect();
        }
        set = Some(rules).filter(|_| !finders.iter().any(Finder::has_error));
    }
    let findings = finders.into_iter().flat_map(Finder::finish).collect();
    Loaded { rules: set, findings, tests, unused }
}

/// The rules of all documents; those that cannot be made have an error noted.
fn compile(documents: &[Document], symbols: &mut Symbols, finders: &mut [Finder<'_>]) -> Vec<Rule> {
    let count: usize = documents.iter().map(|document| document.rules.len()).sum();
    if count > limits::RULES
        && let Some(finder) = finders.last_mut()
    {
        finder.error(&(0..0), format!("there are {count} rules, more than {}", limits::RULES), None);
        return Vec::new();
    }
    let mut rules = Vec::new();
    for (document, finder) in documents.iter().zip(finders) {
        rules.extend(document.rules.iter().filter_map(|draft| rule(draft, symbols, finder)));
    }
    rules
}

fn rule(draft: &Draft, symbols: &mut Symbols, finder: &mut Finder<'_>) -> Option<Rule> {
    let condition = match draft.condition.as_ref()? {
        file::Condition::When(text) => Condition::When(program(text, symbols, finder)?),
        file::Condition::Otherwise => Condition::Otherwise,
    };
    let send = draft.send.as_ref()?.iter().map(|(destination, _)| destination.clone()).collect();
    Some(Rule {
        name: draft.name.clone()?,
        version: draft.version()?,
        file: finder.file().to_owned(),
        line: finder.line(&draft.at),
        send,
        stop: draft.stop,
        condition,
    })
}

fn program(text: &Quoted, symbols: &mut Symbols, finder: &mut Finder<'_>) -> Option<Program> {
    let (program, flaws) = match Program::compile(&text.text, symbols) {
        Ok((program, warnings)) => (Some(program), warnings),
        Err(flaws) => (None, flaws),
    };
    for flaw in flaws {
        finder.add(flaw.severity, &text.place(&flaw.at), flaw.message, flaw.help);
    }
    program
}

impl Draft {
    /// 12 hexadecimal digits of all that decides what the rule does.
    fn version(&self) -> Option<String> {
        let condition = match self.condition.as_ref()? {
            file::Condition::When(text) => ["when", text.text.as_str()],
            file::Condition::Otherwise => ["otherwise", "true"],
        };
        let stop = ["stop", if self.stop { "true" } else { "false" }];
        let send = self.send.as_ref()?.iter().map(|(destination, _)| destination.as_str());
        Some(version(condition.into_iter().chain(stop).chain(send)))
    }
}

fn refuse_repeated_names(documents: &[Document], finders: &mut [Finder<'_>]) {
    let mut known: HashMap<&RuleName, String> = HashMap::new();
    for (document, finder) in documents.iter().zip(finders) {
        for draft in &document.rules {
            let Some(name) = &draft.name else { continue };
            let place = format!("{}:{}", finder.file(), finder.line(&draft.at));
            if let Some(first) = known.get(name) {
                let message = format!("the rule {:?} is there already, at {first}", name.as_str());
                finder.error(&draft.at, message, "give it a name of its own".to_owned());
            } else {
                known.insert(name, place);
            }
        }
    }
}

/// Unknown destinations are errors.
fn check_destinations(documents: &[Document], known: &[DestinationName], finders: &mut [Finder<'_>]) {
    for (document, finder) in documents.iter().zip(finders) {
        let sends = document.rules.iter().filter_map(|draft| draft.send.as_ref()).flatten();
        let expected = document.tests.iter().filter_map(|test| test.expect.as_ref());
        for (name, at) in sends.chain(expected.flat_map(|expected| &expected.destinations)) {
            if !known.contains(name) {
                let message = format!("there is no destination {:?}", name.as_str());
                finder.error(at, message, destination_help(name, known));
            }
        }
    }
}

fn destination_help(name: &DestinationName, known: &[DestinationName]) -> String {
    let known = known.iter().map(DestinationName::as_str);
    match closest(name.as_str(), known.clone()) {
        Some(word) => format!("did you mean {word:?}?"),
        None if known.len() == 0 => "the configuration has no [destination.NAME]".to_owned(),
        None => format!("there are {}", known.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests;
