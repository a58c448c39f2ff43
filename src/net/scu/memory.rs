//! What a peer said last time, in what is proposed to it, and what it says this time, remembered.

use model::{Fault, PeerName, SopClassUid, TransferSyntaxUid};
use pipeline::peers::{Accepted, Acquaintance, Implementation, Manner, PeerMemory, Said};
use time::OffsetDateTime;
use ul::pdu::{AssociateAc, ContextOutcome, ContextResult, RoleSelection};

use super::alternatives::Kind;
use super::association::Heard;
use super::{Settings, Target, associate};
use crate::end::End;
use crate::error::Error;
use crate::identity::OurIdentity;
use crate::tls::Secured;

impl Target {
    /// The same, called with what is remembered of that peer in mind; what it says is remembered.
    pub fn remembered(self, peer: &PeerName, settings: &Settings, memory: &PeerMemory) -> Self {
        let manner = Manner {
            aet: self.ae_title.clone(),
            address: self.address.clone(),
            calling: settings.calling.clone(),
            identity: self.terms.identity.as_ref().map(OurIdentity::to_string),
        };
        Self { memory: Some(memory.of(peer, manner)), ..self }
    }

    /// Has the peer asked for this kind as it is, whatever it said last time: nothing else can be made of the instance that is to go.
    pub fn ask_again(&self, kind: &Kind) {
        if let Some(memory) = &self.memory {
            memory.ask_again(kind);
        }
    }

    /// What the peer said to this kind on the association before, or else last time, as far as that holds.
    pub fn said_or(&self, heard: Option<&Heard>, kind: &Kind) -> Option<Said> {
        heard.and_then(|heard| heard.said(kind)).or_else(|| self.said(kind))
    }

    /// What the peer said to this kind last time, as far as that holds.
    pub fn said(&self, kind: &Kind) -> Option<Said> {
        self.memory.as_ref()?.said(kind)
    }
}

/// Remembers what the peer said when it accepted an association with these contexts and roles. Where it is to send, that says nothing of
/// what it takes.
pub(super) fn accepted(
    memory: &Acquaintance,
    proposed: &[(String, Vec<String>)],
    roles: &[RoleSelection],
    ac: &AssociateAc,
    secured: Option<Secured>,
) {
    let accepted = Accepted {
        at: OffsetDateTime::now_utc(),
        tls: secured.map(|secured| secured.version),
        implementation: Implementation {
            class_uid: ac.implementation.class_uid.clone(),
            version_name: ac.implementation.version_name.clone(),
        },
        max_pdu_bytes: ac.max_pdu_bytes,
        operations: ac.window.map_or(1, |window| window.invoked),
        knows_user: ac.identity_response.is_some(),
    };
    let ids = (1..=u8::MAX).step_by(2);
    let results = ids.map(|id| ac.contexts.iter().find(|result| result.id == id));
    let is_taken = |class: &str| !roles.iter().any(|role| role.scp && role.sop_class == class);
    let contexts = proposed.iter().zip(results).filter(|((class, _), _)| is_taken(class));
    let said = contexts.flat_map(|((class, syntaxes), result)| said(class, syntaxes, result));
    memory.accepted(accepted, said);
}

/// Remembers that there was no association, unless the fault is ours.
pub(super) fn failed(memory: &Acquaintance, error: &Error) {
    match error {
        Error::Association(End::Rejected(rejection)) => memory.rejected(&rejection.to_string()),
        Error::Association(end) if matches!(end.fault(), Fault::Local | Fault::Bug) => {}
        Error::Connect { .. } | Error::Tls { .. } | Error::IdentityIgnored | Error::Association(_) => {
            memory.failed(&error.explain());
        }
        Error::Listen { .. }
        | Error::KeyFile(_)
        | Error::OurIdentity(_)
        | Error::Lost(_)
        | Error::NotAccepted { .. }
        | Error::NotTranscoded { .. }
        | Error::File(_)
        | Error::Response => {}
    }
}

