//! What a peer may not do, and that it costs nothing: every judgement falls on the header, before the rest has come.

use bytes::{Buf, BytesMut};
use model::limits;
use ul::pdu::{Abort, AbortReason};
use ul::{Association, Event, Pdv, State, Violation, pdata};

use crate::support::{ARTIM, End, Pair, request, seconds};

/// An acceptor that announced 131,072 and accepted contexts 1 and 3.
fn established() -> End {
    Pair::established(1_000_000).acceptor
}

fn violation(end: &mut End, bytes: &[u8]) -> Violation {
    end.feed(bytes, seconds(2));
    match end.take_events().pop() {
        Some(Event::ProtocolError(violation)) => violation,
        other => panic!("{other:?}"),
    }
}

fn aborts(end: &mut End, bytes: &[u8], expected: Violation, reason: AbortReason) {
    assert_eq!(violation(end, bytes), expected);
    assert_eq!(end.association.state(), State::Sta13);
    assert_eq!(end.association.output().split().as_ref(), Abort::provider(reason).to_pdu());
    assert_eq!(end.association.timeout(), Some(seconds(2) + ARTIM));
    // Whatever still comes of the PDU is dropped without a further word.
    end.feed(&[0xFF; 10_000], seconds(3));
    assert!(end.take_events().is_empty() && end.data.is_empty());
}

#[test]
fn refuses_data_over_the_announced_maximum_by_its_header() {
    let mut end = established();
    let length = 131_073;
    let header = [4, 0, 0, 2, 0, 1];
    aborts(
        &mut end,
        &header,
        Violation::PduLength { pdu: "P-DATA-TF", length },
        AbortReason::InvalidPduParameterValue,
    );
    let mut end = established();
    end.feed(&[4, 0, 0, 2, 0, 0], seconds(2));
    assert!(end.take_events().is_empty(), "the maximum itself is allowed");
}

#[test]
fn refuses_an_association_pdu_over_the_limit_by_its_header() {
    for (pdu, kind) in [("A-ASSOCIATE-RQ", 1), ("A-ASSOCIATE-AC", 2)] {
        let length = limits::ASSOCIATE_PDU_BYTES + 1;
        let mut end = End::new(Association::acceptor(ARTIM));
        let [a, b, c, d] = length.to_be_bytes();
        assert_eq!(violation(&mut end, &[kind, 0, a, b, c, d]), Violation::PduLength { pdu, length });
        assert_eq!(end.association.output().split().as_ref(), Abort::user().to_pdu(), "AA-1");
    }
}

#[test]
fn refuses_a_request_with_more_transfer_syntaxes_than_can_be_meant() {
    for (count, is_taken) in [(limits::TRANSFER_SYNTAXES, true), (limits::TRANSFER_SYNTAXES + 1, false)] {
        let mut rq = request(0);
        rq.contexts[0].transfer_syntaxes = vec!["1".to_owned(); count];
        let mut end = End::new(Association::acceptor(ARTIM));
        end.feed(&rq.to_pdu().unwrap(), seconds(1));
        let event = end.take_events().pop();
        if is_taken {
            assert_eq!(event, Some(Event::AssociateRequested(Box::new(rq))));
        } else {
            let violation = Violation::Malformed("too many transfer syntaxes");
            assert_eq!(event, Some(Event::ProtocolError(violation)));
            assert_eq!(end.association.output().split().as_ref(), Abort::user().to_pdu(), "AA-1");
        }
    }
}

#[test]
fn waits_for_a_request_within_the_limit_without_taking_room_for_it() {
    let mut association = Association::acceptor(ARTIM);
    let mut input = BytesMut::from(&[1, 0, 0, 4, 0, 0][..]);
    assert_eq!(association.receive(&mut input, seconds(1)), None);
    assert_eq!(input.len(), 6);
    assert!(input.capacity() < 100);
    assert_eq!(association.timeout(), Some(ARTIM));
}

#[test]
fn refuses_pdus_of_a_fixed_size_that_have_another() {
    for (kind, pdu) in [(3, "A-ASSOCIATE-RJ"), (5, "A-RELEASE-RQ"), (6, "A-RELEASE-RP"), (7, "A-ABORT")] {
        for length in [0_u32, 3, 5, 0xFFFF_FFFF] {
            let [a, b, c, d] = length.to_be_bytes();
            let violation = Violation::PduLength { pdu, length };
            let mut end = established();
            aborts(&mut end, &[kind, 0, a, b, c, d], violation, AbortReason::InvalidPduParameterValue);
        }
    }
}

#[test]
fn refuses_pdu_types_that_do_not_exist() {
    for kind in [0, 8, 0x47, 0xFF] {
        let violation = Violation::UnrecognizedPdu(kind);
        let mut end = established();
        aborts(&mut end, &[kind, 0, 0x20, 0x2F, 0x20, 0x48], violation, AbortReason::UnrecognizedPdu);
    }
}

