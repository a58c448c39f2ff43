//! How the outcome of an attempt is kept, in and out of turn.

use std::time::Duration;

use super::fanout::{Depot, LEASE, dead, delivered, retry};
use super::*;
use crate::DeliveryState::{Dead, Delivered, Leased, Ready, Retrying};
use crate::{DeliveryState, Desk, Parcel, Settlement, Turn};

/// A depot whose only delivery is claimed.
fn claimed() -> (Depot, Parcel) {
    let depot = Depot::new();
    depot.queue(1);
    let parcel = depot.claim(1).remove(0);
    (depot, parcel)
}

/// State, attempts and words of the only delivery.
fn ledger(depot: &Depot) -> (DeliveryState, i64, String) {
    depot.check_counters();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    depot.home.index().query_row("SELECT state, attempts, status FROM delivery", [], read).unwrap()
}

fn resend(depot: &Depot) {
    let mut desk = Desk::open(depot.home.folder.path()).unwrap();
    assert_eq!(desk.resend("2.25.1.1.1", &model::DestinationName::new("pacs")).unwrap().instances, 1);
}

#[test]
fn every_outcome_is_kept_in_words() {
    for (settlement, expected) in [
        (delivered(), (Delivered, 1, "0000H success")),
        (retry(LEASE), (Retrying, 1, "A700H out of resources")),
        (dead(), (Dead, 1, "C000H cannot understand")),
        (Settlement::Released, (Ready, 0, "")),
    ] {
        let (depot, parcel) = claimed();
        depot.settle(&parcel, settlement);
        let (state, attempts, words) = ledger(&depot);
        assert_eq!((state, attempts, words.as_str()), expected);
    }
}

#[test]
fn what_was_delivered_is_kept_as_such() {
    let (depot, parcel) = claimed();
    depot.settle(&parcel, delivered());
    let traced =
        Desk::open(depot.home.folder.path()).unwrap().trace("2.25.1.1.1").unwrap().instances.remove(0);
    let delivery = &traced.deliveries[0];
    assert_eq!((delivery.sent, delivery.state), (Some([7; 32]), Delivered));
    assert!(delivery.done.unwrap() >= delivery.queued);
    assert!(depot.claim(9).is_empty());
}

#[test]
fn what_was_released_goes_back_to_its_place() {
    let depot = Depot::new();
    (1..=3).for_each(|n| depot.queue(n));
    let parcels = depot.claim(2);
    depot.settle(&parcels[1], Settlement::Released);
    depot.settle(&parcels[0], retry(Duration::ZERO));
    let again = depot.claim(2);
    assert_eq!((again[0].id, again[0].attempts), (parcels[0].id, 1));
    again.iter().for_each(|parcel| depot.settle(parcel, Settlement::Released));
    depot.check_counters();
    let order: Vec<_> = depot.claim(3).iter().map(|parcel| parcel.id).collect();
    assert_eq!(order[..2], [parcels[0].id, parcels[1].id]);
}

#[test]
fn an_outcome_counts_once() {
    for (first, then, expected) in [
        (delivered(), delivered(), (Delivered, 1)),
        (delivered(), dead(), (Delivered, 1)),
        (delivered(), Settlement::Released, (Delivered, 1)),
        (retry(LEASE), retry(Duration::ZERO), (Retrying, 1)),
        (retry(LEASE), Settlement::Released, (Retrying, 1)),
        (dead(), retry(LEASE), (Dead, 1)),
        // That it is there is news, whatever was said before.
        (dead(), delivered(), (Delivered, 2)),
        (retry(LEASE), delivered(), (Delivered, 2)),
    ] {
        let (depot, parcel) = claimed();
        depot.settle(&parcel, first);
        depot.settle(&parcel, then);
        let (state, attempts, _) = ledger(&depot);
        assert_eq!((state, attempts), expected);
    }
}

#[test]
fn an_outcome_after_the_lease_has_run_out_counts_until_it_is_claimed_again() {
    let depot = Depot::new();
    depot.queue(1);
    let lost = depot.turn(Turn { claim: 1, ..Turn::default() }).parcels.remove(0);
    depot.settle(&lost, retry(LEASE));
    assert_eq!(ledger(&depot).0, Retrying);

    let depot = Depot::new();
    depot.queue(1);
    let lost = depot.turn(Turn { claim: 1, ..Turn::default() }).parcels.remove(0);
    let again = depot.claim(1).remove(0);
    assert_eq!(lost.id, again.id);
    depot.settle(&lost, delivered());
    depot.settle(&again, dead());
    assert_eq!(ledger(&depot), (Delivered, 1, "0000H success".into()));
}

#[test]
fn a_lane_settles_nothing_of_another() {
    let (depot, parcel) = claimed();
    for settlement in [delivered(), retry(LEASE), dead(), Settlement::Released] {
        let turn =
            Turn { settled: vec![(parcel.id, settlement)], renewed: vec![parcel.id], ..Turn::default() };
        run(depot.home.archive.turn(depot.cloud, turn)).unwrap();
    }
    assert_eq!(ledger(&depot), (Leased, 0, String::new()));
    assert_eq!(depot.home.count("SELECT due > queued FROM delivery"), 1);
}

#[test]
fn what_is_sent_again_while_it_is_under_way_is_done_when_that_succeeds() {
    for (settlement, expected) in [
        (delivered(), (Delivered, 1)),
        (retry(LEASE), (Ready, 0)),
        (dead(), (Ready, 0)),
        (Settlement::Released, (Ready, 0)),
    ] {
        let (depot, parcel) = claimed();
        resend(&depot);
        assert_eq!(ledger(&depot).0, Ready);
        depot.settle(&parcel, settlement);
        let (state, attempts, _) = ledger(&depot);
        assert_eq!((state, attempts), expected);
    }
}

#[test]
fn what_is_sent_again_may_be_under_way_twice() {
    let (depot, first) = claimed();
    resend(&depot);
    let second = depot.claim(1).remove(0);
    assert_eq!(first.id, second.id);
    depot.settle(&first, retry(LEASE));
    depot.settle(&second, delivered());
    assert_eq!(ledger(&depot), (Delivered, 2, "0000H success".into()));
}

#[test]
fn a_retry_by_hand_leaves_what_is_under_way_alone() {
    let (depot, parcel) = claimed();
    let mut desk = Desk::open(depot.home.folder.path()).unwrap();
    let all = crate::Retry { destination: None, dead: true, waiting: true };
    assert_eq!(desk.retry(&all).unwrap(), 0);
    depot.settle(&parcel, dead());
    assert_eq!(ledger(&depot).0, Dead);
    assert_eq!(desk.retry(&all).unwrap(), 1);
    assert_eq!(ledger(&depot), (Ready, 0, String::new()));
}
