//! Which extended matching an association has negotiated for its queries.

use dimse::service::mechanisms;
use model::query::Mechanisms;
use ul::extended;
use ul::pdu::{AssociateRq, ContextResult, ExtendedNegotiation};

use super::Service;

/// What was granted, by SOP class.
#[derive(Debug, Default)]
pub(crate) struct Granted(Vec<(String, Mechanisms)>);

impl Granted {
    /// What an answer grants.
    pub(crate) fn by(answers: &[ExtendedNegotiation]) -> Self {
        let granted = answers
            .iter()
            .map(|answer| (answer.sop_class.clone(), mechanisms::asked(&answer.information)))
            .collect();
        Self(granted)
    }

    /// What holds for a SOP class; nothing where it was not negotiated.
    pub(crate) fn of(&self, sop_class: &str) -> Mechanisms {
        let found = self.0.iter().find(|(granted, _)| granted == sop_class);
        found.map(|(_, mechanisms)| *mechanisms).unwrap_or_default()
    }
}

/// Answers the extended negotiation of a request whose contexts have been answered.
///
/// PS3.4 §C.5.1.1.
pub(crate) fn negotiate(rq: &AssociateRq, contexts: &[ContextResult]) -> Vec<ExtendedNegotiation> {
    extended::answer(rq, contexts, |sop_class, information| match super::service(sop_class)? {
        Service::Find(_) => Some(mechanisms::answer(information, OFFERED)),
        Service::Move(_) | Service::Get(_) => Some(mechanisms::answer_of_retrieve(information)),
        Service::Verification | Service::Storage | Service::Commitment => None,
    })
}

/// What our queries can do.
pub(crate) const OFFERED: Mechanisms = Mechanisms {
    relational: true,
    combined_datetime: true,
    fuzzy_names: true,
    timezone: true,
    empty_values: true,
    multiple_values: true,
};
