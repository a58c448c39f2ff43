//! Whole associations, both ends ours.

use bytes::Buf;
use ul::pdu::{Abort, AbortReason, AssociateRj, RoleSelection};
use ul::{Error, Event, State};

use crate::support::{ARTIM, CT, EXPLICIT, Pair, answer, request, seconds};

#[test]
fn establishes_with_the_contexts_both_ends_know() {
    for chunk in [1, 7, 4096] {
        let rq = request(16_384);
        let mut pair = Pair::new(rq.clone(), chunk);
        pair.run();
        assert_eq!(pair.acceptor.take_events(), [Event::AssociateRequested(Box::new(rq.clone()))]);
        assert_eq!(pair.acceptor.association.timeout(), None);
        let ac = answer(&rq, 131_072);
        pair.acceptor.association.accept(&ac).unwrap();
        pair.run();
        assert_eq!(pair.requestor.take_events(), [Event::Associated(Box::new(ac))]);
        assert_eq!(pair.states(), (State::Sta6, State::Sta6));
        for (end, peer_max) in [(&pair.requestor, 131_072), (&pair.acceptor, 16_384)] {
            assert_eq!(end.association.peer_max_pdu_bytes(), peer_max);
            let context = end.association.context(3).unwrap();
            assert_eq!((context.abstract_syntax.as_str(), context.transfer_syntax.as_str()), (CT, EXPLICIT));
            assert_eq!(end.association.contexts().len(), 2);
            assert_eq!(end.association.context(5), None);
        }
    }
}

#[test]
fn both_ends_know_the_roles_of_each_context() {
    for (proposed, expected) in [
        (None, (true, false)),
        (Some((true, false)), (true, false)),
        (Some((true, true)), (true, true)),
        (Some((false, true)), (false, true)),
    ] {
        let mut rq = request(16_384);
        let role = |(scu, scp)| RoleSelection { sop_class: CT.to_owned(), scu, scp };
        rq.roles = proposed.map(role).into_iter().collect();
        let mut pair = Pair::new(rq.clone(), 4096);
        pair.run();
        pair.acceptor.association.accept(&answer(&rq, 0)).unwrap();
        pair.run();
        for end in [&pair.requestor, &pair.acceptor] {
            let roles = |id| {
                let context = end.association.context(id).unwrap();
                (context.requestor_is_scu, context.requestor_is_scp)
            };
            assert_eq!((roles(1), roles(3)), ((true, false), expected), "{proposed:?}");
        }
    }
}

#[test]
fn a_role_that_was_not_proposed_is_not_taken() {
    for (proposed, granted, expected) in [
        (None, (true, true), (true, false)),
        (None, (false, true), (true, false)),
        (Some((true, false)), (true, true), (true, false)),
        (Some((false, true)), (true, true), (false, true)),
        (Some((true, true)), (false, true), (false, true)),
    ] {
        let role = |(scu, scp)| RoleSelection { sop_class: CT.to_owned(), scu, scp };
        let mut rq = request(16_384);
        rq.roles = proposed.map(role).into_iter().collect();
        let mut pair = Pair::new(rq.clone(), 4096);
        pair.run();
        let mut ac = answer(&rq, 0);
        ac.roles = vec![role(granted)];
        pair.acceptor.association.accept(&ac).unwrap();
        pair.run();
        let context = pair.requestor.association.context(3).unwrap();
        let roles = (context.requestor_is_scu, context.requestor_is_scp);
        assert_eq!(roles, expected, "{proposed:?} {granted:?}");
    }
}

