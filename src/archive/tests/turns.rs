//! What a lane claims, and when; what a turn does beside that.

use std::time::Duration;

use model::limits;

use super::fanout::{Depot, LEASE, dead, delivered, retry};
use super::*;
use crate::{Circuit, DeliveryId, DeliveryState, Desk, LaneSummary, Retry, Settlement, Turn, Turned};

fn instances(turned: &[crate::Parcel]) -> Vec<String> {
    let number = |parcel: &crate::Parcel| parcel.instance.ids.sop_instance.as_str().replace("2.25.1.1.", "");
    turned.iter().map(number).collect()
}

fn pacs(depot: &Depot) -> LaneSummary {
    let lanes = run(depot.home.archive.lanes()).unwrap();
    assert_eq!(lanes.iter().map(|lane| lane.destination.as_str()).collect::<Vec<_>>(), ["cloud", "pacs"]);
    lanes.into_iter().nth(1).unwrap()
}

/// Changes the times of the deliveries of an instance.
fn set(depot: &Depot, n: u32, change: &str) {
    let sql = format!(
        "UPDATE delivery SET {change} WHERE instance_pk =
            (SELECT instance_pk FROM instance WHERE sop_instance_uid = '2.25.1.1.{n}')"
    );
    assert_eq!(depot.home.index().execute(&sql, []).unwrap(), 1);
}

#[test]
fn ready_deliveries_are_claimed_in_the_order_of_arrival_and_once() {
    let depot = Depot::new();
    (1..=3).for_each(|n| depot.queue(n));
    let first = depot.turn(Turn { claim: 2, lease: LEASE, ..Turn::default() });
    assert_eq!((instances(&first.parcels), first.ready_left), (vec!["1".into(), "2".into()], true));
    assert_eq!(first.parcels[0].attempts, 0);
    let second = depot.turn(Turn { claim: 2, lease: LEASE, ..Turn::default() });
    assert_eq!((instances(&second.parcels), second.ready_left), (vec!["3".into()], false));
    assert!(depot.claim(2).is_empty());
    assert_eq!(pacs(&depot).leased, 3);
    depot.check_counters();
}

#[test]
fn what_is_to_be_tried_again_and_what_is_ready_take_turns() {
    let depot = Depot::new();
    (1..=8).for_each(|n| depot.queue(n));
    for parcel in depot.claim(4) {
        depot.settle(&parcel, retry(Duration::ZERO));
    }
    assert_eq!(instances(&depot.claim(4)), ["1", "5", "2", "6"]);
    // A probe is one that has not failed, so that it tells of the destination.
    assert_eq!(instances(&depot.claim(1)), ["7"]);
    // All of it, where nothing else waits.
    assert_eq!(instances(&depot.claim(9)), ["3", "8", "4"]);
    depot.check_counters();
}

#[test]
fn a_delivery_is_tried_again_when_it_is_due() {
    let depot = Depot::new();
    depot.queue(1);
    depot.queue(2);
    let parcels = depot.claim(2);
    depot.settle(&parcels[1], retry(Duration::from_secs(100)));
    depot.settle(&parcels[0], retry(Duration::from_secs(50)));
    let idle = depot.turn(Turn { claim: 9, ..Turn::default() });
    assert!(idle.parcels.is_empty() && !idle.ready_left);
    assert!((45..=50).contains(&idle.next_due.unwrap().as_secs()));
    set(&depot, 1, "due = 0");
    assert_eq!(depot.turn(Turn::default()).next_due, Some(Duration::ZERO));
    let again = depot.claim(9);
    assert_eq!((instances(&again), again[0].attempts), (vec!["1".into()], 1));
}

#[test]
fn a_lease_that_ran_out_is_claimed_again_before_what_is_ready() {
    let depot = Depot::new();
    (1..=4).for_each(|n| depot.queue(n));
    let lost = depot.turn(Turn { claim: 2, ..Turn::default() }).parcels;
    assert_eq!(instances(&lost), ["1", "2"]);
    assert_eq!(instances(&depot.claim(2)), ["1", "3"]);
    let renewed = Turn { renewed: vec![lost[1].id], lease: LEASE, ..Turn::default() };
    depot.turn(renewed);
    assert_eq!(instances(&depot.claim(9)), ["4"]);
    depot.check_counters();
}

