//! Beside a running server, and without one.

use model::{DestinationName, limits};

use super::fanout::{Depot, LEASE, dead, delivered, retry};
use super::*;
use crate::{DeliveryState, Desk, Parcel, Retry, Settlement, Turn, schema};

fn desk(depot: &Depot) -> Desk {
    Desk::open(depot.home.folder.path()).unwrap()
}

fn name(text: &str) -> DestinationName {
    DestinationName::new(text)
}

fn states(depot: &Depot) -> Vec<DeliveryState> {
    depot.deliveries().into_iter().map(|delivery| delivery.2).collect()
}

/// A depot with a dead delivery, one that is to be tried again, and one that was delivered.
fn depot_of_each() -> (Depot, Vec<Parcel>) {
    let depot = Depot::new();
    (1..=3).for_each(|n| depot.queue(n));
    let parcels = depot.claim(3);
    for (parcel, settlement) in parcels.iter().zip([dead(), retry(LEASE), delivered()]) {
        depot.settle(parcel, settlement);
    }
    (depot, parcels)
}

#[test]
fn nothing_is_made_where_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Desk::open(&folder.path().join("none")), Err(Error::NoIndex)));
    assert!(matches!(Desk::open(folder.path()), Err(Error::NoIndex)));
    std::fs::write(folder.path().join("index.sqlite"), "").unwrap();
    assert!(matches!(Desk::open(folder.path()), Err(Error::NoIndex)));
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[test]
fn an_index_of_another_version_is_left_alone() {
    for (version, is_older) in [(3, true), (99, false)] {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.sqlite");
        schema::open_writer(&index, true).unwrap().pragma_update(None, "user_version", version).unwrap();
        let error = Desk::open(folder.path()).err().unwrap();
        assert_eq!(
            matches!(error, Error::OlderSchema { found: 3, known } if known == schema::known()),
            is_older
        );
        assert_eq!(
            matches!(error, Error::NewerSchema { found: 99, known } if known == schema::known()),
            !is_older
        );
        let connection = Connection::open(&index).unwrap();
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, version);
    }
}

#[test]
fn the_desk_sees_what_the_server_sees() {
    let (depot, _) = depot_of_each();
    let lanes = desk(&depot).lanes().unwrap();
    let served = run(depot.home.archive.lanes()).unwrap();
    assert_eq!(format!("{lanes:?}"), format!("{served:?}"));
    assert_eq!((lanes[1].dead, lanes[1].retrying, lanes[1].delivered), (1, 1, 1));
    assert!(lanes[1].oldest.is_some());
}

#[test]
fn the_dead_and_the_waiting_are_tried_again_when_told() {
    let (depot, _) = depot_of_each();
    let which = |dead, waiting| Retry { destination: Some(name("pacs")), dead, waiting };
    assert_eq!(desk(&depot).retry(&which(false, false)).unwrap(), 0);
    assert!(depot.claim(9).is_empty());
    assert_eq!(desk(&depot).retry(&which(false, true)).unwrap(), 1);
    let again = depot.claim(9).remove(0);
    assert_eq!(again.attempts, 1);
    assert_eq!(desk(&depot).retry(&which(true, false)).unwrap(), 1);
    let revived = depot.claim(9).remove(0);
    assert_eq!(revived.attempts, 0);
    assert!(revived.queued > again.queued);
    assert_eq!(depot.home.count("SELECT count(*) FROM delivery WHERE rule_pk IS NULL"), 0);
    depot.check_counters();
}

#[test]
fn a_retry_may_be_of_one_destination() {
    let (depot, _) = depot_of_each();
    let all = Retry { destination: Some(name("cloud")), dead: true, waiting: true };
    assert_eq!(desk(&depot).retry(&all).unwrap(), 0);
    let unknown = Retry { destination: Some(name("clout")), ..all };
    assert!(matches!(desk(&depot).retry(&unknown), Err(Error::UnknownDestination)));
    assert_eq!(desk(&depot).retry(&Retry { destination: None, ..all }).unwrap(), 2);
    depot.check_counters();
}

/// Adds dead deliveries to the cloud.
fn add_dead(depot: &Depot, many: i64) {
    let index = depot.home.index();
    index
        .execute(
            "INSERT INTO delivery (destination_pk, instance_pk, version, state, queued, due)
             WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < ?2)
             SELECT ?1, 1, 1 + value, 3, 1, 1 FROM n",
            [depot.cloud.0, many],
        )
        .unwrap();
    index
        .execute("UPDATE destination SET dead = ?2 WHERE destination_pk = ?1", [depot.cloud.0, many])
        .unwrap();
}

const ALL: Retry = Retry { destination: None, dead: true, waiting: true };

