use model::DestinationName;
use model::header::Header;
use time::Date;

use crate::set::{Condition, RuleSet};
use crate::{Arrival, Facts};

/// Where an instance goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Each destination once, in the order of the rules that send there. None at all: the instance is only kept.
    pub sends: Vec<Send>,
    /// Rules that count as not matching because their condition took more than [`limits::RULE_STEPS`](model::limits::RULE_STEPS), or
    /// what [`limits::ROUTING_STEPS`](model::limits::ROUTING_STEPS) left: by their index in [`RuleSet::rules`].
    pub given_up: Vec<usize>,
}

/// One destination of a [`Decision`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Where the instance goes.
    pub destination: DestinationName,
    /// The first rule that sends it there, as an index in [`RuleSet::rules`].
    pub rule: usize,
}

impl RuleSet {
    /// Decides where an instance goes. `today` is what the rules call `today()`.
    ///
    /// The rules are asked one after the other, and every one that matches sends, up to one with `stop`. `otherwise` is true when no
    /// rule before it matched. Nothing here fails: what an instance does not have is null to the rules. Nothing takes long: what does
    /// is given up.
    pub fn decide(&self, header: &Header, arrival: &Arrival, today: Date) -> Decision {
        let Matched { matched, given_up } = self.matched(&Facts::new(&self.symbols, header, arrival, today));
        let mut decision = Decision { sends: Vec::new(), given_up };
        for index in matched {
            let send = self.rules.get(index).map(|rule| rule.send.as_slice()).unwrap_or_default();
            for destination in send {
                if !decision.sends.iter().any(|known| known.destination == *destination) {
                    decision.sends.push(Send { destination: destination.clone(), rule: index });
                }
            }
        }
        decision
    }

    /// The rules that match; none behind one that stops.
    pub(crate) fn matched(&self, facts: &Facts<'_>) -> Matched {
        let mut found = Matched::default();
        for (index, rule) in self.rules.iter().enumerate() {
            let matches = match &rule.condition {
                Condition::When(program) => program.matches(facts),
                Condition::Otherwise => Some(found.matched.is_empty()),
            };
            match matches {
                Some(true) => found.matched.push(index),
                Some(false) => {}
                None => found.given_up.push(index),
            }
            if matches == Some(true) && rule.stop {
                break;
            }
        }
        found
    }
}

/// Rules by what became of them, by index, in order.
#[derive(Default)]
pub(crate) struct Matched {
    pub(crate) matched: Vec<usize>,
    /// They took too many steps.
    pub(crate) given_up: Vec<usize>,
}
