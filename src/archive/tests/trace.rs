//! Where an instance came from and where it went.

use model::limits;

use super::fanout::{Depot, LEASE, retry, rules_of, sources};
use super::*;
use crate::{DeliveryState, Desk};

#[test]
fn every_version_tells_its_way() {
    let depot = Depot::new();
    let first = Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs, depot.cloud], &[]));
    run(depot.home.store_new(&first));
    depot.settle(&depot.claim(1)[0], retry(LEASE));
    let second = first.clone().with(ACCESSION, "other").with(SERIES, "2.25.9");
    let second = second.routed(depot.routing(&[depot.pacs], &[depot.pacs]));
    run(depot.home.store(&second));
    run(depot.home.store_new(&Sample::new(1, 1, 2)));
    let desk = Desk::open(depot.home.folder.path()).unwrap();
    let trace = desk.trace("2.25.1.1.1").unwrap();
    assert!(!trace.is_cut);
    let [one, two] = trace.instances.as_slice() else { panic!("{trace:?}") };

    assert_eq!((one.version, two.version), (1, 2));
    assert_eq!((one.instance.ids.clone(), two.instance.ids.clone()), (first.ids(), second.ids()));
    assert_eq!(std::fs::read(&two.instance.path).unwrap(), second.data_set());
    for traced in [one, two] {
        assert_eq!(traced.door, Door::Dimse);
        assert_eq!(traced.calling_aet.as_ref().unwrap().as_str(), "CT1");
        assert_eq!(traced.called_aet.as_ref().unwrap().as_str(), "GANTRY");
        assert_eq!(traced.address.unwrap().to_string(), "10.1.2.3");
        assert_eq!(traced.peer.as_ref().unwrap().as_str(), "scanner");
        let rules = traced.rule_set.as_ref().unwrap();
        assert_eq!((rules.version.as_str(), &rules.sources), ("v1", &sources()));
    }
    let shown = |traced: &crate::Traced| -> Vec<_> {
        let show = |delivery: &crate::DeliveryRecord| {
            assert_eq!(delivery.rule.as_ref(), Some(&rules_of("v1")[0]));
            assert!(delivery.sent.is_none() && delivery.due >= delivery.queued);
            let attempts = (delivery.attempts, delivery.done.is_some());
            (delivery.destination.to_string(), delivery.state, attempts, delivery.status.clone())
        };
        traced.deliveries.iter().map(show).collect()
    };
    assert_eq!(
        shown(one),
        [
            ("pacs".into(), DeliveryState::Retrying, (1, true), "A700H out of resources".into()),
            ("cloud".into(), DeliveryState::Ready, (0, false), String::new())
        ]
    );
    assert_eq!(
        shown(two),
        [("pacs".into(), DeliveryState::Withheld, (0, false), "it came from there".into())]
    );

    for uid in ["2.25.1", "2.25.1.1"] {
        assert_eq!(desk.trace(uid).unwrap().instances.len(), 3, "{uid}");
    }
    let unrouted = desk.trace("2.25.1.1.2").unwrap().instances.remove(0);
    assert!(unrouted.rule_set.is_none() && unrouted.deliveries.is_empty());
    assert!(desk.trace("2.25.77").unwrap().instances.is_empty());
}

#[test]
fn what_was_sent_by_hand_has_no_rule() {
    let depot = Depot::new();
    run(depot.home.store_new(&Sample::new(1, 1, 1)));
    let mut desk = Desk::open(depot.home.folder.path()).unwrap();
    desk.resend("2.25.1", &model::DestinationName::new("cloud")).unwrap();
    let traced = desk.trace("2.25.1").unwrap().instances.remove(0);
    assert!(traced.deliveries[0].rule.is_none());
}

#[test]
fn a_uid_that_is_not_valid_is_found_by_its_component_too() {
    let depot = Depot::new();
    let odd = Sample::new(1, 1, 1).with(INSTANCE, "odd/uid");
    run(depot.home.store_new(&odd));
    let desk = Desk::open(depot.home.folder.path()).unwrap();
    for uid in ["odd/uid", &*odd.ids().sop_instance.path_component()] {
        assert_eq!(desk.trace(uid).unwrap().instances.len(), 1, "{uid}");
    }
}

#[test]
fn a_trace_is_cut_and_says_so() {
    let depot = Depot::new();
    run(depot.home.store_new(&Sample::new(1, 1, 1)));
    let copies = |count: usize| {
        depot
            .home
            .index()
            .execute(
                "WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < ?1)
                 INSERT INTO instance SELECT NULL, series_pk, sop_instance_uid || '.' || ?1 || '.' || value, sop_class_uid,
                    transfer_syntax_uid, file + ?1 * 10000 + value, data_offset, length, sha256, received, door, calling_aet,
                    address, instance_number, content_date, content_time, acquisition_number, image_type, pixel_rows,
                    pixel_columns, bits_allocated, number_of_frames, called_aet, peer, rule_set_pk, crc64,
                    related_general_sop_class_uid, container_identifier
                 FROM instance, n WHERE instance_pk = 1",
                [i64::try_from(count).unwrap()],
            )
            .unwrap()
    };
    let desk = Desk::open(depot.home.folder.path()).unwrap();
    assert_eq!(copies(limits::TRACED - 1), limits::TRACED - 1);
    let trace = desk.trace("2.25.1").unwrap();
    assert_eq!((trace.instances.len(), trace.is_cut), (limits::TRACED, false));
    copies(1);
    let trace = desk.trace("2.25.1").unwrap();
    assert_eq!((trace.instances.len(), trace.is_cut), (limits::TRACED, true));
}