#[test]
fn only_leases_are_renewed() {
    let depot = Depot::new();
    depot.queue(1);
    let parcel = depot.claim(1).remove(0);
    depot.settle(&parcel, retry(Duration::ZERO));
    depot.turn(Turn { renewed: vec![parcel.id, DeliveryId(99)], lease: LEASE, ..Turn::default() });
    assert_eq!(depot.claim(1).len(), 1);
}

#[test]
fn a_turn_claims_a_bounded_number() {
    let depot = Depot::new();
    depot.queue(1);
    // Deliveries without instance, as many as are too many.
    depot
        .home
        .index()
        .execute(
            "INSERT INTO delivery (destination_pk, instance_pk, version, state, queued, due)
             SELECT ?1, 1, 1 + value, 0, 1, 1 FROM generate_series(1, ?2)"
                .replace("generate_series(1, ?2)", SERIES_OF_NUMBERS)
                .as_str(),
            rusqlite::params![depot.pacs.0, 2 * limits::LANE_WINDOW_MAX as i64],
        )
        .unwrap();
    depot.claim(usize::MAX);
    let dead = "SELECT count(*) FROM delivery WHERE state = 3";
    assert_eq!(depot.home.count(dead), limits::LANE_WINDOW_MAX as i64);
}

/// Numbers from 1 to the second parameter.
const SERIES_OF_NUMBERS: &str = "(WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < ?2) SELECT value FROM n)";

#[test]
fn what_cannot_be_read_dies_and_holds_up_nobody() {
    for damage in [
        "length = -1",
        "sha256 = x'0102'",
        "transfer_syntax_uid = CAST(x'FF' AS TEXT)",
        "number_of_frames = CAST(x'FF' AS TEXT)",
    ] {
        let depot = Depot::new();
        depot.queue(1);
        depot.queue(2);
        let sql = format!("UPDATE instance SET {damage} WHERE instance_pk = 1");
        depot.home.index().execute(&sql, []).unwrap();
        let turned = depot.turn(Turn { claim: 2, lease: LEASE, ..Turn::default() });
        assert_eq!((instances(&turned.parcels), turned.unreadable), (vec!["2".into()], 1), "{damage}");
        assert_eq!(depot.deliveries()[0].2, DeliveryState::Dead);
        depot.check_counters();
        assert!(pacs(&depot).last_error.unwrap().0.contains("cannot be read"));
        assert!(run(depot.home.archive.dead_letters(9)).unwrap().is_empty());
    }
}

#[test]
fn what_waits_too_long_is_given_up() {
    let depot = Depot::new();
    (1..=5).for_each(|n| depot.queue(n));
    let parcels = depot.claim(2);
    depot.settle(&parcels[0], retry(LEASE));
    for n in 1..=4 {
        set(&depot, n, "queued = 1000000");
    }
    set(&depot, 4, "state = 3, status = 'refused'");
    depot
        .home
        .index()
        .execute("UPDATE destination SET ready = ready - 1, dead = dead + 1 WHERE name = 'pacs'", [])
        .unwrap();
    let hour = Duration::from_secs(3600);
    let give_up = || Turn { give_up: Some((hour, "gave up after 1 h".into())), ..Turn::default() };
    assert_eq!(depot.turn(give_up()).gave_up, 2);
    assert_eq!(depot.turn(give_up()).gave_up, 0);
    use DeliveryState::{Dead, Leased, Ready};
    let states: Vec<_> = depot.deliveries().into_iter().map(|delivery| delivery.2).collect();
    assert_eq!(states, [Dead, Leased, Dead, Dead, Ready]);
    depot.check_counters();
    let letters = run(depot.home.archive.dead_letters(9)).unwrap();
    let reasons: Vec<_> =
        letters.iter().map(|letter| (letter.ids.sop_instance.as_str(), letter.reason.as_str())).collect();
    // The third was dead before.
    assert_eq!(
        reasons,
        [
            ("2.25.1.1.3", "gave up after 1 h: A700H out of resources"),
            ("2.25.1.1.1", "gave up after 1 h: A700H out of resources"),
            ("2.25.1.1.4", "refused")
        ]
    );
}

