//! Which deliveries come with an instance.

use std::time::Duration;

use model::{DestinationName, RuleName};
use tokio::time::timeout;

use super::*;
use crate::{DeliveryState, Desk, DestinationId, Parcel, Retry, RuleId, RuleSetId, Settlement, Turn};

/// An archive with destinations and rules.
pub(super) struct Depot {
    pub(super) home: Home,
    pub(super) pacs: DestinationId,
    pub(super) cloud: DestinationId,
    pub(super) rule_set: RuleSetId,
    pub(super) rules: Vec<RuleId>,
}

impl Depot {
    pub(super) fn new() -> Self {
        Self::over(Home::new())
    }

    pub(super) fn over(home: Home) -> Self {
        let names = ["pacs", "cloud"].map(DestinationName::new);
        let (destinations, (rule_set, rules)) = run(async {
            let destinations = home.archive.enrol_destinations(&names).await.unwrap();
            (destinations, home.archive.enrol_rules("v1", &sources(), &rules_of("v1")).await.unwrap())
        });
        Self { home, pacs: destinations[0], cloud: destinations[1], rule_set, rules }
    }

    pub(super) fn reopen(self) -> Self {
        Self::over(self.home.reopen())
    }

    pub(super) fn routing(&self, destinations: &[DestinationId], came_from: &[DestinationId]) -> Routing {
        Routing {
            rule_set: self.rule_set,
            deliveries: destinations.iter().map(|destination| (*destination, self.rules[0])).collect(),
            came_from: came_from.to_vec(),
            is_asked_for: false,
        }
    }

    /// Stores the nth instance of a study, to be delivered to the PACS.
    pub(super) fn queue(&self, n: u32) {
        let sample = Sample::new(1, 1, n).routed(self.routing(&[self.pacs], &[]));
        assert_eq!(run(self.home.store(&sample)), Committed::New);
    }

    pub(super) fn turn(&self, turn: Turn) -> crate::Turned {
        run(self.home.archive.turn(self.pacs, turn)).unwrap()
    }

    /// Claims deliveries to the PACS.
    pub(super) fn claim(&self, claim: usize) -> Vec<Parcel> {
        self.turn(Turn { claim, lease: LEASE, ..Turn::default() }).parcels
    }

    pub(super) fn settle(&self, parcel: &Parcel, settlement: Settlement) {
        self.turn(Turn { settled: vec![(parcel.id, settlement)], ..Turn::default() });
    }

    /// Destination, version and state of all deliveries.
    pub(super) fn deliveries(&self) -> Vec<(DestinationId, u32, DeliveryState)> {
        let index = self.home.index();
        let mut statement = index
            .prepare("SELECT destination_pk, version, state FROM delivery ORDER BY delivery_pk")
            .unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok((DestinationId(row.get(0)?), row.get(1)?, row.get(2)?));
        statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The counters are what the rows say.
    pub(super) fn check_counters(&self) {
        let wrong =
            "SELECT count(*) FROM destination WHERE (ready, retrying, leased, dead, delivered, withheld, verifying) <> (
            SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1),
                count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3),
                count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5),
                count(*) FILTER (WHERE state = 6)
            FROM delivery WHERE delivery.destination_pk = destination.destination_pk)";
        assert_eq!(self.home.count(wrong), 0);
    }

    pub(super) fn came_back(&self) -> bool {
        self.home.telemetry.render().contains("gantry_instances_came_back_total 1\n")
    }
}

pub(super) const LEASE: Duration = Duration::from_secs(300);

pub(super) fn sources() -> Vec<(String, String)> {
    vec![("rules/a.toml".into(), "[[rule]]".into()), ("rules/b.toml".into(), "[[test]]".into())]
}

pub(super) fn rules_of(version: &str) -> Vec<(RuleName, String)> {
    vec![(RuleName::new("ER"), version.into()), (RuleName::new("rest"), version.into())]
}

pub(super) fn delivered() -> Settlement {
    Settlement::Delivered { answer: "0000H success".into(), sent: [7; 32] }
}

