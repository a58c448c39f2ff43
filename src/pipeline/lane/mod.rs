//! The lane of a destination: claims what is due, has it delivered, and settles how that ended.
//!
//! Read [`Lane::run`] first; what it has to do next is decided in `agenda.rs`, which has neither clock nor queue.

mod agenda;
mod backoff;
mod circuit;
mod courier;
mod shelf;
#[cfg(test)]
mod tests;
mod verdict;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use archive::{Archive, DestinationId, Parcel, Turned};
pub use backoff::Retry;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::limits;
use telemetry::{DeliveryEnd, Event, Telemetry};
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
pub(crate) use verdict::gave_up;

use crate::Destination;
use agenda::{Agenda, Consequence, End};
use circuit::Change;
use courier::Ended;
use shelf::Shelf;

/// Carries the deliveries of one destination, as wide as it is, one instance after the other on each courier.
#[derive(Clone)]
pub struct Lane {
    pub(crate) archive: Archive,
    pub(crate) telemetry: Telemetry,
    pub(crate) id: DestinationId,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) retry: Retry,
}

impl Lane {
    /// Delivers until `shutdown`, with its couriers in tasks on `tracker`. Then it claims nothing more, waits for what is on its way,
    /// which the caller bounds, and gives the rest back. After a panic of its own it begins anew; what was on its way then is
    /// delivered again once the lease has ended.
    ///
    /// At least once: what was delivered and not settled when everything ends is delivered again. Not cancel safe in that sense only.
    pub async fn run(self, shutdown: CancellationToken, tracker: TaskTracker) {
        let span = tracing::info_span!("lane", destination = %self.destination.name());
        let work = async move {
            while self.work(&shutdown, &tracker).await.is_err() {
                self.telemetry.record(Event::Panicked);
                tracing::error!("the lane has failed and begins anew");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = sleep(limits::LANE_TICK) => {}
                }
            }
        };
        work.instrument(span).await;
    }

    /// Works until told to stop, or until the index is closed. An error is a panic of the clerk or of all couriers.
    async fn work(&self, shutdown: &CancellationToken, tracker: &TaskTracker) -> Result<(), Deserted> {
        let work = async { Clerk::start(self.clone(), tracker).work(shutdown).await };
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(Deserted))
    }
}

/// Nobody works for the lane any more, though it is not to end.
struct Deserted;

/// Runs a lane's agenda.
struct Clerk {
    lane: Lane,
    agenda: Agenda,
    shelf: Arc<Shelf>,
    ends: mpsc::Receiver<Ended>,
    wakeup: Arc<Notify>,
    turn: Option<BoxFuture<'static, Result<Turned, archive::Error>>>,
    /// Couriers that get nothing until then: they were turned away while others were served.
    barred: Vec<(usize, Instant)>,
    /// Whether the last turn failed.
    is_failing: bool,
}

/// Couriers that the clerk leaves behind go home.
impl Drop for Clerk {
    fn drop(&mut self) {
        self.shelf.close();
    }
}

