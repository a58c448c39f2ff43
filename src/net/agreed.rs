//! What holds between us and one caller: what the configuration says for all, and what it says for this peer.

use model::{AeTitle, PeerName, limits, part10, sop};
use pipeline::can_transcode;
use ul::negotiate::{self, Wishes};
use ul::pdu::{AssociateAc, AssociateRq, Implementation};

use crate::config::{CallerTerms, Config, Peer};
use crate::identity::IdentityError;
use crate::scp::{self, Service};

/// The terms of one association that a caller asks for.
#[derive(Clone, Copy)]
pub(crate) struct Agreed<'c> {
    config: &'c Config,
    peer: Option<&'c Peer>,
}

impl<'c> Agreed<'c> {
    /// With this peer, or somebody whom we do not know.
    pub(crate) fn with(config: &'c Config, peer: Option<&PeerName>) -> Self {
        let peer = peer.and_then(|name| config.peers.iter().find(|peer| peer.name == *name));
        Self { config, peer }
    }

    /// Whether this is an AE title that we answer to.
    pub(crate) fn is_called_ours(self, called: Option<&AeTitle>) -> bool {
        let is_ours =
            |called: &AeTitle| *called == self.config.ae_title || self.config.aliases.contains(called);
        !self.config.check_called_ae || called.is_some_and(is_ours)
    }

    /// Who uses the caller, where that has to be proven.
    ///
    /// # Errors
    /// [`IdentityError`] when it is not.
    pub(crate) fn identify(self, rq: &AssociateRq) -> Result<Option<String>, IdentityError> {
        match self.terms().and_then(|terms| terms.identity.as_ref()) {
            Some(expected) => expected.check(rq.identity.as_ref()).map(Some),
            None => Ok(None),
        }
    }

    /// The longest P-DATA-TF that we send, where that is agreed.
    pub(crate) fn most_sent(self) -> Option<u32> {
        self.terms()?.max_pdu_bytes
    }

    /// The answer to a request that is accepted; whether its user identity was looked at is said where that is asked for.
    /// What the requestor only gets it gets in transfer syntaxes that suit what is `stored` of a SOP class.
    pub(crate) fn answer(self, rq: &AssociateRq, stored: &dyn Fn(&str) -> Vec<(String, u64)>) -> AssociateAc {
        let wishes = Wishes {
            preferred: self.terms().map_or(&[][..], |terms| &terms.transfer_syntaxes),
            stored,
            can_become: |from, to| can_transcode(from, to).is_ok(),
        };
        let negotiated = negotiate::negotiate_for(rq, wishes, |abstract_syntax| {
            self.service(rq, abstract_syntax).map(Service::negotiated_as)
        });
        let implementation = Implementation {
            class_uid: Some(part10::IMPLEMENTATION_CLASS_UID.to_owned()),
            version_name: Some(part10::IMPLEMENTATION_VERSION_NAME.to_owned()),
        };
        let max_pdu_bytes = self.most_sent().unwrap_or(self.config.max_pdu_bytes);
        let extended = scp::negotiate_extended(rq, &negotiated.contexts);
        let mut ac =
            AssociateAc::answer(rq, negotiated.contexts, negotiated.roles, max_pdu_bytes, implementation);
        ac.extended = extended;
        ac.window = negotiate::window(rq.window, self.most_ahead(rq));
        let is_identified = self.terms().is_some_and(|terms| terms.identity.is_some());
        let wants_response = rq.identity.as_ref().is_some_and(|identity| identity.wants_response);
        ac.identity_response = (is_identified && wants_response).then(Vec::new);
        ac
    }

    /// What serves an abstract syntax for this caller.
    fn service(self, rq: &AssociateRq, abstract_syntax: &str) -> Option<Service> {
        let allowed = self.terms().map_or(&[][..], |terms| &terms.sop_classes);
        let is_allowed = allowed.is_empty()
            || abstract_syntax == sop::VERIFICATION
            || is_only_scp(rq, abstract_syntax)
            || allowed.iter().any(|classes| classes.has(abstract_syntax));
        if is_allowed { service(rq, abstract_syntax) } else { None }
    }