#[test]
fn carries_messages_of_any_length_both_ways() {
    for chunk in [1000, 1_000_000] {
        let mut pair = Pair::established(chunk);
        let messages: Vec<(u8, bool, Vec<u8>)> = [0, 1, 2, 16_377, 16_378, 16_379, 16_384, 200_001]
            .into_iter()
            .enumerate()
            .map(|(n, length)| (3, n % 2 == 0, (0..length).map(|i| (i * 7 + n) as u8).collect()))
            .collect();
        for (context_id, is_command, bytes) in &messages {
            pair.requestor.association.send(*context_id, *is_command, bytes).unwrap();
            pair.acceptor.association.send(*context_id, *is_command, bytes).unwrap();
        }
        pair.run();
        assert_eq!(pair.acceptor.messages(), messages);
        assert_eq!(pair.requestor.messages(), messages);
        let longest = |end: &crate::support::End| end.data.iter().map(|(pdv, _)| pdv.bytes).max();
        assert_eq!(longest(&pair.requestor), Some(16_378));
        assert_eq!(longest(&pair.acceptor), Some(131_066));
        assert!(pair.requestor.events.is_empty() && pair.acceptor.events.is_empty());
    }
}

#[test]
fn releases_and_closes() {
    let mut pair = Pair::established(9);
    pair.requestor.association.release().unwrap();
    // Data that was on its way is still delivered (AR-6), and may still be sent (AR-7).
    pair.acceptor.association.send(3, false, b"late").unwrap();
    pair.run();
    assert_eq!(pair.requestor.messages(), [(3, false, b"late".to_vec())]);
    assert_eq!(pair.acceptor.take_events(), [Event::ReleaseRequested]);
    pair.acceptor.association.send(3, false, b"later").unwrap();
    assert_eq!(
        pair.requestor.association.send(3, false, b"no"),
        Err(Error::OutOfPlace { request: "P-DATA request", state: State::Sta7 })
    );
    pair.acceptor.association.release_response(pair.now).unwrap();
    assert_eq!(pair.acceptor.association.timeout(), Some(pair.now + ARTIM));
    pair.run();
    assert_eq!(pair.requestor.messages()[1], (3, false, b"later".to_vec()));
    assert_eq!(pair.requestor.take_events(), [Event::Released]);
    assert!(pair.acceptor.take_events().is_empty());
    assert!(pair.are_closed());
    assert_eq!(pair.states(), (State::Sta1, State::Sta1));
    assert_eq!(pair.acceptor.association.timeout(), None);
}

#[test]
fn gets_through_a_release_collision() {
    let mut pair = Pair::established(10);
    pair.requestor.association.release().unwrap();
    pair.acceptor.association.release().unwrap();
    pair.run();
    assert_eq!(pair.states(), (State::Sta9, State::Sta10));
    assert_eq!(pair.requestor.take_events(), [Event::ReleaseRequested]);
    assert_eq!(pair.acceptor.take_events(), [Event::ReleaseRequested]);
    assert!(pair.acceptor.association.release_response(pair.now).is_err());
    pair.requestor.association.release_response(pair.now).unwrap();
    pair.run();
    assert_eq!(pair.states(), (State::Sta11, State::Sta12));
    assert_eq!(pair.acceptor.take_events(), [Event::Released]);
    pair.acceptor.association.release_response(pair.now).unwrap();
    pair.run();
    assert_eq!(pair.requestor.take_events(), [Event::Released]);
    assert!(pair.are_closed());
}

#[test]
fn tells_the_peer_who_aborted_and_why() {
    for abort in [Abort::user(), Abort::provider(AbortReason::NotSpecified)] {
        for acceptor_aborts in [false, true] {
            let mut pair = Pair::established(3);
            let now = pair.now;
            let (from, to) = if acceptor_aborts {
                (&mut pair.acceptor, &mut pair.requestor)
            } else {
                (&mut pair.requestor, &mut pair.acceptor)
            };
            from.association.abort(abort, now);
            assert_eq!(from.association.state(), State::Sta13);
            let bytes = from.association.output().split();
            to.feed(&bytes, now);
            assert_eq!(to.take_events(), [Event::Aborted(abort)]);
            assert!(to.association.wants_close());
            pair.run();
            assert!(pair.are_closed());
            assert!(pair.acceptor.events.is_empty() && pair.requestor.events.is_empty());
        }
    }
}