impl Clerk {
    fn start(lane: Lane, tracker: &TaskTracker) -> Self {
        let width = lane.destination.width().clamp(1, limits::LANE_WINDOW_MAX);
        let shelf = Arc::new(Shelf::new(width));
        let (sender, ends) = mpsc::channel(limits::LANE_WINDOW_MAX);
        for seat in 0..width {
            let (destination, shelf) = (lane.destination.clone(), shelf.clone());
            let work = courier::work(seat, destination, shelf, sender.clone(), lane.telemetry.clone());
            tracker.spawn(work.instrument(tracing::info_span!("courier", courier = seat)));
        }
        Self {
            agenda: Agenda::new(lane.retry.clone(), width, Instant::now().into_std()),
            wakeup: lane.archive.wakeup(lane.id),
            lane,
            shelf,
            ends,
            turn: None,
            barred: Vec::new(),
            is_failing: false,
        }
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), Deserted> {
        let mut is_stopping = false;
        let mut couriers_left = false;
        while !(couriers_left && self.agenda.is_settled()) {
            let now = Instant::now();
            self.admit(now);
            if let Some(turn) = self.agenda.next_turn(now.into_std()) {
                let (archive, id) = (self.lane.archive.clone(), self.lane.id);
                self.turn = Some(Box::pin(async move { archive.turn(id, turn).await }));
            }
            let wake_at = self.agenda.wake_at().map_or(now + limits::LANE_TICK, Instant::from_std);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    self.stop();
                }
                turned = turned(&mut self.turn) => {
                    self.turn = None;
                    if self.take_turn(turned).is_none() {
                        return Ok(());
                    }
                }
                ended = self.ends.recv(), if !couriers_left => match ended {
                    Some(ended) => self.take_end(ended),
                    None => {
                        couriers_left = true;
                        self.stop();
                        self.agenda.flush(Instant::now().into_std());
                    }
                },
                () = self.wakeup.notified() => self.agenda.has_more(),
                () = sleep_until(wake_at) => {}
            }
        }
        if is_stopping { Ok(()) } else { Err(Deserted) }
    }

    fn stop(&mut self) {
        self.agenda.stop();
        self.give_back(self.shelf.close());
    }

    /// `None` when there is no index any more.
    fn take_turn(&mut self, turned: Result<Turned, archive::Error>) -> Option<()> {
        let now = Instant::now().into_std();
        match turned {
            Ok(turned) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the index takes deliveries again");
                }
                self.count_dead(turned.gave_up, DeliveryEnd::GaveUp, "they have waited for too long");
                self.count_dead(
                    turned.unreadable,
                    DeliveryEnd::Poison,
                    "the index cannot tell what they are",
                );
                let parcels = self.agenda.turned(turned, now);
                if !parcels.is_empty() {
                    self.shelf.put(parcels);
                }
            }
            Err(archive::Error::Closed) => {
                tracing::debug!("the index was closed before the lane had ended");
                return None;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the index takes no deliveries; asking again each second");
                }
                self.agenda.failed(now);
            }
        }
        Some(())
    }

    fn take_end(&mut self, ended: Ended) {
        let Ended { seat, parcel, outcome, others_do_well } = ended;
        let now = Instant::now();
        let is_down = matches!(outcome, crate::Outcome::Down { .. });
        let age = OffsetDateTime::now_utc() - parcel.queued;
        let end = End {
            delivery: parcel.id,
            attempts: parcel.attempts,
            age: Duration::try_from(age).unwrap_or_default(),
            outcome,
            others_do_well,
        };
        let consequence = self.agenda.ended(end, now.into_std(), fastrand::f64() * 2.0 - 1.0);
        if is_down && others_do_well {
            self.barred.push((seat, now + self.lane.retry.first));
        } else if is_down {
            self.shelf.admit(seat);
        }
        if consequence.change == Some(Change::Opened) {
            self.give_back(self.shelf.clear());
        }
        self.report(&parcel, consequence);
    }

    /// Lets couriers take part again whose time has come.
    fn admit(&mut self, now: Instant) {
        let shelf = &self.shelf;
        self.barred.retain(|(seat, until)| {
            let is_over = *until <= now;
            if is_over {
                shelf.admit(*seat);
            }
            !is_over
        });
    }

    fn give_back(&mut self, parcels: Vec<Parcel>) {
        self.agenda.release(parcels.into_iter().map(|parcel| parcel.id), Instant::now().into_std());
    }

    /// Deliveries that died without an attempt.
    fn count_dead(&self, deliveries: usize, end: DeliveryEnd, why: &str) {
        if deliveries > 0 {
            tracing::warn!(deliveries, "given up: {why}");
        }
        (0..deliveries).for_each(|_| self.count(end));
    }

    fn report(&self, parcel: &Parcel, consequence: Consequence) {
        let Consequence { end, reason, change } = consequence;
        self.count(end);
        let reason = reason.unwrap_or_default();
        let (sop_instance, version) = (&parcel.instance.ids.sop_instance, parcel.version);
        let attempts = parcel.attempts.saturating_add(1);
        match end {
            DeliveryEnd::Delivered { since_queued } => {
                tracing::debug!(%sop_instance, version, ?since_queued, "delivered");
            }
            DeliveryEnd::Stored => {
                tracing::debug!(%sop_instance, version, "taken by the destination, which is to be asked whether it keeps it");
            }
            DeliveryEnd::Retry => {
                tracing::info!(%sop_instance, version, attempts, reason, "not delivered, to be tried again");
            }
            DeliveryEnd::Down => {
                tracing::debug!(%sop_instance, version, attempts, reason, "not delivered, to be tried again");
            }
            DeliveryEnd::Refused | DeliveryEnd::Poison | DeliveryEnd::GaveUp => {
                tracing::warn!(%sop_instance, version, attempts, reason, "given up");
            }
        }
        match change {
            Some(Change::Opened) => {
                tracing::warn!(reason, "the destination is down: it is left alone but for a probe at times");
            }
            Some(Change::StaysOpen) => tracing::debug!(reason, "the destination is still down"),
            Some(Change::Closed) => tracing::info!("the destination is back"),
            None => {}
        }
    }

    fn count(&self, end: DeliveryEnd) {
        let destination = self.lane.destination.name().clone();
        self.lane.telemetry.record(Event::DeliveryEnded { destination, end });
    }
}

/// Waits for the turn that is under way, or for ever. Cancel safe: the turn goes on with the next call.
async fn turned(
    turn: &mut Option<BoxFuture<'static, Result<Turned, archive::Error>>>,
) -> Result<Turned, archive::Error> {
    match turn {
        Some(turn) => turn.await,
        None => std::future::pending().await,
    }
}
