//! Negotiation as tables: what is proposed, what is answered.

use ul::negotiate::{Admission, Service, Wishes, acceptable, negotiate, negotiate_for};
use ul::pdu::{
    AssociateAc, AssociateRj, AssociateRq, ContextOutcome, Implementation, ProposedContext, RoleSelection,
};

use crate::support::{CT, EXPLICIT, IMPLICIT, request};

const BIG: &str = model::syntax::EXPLICIT_VR_BIG_ENDIAN;
const DEFLATED: &str = model::syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const RLE: &str = "1.2.840.10008.1.2.5";
const PRIVATE: &str = "1.2.840.113619.5.2";
const NEWER: &str = "1.2.840.10008.1.2.4.999";
const FIND: &str = model::sop::STUDY_ROOT_FIND;
const COMMITMENT: &str = model::sop::STORAGE_COMMITMENT_PUSH_MODEL;

fn services(abstract_syntax: &str) -> Option<Service> {
    match abstract_syntax {
        model::sop::VERIFICATION | FIND => Some(Service::Reads),
        COMMITMENT => Some(Service::Reports),
        uid => model::sop::is_storage(uid).then_some(Service::Keeps),
    }
}

fn outcome(abstract_syntax: &str, transfer_syntaxes: &[&str]) -> ContextOutcome {
    let mut rq = request(0);
    let transfer_syntaxes = transfer_syntaxes.iter().map(|uid| (*uid).to_owned()).collect();
    rq.contexts = ProposedContext::numbered([(abstract_syntax.to_owned(), transfer_syntaxes)]).unwrap();
    let mut contexts = negotiate(&rq, services).contexts;
    assert_eq!((contexts.len(), contexts[0].id), (1, 1));
    contexts.remove(0).outcome
}

fn accepted(transfer_syntax: &str) -> ContextOutcome {
    ContextOutcome::Accepted { transfer_syntax: transfer_syntax.to_owned() }
}

#[test]
fn storage_takes_the_first_known_transfer_syntax_but_explicit_before_implicit_and_big_endian() {
    for (offered, expected) in [
        (&[IMPLICIT][..], IMPLICIT),
        (&[BIG], BIG),
        (&[IMPLICIT, EXPLICIT], EXPLICIT),
        (&[BIG, IMPLICIT, EXPLICIT], EXPLICIT),
        (&[IMPLICIT, BIG], IMPLICIT),
        (&[BIG, IMPLICIT], BIG),
        (&[JPEG, EXPLICIT], JPEG),
        (&[RLE, JPEG], RLE),
        (&[DEFLATED, EXPLICIT], DEFLATED),
        (&[EXPLICIT, JPEG], EXPLICIT),
        (&[IMPLICIT, JPEG], IMPLICIT),
        (&[IMPLICIT, JPEG, EXPLICIT], EXPLICIT),
        (&[PRIVATE, IMPLICIT], IMPLICIT),
        (&[NEWER, IMPLICIT, EXPLICIT], EXPLICIT),
        (&[PRIVATE, JPEG], JPEG),
        (&[PRIVATE], PRIVATE),
        (&[NEWER, PRIVATE], NEWER),
        (&["", PRIVATE], PRIVATE),
    ] {
        assert_eq!(outcome(CT, offered), accepted(expected), "{offered:?}");
    }
}

#[test]
fn verification_and_find_take_what_can_be_read() {
    for service in [model::sop::VERIFICATION, FIND] {
        for (offered, expected) in [
            (&[IMPLICIT][..], Some(IMPLICIT)),
            (&[BIG], Some(BIG)),
            (&[DEFLATED], Some(DEFLATED)),
            (&[JPEG, IMPLICIT], Some(IMPLICIT)),
            (&[IMPLICIT, EXPLICIT], Some(EXPLICIT)),
            (&[JPEG, PRIVATE], None),
            (&[PRIVATE], None),
        ] {
            let expected = expected.map_or(ContextOutcome::TransferSyntaxesNotSupported, accepted);
            assert_eq!(outcome(service, offered), expected, "{offered:?}");
        }
    }
}

