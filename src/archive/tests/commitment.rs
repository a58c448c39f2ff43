//! What peers ask us to commit to: kept before it is answered, told as it is when it is told.

use std::net::IpAddr;
use std::time::Duration;

use model::commitment::{FailureReason, Reference, Request};
use model::{TransactionUid, limits};

use super::*;
use crate::commitment::{RECORD_STATEMENTS, STATEMENTS};
use crate::{Acceptance, Asker, CommitmentCounts, CommitmentId, CommitmentState, Desk, Judgement, Reported};

const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

fn reference(class: &str, instance: &str) -> Reference {
    Reference {
        sop_class: SopClassUid::lenient(class).unwrap(),
        sop_instance: SopInstanceUid::lenient(instance).unwrap(),
    }
}

fn request(transaction: &str, instances: &[&str]) -> Request {
    Request {
        transaction: TransactionUid::lenient(transaction).unwrap(),
        references: instances.iter().map(|instance| reference(CT, instance)).collect(),
    }
}

fn asker(title: &str) -> Asker {
    Asker {
        calling_aet: AeTitle::parse(title).ok(),
        peer: Some(PeerName::new("ct")),
        address: Some(IpAddr::from([10, 0, 0, 1])),
    }
}

fn ask(home: &Home, title: &str, request: &Request) -> Acceptance {
    run(home.archive.accept_commitment(asker(title), request.clone())).unwrap()
}

fn taken(home: &Home, transaction: &str) -> CommitmentId {
    match ask(home, "CT1", &request(transaction, &["2.25.1.1.1"])) {
        Acceptance::Taken(id) => id,
        other => panic!("{other:?}"),
    }
}

fn due(home: &Home, busy: &[&str]) -> Vec<CommitmentId> {
    let busy = busy.iter().map(|title| AeTitle::parse(title).ok()).collect();
    run(home.archive.due_reports(busy)).unwrap().iter().map(|owed| owed.id).collect()
}

fn settle(home: &Home, id: CommitmentId, how: Reported) {
    run(home.archive.reported(id, Some(1), how)).unwrap();
}

fn delivered() -> Reported {
    Reported::Delivered { answer: "0000H success".to_owned() }
}

fn retry(after: Duration) -> Reported {
    Reported::Retry { after, reason: "nothing listens there".to_owned() }
}

fn given_up() -> Reported {
    Reported::GivenUp { reason: "gave up after 72 h".to_owned() }
}

#[test]
fn only_what_is_there_whole_and_of_that_class_is_committed_to() {
    let home = Home::new();
    for n in 1..=4 {
        run(home.store_new(&Sample::new(1, 1, n)));
    }
    let files = home.files();
    std::fs::remove_file(&files[2]).unwrap();
    std::fs::write(&files[3], b"short").unwrap();
    let references = vec![
        reference(CT, "2.25.1.1.1"),
        reference(MR, "2.25.1.1.2"),
        reference(CT, "2.25.1.1.3"),
        reference(CT, "2.25.1.1.4"),
        reference(CT, "2.25.1.1.5"),
    ];
    let transaction = TransactionUid::lenient("2.25.9").unwrap();
    let request = Request { transaction: transaction.clone(), references: references.clone() };
    let Acceptance::Taken(id) = ask(&home, "CT1", &request) else { panic!("not taken") };
    let failed = [
        (1, FailureReason::CLASS_INSTANCE_CONFLICT),
        (2, FailureReason::PROCESSING_FAILURE),
        (3, FailureReason::PROCESSING_FAILURE),
        (4, FailureReason::NO_SUCH_OBJECT_INSTANCE),
    ];
    let expected = Judgement {
        transaction,
        committed: vec![references[0].clone()],
        failed: failed.map(|(at, reason)| (references[at].clone(), reason)).to_vec(),
    };
    assert_eq!(run(home.archive.judge(id)).unwrap(), expected);
    // What comes later counts when it is looked again.
    run(home.store_new(&Sample::new(1, 1, 5)));
    assert_eq!(run(home.archive.judge(id)).unwrap().committed.len(), 2);
}