#[test]
fn a_destination_that_is_back_is_tried_at_once() {
    let depot = Depot::new();
    (1..=3).for_each(|n| depot.queue(n));
    for parcel in depot.claim(2) {
        depot.settle(&parcel, retry(LEASE));
    }
    let turned = depot.turn(Turn { hasten: true, claim: 2, ..Turn::default() });
    assert_eq!(instances(&turned.parcels), ["1", "3"]);
    assert_eq!(turned.next_due, Some(Duration::ZERO));
}

#[test]
fn a_circuit_and_the_last_failure_are_seen() {
    let depot = Depot::new();
    depot.queue(1);
    let before = pacs(&depot);
    assert!(before.last_error.is_none() && before.circuit_open.is_none() && before.oldest.is_some());
    let down = Circuit::Open { reason: "connection\nrefused".into(), probe_after: Duration::from_secs(10) };
    depot.turn(Turn { circuit: Some(down), ..Turn::default() });
    let lane = pacs(&depot);
    assert_eq!(lane.last_error.unwrap().0, "connection refused");
    assert!(lane.circuit_open.unwrap() > before.oldest.unwrap());
    depot.turn(Turn { circuit: Some(Circuit::Closed), ..Turn::default() });
    assert!(pacs(&depot).circuit_open.is_none());
    depot.settle(&depot.claim(1)[0], Settlement::Dead { reason: "é".repeat(2000) });
    let lane = pacs(&depot);
    assert_eq!(lane.last_error.unwrap().0, "é".repeat(limits::REASON_CHARS));
    assert!(lane.oldest.is_none());
    assert_eq!((lane.ready, lane.leased, lane.dead), (0, 0, 1));
}

#[test]
fn a_person_who_asks_is_heard_whatever_the_turn_says_of_the_circuit() {
    let depot = Depot::new();
    let down = || Some(Circuit::Open { reason: "down".into(), probe_after: LEASE });
    depot.turn(Turn { circuit: down(), ..Turn::default() });
    for circuit in [None, down(), Some(Circuit::Closed)] {
        let which = Retry { destination: None, dead: false, waiting: true };
        Desk::open(depot.home.folder.path()).unwrap().retry(&which).unwrap();
        assert!(depot.turn(Turn { circuit, ..Turn::default() }).is_asked);
        assert!(!depot.turn(Turn::default()).is_asked, "once");
    }
}

#[test]
fn an_empty_turn_writes_nothing() {
    let depot = Depot::new();
    depot.queue(1);
    depot.settle(&depot.claim(1)[0], retry(LEASE));
    let log = || std::fs::read(depot.home.folder.path().join("index.sqlite-wal")).unwrap();
    let before = log();
    let give_up = Some((LEASE, "gave up".into()));
    depot.turn(Turn { claim: 9, lease: LEASE, give_up, ..Turn::default() });
    assert!(log() == before);
}

#[test]
fn turns_are_counted_as_no_batch_of_instances() {
    let depot = Depot::new();
    depot.queue(1);
    let render = |depot: &Depot| depot.home.telemetry.render();
    assert!(render(&depot).contains("gantry_commit_batch_instances_count 1\n"));
    depot.settle(&depot.claim(1)[0], delivered());
    assert!(render(&depot).contains("gantry_commit_batch_instances_count 1\n"));
}

#[test]
fn a_start_ends_all_leases_and_knows_of_no_open_circuit() {
    let depot = Depot::new();
    (1..=4).for_each(|n| depot.queue(n));
    depot.settle(&depot.claim(1)[0], retry(Duration::ZERO));
    assert_eq!(depot.claim(3).len(), 3);
    let circuit = Some(Circuit::Open { reason: "down".into(), probe_after: LEASE });
    depot.turn(Turn { circuit, ..Turn::default() });
    let depot = depot.reopen();
    let lane = pacs(&depot);
    assert_eq!((lane.ready, lane.retrying, lane.leased), (3, 1, 0));
    assert!(lane.circuit_open.is_none() && lane.last_error.is_some());
    depot.check_counters();
    assert_eq!(instances(&depot.claim(9)), ["1", "2", "3", "4"]);
}

