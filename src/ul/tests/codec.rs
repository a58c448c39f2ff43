//! Golden PDUs, round trips, and bytes that are no PDUs at all.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use ul::pdu::{
    Abort, AssociateAc, AssociateRj, AssociateRq, ContextOutcome, ContextResult, Implementation,
    ProposedContext, RELEASE_RP, RELEASE_RQ, RoleSelection, Titles,
};
use ul::{Association, Event, Violation, fuzz_answer, fuzz_pdu, pdata};

use crate::support::{ARTIM, CT, EXPLICIT, End, IMPLICIT, golden, request, seconds};

const DEFLATED: &str = model::syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
const BIG: &str = model::syntax::EXPLICIT_VR_BIG_ENDIAN;
const GOLDEN: [&str; 10] = [
    "associate-rq.hex",
    "associate-rq-dcmtk.hex",
    "associate-rq-pynetdicom.hex",
    "associate-rq-odd.hex",
    "associate-ac-pynetdicom.hex",
    "associate-rj.hex",
    "release-rq.hex",
    "release-rp.hex",
    "abort.hex",
    "p-data-tf.hex",
];

fn title(text: &str) -> model::AeTitle {
    model::AeTitle::parse(text).unwrap()
}

fn context(id: u8, abstract_syntax: &str, transfer_syntaxes: &[&str]) -> ProposedContext {
    let transfer_syntaxes = transfer_syntaxes.iter().map(|uid| (*uid).to_owned()).collect();
    ProposedContext { id, abstract_syntax: abstract_syntax.into(), transfer_syntaxes }
}

fn implementation(class_uid: &str, version_name: &str) -> Implementation {
    Implementation { class_uid: Some(class_uid.into()), version_name: Some(version_name.into()) }
}

#[test]
fn writes_and_reads_our_own_request() {
    let contexts = vec![
        context(1, "1.2.840.10008.1.1", &[IMPLICIT]),
        context(3, CT, &[EXPLICIT, IMPLICIT]),
        context(5, "1.2.840.10008.5.1.4.1.1.4", &[EXPLICIT]),
        context(7, "1.2.840.10008.1.1", &["1.2.840.10008.1.2.4.50"]),
    ];
    let ours = implementation("2.25.311406923127394312903271340126428034163", "GANTRY_0_1");
    let titles = Titles::new(&title("PYACCEPTOR"), &title("GANTRY"));
    let mut rq = AssociateRq::new(titles, contexts, 131_072, ours);
    rq.roles = vec![RoleSelection { sop_class: CT.into(), scu: true, scp: false }];
    let bytes = golden("associate-rq.hex");
    assert_eq!(rq.to_pdu().unwrap(), bytes);
    assert_eq!(AssociateRq::from_body(&bytes[6..]).unwrap(), rq);
}

#[test]
fn reads_requests_of_dcmtk_and_pynetdicom() {
    let rq = AssociateRq::from_body(&golden("associate-rq-dcmtk.hex")[6..]).unwrap();
    assert_eq!((rq.titles.called(), rq.titles.calling()), (Some(title("GANTRY")), Some(title("MODALITY1"))));
    assert_eq!(rq.contexts, [context(1, "1.2.840.10008.1.1", &[IMPLICIT])]);
    assert_eq!(rq.max_pdu_bytes, 16_384);
    assert_eq!(rq.implementation, implementation("1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367"));

    let rq = AssociateRq::from_body(&golden("associate-rq-pynetdicom.hex")[6..]).unwrap();
    assert_eq!(rq.contexts[1], context(3, CT, &[IMPLICIT, EXPLICIT, DEFLATED, BIG]));
    assert_eq!(rq.max_pdu_bytes, 16_382);
    assert_eq!(rq.roles, [RoleSelection { sop_class: CT.into(), scu: false, scp: true }]);
    assert_eq!(rq.implementation.version_name.as_deref(), Some("PYNETDICOM_304"));
    assert!(!format!("{rq:?}").contains("secret"), "a password is not shown");
}