#[test]
fn refuses_by_the_reason_that_comes_first() {
    assert_eq!(outcome("1.2.840.10008.3.1.2.3.3", &[IMPLICIT]), ContextOutcome::AbstractSyntaxNotSupported);
    assert_eq!(outcome("1.2.840.10008.3.1.2.3.3", &[JPEG]), ContextOutcome::AbstractSyntaxNotSupported);
    assert_eq!(outcome(CT, &[]), ContextOutcome::TransferSyntaxesNotSupported);
    assert_eq!(outcome(CT, &[""]), ContextOutcome::TransferSyntaxesNotSupported);
}

#[test]
fn rejects_even_presentation_context_id_and_answers_a_repeated_one_once() {
    let context = |id, uid: &str| ProposedContext {
        id,
        abstract_syntax: CT.into(),
        transfer_syntaxes: vec![uid.to_owned()],
    };
    let mut rq = request(0);
    rq.contexts = vec![context(2, IMPLICIT), context(3, JPEG), context(3, IMPLICIT), context(0, IMPLICIT)];
    let answers = negotiate(&rq, services).contexts;
    let answers: Vec<_> = answers.into_iter().map(|answer| (answer.id, answer.outcome)).collect();
    assert_eq!(answers, [(2, ContextOutcome::NoReason), (3, accepted(JPEG)), (0, ContextOutcome::NoReason)]);
}

#[test]
fn answers_128_contexts_of_all_transfer_syntaxes_within_the_limit() {
    let unknown = (1..58).map(|n| format!("1.2.840.10008.1.2.4.999.{n:02}"));
    let syntaxes: Vec<String> = unknown.chain([EXPLICIT.to_owned()]).collect();
    assert!(syntaxes.len() == 58 && syntaxes[0].len() == 26);
    let class = format!("1.2.276.{}", "1".repeat(56));
    let mut rq = request(0);
    rq.contexts = ProposedContext::numbered((0..128).map(|_| (class.clone(), syntaxes.clone()))).unwrap();
    rq.roles =
        Vec::from_iter((0..128).map(|_| RoleSelection { sop_class: class.clone(), scu: true, scp: false }));
    assert_eq!(rq.contexts[127].id, 255);
    let pdu = rq.to_pdu().unwrap();
    assert!(pdu.len() - 6 <= model::limits::ASSOCIATE_PDU_BYTES as usize);
    assert_eq!(AssociateRq::from_body(&pdu[6..]).unwrap().contexts, rq.contexts);
    let answer = negotiate(&rq, services);
    assert!(answer.contexts.iter().all(|context| context.outcome == accepted(EXPLICIT)));
    let ac = AssociateAc::answer(&rq, answer.contexts, answer.roles, 0, Implementation::default());
    assert_eq!(AssociateAc::from_body(&ac.to_pdu().unwrap()[6..]).unwrap().contexts.len(), 128);
    assert!(ProposedContext::numbered((0..129).map(|_| (String::new(), Vec::new()))).is_err());
}

#[test]
fn grants_the_roles_that_the_service_has() {
    let role = |sop_class: &str, scu, scp| RoleSelection { sop_class: sop_class.to_owned(), scu, scp };
    for (proposed, granted, is_accepted) in [
        (vec![], vec![], true),
        (vec![role(CT, true, false)], vec![role(CT, true, false)], true),
        (vec![role(CT, true, true)], vec![role(CT, true, true)], true),
        (vec![role(CT, false, true)], vec![role(CT, false, true)], true),
        (vec![role(CT, false, false)], vec![], false),
        (vec![role(CT, true, false), role(CT, true, true)], vec![role(CT, true, false)], true),
        (vec![role("1.2.3", true, true)], vec![], true),
    ] {
        let mut rq = request(0);
        rq.roles = proposed.clone();
        let answer = negotiate(&rq, services);
        assert_eq!(answer.roles, granted, "{proposed:?}");
        assert_eq!(answer.contexts[0].outcome, accepted(IMPLICIT), "Verification has no role item");
        let expected = if is_accepted { accepted(EXPLICIT) } else { ContextOutcome::UserRejection };
        assert_eq!(answer.contexts[1].outcome, expected, "{proposed:?}");
    }
}