#[test]
fn rejects_and_the_requestor_closes() {
    let mut pair = Pair::new(request(0), 64);
    pair.run();
    pair.acceptor.association.reject(AssociateRj::CALLING_AE_TITLE, pair.now).unwrap();
    pair.run();
    assert_eq!(pair.requestor.take_events(), [Event::Rejected(AssociateRj::CALLING_AE_TITLE)]);
    assert!(pair.are_closed());
    assert_eq!(pair.states(), (State::Sta1, State::Sta1));
}

#[test]
fn refuses_another_protocol_version_itself() {
    let mut rq = request(0);
    rq.protocol_version = 2;
    let mut pair = Pair::new(rq, 64);
    pair.run();
    assert_eq!(pair.acceptor.take_events(), [Event::Refused(AssociateRj::PROTOCOL_VERSION)]);
    assert_eq!(pair.requestor.take_events(), [Event::Rejected(AssociateRj::PROTOCOL_VERSION)]);
    assert!(pair.are_closed());
}

#[test]
fn artim_ends_a_silent_connection_and_one_that_stops_in_the_request() {
    for sent in [0, 5, 100] {
        let mut pair = Pair::new(request(0), 64);
        let mut bytes = pair.requestor.association.output().split();
        bytes.truncate(sent);
        pair.acceptor.feed(&bytes, seconds(9));
        let acceptor = &mut pair.acceptor.association;
        assert_eq!(acceptor.timeout(), Some(ARTIM));
        assert_eq!(acceptor.handle_timeout(seconds(9)), None);
        assert_eq!(acceptor.state(), State::Sta2);
        assert_eq!(acceptor.handle_timeout(seconds(10)), Some(Event::TimedOut));
        assert!(acceptor.wants_close() && acceptor.output().is_empty());
        assert_eq!(acceptor.timeout(), None);
    }
}

#[test]
fn artim_ends_a_connection_that_the_peer_does_not_close() {
    let mut pair = Pair::new(request(0), 64);
    pair.run();
    pair.acceptor.association.reject(AssociateRj::LOCAL_LIMIT, seconds(5)).unwrap();
    assert_eq!(pair.acceptor.association.timeout(), Some(seconds(15)));
    assert_eq!(pair.acceptor.association.handle_timeout(seconds(15)), Some(Event::TimedOut));
    assert!(pair.acceptor.association.wants_close());
}

#[test]
fn tells_of_a_connection_that_ends_too_early_but_not_of_one_that_ends_in_time() {
    let mut pair = Pair::established(64);
    assert_eq!(pair.acceptor.association.transport_closed(), Some(Event::Closed));
    assert!(!pair.acceptor.association.wants_close());
    assert_eq!(pair.acceptor.association.transport_closed(), None);
    pair.requestor.association.abort(Abort::user(), pair.now);
    assert_eq!(pair.requestor.association.transport_closed(), None);
}

#[test]
fn drops_what_comes_after_the_end() {
    let mut pair = Pair::established(64);
    pair.acceptor.feed(&Abort::user().to_pdu(), pair.now);
    assert_eq!(pair.acceptor.take_events(), [Event::Aborted(Abort::user())]);
    let mut junk = bytes::BytesMut::from(&[4_u8; 1000][..]);
    assert_eq!(pair.acceptor.association.receive(&mut junk, pair.now), None);
    assert!(!junk.has_remaining());
}

#[test]
fn debug_output_shows_no_data() {
    let mut pair = Pair::established(64);
    pair.requestor.association.send(3, false, b"DOE^JANE").unwrap();
    let shown = format!("{:?}", pair.requestor.association);
    assert!(shown.contains("Sta6"));
    assert!(!shown.contains("DOE"), "{shown}");
}