pub(super) fn retry(after: Duration) -> Settlement {
    Settlement::Retry { after, reason: "A700H out of resources".into() }
}

pub(super) fn dead() -> Settlement {
    Settlement::Dead { reason: "C000H cannot understand".into() }
}

fn second(first: &Sample) -> Sample {
    first.clone().with(ACCESSION, "other")
}

#[test]
fn an_instance_is_queued_with_its_row_for_each_destination() {
    let depot = Depot::new();
    let sample = Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs, depot.cloud], &[]));
    run(depot.home.store_new(&sample));
    run(depot.home.store_new(&Sample::new(1, 1, 2)));
    run(depot.home.store_new(&Sample::new(1, 1, 3).routed(depot.routing(&[], &[]))));
    assert_eq!(
        depot.deliveries(),
        [(depot.pacs, 1, DeliveryState::Ready), (depot.cloud, 1, DeliveryState::Ready)]
    );
    depot.check_counters();
    assert_eq!(depot.home.count("SELECT count(*) FROM instance WHERE rule_set_pk IS NULL"), 1);
}

#[test]
fn an_instance_that_cannot_be_queued_is_not_stored() {
    let depot = Depot::new();
    depot
        .home
        .index()
        .execute_batch("CREATE TRIGGER refuse BEFORE INSERT ON delivery BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    let sample = Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs], &[]));
    let refused = run(depot.home.archive.commit(sample.prepared(&depot.home.archive)));
    assert!(matches!(refused, Err(Error::Index(_))));
    assert!(depot.home.files().is_empty());
    depot.home.index().execute_batch("DROP TRIGGER refuse").unwrap();
    run(depot.home.store_new(&sample));
    depot.check_counters();
}

#[test]
fn names_keep_their_numbers() {
    let depot = Depot::new();
    let (pacs, rule_set, rules) = (depot.pacs, depot.rule_set, depot.rules.clone());
    let depot = depot.reopen();
    assert_eq!((depot.pacs, depot.rule_set, depot.rules.clone()), (pacs, rule_set, rules.clone()));
    let (other_set, other) = run(depot.home.archive.enrol_rules(
        "v2",
        &[],
        &[rules_of("v1")[0].clone(), rules_of("v2")[1].clone()],
    ))
    .unwrap();
    assert_ne!(other_set, rule_set);
    assert_eq!(other[0], rules[0]);
    assert!(!rules.contains(&other[1]));
}

#[test]
fn what_was_asked_for_goes_everywhere_but_where_it_came_from() {
    let depot = Depot::new();
    let routing = depot.routing(&[depot.pacs, depot.cloud], &[depot.pacs]);
    let asked = Sample::new(1, 1, 1).routed(Routing { is_asked_for: true, ..routing.clone() });
    assert_eq!(run(depot.home.store(&asked)), Committed::New);
    assert_eq!(
        depot.deliveries(),
        [(depot.pacs, 1, DeliveryState::Withheld), (depot.cloud, 1, DeliveryState::Ready)]
    );
    assert_eq!(run(depot.home.store(&Sample::new(1, 1, 2).routed(routing))), Committed::New);
    assert_eq!(
        depot.deliveries()[2],
        (depot.pacs, 1, DeliveryState::Ready),
        "what was sent by itself may go back"
    );
}

#[test]
fn a_second_version_goes_everywhere_but_where_it_came_from() {
    let depot = Depot::new();
    let everywhere = [depot.pacs, depot.cloud];
    let first = Sample::new(1, 1, 1).routed(depot.routing(&everywhere, &[]));
    run(depot.home.store_new(&first));
    let second = second(&first).routed(depot.routing(&everywhere, &[depot.pacs]));
    assert_eq!(run(depot.home.store(&second)), Committed::Conflict { version: 2 });
    assert_eq!(
        depot.deliveries()[2..],
        [(depot.pacs, 2, DeliveryState::Withheld), (depot.cloud, 2, DeliveryState::Ready)]
    );
    // Sent once more, from elsewhere too, it still does not go back.
    for came_from in [&[depot.pacs][..], &[]] {
        let again = second.clone().routed(depot.routing(&everywhere, came_from));
        assert_eq!(run(depot.home.store(&again)), Committed::Duplicate);
    }
    assert_eq!(depot.deliveries().len(), 4);
    depot.check_counters();
    let parcels =
        run(depot.home.archive.turn(depot.cloud, Turn { claim: 9, ..Turn::default() })).unwrap().parcels;
    assert_eq!(parcels.iter().map(|parcel| parcel.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(std::fs::read(&parcels[1].instance.path).unwrap(), second.data_set());
    assert_eq!(parcels[1].instance.ids, second.ids());
    assert_eq!(<[u8; 32]>::from(Sha256::digest(second.data_set())), parcels[1].instance.sha256);
}

#[test]
fn a_new_instance_goes_where_the_rules_say_also_back() {
    let depot = Depot::new();
    run(depot.home.store_new(&Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs], &[depot.pacs]))));
    assert_eq!(depot.deliveries(), [(depot.pacs, 1, DeliveryState::Ready)]);
}

