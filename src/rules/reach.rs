//! Rules that can never send, whatever the instance.

use crate::file::{self, Document, Draft};
use crate::finding::Finder;
use crate::set::{Condition, Rule, RuleSet};

/// Warns of rules that are never reached, never match, or are never taken.
pub(crate) fn check(set: &RuleSet, documents: &[Document], finders: &mut [Finder<'_>]) {
    let mut earlier: Vec<(&Rule, &Draft)> = Vec::new();
    let mut rules = set.rules.iter();
    for (document, finder) in documents.iter().zip(finders) {
        for (draft, rule) in document.rules.iter().zip(&mut rules) {
            if let Some((message, help)) = never(rule, draft, &earlier) {
                finder.warning(&draft.at, format!("the rule {:?} {message}", rule.name.as_str()), help);
            }
            earlier.push((rule, draft));
        }
    }
}

/// Why a rule never sends, and what to do about it.
fn never(rule: &Rule, draft: &Draft, earlier: &[(&Rule, &Draft)]) -> Option<(String, String)> {
    let place = |rule: &Rule| format!("{:?} ({}:{})", rule.name.as_str(), rule.file, rule.line);
    let ends = earlier.iter().find(|(rule, _)| rule.stop && is_always(rule));
    if let Some((stop, _)) = ends {
        let message = format!("is never reached: {} always matches, and stops", place(stop));
        return Some((message, "move it before that rule".to_owned()));
    }
    match &rule.condition {
        Condition::When(program) if program.constant() == Some(false) => {
            Some(("never matches".to_owned(), "its `when` is false whatever the instance".to_owned()))
        }
        Condition::When(_) => {
            let (same, _) = earlier.iter().find(|(rule, known)| rule.stop && is_same(known, draft))?;
            let message =
                format!("is never reached by what it is for: {} has the same `when`, and stops", place(same));
            Some((message, "join the two, or take `stop` from the first".to_owned()))
        }
        Condition::Otherwise => {
            let (always, _) = earlier.iter().find(|(rule, _)| is_always(rule) || is_otherwise(rule))?;
            let message = if is_always(always) {
                format!("is never taken: {} always matches", place(always))
            } else {
                format!("is never taken: what nothing else matched {} has matched", place(always))
            };
            Some((message, "`otherwise` is true when no rule before it matched".to_owned()))
        }
    }
}

fn is_always(rule: &Rule) -> bool {
    matches!(&rule.condition, Condition::When(program) if program.constant() == Some(true))
}

fn is_otherwise(rule: &Rule) -> bool {
    matches!(rule.condition, Condition::Otherwise)
}

fn is_same(one: &Draft, other: &Draft) -> bool {
    match (&one.condition, &other.condition) {
        (Some(file::Condition::When(one)), Some(file::Condition::When(other))) => {
            one.text.split_whitespace().eq(other.text.split_whitespace())
        }
        _ => false,
    }
}
