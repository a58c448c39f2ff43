//! SOP Class Extended Negotiation (PS3.7 §D.3.3.5): which of the sub-items of a request are answered, and how.

use crate::pdu::{AssociateRq, ContextOutcome, ContextResult, ExtendedNegotiation};

/// Answers the extended negotiation of a request.
///
/// `grant` gives the service-class-application-information for a SOP class, from what was asked of it; `None` leaves the
/// sub-item unanswered, which says that nothing of it is supported. Only SOP classes with an accepted context are asked
/// about, and each once: of several sub-items of one class the first counts.
///
/// PS3.7 §D.3.3.5.
pub fn answer(
    rq: &AssociateRq,
    contexts: &[ContextResult],
    grant: impl Fn(&str, &[u8]) -> Option<Vec<u8>>,
) -> Vec<ExtendedNegotiation> {
    let is_accepted = |sop_class: &str| {
        rq.contexts.iter().filter(|proposed| proposed.abstract_syntax == sop_class).any(|proposed| {
            let answered = contexts.iter().find(|answered| answered.id == proposed.id);
            answered.is_some_and(|answered| matches!(answered.outcome, ContextOutcome::Accepted { .. }))
        })
    };
    let mut answers: Vec<ExtendedNegotiation> = Vec::new();
    for (at, asked) in rq.extended.iter().enumerate() {
        let sop_class = &asked.sop_class;
        let is_first = !rq.extended.iter().take(at).any(|earlier| earlier.sop_class == *sop_class);
        if is_first
            && is_accepted(sop_class)
            && let Some(information) = grant(sop_class, &asked.information)
        {
            answers.push(ExtendedNegotiation { sop_class: sop_class.clone(), information });
        }
    }
    answers
}