#[test]
fn an_instance_that_comes_again_goes_where_it_was_not_sent_and_nowhere_twice() {
    let depot = Depot::new();
    let sample = Sample::new(1, 1, 1);
    run(depot.home.store_new(&sample));
    for destinations in [&[depot.pacs][..], &[depot.pacs, depot.cloud], &[depot.pacs, depot.cloud]] {
        let again = sample.clone().routed(depot.routing(destinations, &[]));
        assert_eq!(run(depot.home.store(&again)), Committed::Duplicate);
    }
    assert_eq!(
        depot.deliveries(),
        [(depot.pacs, 1, DeliveryState::Ready), (depot.cloud, 1, DeliveryState::Ready)]
    );
    assert_eq!(depot.home.count("SELECT rule_set_pk FROM instance"), depot.rule_set.0);
    let second = second(&sample);
    run(depot.home.store(&second));
    let again = second.routed(depot.routing(&[depot.cloud], &[depot.cloud]));
    assert_eq!(run(depot.home.store(&again)), Committed::Duplicate);
    assert_eq!(depot.deliveries()[2], (depot.cloud, 2, DeliveryState::Withheld));
    assert_eq!(depot.home.count("SELECT rule_set_pk FROM conflict"), depot.rule_set.0);
    depot.check_counters();
    assert!(!depot.came_back());
}

#[test]
fn the_rules_that_decided_first_are_remembered() {
    let depot = Depot::new();
    let sample = Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs], &[]));
    run(depot.home.store_new(&sample));
    let (rule_set, _) = run(depot.home.archive.enrol_rules("v2", &[], &[])).unwrap();
    let again = Routing { rule_set, ..depot.routing(&[depot.cloud], &[]) };
    assert_eq!(run(depot.home.store(&sample.routed(again))), Committed::Duplicate);
    assert_eq!(depot.deliveries().len(), 2);
    assert_eq!(depot.home.count("SELECT rule_set_pk FROM instance"), depot.rule_set.0);
}

/// Whether an instance that comes from the PACS counts as come back, and is not sent to the cloud, once its delivery to
/// the PACS has been through this.
fn comes_back(happened: impl FnOnce(Depot) -> Depot) -> bool {
    let depot = Depot::new();
    depot.queue(1);
    let depot = happened(depot);
    let again = Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs, depot.cloud], &[depot.pacs]));
    assert_eq!(run(depot.home.store(&again)), Committed::Duplicate);
    assert_eq!(depot.came_back(), depot.deliveries().len() == 1);
    depot.check_counters();
    depot.came_back()
}

/// Claims the delivery to the PACS, and settles it so.
fn settled(depot: Depot, settlement: Settlement) -> Depot {
    depot.settle(&depot.claim(1)[0], settlement);
    depot
}

fn resent(depot: Depot) -> Depot {
    let mut desk = Desk::open(depot.home.folder.path()).unwrap();
    assert_eq!(desk.resend("2.25.1.1.1", &DestinationName::new("pacs")).unwrap().instances, 1);
    depot
}

