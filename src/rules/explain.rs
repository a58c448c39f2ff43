use model::header::Header;
use model::{DestinationName, RuleName};
use time::Date;

use crate::decide::Matched;
use crate::set::{Condition, RuleSet};
use crate::{Arrival, Facts, Step};

/// Why an instance goes where it goes: every rule, and what became of it.
pub struct Explanation {
    /// In the order of [`RuleSet::rules`], all of them.
    pub rules: Vec<Explained>,
}

/// What became of one rule.
pub struct Explained {
    /// Its index in [`RuleSet::rules`].
    pub rule: usize,
    /// Its name.
    pub name: RuleName,
    /// The name of its file.
    pub file: String,
    /// The line in it where the rule's name stands.
    pub line: usize,
    /// Whether it matched.
    pub verdict: Verdict,
    /// The sub-expressions of `when` with what they came to; none for `otherwise` and where the rule was not asked.
    pub steps: Vec<Step>,
    /// Where it sends the instance, earlier rules or not; nowhere when it does not match.
    pub sends: Vec<DestinationName>,
}

/// What became of a rule. Other rules are told by their index in [`RuleSet::rules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `when` is true.
    Matched,
    /// `when` is not true.
    NotMatched,
    /// `when` took too many steps to tell ([`Decision::given_up`](crate::Decision::given_up)): it counts as not matching.
    GivenUp,
    /// No rule before this `otherwise` matched.
    OtherwiseTaken,
    /// This rule did, the first of them.
    OtherwiseNotTaken {
        /// Which.
        matched: usize,
    },
    /// This rule matched and stopped.
    NotReached {
        /// Which.
        stopped_by: usize,
    },
}

impl Verdict {
    /// Whether the rule sends.
    pub fn is_match(self) -> bool {
        match self {
            Self::Matched | Self::OtherwiseTaken => true,
            Self::NotMatched | Self::GivenUp | Self::OtherwiseNotTaken { .. } | Self::NotReached { .. } => {
                false
            }
        }
    }
}

impl RuleSet {
    /// Says of every rule what [`RuleSet::decide`] makes of it. The steps hold values of the instance, so they are for the eyes of
    /// who asked.
    pub fn explain(&self, header: &Header, arrival: &Arrival, today: Date) -> Explanation {
        let facts = Facts::new(&self.symbols, header, arrival, today);
        let Matched { matched, given_up } = self.matched(&facts);
        let rules = self.rules.iter().enumerate().map(|(index, rule)| {
            let verdict = match given_up.contains(&index) {
                true => Verdict::GivenUp,
                false => self.verdict(index, &matched),
            };
            let steps = match (&rule.condition, verdict) {
                (Condition::When(program), Verdict::Matched | Verdict::NotMatched) => program.trace(&facts),
                _ => Vec::new(),
            };
            Explained {
                rule: index,
                name: rule.name.clone(),
                file: rule.file.clone(),
                line: rule.line,
                verdict,
                steps,
                sends: if verdict.is_match() { rule.send.clone() } else { Vec::new() },
            }
        });
        Explanation { rules: rules.collect() }
    }

    /// `matched` is what [`RuleSet::matched`] says.
    fn verdict(&self, index: usize, matched: &[usize]) -> Verdict {
        let is_match = matched.contains(&index);
        let stops = |found: &&usize| self.rules.get(**found).is_some_and(|rule| rule.stop);
        let is_otherwise =
            self.rules.get(index).is_some_and(|rule| matches!(rule.condition, Condition::Otherwise));
        match (matched.last().filter(stops), is_otherwise, matched.first()) {
            (Some(&stopped_by), _, _) if stopped_by < index => Verdict::NotReached { stopped_by },
            (_, false, _) if is_match => Verdict::Matched,
            (_, false, _) => Verdict::NotMatched,
            (_, true, Some(&first)) if first < index => Verdict::OtherwiseNotTaken { matched: first },
            (_, true, _) => Verdict::OtherwiseTaken,
        }
    }
}
