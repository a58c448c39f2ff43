//! Deliveries that their destination has yet to commit to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::commitment::{FailureReason, ReceivedReport, Request};
use model::{DestinationName, TransactionUid, limits};

use super::fanout::{Depot, LEASE, delivered, retry};
use super::*;
use crate::DeliveryState::{Dead, Delivered, Ready, Retrying, Verifying};
use crate::verification::STATEMENTS;
use crate::{DeliveryState, Desk, GiveUp, NotCommitted, Retry, Settlement, Swept, Told, VerificationDue};

const HOUR: Duration = Duration::from_secs(3600);

fn stored() -> Settlement {
    Settlement::Stored { answer: "0000H success".into(), sent: [7; 32], ask_after: Duration::ZERO }
}

/// A depot of which so many deliveries are stored.
fn depot(stored_ones: u32) -> Depot {
    let depot = Depot::new();
    for n in 1..=stored_ones {
        depot.queue(n);
        let parcel = depot.claim(1).remove(0);
        depot.settle(&parcel, stored());
    }
    depot
}

fn transaction(number: u32) -> TransactionUid {
    TransactionUid::lenient(&format!("2.25.{number}")).unwrap()
}

fn ask_so(depot: &Depot, number: u32, patience: Duration) -> Option<Request> {
    run(depot.home.archive.ask_to_verify(depot.pacs, transaction(number), patience)).unwrap()
}

fn ask(depot: &Depot, number: u32) -> Option<Request> {
    ask_so(depot, number, HOUR)
}

fn sweep(depot: &Depot, give_up: Option<Duration>) -> (usize, usize) {
    sweep_so(depot, give_up, Duration::ZERO)
}

fn sweep_so(depot: &Depot, give_up: Option<Duration>, patience: Duration) -> (usize, usize) {
    let give_up = give_up.map(|after| GiveUp { after, patience, reason: "gave up after 72 h".to_owned() });
    let Swept { expired, gave_up } =
        run(depot.home.archive.sweep_verifications(depot.pacs, give_up)).unwrap();
    (expired, gave_up)
}

fn next_due(depot: &Depot) -> VerificationDue {
    run(depot.home.archive.verification_due(depot.pacs)).unwrap()
}

fn instances(request: &Request) -> Vec<String> {
    request.references.iter().map(|one| one.sop_instance.as_str().to_owned()).collect()
}

fn uid(n: u32) -> SopInstanceUid {
    SopInstanceUid::lenient(&format!("2.25.1.1.{n}")).unwrap()
}

fn tell_so(depot: &Depot, number: u32, committed: &[u32], failed: &[(u32, NotCommitted)]) -> Told {
    let reason = |n: u32| FailureReason(u16::try_from(n).unwrap());
    let decisions: HashMap<FailureReason, NotCommitted> =
        failed.iter().map(|(n, decision)| (reason(*n), decision.clone())).collect();
    let report = ReceivedReport {
        transaction: transaction(number),
        committed: committed.iter().map(|n| uid(*n)).collect(),
        failed: failed.iter().map(|(n, _)| (uid(*n), reason(*n))).collect(),
    };
    let decide = move |reason, _, _| decisions[&reason].clone();
    run(depot.home.archive.take_report(report, Arc::new(decide), Duration::from_secs(60))).unwrap()
}

fn tell(depot: &Depot, number: u32, committed: &[u32]) -> usize {
    tell_so(depot, number, committed, &[]).committed.len()
}

fn states(depot: &Depot) -> Vec<DeliveryState> {
    depot.check_counters();
    depot.deliveries().into_iter().map(|delivery| delivery.2).collect()
}

fn status(depot: &Depot, n: u32) -> String {
    let sql = "SELECT status FROM delivery JOIN instance USING (instance_pk) WHERE sop_instance_uid = ?1";
    depot.home.index().query_row(sql, [uid(n).as_str()], |row| row.get(0)).unwrap()
}