fn revived(depot: Depot) -> Depot {
    let mut desk = Desk::open(depot.home.folder.path()).unwrap();
    assert_eq!(desk.retry(&Retry { destination: None, dead: true, waiting: false }).unwrap(), 1);
    depot
}

#[test]
fn what_comes_back_from_where_it_was_sent_goes_nowhere() {
    assert!(!comes_back(|depot| depot));
    assert!(comes_back(|depot| {
        depot.claim(1);
        depot
    }));
    assert!(comes_back(|depot| settled(depot, delivered())));
    assert!(comes_back(|depot| settled(depot, retry(LEASE))));
    assert!(!comes_back(|depot| settled(depot, Settlement::Released)));
    assert!(!comes_back(|depot| settled(depot, dead())));
}

#[test]
fn what_was_delivered_once_comes_back_whatever_a_person_made_of_it_since() {
    assert!(comes_back(|depot| resent(settled(depot, delivered()))));
    assert!(comes_back(|depot| settled(resent(settled(depot, delivered())), dead())));
    assert!(comes_back(|depot| revived(settled(resent(settled(depot, delivered())), dead()))));
    assert!(!comes_back(|depot| revived(settled(depot, dead()))));
}

#[test]
fn what_was_claimed_when_the_server_was_killed_may_come_back() {
    let killed = |depot: Depot| {
        depot.claim(1);
        depot.reopen()
    };
    assert!(comes_back(killed));
    assert!(comes_back(|depot| settled(killed(depot), Settlement::Released)));
    assert!(!comes_back(Depot::reopen));
}

#[test]
fn what_replaces_a_lost_file_is_routed_as_a_duplicate() {
    let depot = Depot::new();
    let sample = Sample::new(1, 1, 1);
    run(depot.home.store_new(&sample));
    std::fs::remove_file(&depot.home.files()[0]).unwrap();
    let again = sample.routed(depot.routing(&[depot.pacs], &[]));
    assert_eq!(run(depot.home.store(&again)), Committed::Duplicate);
    assert_eq!(depot.deliveries(), [(depot.pacs, 1, DeliveryState::Ready)]);
    assert_eq!(depot.claim(1)[0].instance.path, depot.home.files()[0]);
}

#[test]
fn one_transaction_may_route_an_instance_and_its_duplicate() {
    let depot = Depot::new();
    run(depot.home.store_new(&Sample::new(98, 1, 1)));
    let sample = Sample::new(1, 1, 1).routed(depot.routing(&[depot.pacs], &[]));
    let both = sample.clone().routed(depot.routing(&[depot.pacs, depot.cloud], &[]));
    let commits = [&Sample::new(99, 1, 1), &sample, &both]
        .map(|sample| sample.prepared(&depot.home.archive))
        .map(|prepared| -> Commit<'_, _> { Box::pin(depot.home.archive.commit(prepared)) });
    let outcomes = run(together(&depot.home, commits.into()));
    assert!(matches!(outcomes[1..], [Ok(Committed::New), Ok(Committed::Duplicate)]));
    assert_eq!(depot.deliveries().len(), 2);
    depot.check_counters();
}

#[test]
fn a_lane_is_woken_by_what_is_ready_for_it() {
    let depot = Depot::new();
    let rings = |destination| {
        let bell = depot.home.archive.wakeup(destination);
        let heard = runtime_with_time().block_on(async { timeout(Duration::ZERO, bell.notified()).await });
        heard.is_ok()
    };
    depot.queue(1);
    assert!(rings(depot.pacs));
    assert!(!rings(depot.pacs) && !rings(depot.cloud));
    // Nothing new, and nothing to send.
    let first = Sample::new(1, 1, 1);
    run(depot.home.store(&first.clone().routed(depot.routing(&[depot.pacs], &[]))));
    run(depot.home.store(&second(&first).routed(depot.routing(&[depot.pacs], &[depot.pacs]))));
    assert!(!rings(depot.pacs));
    depot.queue(2);
    assert!(rings(depot.pacs));
}

fn runtime_with_time() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}