#[test]
fn a_bad_instance_in_the_transaction_neither_loses_nor_repeats_a_turn() {
    let depot = Depot::new();
    depot.queue(1);
    depot.queue(2);
    let parcel = depot.claim(1).remove(0);
    depot
        .home
        .index()
        .execute_batch("CREATE TRIGGER refuse BEFORE INSERT ON instance WHEN NEW.sop_instance_uid = '2.25.1.1.9' BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    let archive = &depot.home.archive;
    let store = |sample: &Sample| -> Commit<'_, Done> {
        let prepared = sample.prepared(archive);
        Box::pin(async { Done::Stored(archive.commit(prepared).await) })
    };
    let settled = vec![(parcel.id, retry(LEASE))];
    let turn = Turn { settled, claim: 9, lease: LEASE, ..Turn::default() };
    let queued = Sample::new(1, 1, 3).routed(depot.routing(&[depot.pacs], &[]));
    let commits: Vec<Commit<'_, Done>> = vec![
        store(&Sample::new(99, 1, 1)),
        store(&queued),
        Box::pin(async { Done::Turned(archive.turn(depot.pacs, turn).await) }),
        store(&Sample::new(1, 1, 9).routed(depot.routing(&[depot.pacs], &[]))),
        Box::pin(async {
            Done::Turned(archive.turn(depot.pacs, Turn { claim: 9, ..Turn::default() }).await)
        }),
    ];
    let done = run(together(&depot.home, commits));
    assert!(matches!(done[3], Done::Stored(Err(Error::Index(_)))));
    let [Done::Turned(Ok(first)), Done::Turned(Ok(second))] = [&done[2], &done[4]] else { panic!() };
    assert_eq!((instances(&first.parcels), second.parcels.len()), (vec!["2".into(), "3".into()], 0));
    assert_eq!(depot.home.count("SELECT attempts FROM delivery WHERE state = 1"), 1);
    depot.check_counters();
}

enum Done {
    Stored(Result<Committed, Error>),
    Turned(Result<Turned, Error>),
}

#[test]
fn a_turn_that_cannot_be_taken_leaves_instances_alone() {
    let depot = Depot::new();
    depot.queue(1);
    let parcel = depot.claim(1).remove(0);
    depot
        .home
        .index()
        .execute_batch("CREATE TRIGGER refuse BEFORE UPDATE ON delivery BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    let archive = &depot.home.archive;
    let turn = || Turn { settled: vec![(parcel.id, dead())], ..Turn::default() };
    let prepared = [Sample::new(99, 1, 1), Sample::new(1, 1, 2)].map(|sample| sample.prepared(archive));
    let mut commits: Vec<Commit<'_, Done>> = Vec::new();
    for prepared in prepared {
        commits.push(Box::pin(async { Done::Stored(archive.commit(prepared).await) }));
        commits.push(Box::pin(async { Done::Turned(archive.turn(depot.pacs, turn()).await) }));
    }
    for done in run(together(&depot.home, commits)) {
        assert!(matches!(done, Done::Stored(Ok(Committed::New)) | Done::Turned(Err(Error::Index(_)))));
    }
    depot.home.index().execute_batch("DROP TRIGGER refuse").unwrap();
    depot.turn(turn());
    assert_eq!(depot.deliveries()[0].2, DeliveryState::Dead);
    depot.check_counters();
}

#[test]
fn a_turn_in_doubt_can_be_repeated() {
    let depot = Depot::new();
    depot.queue(1);
    let parcel = depot.claim(1).remove(0);
    // A foreign key that is checked at COMMIT makes that statement fail, as the disk might.
    depot
        .home
        .index()
        .execute_batch(
            "CREATE TABLE doubt (it INTEGER REFERENCES instance (instance_pk) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER doubt AFTER UPDATE ON delivery BEGIN INSERT INTO doubt VALUES (-1); END",
        )
        .unwrap();
    let turn = || Turn { settled: vec![(parcel.id, retry(LEASE))], ..Turn::default() };
    let doubtful = run(depot.home.archive.turn(depot.pacs, turn()));
    assert!(matches!(doubtful, Err(Error::OutcomeUnknown(_))));
    depot.home.index().execute_batch("DROP TRIGGER doubt").unwrap();
    // Also when it was committed the first time.
    depot.turn(turn());
    depot.turn(turn());
    assert_eq!(depot.home.count("SELECT attempts FROM delivery WHERE state = 1"), 1);
    depot.check_counters();
}