#[test]
fn what_was_stored_waits_without_a_lease_and_is_delivered_when_it_is_committed_to() {
    let depot = depot(2);
    assert_eq!(states(&depot), [Verifying; 2]);
    assert!(depot.claim(9).is_empty() && depot.turn(crate::Turn::default()).next_due.is_none());
    let lane = run(depot.home.archive.lanes()).unwrap().remove(1);
    assert_eq!((lane.verifying, lane.delivered, lane.oldest.is_some()), (2, 0, true));

    let request = ask(&depot, 1).unwrap();
    assert_eq!(request.transaction, transaction(1));
    assert_eq!(instances(&request), ["2.25.1.1.1", "2.25.1.1.2"]);
    assert_eq!(request.references[0].sop_class.as_str(), CT);
    assert_eq!(ask(&depot, 2), None, "it has been asked");
    run(depot.home.archive.verification_asked(transaction(1))).unwrap();
    assert_eq!(run(depot.home.archive.verification_of(&transaction(1))).unwrap(), Some(depot.pacs));
    assert_eq!(run(depot.home.archive.verification_of(&transaction(9))).unwrap(), None);
    assert_eq!(tell(&depot, 1, &[1, 2, 3]), 2, "of the third nobody asked");
    assert_eq!(states(&depot), [Delivered; 2]);
    assert_eq!(status(&depot, 1), "0000H success; committed");
    assert_eq!(tell(&depot, 1, &[1, 2]), 0, "told again");
    assert_eq!(tell(&depot, 9, &[1, 2]), 0, "never asked");
    let traced = Desk::open(depot.home.folder.path()).unwrap().trace("2.25.1.1.1").unwrap();
    assert_eq!(traced.instances[0].deliveries[0].sent, Some([7; 32]));
}

#[test]
fn what_is_not_committed_to_goes_where_it_is_decided() {
    let depot = depot(6);
    assert_eq!(instances(&ask(&depot, 1).unwrap()).len(), 6);
    let told = tell_so(
        &depot,
        1,
        &[1],
        &[
            (2, NotCommitted::Retry { after: HOUR, reason: "not committed: 0112H".to_owned() }),
            (6, NotCommitted::GaveUp { reason: "gave up after 1 h".to_owned() }),
            (3, NotCommitted::Dead { reason: "not committed: 0122H".to_owned() }),
            (4, NotCommitted::AskAgain(Duration::ZERO)),
        ],
    );
    assert_eq!((told.committed.len(), told.retried, told.dead, told.gave_up), (1, 1, 1, 1));
    assert_eq!(states(&depot), [Delivered, Retrying, Dead, Verifying, Verifying, Dead]);
    assert_eq!(status(&depot, 6), "gave up after 1 h");
    assert_eq!(
        (status(&depot, 2).as_str(), status(&depot, 3).as_str()),
        ("not committed: 0112H", "not committed: 0122H")
    );
    let lane = run(depot.home.archive.lanes()).unwrap().remove(1);
    assert_eq!(lane.last_error.unwrap().0, "not committed: 0122H");
    // The fifth was not told of, and is asked about again after a while; the fourth at once.
    assert_eq!(told.untold, 1);
    assert_eq!(instances(&ask(&depot, 2).unwrap()), ["2.25.1.1.4"]);
    let VerificationDue::In(due) = next_due(&depot) else { panic!("not at a time") };
    assert!(due > Duration::from_secs(50) && due <= Duration::from_secs(60), "{due:?}");
}

#[test]
fn decisions_are_made_by_reason_attempts_and_age() {
    let depot = depot(1);
    ask(&depot, 1).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let decide = move |reason, attempts, age| {
        notes.lock().unwrap().push((reason, attempts, age < HOUR));
        NotCommitted::Dead { reason: "no".to_owned() }
    };
    let report = ReceivedReport {
        transaction: transaction(1),
        committed: Vec::new(),
        failed: vec![(uid(1), FailureReason::RESOURCE_LIMITATION)],
    };
    run(depot.home.archive.take_report(report, Arc::new(decide), HOUR)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(FailureReason::RESOURCE_LIMITATION, 1, true)]);
}