#[test]
fn reads_an_answer_of_pynetdicom() {
    let ac = AssociateAc::from_body(&golden("associate-ac-pynetdicom.hex")[6..]).unwrap();
    let outcomes: Vec<_> = ac.contexts.into_iter().map(|context| (context.id, context.outcome)).collect();
    let implicit = ContextOutcome::Accepted { transfer_syntax: IMPLICIT.into() };
    assert_eq!(
        outcomes,
        [
            (1, implicit.clone()),
            (3, implicit),
            (5, ContextOutcome::AbstractSyntaxNotSupported),
            (7, ContextOutcome::TransferSyntaxesNotSupported),
        ]
    );
    assert_eq!(ac.max_pdu_bytes, 16_382);
    assert_eq!(ac.roles, [RoleSelection { sop_class: CT.into(), scu: true, scp: false }]);
}

#[test]
fn takes_a_request_that_is_odd_but_readable_and_returns_its_fields() {
    let bytes = golden("associate-rq-odd.hex");
    let rq = AssociateRq::from_body(&bytes[6..]).unwrap();
    assert_eq!(rq.titles.called(), Some(title("GANTRY")));
    assert_eq!(rq.titles.calling(), None, "not ISO 646");
    assert_eq!(rq.application_context, ul::pdu::APPLICATION_CONTEXT);
    assert_eq!(
        rq.contexts,
        [context(1, "1.2.840.10008.5.1.4.1.1.7", &[EXPLICIT, ""]), context(2, "1.2.840.10008.1.1", &[])]
    );
    assert_eq!((rq.max_pdu_bytes, rq.implementation.clone()), (0, Implementation::default()));
    let ac = AssociateAc::answer(&rq, Vec::new(), Vec::new(), 0, Implementation::default()).to_pdu().unwrap();
    assert_eq!(ac[10..74], bytes[10..74]);
}

#[test]
fn pdus_of_fixed_size_have_the_bytes_of_the_standard() {
    assert_eq!(AssociateRj::CALLING_AE_TITLE.to_pdu(), golden("associate-rj.hex")[..]);
    assert_eq!(RELEASE_RQ, golden("release-rq.hex")[..]);
    assert_eq!(RELEASE_RP, golden("release-rp.hex")[..]);
    let abort = Abort::provider(ul::pdu::AbortReason::InvalidPduParameterValue);
    assert_eq!(abort.to_pdu(), golden("abort.hex")[..]);
    assert_eq!(pdata::header(1, true, true, 68), golden("p-data-tf.hex")[..12]);
}

#[test]
fn reads_a_rejected_context_without_a_transfer_syntax() {
    let ac = |result: u8| {
        let mut bytes = vec![0; 68];
        bytes[1] = 1;
        bytes.extend([0x21, 0, 0, 4, 9, 0, result, 0]);
        AssociateAc::from_body(&bytes).map(|ac| ac.contexts)
    };
    assert_eq!(ac(1), Ok(vec![ContextResult { id: 9, outcome: ContextOutcome::UserRejection }]));
    assert_eq!(ac(77), Ok(vec![ContextResult { id: 9, outcome: ContextOutcome::NoReason }]));
    assert_eq!(ac(0), Err(Violation::Malformed("no Transfer Syntax Sub-Item")));
}

