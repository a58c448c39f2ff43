//! What we do with SOP classes, as the conformance statement tells it.

use dimse::Status;
use dimse::service::{action, event_report, find, get, move_, retrieve, store};
use model::query::Mechanisms;
use ul::pdu::AssociateRj;

use crate::scp;

/// What we do with one registered SOP class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Its UID.
    pub sop_class: &'static str,
    /// Its name (PS3.6 Table A-1).
    pub name: &'static str,
    /// The service that it belongs to.
    pub service: &'static str,
    /// The transfer syntaxes that we accept as SCP; `None`: all, known or not.
    pub transfer_syntaxes: Option<&'static [&'static str]>,
    /// Who requests an association with us may have the SCP role by role selection (PS3.7 §D.3.3.4).
    pub lets_requestor_be_scp: bool,
    /// What asks for it as SCU.
    pub requested_by: &'static str,
    /// The transfer syntaxes that it then proposes in one context; `None`: those of the instances, in a context each.
    pub proposed_in: Option<&'static [&'static str]>,
}

/// What we do with each registered SOP class that we accept as SCP; negotiation asks the same table. Unregistered classes
/// below 1.2.840.10008.5.1.4.1.1 and private ones are accepted beside these.
pub fn capabilities() -> impl Iterator<Item = Capability> {
    model::sop::registered().filter_map(|(sop_class, name)| {
        let service = scp::service(sop_class)?;
        let negotiated = service.negotiated_as();
        Some(Capability {
            sop_class,
            name,
            service: service.name(),
            transfer_syntaxes: negotiated.transfer_syntaxes(),
            lets_requestor_be_scp: negotiated.lets_requestor_be_scp(),
            requested_by: service.requested_by(),
            proposed_in: service.proposed_in(),
        })
    })
}

/// The extended matching that we grant to C-FIND requestors who ask for it (PS3.4 §C.5.1.1).
pub fn query_mechanisms() -> Mechanisms {
    scp::OFFERED
}

/// The statuses that we answer with as SCP: service, code, and what it means there.
pub fn statuses() -> impl Iterator<Item = (&'static str, Status, &'static str)> {
    ANSWERED
        .iter()
        .flat_map(|(service, codes, meaning)| codes.iter().map(|code| (*service, *code, meaning(*code))))
}

/// How we reject associations, and when.
pub fn rejections() -> impl Iterator<Item = (AssociateRj, &'static str)> {
    REJECTED.iter().copied()
}

const REJECTED: &[(AssociateRj, &str)] = &[
    (AssociateRj::PROTOCOL_VERSION, "protocol version not supported"),
    (AssociateRj::APPLICATION_CONTEXT, "application context name not supported"),
    (AssociateRj::CALLED_AE_TITLE, "`check_called_ae`, and another AE title is called"),
    (AssociateRj::CALLING_AE_TITLE, "no peer has that AE title, calls from there, or has that certificate"),
    (
        AssociateRj::USER_IDENTITY,
        "the peer has an `identity`, and another user identity is presented, or none",
    ),
    (AssociateRj::LOCAL_LIMIT, "as many associations are open as may be"),
];

type Answered = (&'static str, &'static [Status], fn(Status) -> &'static str);

/// What each service answers with. Requests without a service of ours have 0122H or 0211H.
const ANSWERED: &[Answered] = &[
    ("C-ECHO", &[Status::SUCCESS], Status::meaning),
    (
        "C-STORE",
        &[
            Status::SUCCESS,
            store::OUT_OF_RESOURCES,
            store::DATA_SET_DOES_NOT_MATCH,
            store::CANNOT_UNDERSTAND,
            Status::SOP_CLASS_NOT_SUPPORTED,
        ],
        store::meaning,
    ),
    (
        "C-FIND",
        &[
            Status::SUCCESS,
            Status::PENDING,
            Status::PENDING_UNSUPPORTED_KEYS,
            Status::CANCEL,
            find::OUT_OF_RESOURCES,
            find::IDENTIFIER_DOES_NOT_MATCH,
            find::UNABLE_TO_PROCESS,
            Status::SOP_CLASS_NOT_SUPPORTED,
        ],
        find::meaning,
    ),
    (
        "C-MOVE",
        &[
            Status::SUCCESS,
            Status::PENDING,
            retrieve::COMPLETE_WITH_FAILURES,
            Status::CANCEL,
            retrieve::UNABLE_TO_CALCULATE,
            retrieve::UNABLE_TO_PERFORM,
            move_::DESTINATION_UNKNOWN,
            retrieve::IDENTIFIER_DOES_NOT_MATCH,
            retrieve::UNABLE_TO_PROCESS,
            Status::SOP_CLASS_NOT_SUPPORTED,
        ],
        move_::meaning,
    ),
    (
        "C-GET",
        &[
            Status::SUCCESS,
            Status::PENDING,
            retrieve::COMPLETE_WITH_FAILURES,
            Status::CANCEL,
            retrieve::UNABLE_TO_CALCULATE,
            retrieve::UNABLE_TO_PERFORM,
            retrieve::IDENTIFIER_DOES_NOT_MATCH,
            retrieve::UNABLE_TO_PROCESS,
            Status::SOP_CLASS_NOT_SUPPORTED,
        ],
        get::meaning,
    ),
    (
        "N-ACTION",
        &[
            Status::SUCCESS,
            Status::PROCESSING_FAILURE,
            Status::NO_SUCH_SOP_INSTANCE,
            Status::INVALID_ARGUMENT_VALUE,
            Status::NO_SUCH_SOP_CLASS,
            Status::NO_SUCH_ACTION,
            Status::NOT_AUTHORIZED,
            Status::RESOURCE_LIMITATION,
        ],
        action::meaning,
    ),
    (
        "N-EVENT-REPORT",
        &[
            Status::SUCCESS,
            Status::PROCESSING_FAILURE,
            Status::NO_SUCH_SOP_INSTANCE,
            Status::NO_SUCH_EVENT_TYPE,
            Status::INVALID_ARGUMENT_VALUE,
            Status::NO_SUCH_SOP_CLASS,
            Status::RESOURCE_LIMITATION,
        ],
        event_report::meaning,
    ),
];

#[cfg(test)]
mod tests {
    use pipeline::Error;

    use super::*;
    use crate::status::{of_commitment, of_find, of_selection};

    #[test]
    fn what_errors_become_is_listed() {
        let listed = |service: &str, status: Status| {
            assert!(
                statuses().any(|(name, code, _)| name == service && code == status),
                "{service} {status}"
            );
        };
        for error in [
            Error::NoSpace,
            Error::Busy,
            Error::NoTurn("no turn"),
            Error::NotFound,
            Error::TooManySelected,
            Error::TooManySought,
            Error::TooLong,
            Error::OtherStudy,
        ] {
            listed("C-FIND", of_find(&error).status);
            listed("C-MOVE", of_selection(&error).status);
            listed("C-GET", of_selection(&error).status);
            listed("N-ACTION", of_commitment(&error).status);
            let refused = pipeline::IngestError { error, sop_class: None, sop_instance: None };
            listed("C-STORE", crate::status::of_ingest(&Err(refused)).status);
        }
    }

    #[test]
    fn every_service_has_its_classes() {
        let of = |service: &str| capabilities().filter(|one| one.service == service).count();
        assert_eq!((of("Verification"), of("Storage Commitment"), of("Query/Retrieve")), (1, 1, 6));
        assert!(of("Storage") > 150);
    }
}