#[test]
fn a_request_of_many_pages_is_judged_whole_and_in_order() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 700)));
    let instances: Vec<String> = (1..=1000).map(|n| format!("2.25.1.1.{n}")).collect();
    let references: Vec<&str> = instances.iter().map(String::as_str).collect();
    let Acceptance::Taken(id) = ask(&home, "CT1", &request("2.25.9", &references)) else {
        panic!("not taken")
    };
    let judgement = run(home.archive.judge(id)).unwrap();
    assert_eq!(judgement.committed, [reference(CT, "2.25.1.1.700")]);
    let failed: Vec<_> = judgement.failed.iter().map(|(one, _)| one.sop_instance.as_str()).collect();
    assert_eq!(failed.len(), 999);
    assert!(failed.iter().zip(references.iter().filter(|one| **one != "2.25.1.1.700")).all(|(a, b)| a == b));
}

#[test]
fn a_transaction_uid_means_one_thing_to_each_asker() {
    let home = Home::new();
    let first = taken(&home, "2.25.9");
    assert_eq!(ask(&home, "CT1", &request("2.25.9", &["2.25.1.1.2"])), Acceptance::InUse);
    assert_eq!(ask(&home, "CT1", &request("2.25.9", &["2.25.1.1.1", "2.25.1.1.2"])), Acceptance::InUse);
    let other = ask(&home, "CT2", &request("2.25.9", &["2.25.1.1.2"]));
    assert!(matches!(other, Acceptance::Taken(id) if id != first), "{other:?}");
    assert_eq!(taken(&home, "2.25.9"), first, "the same again is the same");
    settle(&home, first, delivered());
    assert_eq!(ask(&home, "CT1", &request("2.25.9", &["2.25.1.1.2"])), Acceptance::InUse);
    assert_eq!(taken(&home, "2.25.9"), first, "whose report got lost asks again");
    run(home.archive.let_reports_go(vec![first])).unwrap();
    assert_eq!(due(&home, &[]), [first]);
}

#[test]
fn a_report_is_held_for_its_association_and_then_due() {
    let home = Home::new();
    let (first, second) = (taken(&home, "2.25.1"), taken(&home, "2.25.2"));
    assert_eq!(due(&home, &[]), []);
    run(home.archive.let_reports_go(vec![first])).unwrap();
    assert_eq!(due(&home, &[]), [first]);
    assert_eq!(due(&home, &["CT1"]), [], "busy");
    assert_eq!(due(&home, &["CT2"]), [first]);
    settle(&home, second, delivered());
    run(home.archive.let_reports_go(vec![second])).unwrap();
    assert_eq!(due(&home, &[]), [first], "what was sent stays sent");
    settle(&home, first, retry(Duration::from_secs(60)));
    assert_eq!(due(&home, &[]), []);
    settle(&home, first, retry(Duration::ZERO));
    assert_eq!(due(&home, &[]), [first]);
    let owed = run(home.archive.due_reports(Vec::new())).unwrap().remove(0);
    assert_eq!(
        (owed.attempts, owed.peer, owed.aet),
        (2, Some(PeerName::new("ct")), AeTitle::parse("CT1").ok())
    );
    settle(&home, first, given_up());
    settle(&home, first, delivered());
    assert_eq!(due(&home, &[]), []);
    let counts = run(home.archive.commitment_counts()).unwrap();
    assert_eq!(counts, CommitmentCounts { waiting: 0, given_up: 1 }, "what was given up stays so");
}

#[test]
fn what_was_taken_outlives_a_crash_and_is_due_at_the_next_start() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let (held, waiting, sent) = (taken(&home, "2.25.1"), taken(&home, "2.25.2"), taken(&home, "2.25.3"));
    settle(&home, waiting, retry(Duration::from_secs(60)));
    settle(&home, sent, delivered());
    let home = home.reopen();
    assert_eq!(due(&home, &[]), [held]);
    assert_eq!(run(home.archive.judge(held)).unwrap().committed.len(), 1);
    assert_eq!(run(home.archive.commitment_counts()).unwrap().waiting, 2);
}