#[test]
fn refuses_requests_whose_lengths_do_not_agree() {
    let fixed = [&[0, 1][..], &[0; 66]].concat();
    let body = |items: &[u8]| [&fixed, items].concat();
    for (items, fault) in [
        (&[0x10, 0, 0][..], "an item is longer than what holds it"),
        (&[0x10, 0, 0, 5, b'1'], "an item is longer than what holds it"),
        (&[0x20, 0, 0, 3, 1, 0, 0], "Presentation Context Item"),
        (&[0x20, 0, 0, 4, 1, 0, 0, 0], "no Abstract Syntax Sub-Item"),
        (&[0x20, 0, 0, 8, 1, 0, 0, 0, 0x30, 0, 0, 9], "an item is longer than what holds it"),
        (&[0x50, 0, 0, 7, 0x51, 0, 0, 3, 0, 0, 9], "Maximum-length-received"),
        (&[0x50, 0, 0, 8, 0x51, 0, 0, 4, 0, 0, 0, 7], "Maximum-length-received"),
        (&[0x50, 0, 0, 7, 0x54, 0, 0, 3, 0, 1, b'1'], "SCP/SCU Role Selection Sub-Item"),
        (&[0x50, 0, 0, 6, 0x54, 0, 0, 2, 0, 9], "SCP/SCU Role Selection Sub-Item"),
    ] {
        assert_eq!(AssociateRq::from_body(&body(items)), Err(Violation::Malformed(fault)), "{items:?}");
    }
    assert_eq!(AssociateRq::from_body(&fixed[..67]), Err(Violation::Malformed("fixed fields cut short")));
    let many: Vec<u8> = [0x20, 0, 0, 8, 1, 0, 0, 0, 0x30, 0, 0, 0].repeat(129);
    let fault = Violation::Malformed("more presentation contexts than ids");
    assert_eq!(AssociateRq::from_body(&body(&many)), Err(fault));
    assert_eq!(AssociateRq::from_body(&body(&many[..128 * 12])).unwrap().contexts.len(), 128);
}

#[test]
fn refuses_to_write_what_no_field_can_hold() {
    let refused = |change: fn(&mut AssociateRq)| {
        let mut rq = request(0);
        change(&mut rq);
        rq.to_pdu().is_err()
    };
    assert!(!refused(|rq| rq.contexts[0].abstract_syntax = "1".repeat(65)));
    assert!(refused(|rq| rq.contexts[0].abstract_syntax = "1".repeat(65_520)));
    assert!(refused(|rq| rq.contexts[0].transfer_syntaxes = vec!["1".repeat(60); 1100]));
    assert!(refused(|rq| rq.application_context = "\u{4E00}".into()));
    assert!(refused(|rq| rq.implementation.version_name = Some("12345678901234567".into())));
    assert!(refused(|rq| {
        rq.roles = vec![RoleSelection { sop_class: "1".repeat(64), scu: true, scp: true }; 1000];
    }));
}

#[test]
fn agrees_with_dicom_ul_about_ordinary_pdus() {
    use dicom_ul::pdu::{Pdu, UserVariableItem, read_pdu};
    for name in ["associate-rq.hex", "associate-rq-dcmtk.hex", "associate-rq-pynetdicom.hex"] {
        let bytes = golden(name);
        let Ok(Some(Pdu::AssociationRQ(theirs))) = read_pdu(&bytes[..], 1 << 20, true) else {
            panic!("{name}");
        };
        let ours = AssociateRq::from_body(&bytes[6..]).unwrap();
        assert_eq!(ours.titles.called(), Some(title(&theirs.called_ae_title)));
        assert_eq!(ours.titles.calling(), Some(title(&theirs.calling_ae_title)));
        assert_eq!(ours.application_context, theirs.application_context_name);
        let contexts = theirs.presentation_contexts.into_iter();
        let contexts: Vec<_> = contexts
            .map(|context| (context.id, context.abstract_syntax, context.transfer_syntaxes))
            .collect();
        let own = ours.contexts.into_iter();
        let own: Vec<_> =
            own.map(|context| (context.id, context.abstract_syntax, context.transfer_syntaxes)).collect();
        assert_eq!(own, contexts);
        assert!(theirs.user_variables.contains(&UserVariableItem::MaxLength(ours.max_pdu_bytes)));
    }
}