#[test]
fn grants_either_role_where_who_was_asked_reports_later() {
    let syntaxes = vec![IMPLICIT.to_owned(), EXPLICIT.to_owned()];
    for (proposed, granted) in [
        (None, None),
        (Some((true, false)), Some((true, false))),
        (Some((false, true)), Some((false, true))),
        (Some((true, true)), Some((true, true))),
        (Some((false, false)), None),
    ] {
        let role = |(scu, scp)| RoleSelection { sop_class: COMMITMENT.to_owned(), scu, scp };
        let mut rq = request(0);
        rq.contexts = ProposedContext::numbered([(COMMITMENT.to_owned(), syntaxes.clone())]).unwrap();
        rq.roles = proposed.map(role).into_iter().collect();
        let answer = negotiate(&rq, services);
        assert_eq!(answer.roles, granted.map(role).into_iter().collect::<Vec<_>>(), "{proposed:?}");
        let is_nobody = proposed == Some((false, false));
        let expected = if is_nobody { ContextOutcome::UserRejection } else { accepted(EXPLICIT) };
        assert_eq!(answer.contexts[0].outcome, expected, "{proposed:?}");
    }
    assert_eq!(outcome(COMMITMENT, &[JPEG]), ContextOutcome::TransferSyntaxesNotSupported);
}

#[test]
fn whoever_asks_is_not_asked() {
    let role = |scu, scp| RoleSelection { sop_class: FIND.to_owned(), scu, scp };
    for (proposed, granted) in [
        (role(true, false), Some(role(true, false))),
        (role(true, true), Some(role(true, false))),
        (role(false, true), None),
        (role(false, false), None),
    ] {
        let mut rq = request(0);
        rq.contexts = ProposedContext::numbered([(FIND.to_owned(), vec![IMPLICIT.to_owned()])]).unwrap();
        rq.roles = vec![proposed.clone()];
        let answer = negotiate(&rq, services);
        let expected = if granted.is_some() { accepted(IMPLICIT) } else { ContextOutcome::UserRejection };
        assert_eq!(answer.contexts[0].outcome, expected, "{proposed:?}");
        assert_eq!(answer.roles, Vec::from_iter(granted), "{proposed:?}");
    }
}

