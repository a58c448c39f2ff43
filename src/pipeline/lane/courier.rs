use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use archive::Parcel;
use futures_util::FutureExt;
use telemetry::{Event, Telemetry};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::shelf::Shelf;
use crate::{Destination, IDLE, Outcome};

/// How one delivery ended.
pub(crate) struct Ended {
    /// The place of the courier that brought it.
    pub(crate) seat: usize,
    pub(crate) parcel: Parcel,
    pub(crate) outcome: Outcome,
    /// Whether another courier was busy at the destination then, and had been well received.
    pub(crate) others_do_well: bool,
}

/// The work of one courier: takes and delivers until the shelf closes or nobody wants to hear of it any more.
///
/// A panic ends the delivery only; a new courier takes over.
pub(crate) async fn work(
    seat: usize,
    destination: Arc<dyn Destination>,
    shelf: Arc<Shelf>,
    ends: mpsc::Sender<Ended>,
    telemetry: Telemetry,
) {
    let mut courier = destination.courier();
    let mut rests = true;
    loop {
        let next = if rests {
            shelf.take(seat).await
        } else if let Ok(next) = timeout(IDLE, shelf.take(seat)).await {
            next
        } else {
            rests = true;
            if unless_panicked(courier.rest(), &telemetry).await.is_none() {
                courier = destination.courier();
            }
            continue;
        };
        let Some(parcel) = next else { break };
        rests = false;
        let outcome = match unless_panicked(courier.deliver(&parcel, &*shelf), &telemetry).await {
            Some(outcome) => outcome,
            None => {
                courier = destination.courier();
                Outcome::Retry { reason: "internal error".to_owned(), after: None }
            }
        };
        let others_do_well = shelf.report(seat, &outcome);
        if ends.send(Ended { seat, parcel, outcome, others_do_well }).await.is_err() {
            break;
        }
    }
    if !rests {
        unless_panicked(courier.rest(), &telemetry).await;
    }
}

/// What a courier comes to; `None` when it panicked. The panic is logged where all are.
async fn unless_panicked<T>(work: impl Future<Output = T>, telemetry: &Telemetry) -> Option<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await.ok();
    if done.is_none() {
        telemetry.record(Event::Panicked);
    }
    done
}