#[test]
fn refuses_pdvs_that_do_not_fit_their_pdu() {
    let pdv =
        |pdu: u32, length: u32| [&[4, 0][..], &pdu.to_be_bytes(), &length.to_be_bytes(), &[1, 0]].concat();
    // Shorter than its own fields; longer than the PDU; leaving a rest that cannot hold another.
    for (pdu, length) in [(100, 0), (100, 1), (100, 97), (100, u32::MAX), (6, 3), (100, 92), (100, 95)] {
        let violation = Violation::PdvLength { length };
        aborts(&mut established(), &pdv(pdu, length), violation, AbortReason::InvalidPduParameterValue);
    }
    for length in [0, 1, 5] {
        let violation = Violation::PduLength { pdu: "P-DATA-TF", length };
        let bytes = pdv(length, 2);
        aborts(&mut established(), &bytes[..6], violation, AbortReason::InvalidPduParameterValue);
    }
}

#[test]
fn refuses_data_on_contexts_that_were_not_accepted() {
    for id in [0, 2, 5, 255] {
        let bytes = pdata::header(id, true, true, 4);
        let violation = Violation::PresentationContext(id);
        aborts(&mut established(), &bytes, violation, AbortReason::InvalidPduParameterValue);
    }
}

#[test]
fn takes_several_fragments_in_a_pdu_odd_and_empty_ones_too() {
    let pdvs: [&[u8]; 4] = [
        &[0, 0, 0, 5, 1, 1, 7, 8, 9],
        &[0, 0, 0, 2, 1, 3],
        &[0, 0, 0, 3, 3, 0xFC, 5], // bits that the standard leaves reserved are not looked at
        &[0, 0, 0, 2, 3, 2],
    ];
    let body = pdvs.concat();
    let pdu = [&[4, 0, 0, 0, 0, body.len() as u8][..], &body].concat();
    for chunk in [1, 2, 1000] {
        let mut end = established();
        for bytes in pdu.chunks(chunk) {
            end.feed(bytes, seconds(2));
        }
        let pdv = |context_id, is_command, is_last, bytes| Pdv { context_id, is_command, is_last, bytes };
        assert_eq!(
            end.data,
            [
                (pdv(1, true, false, 3), vec![7, 8, 9]),
                (pdv(1, true, true, 0), vec![]),
                (pdv(3, false, false, 1), vec![5]),
                (pdv(3, false, true, 0), vec![]),
            ]
        );
        assert!(end.events.is_empty());
    }
}

#[test]
fn consumes_nothing_of_the_data_and_keeps_nothing() {
    let mut end = established();
    let mut input = BytesMut::from(&pdata::header(3, false, true, 100_000)[..]);
    input.extend_from_slice(b"the first bytes of the data");
    let pdv = Pdv { context_id: 3, is_command: false, is_last: true, bytes: 100_000 };
    assert_eq!(end.association.receive(&mut input, seconds(2)), Some(Event::Data(pdv)));
    assert_eq!(input.as_ref(), b"the first bytes of the data");
}

#[test]
fn stays_quiet_about_the_rest_of_a_pdu_after_its_own_abort() {
    let mut end = established();
    let pdu = [4, 0, 0, 0, 0, 14, 0, 0, 0, 3, 3, 0, 1, 0, 0, 0, 3, 3, 2, 2];
    end.feed(&pdu[..13], seconds(2));
    assert_eq!(end.data.len(), 1);
    end.association.abort(Abort::provider(AbortReason::NotSpecified), seconds(2));
    end.association.output().clear();
    end.feed(&pdu[13..], seconds(2));
    end.feed(&Abort::user().to_pdu(), seconds(2));
    assert!(end.association.output().is_empty() && end.events.is_empty());
    assert_eq!(end.data.len(), 1);
    assert!(end.association.wants_close(), "the peer's A-ABORT was found behind the rest");
}

#[test]
fn a_requestor_uses_only_contexts_that_it_proposed_and_syntaxes_that_it_offered() {
    use ul::pdu::{ContextOutcome, ContextResult};
    let rq = request(0);
    let accepted = |id, uid: &str| ContextResult {
        id,
        outcome: ContextOutcome::Accepted { transfer_syntax: uid.to_owned() },
    };
    let mut ac = crate::support::answer(&rq, 0);
    ac.contexts = vec![
        accepted(1, "1.2.840.10008.1.2.4.50"),
        accepted(3, crate::support::IMPLICIT),
        accepted(3, crate::support::EXPLICIT),
        accepted(5, crate::support::IMPLICIT),
    ];
    let mut association = Association::requestor(rq, ARTIM).unwrap();
    association.connected().unwrap();
    let mut input = BytesMut::from(&ac.to_pdu().unwrap()[..]);
    assert!(matches!(association.receive(&mut input, seconds(1)), Some(Event::Associated(_))));
    assert!(!input.has_remaining());
    let used: Vec<_> = association.contexts().iter().map(|c| (c.id, c.transfer_syntax.as_str())).collect();
    assert_eq!(used, [(3, crate::support::IMPLICIT)]);
}
