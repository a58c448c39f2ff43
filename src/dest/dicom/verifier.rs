use std::panic::AssertUnwindSafe;
use std::pin::pin;

use futures_util::FutureExt;
use model::{PeerName, limits};
use net::Error;
use net::scu::{Class, CommitmentAssociation, Incoming, Settings, Target, action_meaning};
use pipeline::{IDLE, Pipeline, Verification};
use telemetry::{AskEnd, Event, Telemetry};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::is_over_early;

/// Asks a peer whether it keeps what it took: storage commitment as SCU.
///
/// It is asked over one association, which stays open for a while for its report; one that comes later comes over an association of the
/// peer's, which `net` serves.
///
/// PS3.4 Annex J.
pub struct Verifier {
    target: Target,
    peer: PeerName,
    settings: Settings,
    pipeline: Pipeline,
    telemetry: Telemetry,
    verification: Verification,
    open: Option<Kept>,
}

/// An association that is kept open.
struct Kept {
    association: CommitmentAssociation,
    until: Instant,
}

/// What is next.
enum Step {
    Stop,
    Ask,
    Take(Incoming),
    Over(Error),
    Close,
}

impl Verifier {
    /// For a peer, called as `settings` say. Nothing is connected yet.
    pub fn new(
        target: Target,
        peer: PeerName,
        settings: Settings,
        pipeline: Pipeline,
        telemetry: Telemetry,
        verification: Verification,
    ) -> Self {
        Self { target, peer, settings, pipeline, telemetry, verification, open: None }
    }

    /// Asks until `shutdown`. What is asked then and not answered is asked again after the next start. After a panic of its own it begins
    /// anew.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while AssertUnwindSafe(self.work(&shutdown)).catch_unwind().await.is_err() {
            self.open = None;
            self.telemetry.record(Event::Panicked);
            tracing::error!("asking for storage commitment has failed and begins anew");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(limits::LANE_TICK) => {}
            }
        }
    }

    async fn work(&mut self, shutdown: &CancellationToken) {
        loop {
            match self.next(shutdown).await {
                Step::Stop => {
                    if let Some(Kept { association, .. }) = self.open.take() {
                        association.abort().await;
                    }
                    return;
                }
                Step::Ask => {
                    let stopped = shutdown.cancelled();
                    tokio::select! {
                        biased;
                        () = self.ask() => {}
                        () = stopped => return,
                    }
                }
                Step::Take(incoming) => self.take(incoming).await,
                Step::Over(error) => {
                    tracing::debug!(
                        reason = error.explain(),
                        "the association for storage commitment is over"
                    );
                    self.open = None;
                }
                Step::Close => {
                    if let Some(Kept { association, .. }) = self.open.take() {
                        association.close().await;
                    }
                }
            }
        }
    }

    async fn next(&mut self, shutdown: &CancellationToken) -> Step {
        let Self { open, verification, .. } = self;
        let mut listening = pin!(listen(open.as_mut()));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Step::Stop,
            step = &mut listening => step,
            () = verification.due() => Step::Ask,
        }
    }

    async fn ask(&mut self) {
        self.verification.sweep().await;
        let former = self.open.take();
        let was_used = former.is_some();
        let mut kept = match former {
            Some(kept) => kept,
            None => match self.associate().await {
                Ok(kept) => kept,
                Err(error) => {
                    let end =
                        if let Error::NotAccepted { .. } = error { AskEnd::Refused } else { AskEnd::Failed };
                    return self.verification.failed(None, end, error.explain()).await;
                }
            },
        };
        let Some(request) = self.verification.request().await else {
            self.open = Some(kept);
            return;
        };
        let transaction = request.transaction.clone();
        let mut answer = kept.association.ask(&request).await;
        if was_used && answer.as_ref().is_err_and(is_over_early) {
            // The peer had ended it meanwhile.
            answer = match self.associate().await {
                Ok(anew) => {
                    kept = anew;
                    kept.association.ask(&request).await
                }
                Err(error) => Err(error),
            };
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return self.verification.failed(Some(transaction), AskEnd::Failed, error.explain()).await;
            }
        };
        kept.until = Instant::now() + limits::REPORT_PATIENCE;
        self.open = Some(kept);
        match answer.status.class() {
            Class::Success | Class::Warning => {
                let instances = request.references.len();
                tracing::debug!(%transaction, instances, "storage commitment asked for");
                self.verification.taken_on(transaction).await;
            }
            Class::Failure | Class::Cancel | Class::Pending => {
                // The peer's Error Comment is left out: it may name the patient.
                let words = format!("{} {}", answer.status, action_meaning(answer.status));
                let reason = format!("storage commitment refused: {words}");
                self.verification.failed(Some(transaction), AskEnd::Refused, reason).await;
            }
        }
    }

    async fn associate(&self) -> Result<Kept, Error> {
        let Self { target, peer, settings, pipeline, telemetry, .. } = self;
        let opening = CommitmentAssociation::open(target, peer.clone(), settings, pipeline, telemetry);
        Ok(Kept { association: opening.await?, until: Instant::now() + IDLE })
    }

    async fn take(&mut self, incoming: Incoming) {
        let Some(kept) = &mut self.open else { return };
        if let Err(error) = kept.association.take(incoming).await {
            tracing::debug!(reason = error.explain(), "the association for storage commitment is over");
            self.open = None;
        }
    }
}

/// Waits for what the peer says on the association that is open, until its time is over. Cancel safe.
async fn listen(open: Option<&mut Kept>) -> Step {
    let Some(Kept { association, until }) = open else { return std::future::pending().await };
    if *until <= Instant::now() {
        return Step::Close;
    }
    match timeout_at(*until, association.next()).await {
        Ok(Ok(incoming)) => Step::Take(incoming),
        Ok(Err(error)) => Step::Over(error),
        Err(_) => Step::Close,
    }
}
