//! Who the user is, how many operations may be under way, what service a class belongs to.

use ul::negotiate::{self, Service, Wishes, negotiate_for};
use ul::pdu::{
    AssociateAc, AssociateRq, CommonExtended, ContextOutcome, IdentityKind, Implementation, OperationsWindow,
    ProposedContext, UserIdentity,
};

use crate::support::{CT, EXPLICIT, IMPLICIT, golden, request};

const JPEG: &str = "1.2.840.10008.1.2.4.50";

fn window(invoked: u16, performed: u16) -> OperationsWindow {
    OperationsWindow { invoked, performed }
}

#[test]
fn identity_and_window_come_back_as_they_went_out() {
    for (kind, primary, secondary) in [
        (IdentityKind::Username, "ct1", ""),
        (IdentityKind::UsernameAndPasscode, "Zoë", "s3cr&t"),
        (IdentityKind::JsonWebToken, "a.b.c", ""),
        (IdentityKind::Other(9), "", ""),
    ] {
        let identity = UserIdentity {
            kind,
            wants_response: secondary.is_empty(),
            primary: primary.as_bytes().to_vec(),
            secondary: secondary.as_bytes().to_vec(),
        };
        let rq = AssociateRq { identity: Some(identity), window: Some(window(5, 1)), ..request(0) };
        let pdu = rq.to_pdu().unwrap();
        assert_eq!(AssociateRq::from_body(&pdu[6..]).unwrap(), rq);
        let is_named = matches!(kind, IdentityKind::Username | IdentityKind::UsernameAndPasscode);
        assert_eq!(rq.identity.unwrap().username(), is_named.then_some(primary));
    }
    let rq = request(0);
    for (response, window) in [(None, None), (Some(vec![]), Some(window(0, 1))), (Some(vec![1, 2]), None)] {
        let mut ac = AssociateAc::answer(&rq, Vec::new(), Vec::new(), 0, Implementation::default());
        (ac.identity_response, ac.window) = (response, window);
        assert_eq!(AssociateAc::from_body(&ac.to_pdu().unwrap()[6..]).unwrap(), ac);
    }
    let long = UserIdentity {
        kind: IdentityKind::Username,
        wants_response: false,
        primary: vec![b'a'; 0x10000],
        secondary: Vec::new(),
    };
    assert!(AssociateRq { identity: Some(long), ..request(0) }.to_pdu().is_err());
}

#[test]
fn reads_the_identity_and_window_of_pynetdicom() {
    let rq = AssociateRq::from_body(&golden("associate-rq-pynetdicom.hex")[6..]).unwrap();
    let identity = rq.identity.unwrap();
    assert_eq!(identity.kind, IdentityKind::UsernameAndPasscode);
    assert_eq!((identity.username(), &*identity.secondary), (Some("tester"), &b"secret"[..]));
    assert_eq!(rq.window, Some(window(5, 5)));
}

/// A request whose user information is these sub-items.
fn with_items(items: &[u8]) -> AssociateRq {
    let mut body = [&[0, 1][..], &[0; 66]].concat();
    body.extend([0x50, 0]);
    body.extend(u16::try_from(items.len()).unwrap().to_be_bytes());
    body.extend(items);
    AssociateRq::from_body(&body).unwrap()
}

#[test]
fn what_is_malformed_has_not_been_said() {
    for items in [
        &[0x58, 0, 0, 1, 2][..],
        &[0x58, 0, 0, 4, 2, 0, 0, 9],
        &[0x58, 0, 0, 5, 2, 0, 0, 1, b'a'],
        &[0x53, 0, 0, 3, 0, 1, 0],
        &[0x57, 0, 0, 2, 0, 9],
        &[0x57, 0, 0, 3, 0, 1, b'1'],
    ] {
        let rq = with_items(items);
        assert!(rq.identity.is_none() && rq.window.is_none() && rq.common_extended.is_empty(), "{items:?}");
    }
    let twice = [[0x53, 0, 0, 4, 0, 2, 0, 1], [0x53, 0, 0, 4, 0, 7, 0, 1]].concat();
    assert_eq!(with_items(&twice).window, Some(window(2, 1)), "the first one counts");
}

#[test]
fn reads_what_service_a_class_belongs_to() {
    let mut item = vec![0x57, 0, 0, 0];
    for text in ["1.2.3.4", "1.2.840.10008.4.2"] {
        item.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        item.extend(text.bytes());
    }
    item.extend([0, 0]);
    item[3] = u8::try_from(item.len() - 4).unwrap();
    let expected = CommonExtended { sop_class: "1.2.3.4".into(), service_class: "1.2.840.10008.4.2".into() };
    assert_eq!(with_items(&item).common_extended, [expected]);
    assert_eq!(with_items(&item.repeat(200)).common_extended.len(), 128);
}

#[test]
fn a_window_is_negotiated_down() {
    for (asked, granted) in [
        (None, None),
        (Some(window(1, 1)), Some(window(1, 1))),
        (Some(window(5, 1)), Some(window(5, 1))),
        (Some(window(100, 100)), Some(window(16, 1))),
        (Some(window(0, 0)), Some(window(16, 1))),
    ] {
        assert_eq!(negotiate::window(asked, 16), granted, "{asked:?}");
    }
}

#[test]
fn preferred_transfer_syntaxes_are_taken_in_their_order_and_no_others() {
    let find = model::sop::STUDY_ROOT_FIND;
    let accepted = |syntax: &str| ContextOutcome::Accepted { transfer_syntax: syntax.to_owned() };
    let none = ContextOutcome::TransferSyntaxesNotSupported;
    for (class, offered, expected) in [
        (CT, &[IMPLICIT, EXPLICIT, JPEG][..], accepted(JPEG)),
        (CT, &[EXPLICIT, IMPLICIT], accepted(IMPLICIT)),
        (CT, &[EXPLICIT], none.clone()),
        (CT, &[], none),
        (find, &[EXPLICIT], accepted(EXPLICIT)),
    ] {
        let mut rq = request(0);
        let offered = offered.iter().map(|uid| (*uid).to_owned()).collect();
        rq.contexts = ProposedContext::numbered([(class.to_owned(), offered)]).unwrap();
        let preferred = [JPEG.to_owned(), IMPLICIT.to_owned()];
        let wishes = Wishes { preferred: &preferred, stored: &|_| Vec::new(), can_become: |_, _| false };
        let answer = negotiate_for(&rq, wishes, |class| {
            Some(if class == find { Service::Reads } else { Service::Keeps })
        });
        assert_eq!(answer.contexts[0].outcome, expected, "{:?}", rq.contexts);
    }
}
