//! The parts of a lane by themselves, and all of it over a real index, to destinations in memory that do as they are told.

mod agenda;
mod couriers;
mod lane;
mod shelf;
mod sink;

use std::time::Duration;

use archive::{Parcel, Turn};
use model::DestinationName;

use super::Retry;
use crate::tests::{CT, Home};

/// Quick, so that nobody waits.
pub(super) const QUICK: Retry = Retry {
    first: Duration::from_millis(20),
    factor: 1.5,
    max: Duration::from_millis(100),
    give_up: Duration::from_secs(3600),
};

/// So many claimed parcels, for those who need no index behind them.
pub(super) fn parcels(count: u32) -> Vec<Parcel> {
    parcels_of(&vec![CT; count.try_into().unwrap()])
}

/// One claimed parcel of each of these SOP classes.
pub(super) fn parcels_of(sop_classes: &[&str]) -> Vec<Parcel> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let home = Home::new(&["sink"]).await;
        for (number, sop_class) in (1..).zip(sop_classes) {
            home.store(number, sop_class).await;
        }
        let id = home.pipeline.router.id(&DestinationName::new("sink")).unwrap();
        let turn = Turn { claim: sop_classes.len(), lease: Duration::from_secs(60), ..Turn::default() };
        let parcels = home.archive.turn(id, turn).await.unwrap().parcels;
        assert_eq!(parcels.len(), sop_classes.len());
        parcels
    })
}

/// The number of an instance that [`Home::store`] made.
pub(super) fn number(parcel: &Parcel) -> u32 {
    parcel.instance.ids.sop_instance.as_str().rsplit('.').next().unwrap().parse().unwrap()
}