#[test]
fn who_tells_nothing_in_time_is_asked_again_and_may_still_tell() {
    let depot = depot(1);
    assert!(ask_so(&depot, 1, Duration::ZERO).is_some());
    assert_eq!((sweep(&depot, None), sweep(&depot, None)), ((1, 0), (0, 0)));
    assert_eq!(instances(&ask_so(&depot, 2, Duration::ZERO).unwrap()), ["2.25.1.1.1"]);
    assert_eq!(tell(&depot, 1, &[1]), 1, "late, and true all the same");
    assert_eq!(states(&depot), [Delivered]);
    assert_eq!(tell(&depot, 2, &[1]), 0);
}

#[test]
fn who_could_not_be_asked_is_asked_again_when_it_is_time() {
    let depot = depot(2);
    ask(&depot, 1).unwrap();
    let failed = |transaction, after, reason: &str| {
        run(depot.home.archive.verification_failed(depot.pacs, transaction, after, reason.to_owned()))
            .unwrap();
    };
    failed(Some(transaction(1)), HOUR, "0213H resource limitation");
    assert_eq!(ask(&depot, 2), None);
    let VerificationDue::In(due) = next_due(&depot) else { panic!("not at a time") };
    assert!(due > HOUR / 2 && due <= HOUR, "{due:?}");
    let lane = run(depot.home.archive.lanes()).unwrap().remove(1);
    assert_eq!(lane.last_error.unwrap().0, "0213H resource limitation");
    let retry = Retry { destination: Some(DestinationName::new("pacs")), dead: false, waiting: true };
    assert_eq!(Desk::open(depot.home.folder.path()).unwrap().retry(&retry).unwrap(), 2, "a person asks now");
    assert_eq!(next_due(&depot), VerificationDue::ByRequest);
    failed(None, HOUR, "nothing listens there");
    assert_eq!(next_due(&depot), VerificationDue::In(Duration::ZERO), "once");
    assert_eq!(Desk::open(depot.home.folder.path()).unwrap().retry(&retry).unwrap(), 2, "also what is due");
    assert_eq!(instances(&ask(&depot, 3).unwrap()).len(), 2);
    assert_eq!(tell(&depot, 1, &[1]), 1, "it had heard it");
}

#[test]
fn what_was_sent_again_is_not_told_of_by_an_older_report() {
    let depot = depot(1);
    ask(&depot, 1).unwrap();
    let mut desk = Desk::open(depot.home.folder.path()).unwrap();
    assert_eq!(desk.resend("2.25.1.1.1", &DestinationName::new("pacs")).unwrap().instances, 1);
    assert_eq!(states(&depot), [Ready]);
    assert_eq!(tell(&depot, 1, &[1]), 0);
    let parcel = depot.claim(1).remove(0);
    ask(&depot, 2);
    depot.settle(&parcel, stored());
    ask(&depot, 3).unwrap();
    assert_eq!(tell(&depot, 1, &[1]), 0, "told already");
    assert_eq!(states(&depot), [Verifying]);
    assert_eq!(tell(&depot, 3, &[1]), 1);
}

#[test]
fn an_outcome_counts_once() {
    let depot = depot(1);
    let parcel_of = |depot: &Depot| {
        let mut desk = Desk::open(depot.home.folder.path()).unwrap();
        desk.resend("2.25.1.1.1", &DestinationName::new("pacs")).unwrap();
        depot.claim(1).remove(0)
    };
    let parcel = parcel_of(&depot);
    depot.settle(&parcel, stored());
    depot.settle(&parcel, stored());
    assert_eq!(states(&depot), [Verifying]);
    depot.settle(&parcel, Settlement::Released);
    depot.settle(&parcel, retry(LEASE));
    assert_eq!(states(&depot), [Verifying]);
    depot.settle(&parcel, delivered());
    assert_eq!(states(&depot), [Delivered]);
    depot.settle(&parcel, stored());
    assert_eq!(states(&depot), [Delivered]);
}