/// What a peer said to each transfer syntax of one context. Of those beside the one that it chose it said nothing.
fn said<'a>(
    class: &'a str,
    syntaxes: &'a [String],
    result: Option<&'a ContextResult>,
) -> impl Iterator<Item = (Kind, Option<String>)> + 'a {
    let chosen = result.and_then(|result| match &result.outcome {
        ContextOutcome::Accepted { transfer_syntax } => Some(transfer_syntax),
        ContextOutcome::UserRejection
        | ContextOutcome::NoReason
        | ContextOutcome::AbstractSyntaxNotSupported
        | ContextOutcome::TransferSyntaxesNotSupported => None,
    });
    let is_proposed = chosen.is_some_and(|chosen| syntaxes.contains(chosen));
    syntaxes.iter().filter_map(move |syntax| {
        let refusal = match result {
            Some(_) if is_proposed && chosen != Some(syntax) => return None,
            Some(result) => associate::refusal(result, syntax),
            None => Some("not answered"),
        };
        let kind = SopClassUid::lenient(class).zip(TransferSyntaxUid::lenient(syntax))?;
        Some((kind, refusal.map(str::to_owned)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::peer::{EXPLICIT, request};
    use crate::tests::send::{settings, target};
    use crate::tests::{CT, Server};

    /// What is learned of a context with these syntaxes, answered so.
    fn check(outcome: Option<ContextOutcome>, expected: &[(&str, Option<&str>)]) {
        let syntaxes = ["1.2.1".to_owned(), "1.2.2".to_owned()];
        let result = outcome.map(|outcome| ContextResult { id: 1, outcome });
        let said: Vec<_> = said("1.1", &syntaxes, result.as_ref()).collect();
        let said: Vec<_> = said.iter().map(|(kind, refusal)| (kind.1.as_str(), refusal.as_deref())).collect();
        assert_eq!(said, expected, "{result:?}");
    }

    /// A peer that was asked for CT in Explicit VR Little Endian, and refused.
    fn refusing(memory: &PeerMemory) -> (Target, Acquaintance, Kind) {
        let target = target("127.0.0.1:104".parse().unwrap());
        let target = target.remembered(&PeerName::new("pacs"), &settings(), memory);
        let (known, kind) = (target.memory.clone().unwrap(), kind());
        answered(&known, ContextOutcome::TransferSyntaxesNotSupported, &[]);
        assert_eq!(target.said(&kind), Some(Said::Refuses));
        (target, known, kind)
    }

    fn kind() -> Kind {
        (SopClassUid::lenient(CT).unwrap(), TransferSyntaxUid::lenient(EXPLICIT).unwrap())
    }

    /// Takes note of an answer to a proposal of CT with these roles.
    fn answered(memory: &Acquaintance, outcome: ContextOutcome, roles: &[RoleSelection]) {
        let rq = request("GANTRY", "PACS", &[(CT, &[EXPLICIT])]);
        let results = vec![ContextResult { id: 1, outcome }];
        let ac = AssociateAc::answer(&rq, results, Vec::new(), 16_384, ul::pdu::Implementation::default());
        accepted(memory, &[(CT.to_owned(), vec![EXPLICIT.to_owned()])], roles, &ac, None);
    }

    #[tokio::test]
    async fn what_it_takes_is_not_told_by_what_it_would_send() {
        let server = Server::start().await;
        let (target, known, kind) = refusing(server.pipeline.peers());
        let takes = || ContextOutcome::Accepted { transfer_syntax: EXPLICIT.to_owned() };
        let role = RoleSelection { sop_class: CT.to_owned(), scu: false, scp: true };
        answered(&known, takes(), &[role]);
        assert_eq!(target.said(&kind), Some(Said::Refuses));
        answered(&known, takes(), &[]);
        assert_eq!(target.said(&kind), Some(Said::Takes));
    }

    #[tokio::test]
    async fn our_own_fault_is_not_noted() {
        let server = Server::start().await;
        let (target, known, kind) = refusing(server.pipeline.peers());
        let unencodable = ul::Error::Unencodable { field: "user information" };
        for ours in [End::Refused(unencodable), End::Abandoned, End::Shutdown, End::Panicked] {
            failed(&known, &Error::Association(ours));
            assert_eq!(target.said(&kind), Some(Said::Refuses));
        }
        failed(&known, &Error::Association(End::Closed));
        assert_eq!(target.said(&kind), None);
    }

    #[test]
    fn a_choice_says_nothing_of_what_was_not_chosen() {
        let accepted = |syntax: &str| Some(ContextOutcome::Accepted { transfer_syntax: syntax.to_owned() });
        check(accepted("1.2.2"), &[("1.2.2", None)]);
        let other = Some("it answered with another transfer syntax");
        check(accepted("1.2.3"), &[("1.2.1", other), ("1.2.2", other)]);
        let unknown = Some("SOP class not supported");
        check(Some(ContextOutcome::AbstractSyntaxNotSupported), &[("1.2.1", unknown), ("1.2.2", unknown)]);
        check(None, &[("1.2.1", Some("not answered")), ("1.2.2", Some("not answered"))]);
    }
}