/// Why the reader is our own: should one of these begin to fail, it may no longer be needed.
#[test]
fn dicom_ul_still_refuses_what_is_to_be_taken() {
    use dicom_ul::pdu::read_pdu;
    assert!(read_pdu(&golden("associate-rq-odd.hex")[..], 1 << 20, true).is_err());
    let mut rejected = [&[2, 0, 0, 0, 0, 101, 0, 1][..], &[0; 66]].concat();
    rejected.extend([0x10, 0, 0, 21]);
    rejected.extend(ul::pdu::APPLICATION_CONTEXT.bytes());
    rejected.extend([0x21, 0, 0, 4, 1, 0, 3, 0]);
    assert!(AssociateAc::from_body(&rejected[6..]).is_ok());
    assert!(read_pdu(&rejected[..], 1 << 20, true).is_err());
}

#[test]
fn fuzz_function_takes_the_golden_pdus_whole_and_cut() {
    for name in GOLDEN {
        let bytes = golden(name);
        for length in 0..bytes.len() {
            let chunked: Vec<u8> =
                bytes[..length].chunks(97).flat_map(|chunk| [&[97][..], chunk].concat()).collect();
            fuzz_pdu(&chunked);
            fuzz_answer(&chunked);
        }
    }
}

#[test]
fn chunks_do_not_matter_to_golden_sessions() {
    let session = [
        golden("associate-rq-dcmtk.hex"),
        golden("p-data-tf.hex"),
        golden("p-data-tf.hex"),
        golden("release-rq.hex"),
    ]
    .concat();
    let whole = observe(&session, &[session.len()]);
    assert_eq!(observe(&session, &[1]), whole);
    assert_eq!(observe(&session, &[5, 1, 300]), whole);
}

/// What came of a session.
#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<Event>,
    data: Vec<(ul::Pdv, Vec<u8>)>,
    output: Vec<u8>,
    state: ul::State,
}

/// Lets an acceptor have these bytes, in chunks of these lengths again and again.
fn observe(bytes: &[u8], chunks: &[usize]) -> Seen {
    let mut end = End::new(Association::acceptor(ARTIM));
    let mut rest = bytes;
    let mut chunks = chunks.iter().cycle();
    while let (false, Some(chunk)) = (rest.is_empty(), chunks.next()) {
        let (now, later) = rest.split_at((*chunk).min(rest.len()));
        end.feed_and(now, seconds(1), |association, event| {
            if let Event::AssociateRequested(rq) = event {
                association.accept(&crate::support::answer(rq, 16_384)).unwrap();
            }
        });
        rest = later;
    }
    let output = end.association.output().to_vec();
    Seen { events: end.take_events(), output, state: end.association.state(), data: end.data }
}

fn text(most: usize) -> impl Strategy<Value = String> {
    vec("[0-9.A-Za-z\u{a1}-\u{ff}]", 0..=most).prop_map(|parts| parts.concat())
}

fn any_implementation() -> impl Strategy<Value = Implementation> {
    let some = |most| option::of(text(most).prop_filter("written as absent", |text| !text.is_empty()));
    (some(64), some(16)).prop_map(|(class_uid, version_name)| Implementation { class_uid, version_name })
}

fn any_roles() -> impl Strategy<Value = Vec<RoleSelection>> {
    let role = (text(64), any::<bool>(), any::<bool>());
    vec(role.prop_map(|(sop_class, scu, scp)| RoleSelection { sop_class, scu, scp }), 0..4)
}

fn any_request() -> impl Strategy<Value = AssociateRq> {
    let context = (any::<u8>(), text(64), vec(text(64), 0..5));
    let context = context.prop_map(|(id, abstract_syntax, transfer_syntaxes)| ProposedContext {
        id,
        abstract_syntax,
        transfer_syntaxes,
    });
    let max = prop_oneof![Just(0), 8..u32::MAX];
    (any::<u16>(), text(64), vec(context, 0..20), max, any_implementation(), any_roles()).prop_map(
        |(protocol_version, application_context, contexts, max_pdu_bytes, implementation, roles)| {
            AssociateRq {
                protocol_version,
                application_context,
                roles,
                ..AssociateRq::new(request(0).titles, contexts, max_pdu_bytes, implementation)
            }
        },
    )
}

