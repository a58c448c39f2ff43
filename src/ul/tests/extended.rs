//! SOP Class Extended Negotiation: what of a request is answered.

use ul::extended;
use ul::negotiate::{Service, negotiate};
use ul::pdu::{AssociateAc, AssociateRq, ExtendedNegotiation, Implementation};

use crate::support::{CT, request};

fn item(sop_class: &str, information: &[u8]) -> ExtendedNegotiation {
    ExtendedNegotiation { sop_class: sop_class.to_owned(), information: information.to_vec() }
}

/// What a request with these items is answered when `supported` is served and grants every second byte.
fn answered(asked: Vec<ExtendedNegotiation>, supported: &[&str]) -> Vec<ExtendedNegotiation> {
    let mut rq = request(0);
    rq.extended = asked;
    let contexts = negotiate(&rq, |class| supported.contains(&class).then_some(Service::Keeps)).contexts;
    extended::answer(&rq, &contexts, |class, information| {
        (class == CT)
            .then(|| information.iter().enumerate().map(|(at, byte)| byte & u8::from(at % 2 == 1)).collect())
    })
}

#[test]
fn answers_the_first_item_of_each_accepted_class() {
    const ECHO: &str = model::sop::VERIFICATION;
    let both = [CT, ECHO];
    assert_eq!(answered(vec![], &both), []);
    assert_eq!(answered(vec![item(CT, &[1, 1, 1])], &both), [item(CT, &[0, 1, 0])]);
    assert_eq!(answered(vec![item(CT, &[0, 1]), item(CT, &[1, 1, 1])], &both), [item(CT, &[0, 1])]);
    assert_eq!(answered(vec![item(ECHO, &[1]), item(CT, &[])], &both), [item(CT, &[])], "not granted");
    assert_eq!(answered(vec![item(CT, &[1, 1])], &[ECHO]), [], "its context was not accepted");
    assert_eq!(answered(vec![item("1.2.3", &[1, 1])], &both), [], "it has no context");
}

#[test]
fn request_and_answer_carry_their_items() {
    let mut rq = request(0);
    rq.extended = vec![item(CT, &[1, 0, 1, 0xFF]), item("1.2.3", &[]), item("", &[7])];
    let read = AssociateRq::from_body(&rq.to_pdu().unwrap()[6..]).unwrap();
    assert_eq!(read.extended, rq.extended);
    let mut ac = AssociateAc::answer(&rq, Vec::new(), Vec::new(), 0, Implementation::default());
    assert_eq!(ac.extended, []);
    ac.extended = vec![item(CT, &[1])];
    assert_eq!(AssociateAc::from_body(&ac.to_pdu().unwrap()[6..]).unwrap(), ac);
    rq.extended = vec![item(CT, &[0; 65_000]), item(CT, &[0; 1000])];
    assert!(rq.to_pdu().is_err(), "more than one item has room for");
}

/// The bytes of PS3.7 Table D.3-11, and what is left of them when they are cut.
#[test]
fn reads_the_bytes_of_the_standard() {
    let pdu = request(0).to_pdu().unwrap();
    let body = |sub_item: &[u8]| {
        let mut body = pdu[6..].to_vec();
        // Behind it stands the User Information Item, of Maximum Length alone.
        let at = body.len() - 12;
        assert_eq!(body[at..at + 4], [0x50, 0, 0, 8]);
        body[at + 3] = u8::try_from(8 + sub_item.len()).unwrap();
        body.extend_from_slice(sub_item);
        AssociateRq::from_body(&body)
    };
    let good = b"\x56\0\0\x0a\0\x051.2.3\x01\0\x01";
    assert_eq!(body(good).unwrap().extended, [item("1.2.3", &[1, 0, 1])]);
    assert_eq!(body(b"\x56\0\0\x08\0\x061.2.3\0").unwrap().extended, [item("1.2.3", &[])], "padded");
    for bad in [&b"\x56\0\0\x01\0"[..], b"\x56\0\0\x07\0\x061.2.3", b"\x56\0\0\0"] {
        assert_eq!(body(bad).unwrap().extended, [], "{bad:?} says nothing");
        let beside = [bad, good].concat();
        assert_eq!(
            body(&beside).unwrap().extended,
            [item("1.2.3", &[1, 0, 1])],
            "{bad:?} keeps nothing else from being said"
        );
    }
    assert!(body(b"\x56\0\0\x09\0\x051.2.3").is_err(), "it runs past what holds it");
    let many = b"\x56\0\0\x02\0\0".repeat(20);
    assert_eq!(body(&many).unwrap().extended.len(), 20);
}