#[test]
fn those_who_look_on_see_what_waits_and_what_was_given_up() {
    let home = Home::new();
    let (held, failing, lost, sent) =
        (taken(&home, "2.25.1"), taken(&home, "2.25.2"), taken(&home, "2.25.3"), taken(&home, "2.25.4"));
    settle(&home, failing, retry(Duration::from_secs(60)));
    settle(&home, lost, given_up());
    settle(&home, sent, delivered());
    assert_ne!(held, failing);
    let seen = run(home.archive.commitments(10)).unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|one| {
            (one.transaction.as_str(), one.state, one.attempts, one.due.is_some(), one.status.as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("2.25.2", CommitmentState::Waiting, 1, true, "nothing listens there"),
            ("2.25.1", CommitmentState::Waiting, 0, false, ""),
            ("2.25.3", CommitmentState::GivenUp, 1, false, "gave up after 72 h"),
        ]
    );
    let desk = Desk::open(home.folder.path()).unwrap();
    let at_desk = desk.commitments(10).unwrap();
    assert_eq!(format!("{at_desk:?}"), format!("{:?}", run(home.archive.commitments(10)).unwrap()));
    assert_eq!(at_desk.len(), 3);
}

#[test]
fn a_person_has_reports_sent_again() {
    let home = Home::new();
    let (failing, lost, sent) = (taken(&home, "2.25.1"), taken(&home, "2.25.2"), taken(&home, "2.25.3"));
    settle(&home, failing, retry(Duration::from_secs(60)));
    settle(&home, lost, given_up());
    settle(&home, sent, delivered());
    let mut desk = Desk::open(home.folder.path()).unwrap();
    assert_eq!(desk.retry_reports().unwrap(), 2);
    let mut found = due(&home, &[]);
    found.sort();
    assert_eq!(found, [failing, lost]);
    let owed = run(home.archive.due_reports(Vec::new())).unwrap();
    assert!(owed.iter().all(|owed| owed.attempts == 0));
}

#[test]
fn what_ended_long_ago_is_forgotten() {
    let home = Home::new();
    let (sent, lost, waiting) = (taken(&home, "2.25.1"), taken(&home, "2.25.2"), taken(&home, "2.25.3"));
    settle(&home, sent, delivered());
    settle(&home, lost, given_up());
    let age = i64::try_from(limits::COMMITMENT_KEPT.as_micros()).unwrap() + 1;
    home.index()
        .execute("UPDATE commitment SET done = done - ?1, requested = requested - ?1", [age])
        .unwrap();
    taken(&home, "2.25.4");
    assert_eq!(home.count("SELECT count(*) FROM commitment"), 2);
    assert!(run(home.archive.judge(waiting)).is_ok() && run(home.archive.judge(sent)).is_err());
}

#[test]
fn more_reports_than_can_wait_are_not_taken_on() {
    let home = Home::new();
    let first = taken(&home, "2.25.1");
    let fill =
        "INSERT INTO commitment (aet, transaction_uid, peer, address, requested, state, due, instances, refs)
        WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        SELECT 'X', '2.25.1.' || n, '', '', 0, 0, 0, 1, x'' FROM n";
    let most = i64::try_from(limits::COMMITMENTS_WAITING).unwrap();
    home.index().execute(fill, [most / 2]).unwrap();
    let ask = |aet, transaction| ask(&home, aet, &request(transaction, &["2.25.1.1.1"]));
    assert!(matches!(ask("X", "2.25.2"), Acceptance::Taken(_)), "it has one less than half");
    assert_eq!(ask("X", "2.25.3"), Acceptance::Full);
    assert!(matches!(ask("CT1", "2.25.4"), Acceptance::Taken(_)), "others have places");
    home.index()
        .execute("UPDATE commitment SET transaction_uid = '2.25.5.' || commitment_pk WHERE aet = 'X'", [])
        .unwrap();
    home.index().execute(fill, [most / 2]).unwrap();
    assert_eq!(ask("CT1", "2.25.6"), Acceptance::Full);
    assert_eq!(taken(&home, "2.25.1"), first, "one that waits already");
}

#[test]
fn nothing_is_looked_for_in_whole_tables() {
    let home = Home::new();
    let index = home.index();
    for sql in STATEMENTS.iter().chain(RECORD_STATEMENTS) {
        let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = explained.parameter_count();
        let nothing = vec![rusqlite::types::Null; count];
        let lines = explained
            .query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        for line in lines {
            let is_whole = line.starts_with("SCAN commitment") && !line.contains("USING");
            assert!(!is_whole && !line.contains("TEMP B-TREE"), "{sql}: {line}");
        }
    }
}