fn any_result() -> impl Strategy<Value = ContextResult> {
    let outcome = prop_oneof![
        text(64).prop_map(|transfer_syntax| ContextOutcome::Accepted { transfer_syntax }),
        Just(ContextOutcome::UserRejection),
        Just(ContextOutcome::NoReason),
        Just(ContextOutcome::AbstractSyntaxNotSupported),
        Just(ContextOutcome::TransferSyntaxesNotSupported),
    ];
    (any::<u8>(), outcome).prop_map(|(id, outcome)| ContextResult { id, outcome })
}

proptest! {
    #[test]
    fn a_request_survives_the_wire(rq in any_request()) {
        let bytes = rq.to_pdu().unwrap();
        prop_assert_eq!(u32::from_be_bytes(bytes[2..6].try_into().unwrap()) as usize, bytes.len() - 6);
        prop_assert_eq!(AssociateRq::from_body(&bytes[6..]).unwrap(), rq);
    }

    #[test]
    fn an_answer_survives_the_wire(rq in any_request(), contexts in vec(any_result(), 0..20)) {
        let ac = AssociateAc::answer(&rq, contexts, rq.roles.clone(), rq.max_pdu_bytes, rq.implementation.clone());
        let bytes = ac.to_pdu().unwrap();
        prop_assert_eq!(AssociateAc::from_body(&bytes[6..]).unwrap(), ac);
    }

    #[test]
    fn bytes_never_panic(data in vec(any::<u8>(), 0..2000)) {
        let _read = (AssociateRq::from_body(&data), AssociateAc::from_body(&data));
        fuzz_pdu(&data);
    }

    /// Mostly valid sessions with a few bytes changed reach deeper than noise does.
    #[test]
    fn changed_bytes_never_panic_and_chunks_never_matter(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        chunks in vec(1_usize..400, 1..8),
        order in vec(0_usize..GOLDEN.len(), 1..6),
    ) {
        let rest = order.iter().map(|at| golden(GOLDEN[*at]));
        let mut session: Vec<u8> = std::iter::once(golden("associate-rq-dcmtk.hex")).chain(rest).flatten().collect();
        for (at, byte) in changes {
            let at = at.index(session.len());
            session[at] = byte;
        }
        prop_assert_eq!(observe(&session, &chunks), observe(&session, &[session.len()]));
        let mut end = End::new(Association::requestor(request(0), ARTIM).unwrap());
        end.association.connected().unwrap();
        end.feed(&session, seconds(1));
        let framed: Vec<u8> = session.chunks(200).flat_map(|chunk| [&[200][..], chunk].concat()).collect();
        fuzz_pdu(&framed);
        fuzz_answer(&framed);
    }

    #[test]
    fn fragments_add_up_and_keep_the_limit(max in prop_oneof![Just(0), 8..1_000_000_u32], bytes in 0..5_000_000_u64) {
        prop_assume!(max == 0 || bytes / u64::from(max) < 10_000);
        let fragments: Vec<_> = pdata::fragments(max, bytes).collect();
        prop_assert_eq!(fragments.iter().map(|fragment| u64::from(fragment.bytes)).sum::<u64>(), bytes);
        let limit = if max == 0 { u32::MAX } else { max }.min(model::limits::SENT_PDU_BYTES);
        prop_assert!(fragments.iter().all(|fragment| fragment.bytes + 6 <= limit));
        let (last, before) = fragments.split_last().unwrap();
        prop_assert!(last.is_last && before.iter().all(|fragment| !fragment.is_last && fragment.bytes % 2 == 0));
    }
}