#[test]
fn what_waits_for_too_long_is_given_up() {
    let depot = depot(2);
    ask(&depot, 1).unwrap();
    assert_eq!(sweep(&depot, Some(Duration::ZERO)), (0, 0), "its report may still come");
    let refused = "0122H SOP class not supported".to_owned();
    let failed =
        depot.home.archive.verification_failed(depot.pacs, Some(transaction(1)), Duration::ZERO, refused);
    run(failed).unwrap();
    assert_eq!(sweep(&depot, Some(HOUR)), (0, 0));
    assert_eq!(sweep_so(&depot, Some(Duration::ZERO), HOUR), (0, 0), "stored just now: it is asked first");
    assert_eq!(sweep(&depot, Some(Duration::ZERO)), (0, 2));
    assert_eq!(ask(&depot, 2), None);
    assert_eq!(states(&depot), [Dead; 2]);
    let expected =
        "gave up after 72 h: it was stored, and storage was not committed to (0122H SOP class not supported)";
    assert_eq!(status(&depot, 1), expected);
}

#[test]
fn a_start_asks_again_only_who_may_not_have_heard() {
    let depot = depot(2);
    ask(&depot, 1).unwrap();
    run(depot.home.archive.verification_asked(transaction(1))).unwrap();
    depot.queue(3);
    let parcel = depot.claim(1).remove(0);
    depot.settle(&parcel, stored());
    assert_eq!(instances(&ask(&depot, 2).unwrap()), ["2.25.1.1.3"]);
    let depot = depot.reopen();
    assert_eq!(states(&depot), [Verifying; 3]);
    assert_eq!(instances(&ask(&depot, 3).unwrap()), ["2.25.1.1.3"]);
    assert_eq!(tell(&depot, 1, &[1, 2]), 2);
    assert_eq!(tell(&depot, 2, &[3]), 1, "it had heard it");
}

#[test]
fn versions_are_asked_about_once_and_told_of_together() {
    let depot = depot(1);
    let other = Sample::new(1, 1, 1).with(ACCESSION, "other").routed(depot.routing(&[depot.pacs], &[]));
    run(depot.home.store(&other));
    let parcel = depot.claim(1).remove(0);
    assert_eq!(parcel.version, 2);
    depot.settle(&parcel, stored());
    assert_eq!(instances(&ask(&depot, 1).unwrap()), ["2.25.1.1.1"]);
    assert_eq!(tell(&depot, 1, &[1]), 2);
    assert_eq!(states(&depot), [Delivered; 2]);
}

#[test]
fn more_than_a_batch_is_asked_about_in_several_requests() {
    let depot = depot(1);
    let fill = "INSERT INTO delivery (destination_pk, instance_pk, version, state, queued, due)
        WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        SELECT destination_pk, instance_pk, n, 6, queued, due FROM delivery, n WHERE version = 1";
    depot.home.index().execute(fill, [limits::COMMITMENT_BATCH + 1]).unwrap();
    assert!(ask(&depot, 1).is_some() && ask(&depot, 2).is_some());
    assert_eq!(ask(&depot, 3), None);
    let deadlines = "SELECT count(DISTINCT due) FROM delivery WHERE state = 6";
    assert_eq!(depot.home.count(deadlines), 2);
}

#[test]
fn who_is_no_longer_asked_has_what_it_took() {
    let depot = depot(3);
    assert_eq!(run(depot.home.archive.verify_no_more(vec![depot.cloud, depot.pacs])).unwrap(), 3);
    assert_eq!(states(&depot), [Delivered; 3]);
    assert_eq!(status(&depot, 1), "0000H success; storage commitment is no longer asked for");
}

#[test]
fn an_instance_that_comes_back_while_it_is_verified_is_recognised() {
    let depot = depot(1);
    let back = Sample::new(1, 1, 1).routed(depot.routing(&[depot.cloud], &[depot.pacs]));
    assert_eq!(run(depot.home.store(&back)), Committed::Duplicate);
    assert!(depot.came_back());
    assert_eq!(states(&depot), [Verifying]);
}

#[test]
fn nothing_is_looked_for_in_whole_tables() {
    let home = Home::new();
    let index = home.index();
    for sql in STATEMENTS {
        let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = vec![rusqlite::types::Null; explained.parameter_count()];
        let lines = explained.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3));
        for line in lines.unwrap().map(Result::unwrap) {
            assert!(!line.starts_with("SCAN") && !line.contains("TEMP B-TREE"), "{sql}: {line}");
        }
    }
}