#[test]
fn many_are_retried_in_several_transactions() {
    let depot = Depot::new();
    depot.queue(1);
    let many = i64::from(2 * limits::DESK_BATCH + 1);
    add_dead(&depot, many);
    assert_eq!(i64::try_from(desk(&depot).retry(&ALL).unwrap()).unwrap(), many);
    depot.check_counters();
}

#[test]
fn the_server_has_its_turn_between_the_transactions_of_a_long_retry() {
    let depot = Depot::new();
    depot.queue(1);
    let batches = 40;
    add_dead(&depot, i64::from(batches * limits::DESK_BATCH));
    let mut desk = desk(&depot);
    let retry = std::thread::spawn(move || desk.retry(&ALL).unwrap());
    let mut stored = 0;
    while !retry.is_finished() {
        depot.queue(2 + stored);
        stored += 1;
    }
    assert_eq!(retry.join().unwrap(), u64::from(batches * limits::DESK_BATCH));
    assert!(stored >= batches / 4, "{stored} instances were stored in the meantime");
    depot.check_counters();
}

#[test]
fn instances_are_sent_again_by_any_uid() {
    let (depot, _) = depot_of_each();
    run(depot.home.store_new(&Sample::new(1, 2, 1)));
    for (uid, to, instances) in
        [("2.25.1.1.2", "pacs", 1), ("2.25.1.2", "cloud", 1), ("2.25.1.1", "pacs", 3), ("2.25.1", "cloud", 4)]
    {
        assert_eq!(desk(&depot).resend(uid, &name(to)).unwrap().instances, instances, "{uid}");
        depot.check_counters();
    }
    assert_eq!(states(&depot), [DeliveryState::Ready; 7]);
    assert_eq!(
        depot.home.count("SELECT count(*) FROM delivery WHERE attempts > 0 OR rule_pk IS NOT NULL"),
        0
    );
    assert!(matches!(desk(&depot).resend("2.25.77", &name("pacs")), Err(Error::UnknownUid)));
    assert!(matches!(desk(&depot).resend("2.25.1", &name("clout")), Err(Error::UnknownDestination)));
    assert_eq!(depot.claim(9).len(), 3);
}

#[test]
fn what_was_withheld_can_be_sent_by_hand_in_its_first_version_only() {
    let depot = Depot::new();
    let first = Sample::new(1, 1, 1);
    run(depot.home.store_new(&first));
    let second = first.with(ACCESSION, "other").routed(depot.routing(&[depot.pacs], &[depot.pacs]));
    run(depot.home.store(&second));
    desk(&depot).resend("2.25.1.1.1", &name("pacs")).unwrap();
    assert_eq!(states(&depot), [DeliveryState::Withheld, DeliveryState::Ready]);
    assert_eq!(depot.claim(9)[0].version, 1);
}

#[test]
fn the_desk_works_without_a_server_and_the_next_server_sees_it() {
    let (depot, _) = depot_of_each();
    run(depot.home.archive.close()).unwrap();
    let path = depot.home.folder.path().to_owned();
    let home = depot.home.reopen_after(|_| {
        let mut desk = Desk::open(&path).unwrap();
        assert_eq!(desk.lanes().unwrap()[1].dead, 1);
        assert_eq!(desk.trace("2.25.1").unwrap().instances.len(), 3);
        assert_eq!(desk.retry(&Retry { destination: None, dead: true, waiting: false }).unwrap(), 1);
    });
    let depot = Depot::over(home);
    assert_eq!(depot.claim(9).len(), 1);
    depot.check_counters();
}

#[test]
fn the_desk_reads_what_a_killed_server_left_in_its_log() {
    let depot = Depot::new();
    depot.queue(1);
    let copy = tempfile::tempdir().unwrap();
    for file in ["index.sqlite", "index.sqlite-wal"] {
        std::fs::copy(depot.home.folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let mut desk = Desk::open(copy.path()).unwrap();
    assert_eq!(desk.lanes().unwrap()[1].ready, 1);
    assert_eq!(desk.resend("2.25.1", &name("cloud")).unwrap().instances, 1);
    assert_eq!(desk.lanes().unwrap()[0].ready, 1);
}

#[test]
fn a_running_server_finds_what_the_desk_made_ready() {
    let (depot, parcels) = depot_of_each();
    let found = |depot: &Depot| depot.turn(Turn { claim: 9, lease: LEASE, ..Turn::default() }).parcels;
    assert!(found(&depot).is_empty());
    desk(&depot).resend("2.25.1.1.3", &name("pacs")).unwrap();
    let again = found(&depot).remove(0);
    assert_eq!((again.id, again.attempts), (parcels[2].id, 0));
    depot.settle(&again, Settlement::Released);
    depot.check_counters();
}
