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
    /// rule before it matched. Nothing here fails: what an instance does not have is null to the rules.
    pub fn decide(&self, header: &Header, arrival: &Arrival, today: Date) -> Decision {
        let mut decision = Decision::default();
        for index in self.matched(&Facts::new(&self.symbols, header, arrival, today)) {
            let send = self.rules.get(index).map(|rule| rule.send.as_slice()).unwrap_or_default();
            for destination in send {
                if !decision.sends.iter().any(|known| known.destination == *destination) {
                    decision.sends.push(Send { destination: destination.clone(), rule: index });
                }
            }
        }
        decision
    }

    /// The rules that match, by index; none behind one that stops.
    pub(crate) fn matched(&self, facts: &Facts<'_>) -> impl Iterator<Item = usize> {
        let mut has_matched = false;
        let mut is_stopped = false;
        self.rules.iter().enumerate().filter_map(move |(index, rule)| {
            let matches = !is_stopped
                && match &rule.condition {
                    Condition::When(program) => program.matches(facts),
                    Condition::Otherwise => !has_matched,
                };
            has_matched |= matches;
            is_stopped |= matches && rule.stop;
            matches.then_some(index)
        })
    }
}
