//! Deliveries that are delivered only once their destination has committed to them: what it is asked, and what it tells.
//!
//! Such a delivery waits in [`DeliveryState::Verifying`](crate::DeliveryState::Verifying), without a lease and without a courier.

mod rows;
mod told;

use std::sync::Arc;
use std::time::Duration;

use model::TransactionUid;
use model::commitment::{FailureReason, ReceivedReport, Request};
use model::limits;

use crate::{Archive, DestinationId, Error};

#[cfg(test)]
pub(crate) use rows::STATEMENTS;
pub(crate) use rows::{BY_REQUEST, resume};

/// What was over at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Requests whose report has not come in time; that report is still taken when it comes.
    pub expired: usize,
    /// Deliveries that died of their age.
    pub gave_up: usize,
}

/// When there is something to ask a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationDue {
    /// Nothing waits.
    Never,
    /// After this time; zero: now.
    In(Duration),
    /// Now, because somebody asked for it by [`Desk::retry`](crate::Desk::retry).
    ByRequest,
}

/// When deliveries die of their age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiveUp {
    /// Those that were queued so long ago.
    pub after: Duration,
    /// But none that was stored within this time, which may not have been asked about yet.
    pub patience: Duration,
    /// What the reason begins with.
    pub reason: String,
}

/// What becomes of a delivery that its destination does not commit to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCommitted {
    /// It is asked about again after this time.
    AskAgain(Duration),
    /// It is to be delivered again.
    Retry {
        /// From now.
        after: Duration,
        /// Why, in words.
        reason: String,
    },
    /// Never to be tried again by itself: it would be the same.
    Dead {
        /// Why, in words.
        reason: String,
    },
    /// Never to be tried again by itself: it has been tried for too long.
    GaveUp {
        /// Why, in words.
        reason: String,
    },
}

/// Decides about a delivery that its destination does not commit to, by the reason, the attempts to deliver it so far, and its age.
pub type Decide = Arc<dyn Fn(FailureReason, u32, Duration) -> NotCommitted + Send + Sync>;

/// What a report has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// For each delivery that is delivered now, for how long it was queued.
    pub committed: Vec<Duration>,
    /// To be delivered again.
    pub retried: usize,
    /// Dead, because it would be the same again.
    pub dead: usize,
    /// Dead of their age.
    pub gave_up: usize,
    /// Asked about, and not told of: to be asked about again.
    pub untold: usize,
}

impl Archive {
    /// When there is something to ask a destination. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn verification_due(&self, destination: DestinationId) -> Result<VerificationDue, Error> {
        self.read(move |connection, _| rows::due(connection, destination)).await
    }

    /// Notes which reports have not come in time. What is too old and is to be asked about now is dead, at most [`limits::GIVEN_UP`]
    /// deliveries.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn sweep_verifications(
        &self,
        destination: DestinationId,
        give_up: Option<GiveUp>,
    ) -> Result<Swept, Error> {
        self.change(move |connection| rows::sweep(connection, destination, give_up.as_ref())).await
    }

    /// Makes a request of what is to be asked now and what is stored within the next moments, at most
    /// [`limits::COMMITMENT_BATCH`] deliveries, under this Transaction UID; `None` when there is nothing to ask. It is asked again when its
    /// report has not come after `patience`. It is durable when this returns, so that its report is recognised however soon it comes.
    ///
    /// Cancel safety: as [`Archive::commit`]; what nobody asks is asked when its time is over, or at the next start.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn ask_to_verify(
        &self,
        destination: DestinationId,
        transaction: TransactionUid,
        patience: Duration,
    ) -> Result<Option<Request>, Error> {
        self.change(move |connection| rows::ask(connection, destination, transaction, patience)).await
    }

    /// The destination has taken a request on: its report is waited for.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn verification_asked(&self, transaction: TransactionUid) -> Result<(), Error> {
        self.change(move |connection| rows::asked(connection, &transaction)).await
    }

    /// The destination could not be asked, for this reason: what the request was about is asked after this time. A report that comes all
    /// the same is taken.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn verification_failed(
        &self,
        destination: DestinationId,
        transaction: Option<TransactionUid>,
        after: Duration,
        reason: String,
    ) -> Result<(), Error> {
        self.change(move |connection| {
            rows::failed(connection, destination, transaction.as_ref(), after, &reason)
        })
        .await
    }

    /// Which destination was asked under this Transaction UID; `None` when none was. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn verification_of(
        &self,
        transaction: &TransactionUid,
    ) -> Result<Option<DestinationId>, Error> {
        let transaction = transaction.clone();
        self.read(move |connection, _| rows::destination_of(connection, &transaction)).await
    }

    /// Takes what a destination tells: deliveries that it commits to are delivered, of the others is done what `decide` says, and what
    /// the request was about and is not told of is asked about again after `ask_again`. Durable when this returns.
    ///
    /// Each Transaction UID is told about once; what is told again changes nothing. What was sent again since it was asked about stays
    /// as it is. Not cancel safe in that a part of a long report may be taken; taking it again does the rest.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn take_report(
        &self,
        report: ReceivedReport,
        decide: Decide,
        ask_again: Duration,
    ) -> Result<Told, Error> {
        let ReceivedReport { transaction, committed, failed } = report;
        let mut all = Told::default();
        let pieces = told::pieces(committed, failed, BATCH);
        for (committed, failed) in pieces {
            let (transaction, decide) = (transaction.clone(), decide.clone());
            let told = self.change(move |connection| {
                told::take(connection, &transaction, &committed, &failed, &*decide)
            });
            all.add(told.await?);
        }
        all.untold = self.change(move |connection| told::close(connection, &transaction, ask_again)).await?;
        Ok(all)
    }

    /// Has what waits for storage commitment at these destinations count as delivered: they are no longer asked.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn verify_no_more(&self, destinations: Vec<DestinationId>) -> Result<u64, Error> {
        let mut all = 0;
        for destination in destinations {
            loop {
                let settled =
                    self.change(move |connection| rows::verify_no_more(connection, destination)).await?;
                all += settled;
                if settled == 0 {
                    break;
                }
            }
        }
        Ok(all)
    }
}

impl Told {
    fn add(&mut self, other: Self) {
        let Self { committed, retried, dead, gave_up, untold } = other;
        self.committed.extend(committed);
        self.retried += retried;
        self.dead += dead;
        self.gave_up += gave_up;
        self.untold += untold;
    }
}

/// Instances of a report that are settled in one transaction: senders wait for it.
const BATCH: usize = limits::DESK_BATCH as usize;
