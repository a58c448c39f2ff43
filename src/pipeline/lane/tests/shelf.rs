use std::sync::Arc;

use archive::Parcel;
use tokio::task::JoinSet;
use tokio::task::yield_now;

use super::{number, parcels, parcels_of};
use crate::lane::shelf::Shelf;
use crate::tests::{CT, MR};
use crate::{Outcome, Waiting};

fn delivered() -> Outcome {
    Outcome::Delivered { answer: String::new(), sent: [0; 32] }
}

fn down() -> Outcome {
    Outcome::Down { reason: String::new() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Couriers that wait, in this order, each for one parcel.
async fn waiting(shelf: &Arc<Shelf>, seats: &[usize]) -> JoinSet<(usize, Option<Parcel>)> {
    let mut waiting = JoinSet::new();
    for &seat in seats {
        let shelf = shelf.clone();
        waiting.spawn(async move { (seat, shelf.take(seat).await) });
        yield_now().await;
    }
    waiting
}

#[test]
fn the_courier_that_came_last_is_served_first() {
    let mut parcels = parcels(3);
    run(async {
        let shelf = Arc::new(Shelf::new(3));
        let mut waiting = waiting(&shelf, &[0, 2, 1]).await;
        shelf.put(parcels.drain(..1).collect());
        let (seat, parcel) = waiting.join_next().await.unwrap().unwrap();
        assert_eq!((seat, number(&parcel.unwrap())), (1, 1));
        shelf.put(parcels);
        let mut rest =
            [waiting.join_next().await.unwrap().unwrap(), waiting.join_next().await.unwrap().unwrap()];
        rest.sort_by_key(|(seat, _)| *seat);
        let rest = rest.map(|(seat, parcel)| (seat, number(&parcel.unwrap())));
        assert_eq!(rest, [(0, 3), (2, 2)], "one wakes the next");
    });
}

#[test]
fn a_courier_that_found_the_destination_down_waits_to_be_admitted() {
    let mut parcels = parcels(2);
    run(async {
        let shelf = Arc::new(Shelf::new(2));
        shelf.put(parcels.drain(..1).collect());
        assert!(shelf.take(0).await.is_some());
        assert!(!shelf.report(0, &down()), "no other is busy");
        shelf.put(parcels);
        let mut waiting = waiting(&shelf, &[0]).await;
        assert!(waiting.try_join_next().is_none());
        shelf.admit(0);
        assert!(waiting.join_next().await.unwrap().unwrap().1.is_some());
    });
}

#[test]
fn a_courier_that_gets_nothing_is_not_woken_in_place_of_another() {
    let parcels = parcels(1);
    run(async {
        let shelf = Arc::new(Shelf::new(2));
        shelf.report(1, &down());
        // The one that gets nothing came last.
        let mut waiting = waiting(&shelf, &[0, 1]).await;
        shelf.put(parcels);
        for _ in 0..4 {
            yield_now().await;
        }
        let (seat, parcel) = waiting.try_join_next().expect("the other was woken").unwrap();
        assert!(seat == 0 && parcel.is_some());
    });
}

#[test]
fn others_do_well_while_they_carry_something_after_a_success() {
    let parcels = parcels(4);
    run(async {
        let shelf = Arc::new(Shelf::new(2));
        shelf.put(parcels.clone());
        assert!(shelf.take(0).await.is_some() && shelf.take(1).await.is_some());
        assert!(!shelf.report(0, &down()), "nobody has been well received yet");
        shelf.admit(0);
        assert!(!shelf.report(1, &delivered()), "the other is neither busy nor well");
        assert!(shelf.take(1).await.is_some() && shelf.take(0).await.is_some());
        assert!(shelf.report(0, &down()), "the other is busy");
        shelf.admit(0);
        shelf.put(parcels[..1].to_vec());
        assert!(shelf.take(0).await.is_some());
        assert!(!shelf.report(1, &delivered()));
        assert!(shelf.report(0, &down()), "the other was well received in the meantime");
        shelf.admit(0);
        shelf.put(parcels[..1].to_vec());
        assert!(shelf.take(0).await.is_some());
        assert!(!shelf.report(0, &down()), "that was before");
    });
}

#[test]
fn closing_sends_everybody_home() {
    let parcels = parcels(2);
    run(async {
        let shelf = Arc::new(Shelf::new(3));
        shelf.put(parcels);
        assert!(shelf.take(0).await.is_some());
        assert_eq!(shelf.close().len(), 1);
        assert!(shelf.take(1).await.is_none());
        let shelf = Arc::new(Shelf::new(3));
        shelf.report(1, &down());
        let waiting = waiting(&shelf, &[0, 1, 2]).await;
        shelf.close();
        assert!(waiting.join_all().await.iter().all(|(_, parcel)| parcel.is_none()));
    });
}

#[test]
fn kinds_are_those_that_wait_and_those_that_came_lately() {
    let parcels = parcels_of(&[CT, MR, MR, CT]);
    run(async {
        let shelf = Shelf::new(1);
        let kinds =
            || shelf.kinds().into_iter().map(|(class, _)| class.as_str().to_owned()).collect::<Vec<_>>();
        assert!(kinds().is_empty());
        shelf.put(parcels[..2].to_vec());
        assert_eq!(kinds(), [CT, MR]);
        assert!(shelf.take(0).await.is_some());
        assert_eq!(kinds(), [MR, CT]);
        shelf.put(parcels[2..].to_vec());
        assert_eq!(shelf.clear().len(), 3);
        assert_eq!(kinds(), [CT, MR], "the latest first");
    });
}