    /// How many operations may be sent ahead: where we send requests ourselves on the association, those would stand between them and
    /// their responses.
    fn most_ahead(self, rq: &AssociateRq) -> u16 {
        let is_one_sided = |service| matches!(service, None | Some(Service::Verification | Service::Storage));
        let mut services = rq.contexts.iter().map(|context| scp::service(&context.abstract_syntax));
        let agreed = self.terms().and_then(|terms| terms.operations);
        if services.all(is_one_sided) { agreed.unwrap_or(limits::OPERATIONS_WINDOW) } else { 1 }
    }

    fn terms(self) -> Option<&'c CallerTerms> {
        self.peer.map(|peer| &peer.as_caller)
    }
}

/// Whether the requestor is SCP only: it gets instances of this class by C-GET, or reports on storage commitment that we asked for.
fn is_only_scp(rq: &AssociateRq, abstract_syntax: &str) -> bool {
    let mut roles = rq.roles.iter().filter(|role| role.sop_class == abstract_syntax);
    roles.next().is_some_and(|role| role.scp && !role.scu)
}

/// What serves an abstract syntax. Of a SOP class that we know nothing of, the requestor may say that it is not one of storage.
///
/// PS3.7 §D.3.3.6.
fn service(rq: &AssociateRq, abstract_syntax: &str) -> Option<Service> {
    let said = || rq.common_extended.iter().find(|item| item.sop_class == abstract_syntax);
    match scp::service(abstract_syntax) {
        Some(Service::Storage)
            if sop::name(abstract_syntax).is_none()
                && said().is_some_and(|item| {
                    !item.service_class.is_empty() && item.service_class != sop::STORAGE_SERVICE_CLASS
                }) =>
        {
            None
        }
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use model::syntax;
    use ul::pdu::{CommonExtended, ContextOutcome, OperationsWindow, RoleSelection};

    use super::*;
    use crate::config::SopClasses;
    use crate::scu::Terms;
    use crate::tests::{CT, MR};

    const PRIVATE: &str = "1.3.12.2.1107.5.9.1";

    fn config(as_caller: CallerTerms) -> Config {
        let peer = Peer {
            name: PeerName::new("ct1"),
            ae_title: AeTitle::parse("CT1").unwrap(),
            address: "127.0.0.1:104".to_owned(),
            from: Vec::new(),
            as_caller,
            as_called: Terms::default(),
        };
        Config { peers: vec![peer], ..crate::tests::config() }
    }

    /// Which of these classes are accepted for a peer, or for a stranger.
    fn accepted(config: &Config, peer: Option<&str>, rq: &AssociateRq) -> Vec<bool> {
        let ac = Agreed::with(config, peer.map(PeerName::new).as_ref()).answer(rq, &|_| Vec::new());
        let is_accepted = |outcome: &ContextOutcome| matches!(outcome, ContextOutcome::Accepted { .. });
        ac.contexts.iter().map(|context| is_accepted(&context.outcome)).collect()
    }

    fn request(classes: &[&str]) -> AssociateRq {
        let proposals: Vec<_> =
            classes.iter().map(|class| (*class, &[syntax::IMPLICIT_VR_LITTLE_ENDIAN][..])).collect();
        crate::tests::peer::request("CT1", "GANTRY", &proposals)
    }

    #[test]
    fn a_peer_may_use_what_is_agreed_and_verification() {
        let rq = request(&[sop::VERIFICATION, CT, MR, sop::STUDY_ROOT_FIND]);
        for (sop_classes, expected) in [
            (vec![], [true, true, true, true]),
            (vec![SopClasses::Storage], [true, true, true, false]),
            (vec![SopClasses::One(MR.to_owned())], [true, false, true, false]),
            (vec![SopClasses::One(sop::STUDY_ROOT_FIND.to_owned())], [true, false, false, true]),
        ] {
            let config = config(CallerTerms { sop_classes, ..CallerTerms::default() });
            assert_eq!(accepted(&config, Some("ct1"), &rq), expected);
            assert_eq!(accepted(&config, None, &rq), [true; 4]);
        }
    }

    #[test]
    fn a_requestor_may_say_that_an_unknown_class_is_none_of_storage() {
        let config = config(CallerTerms::default());
        for (service_class, expected) in
            [(None, true), (Some(sop::STORAGE_SERVICE_CLASS), true), (Some("1.2.840.10008.4.3"), false)]
        {
            let mut rq = request(&[PRIVATE, CT]);
            let said = |class: &str| CommonExtended {
                sop_class: class.to_owned(),
                service_class: service_class.unwrap_or_default().to_owned(),
            };
            if service_class.is_some() {
                rq.common_extended = vec![said(PRIVATE), said(CT)];
            }
            assert_eq!(accepted(&config, None, &rq), [expected, true], "{service_class:?}");
        }
    }

    #[test]
    fn queries_below_the_storage_root_and_objects_without_a_study_are_not_accepted() {
        let hanging_protocol = "1.2.840.10008.5.1.4.38.1";
        let rq = request(&[
            "1.2.840.10008.5.1.4.1.1.200.4",
            "1.2.840.10008.5.1.4.1.1.201.5",
            hanging_protocol,
            CT,
        ]);
        let config = config(CallerTerms::default());
        assert_eq!(accepted(&config, None, &rq), [false, false, false, true]);
        let ac = Agreed::with(&config, None).answer(&rq, &|_| Vec::new());
        assert_eq!(ac.contexts[2].outcome, ContextOutcome::AbstractSyntaxNotSupported);
    }

    #[test]
    fn what_a_peer_gets_is_none_that_it_stores() {
        let terms = CallerTerms {
            sop_classes: vec![SopClasses::One(sop::STUDY_ROOT_GET.to_owned())],
            transfer_syntaxes: vec![syntax::EXPLICIT_VR_LITTLE_ENDIAN.to_owned()],
            ..CallerTerms::default()
        };
        let mut rq = request(&[sop::STUDY_ROOT_GET, CT, MR]);
        rq.roles = vec![RoleSelection { sop_class: CT.to_owned(), scu: false, scp: true }];
        assert_eq!(accepted(&config(terms), Some("ct1"), &rq), [true, true, false]);
    }

    #[test]
    fn a_peer_that_may_not_ask_for_commitment_may_still_report_on_it() {
        let terms = || CallerTerms { sop_classes: vec![SopClasses::Storage], ..CallerTerms::default() };
        let mut rq = request(&[sop::STORAGE_COMMITMENT_PUSH_MODEL]);
        for (scu, scp, expected) in [(true, false, false), (true, true, false), (false, true, true)] {
            let sop_class = sop::STORAGE_COMMITMENT_PUSH_MODEL.to_owned();
            rq.roles = vec![RoleSelection { sop_class, scu, scp }];
            assert_eq!(accepted(&config(terms()), Some("ct1"), &rq), [expected], "SCU {scu}, SCP {scp}");
        }
    }

    #[test]
    fn operations_are_sent_ahead_where_all_requests_are_the_peers() {
        let config = config(CallerTerms { operations: Some(4), ..CallerTerms::default() });
        let ct1 = PeerName::new("ct1");
        for (classes, expected, agreed) in [
            (&[sop::VERIFICATION, CT, "1.2.840.10008.1.42"][..], limits::OPERATIONS_WINDOW, 4),
            (&[CT, sop::STUDY_ROOT_GET], 1, 1),
            (&[CT, sop::STORAGE_COMMITMENT_PUSH_MODEL], 1, 1),
            (&[sop::STUDY_ROOT_FIND], 1, 1),
        ] {
            for (peer, expected) in [(None, expected), (Some(&ct1), agreed)] {
                let mut rq = request(classes);
                rq.window = Some(OperationsWindow { invoked: 0, performed: 0 });
                let window = Agreed::with(&config, peer).answer(&rq, &|_| Vec::new()).window;
                let expected = OperationsWindow { invoked: expected, performed: 1 };
                assert_eq!(window, Some(expected), "{classes:?}");
            }
        }
    }

    #[test]
    fn aliases_count_where_the_called_title_does() {
        let title = |text| AeTitle::parse(text).unwrap();
        let aliases = vec![title("OLD")];
        for (check_called_ae, expected) in [(true, [true, true, false]), (false, [true; 3])] {
            let config =
                Config { check_called_ae, aliases: aliases.clone(), ..config(CallerTerms::default()) };
            let agreed = Agreed::with(&config, None);
            let found = ["GANTRY", "OLD", "OTHER"].map(|called| agreed.is_called_ours(Some(&title(called))));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_largest_pdu_may_be_agreed() {
        let config = config(CallerTerms { max_pdu_bytes: Some(16_384), ..CallerTerms::default() });
        for (peer, expected) in [(Some("ct1"), 16_384), (None, 131_072)] {
            let agreed = Agreed::with(&config, peer.map(PeerName::new).as_ref());
            assert_eq!(agreed.answer(&request(&[CT]), &|_| Vec::new()).max_pdu_bytes, expected);
        }
    }
}