#[test]
fn what_a_requestor_only_gets_suits_what_is_stored() {
    const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
    /// There are a thousand instances in the transfer syntax behind this.
    const MANY: &str = "many";
    /// Native from everything but what is private; JPEG from nothing else; JPEG 2000 from what was not lossy.
    fn can_become(from: &str, to: &str) -> bool {
        let is_native = matches!(to, IMPLICIT | EXPLICIT | BIG | DEFLATED);
        from != PRIVATE && (is_native || (to == JPEG_2000 && from != JPEG))
    }
    let sets = |sets: &[&[&str]]| -> Vec<Vec<String>> {
        sets.iter().map(|set| set.iter().map(|uid| (*uid).to_owned()).collect()).collect()
    };
    for (stored, offered, expected) in [
        // What is stored, before what it can be made.
        (&[JPEG][..], &[&[EXPLICIT, JPEG, IMPLICIT][..]][..], &[JPEG][..]),
        (&[JPEG_2000], &[&[IMPLICIT, EXPLICIT, JPEG_2000]], &[JPEG_2000]),
        (&[PRIVATE], &[&[EXPLICIT, PRIVATE]], &[PRIVATE]),
        // Most of it.
        (&[JPEG, EXPLICIT], &[&[JPEG, IMPLICIT]], &[IMPLICIT]),
        (&[JPEG, EXPLICIT], &[&[JPEG, IMPLICIT, EXPLICIT]], &[EXPLICIT]),
        (&[EXPLICIT, JPEG_2000], &[&[JPEG_2000, EXPLICIT]], &[JPEG_2000]),
        (&[EXPLICIT, IMPLICIT], &[&[IMPLICIT, EXPLICIT]], &[EXPLICIT]),
        // Most of the instances, not of their transfer syntaxes.
        (&[MANY, EXPLICIT, JPEG], &[&[JPEG, EXPLICIT]], &[EXPLICIT]),
        (&[MANY, EXPLICIT, PRIVATE, JPEG], &[&[PRIVATE, JPEG, IMPLICIT]], &[IMPLICIT]),
        (&[MANY, EXPLICIT, JPEG_2000], &[&[JPEG_2000, EXPLICIT]], &[EXPLICIT]),
        (&[MANY, JPEG_2000, EXPLICIT], &[&[EXPLICIT, JPEG_2000]], &[JPEG_2000]),
        (&[MANY, IMPLICIT, JPEG_2000], &[&[JPEG_2000, EXPLICIT]], &[EXPLICIT]),
        (&[MANY, EXPLICIT, JPEG_2000], &[&[EXPLICIT], &[EXPLICIT, JPEG_2000]], &[EXPLICIT, JPEG_2000]),
        // The best that can be made, else the first.
        (&[RLE], &[&[JPEG_2000, IMPLICIT, EXPLICIT]], &[EXPLICIT]),
        (&[RLE], &[&[JPEG_2000, IMPLICIT]], &[JPEG_2000]),
        // Each context something else.
        (&[EXPLICIT, JPEG], &[&[JPEG, EXPLICIT], &[JPEG, EXPLICIT]], &[EXPLICIT, JPEG]),
        (&[JPEG], &[&[JPEG], &[JPEG, IMPLICIT]], &[JPEG, JPEG]),
        // As for what is stored where nothing is, or nothing of it can be sent.
        (&[], &[&[IMPLICIT, JPEG, EXPLICIT]], &[EXPLICIT]),
        (&[PRIVATE], &[&[IMPLICIT, JPEG]], &[IMPLICIT]),
    ] {
        for (scu, scp) in [(false, true), (true, true), (true, false)] {
            let mut rq = request(0);
            let contexts = sets(offered).into_iter().map(|syntaxes| (CT.to_owned(), syntaxes));
            rq.contexts = ProposedContext::numbered(contexts).unwrap();
            rq.roles = vec![RoleSelection { sop_class: CT.to_owned(), scu, scp }];
            let stored = |class: &str| {
                assert_eq!(class, CT);
                let before = std::iter::once(&"").chain(stored);
                let counted = stored.iter().zip(before).filter(|(uid, _)| **uid != MANY);
                counted
                    .map(|(uid, before)| ((*uid).to_owned(), if *before == MANY { 1000 } else { 1 }))
                    .collect()
            };
            let wishes = Wishes { preferred: &[], stored: &stored, can_become };
            let found: Vec<_> =
                negotiate_for(&rq, wishes, services).contexts.into_iter().map(|one| one.outcome).collect();
            let expected: Vec<_> = match scu {
                false => expected.iter().map(|uid| accepted(uid)).collect(),
                true => offered.iter().map(|offered| outcome(CT, offered)).collect(),
            };
            assert_eq!(found, expected, "{:?} {offered:?}", stored(CT));
        }
    }
}

#[test]
fn rejects_for_good_before_it_rejects_for_now() {
    let rq = request(0);
    let all = Admission { is_calling_known: true, is_called_ours: true, is_user_known: true, has_room: true };
    let no_room = Admission { has_room: false, ..all };
    let nobody = Admission { is_user_known: false, ..no_room };
    let unknown = Admission { is_calling_known: false, ..nobody };
    let wrong = Admission { is_called_ours: false, ..unknown };
    let other = AssociateRq { application_context: "1.2.3".into(), ..rq.clone() };
    let old = AssociateRq { protocol_version: 4, ..other.clone() };
    for (rq, admission, answer) in [
        (&rq, all, Ok(())),
        (&rq, no_room, Err(AssociateRj { result: 2, source: 3, reason: 2 })),
        (&rq, nobody, Err(AssociateRj { result: 1, source: 2, reason: 1 })),
        (&rq, unknown, Err(AssociateRj { result: 1, source: 1, reason: 3 })),
        (&rq, wrong, Err(AssociateRj { result: 1, source: 1, reason: 7 })),
        (&other, wrong, Err(AssociateRj { result: 1, source: 1, reason: 2 })),
        (&old, wrong, Err(AssociateRj { result: 1, source: 2, reason: 2 })),
    ] {
        assert_eq!(acceptable(rq, admission), answer);
    }
}
