//! Instances on their way to one application entity while they are still being found, over several associations.

mod work;

use std::num::NonZeroUsize;
use std::sync::Arc;

use dimse::Outcome;
use dimse::service::store::MoveOriginator;
use model::SopInstanceUid;
use pipeline::{StoredInstance, Transcoded, Transcoder};
use telemetry::Telemetry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use self::work::{Claim, Claimed, Job, Present, Work};
use super::association::StoreAssociation;
use super::file::Whole;
use super::proposal::proposal;
use super::queue::{Instance, kind, not_transcoded};
use super::{Settings, Target};
use crate::end::End;
use crate::error::Error;

/// Sends the instances that its [`Feed`] is given over up to so many associations at once, each of which takes the next instance when
/// it has sent one.
///
/// An association is proposed for the kinds that wait when it is opened, and another takes its place for a kind that came later. An
/// instance that the peer does not take as it is goes out as a copy in a transfer syntax that it takes, where one can be made. An
/// instance that an association was lost with is tried once more on another, unless the peer just said nothing for too long. When an
/// association cannot be made, the others send what is left; when there are no others, or when the peer let
/// [`limits::FAILURES_IN_A_ROW`](model::limits::FAILURES_IN_A_ROW) instances wait for too long and answered none in between, everything
/// that is left fails with that reason.
///
/// Memory: a chunk of at most 1 MiB for each association, and two pages of instances; on disk, a copy for each association. Dropped, all
/// connections are closed without a word, and copies that are being made are given up.
///
/// PS3.4 §B.2, §C.4.2.3.1.
pub(crate) struct Relay {
    reports: mpsc::Receiver<Report>,
    _senders: JoinSet<()>,
}

/// Where the instances come from. Dropped, there are no more.
pub(crate) struct Feed {
    work: Arc<Work>,
    reports: mpsc::Sender<Report>,
}

/// How the sending of one instance ended.
pub(crate) struct Report {
    pub(crate) sop_instance: SopInstanceUid,
    /// Of what was sent: the instance as it is stored, or a copy.
    pub(crate) file_bytes: u64,
    pub(crate) is_copy: bool,
    pub(crate) result: Result<Outcome, Arc<Error>>,
}

/// One association after the other.
struct Sender {
    target: Target,
    settings: Settings,
    telemetry: Telemetry,
    transcoder: Transcoder,
    originator: Option<MoveOriginator>,
    work: Arc<Work>,
    reports: mpsc::Sender<Report>,
}

impl Relay {
    /// Starts to wait for instances; nothing is connected before there is one.
    pub(crate) fn start(
        target: &Target,
        settings: &Settings,
        telemetry: &Telemetry,
        transcoder: &Transcoder,
        originator: Option<&MoveOriginator>,
        associations: NonZeroUsize,
    ) -> (Self, Feed) {
        let work = Work::new(associations.get());
        let (reports, receiver) = mpsc::channel(REPORTS);
        let mut senders = JoinSet::new();
        for number in 0..associations.get() {
            let sender = Sender {
                target: target.clone(),
                settings: settings.clone(),
                telemetry: telemetry.clone(),
                transcoder: transcoder.clone(),
                originator: originator.cloned(),
                work: Arc::clone(&work),
                reports: reports.clone(),
            };
            senders.spawn(sender.run().instrument(tracing::info_span!("sender", number)));
        }
        (Self { reports: receiver, _senders: senders }, Feed { work, reports })
    }

    /// How the next instance fared; `None` when all have been told of. Cancel safe.
    pub(crate) async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// What is known already of instances that were sent.
    pub(crate) fn reported(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}

impl Feed {
    /// Hands over some instances; waits while many wait. Every one of them is told of in the end.
    pub(crate) async fn push(&self, instances: Vec<StoredInstance>) {
        if let Err((unsent, error)) = self.work.push(instances).await {
            for instance in unsent {
                report(&self.reports, Job::from(instance), Err(Arc::clone(&error))).await;
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.work.complete();
    }
}

impl Sender {
    async fn run(self) {
        let present = Present::new(&self.work);
        while let Some(kinds) = self.work.kinds().await {
            let kinds = proposal(&kinds, |kind| self.target.said(kind));
            let open = StoreAssociation::open(&self.target, &self.settings, &self.telemetry, &kinds);
            let opened = tokio::select! {
                opened = open => opened,
                // The others have sent everything.
                () = self.work.done() => return,
            };
            match opened {
                Ok(association) => {
                    let association = match &self.originator {
                        Some(originator) => association.on_behalf_of(originator.clone()),
                        None => association,
                    };
                    self.send(association).await;
                }
                Err(error) => {
                    tracing::info!(error = error.explain(), "no association");
                    let (left, error) = present.leave(Arc::new(error));
                    return self.fail(left, &error).await;
                }
            }
        }
    }

    /// Sends what the association serves, until there is nothing left, or the next instance is of another kind, or it is lost.
    async fn send(&self, mut association: StoreAssociation) {
        loop {
            let mut claim = match self.work.claim(|kind| association.settles(kind, &self.target)).await {
                Claimed::Job(claim) => *claim,
                Claimed::OtherKind | Claimed::Nothing => return association.close().await,
            };
            let sent = match self.sendable(&association, &mut claim).await {
                Ok(sendable) => {
                    association.send(&Instance::from(sendable.clone()), Whole::of(sendable)).await
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(outcome) => report(&self.reports, claim.answered(), Ok(outcome)).await,
                Err(error @ Error::Lost(_)) => return self.lost(claim, error).await,
                Err(Error::NotTranscoded { .. })
                    if association.serves(&kind(&claim.job().instance)).is_none()
                        && claim.may_try_again() =>
                {
                    // Dropped, it waits again, for an association on which the peer is asked for it as it is.
                    self.target.ask_again(&kind(&claim.job().instance));
                }
                Err(error) => {
                    report(&self.reports, claim.settle(), Err(Arc::new(error))).await;
                    // A file that failed in the middle takes the association with it.
                    if !association.is_open().await {
                        return;
                    }
                }
            }
        }
    }

    /// What goes out for an instance: itself, or the copy that is made of it where the peer only takes that.
    async fn sendable<'c>(
        &self,
        association: &StoreAssociation,
        claim: &'c mut Claim,
    ) -> Result<&'c StoredInstance, Error> {
        let Job { instance, copy } = claim.job();
        let alternatives = association.alternatives(&kind(instance));
        if alternatives.is_empty() {
            *copy = None;
            return Ok(instance);
        }
        // An association that was lost leaves its copy to the next.
        if let Some(made) = copy.take_if(|copy| alternatives.contains(&copy.instance.transfer_syntax)) {
            return Ok(&copy.insert(made).instance);
        }
        let made = self.transcoder.transcode_into_any(instance, &alternatives).await;
        let made = made.map_err(|reason| not_transcoded(instance, &reason))?;
        tracing::debug!(
            sop_instance = %instance.ids.sop_instance,
            words = Transcoded::describe(&instance.transfer_syntax, &made.instance.transfer_syntax),
            "sending a copy"
        );
        Ok(&copy.insert(made).instance)
    }

    async fn lost(&self, mut claim: Claim, error: Error) {
        tracing::info!(error = error.explain(), "association lost with an instance");
        let is_silent = matches!(&error, Error::Lost(End::TimedOut(_)));
        if !is_silent && claim.may_try_again() {
            return; // dropped, it waits again
        }
        let error = Arc::new(error);
        report(&self.reports, claim.settle(), Err(Arc::clone(&error))).await;
        if is_silent {
            self.fail(self.work.silence(&error), &error).await;
        }
    }

    async fn fail(&self, jobs: Vec<Job>, error: &Arc<Error>) {
        for job in jobs {
            report(&self.reports, job, Err(Arc::clone(error))).await;
        }
    }
}

async fn report(reports: &mpsc::Sender<Report>, job: Job, result: Result<Outcome, Arc<Error>>) {
    let Job { instance, copy } = job;
    let is_copy = copy.is_some();
    let file_bytes = copy.map_or(instance.length, |copy| copy.instance.length);
    // It goes nowhere only when nobody waits for it any more.
    let report = Report { sop_instance: instance.ids.sop_instance, file_bytes, is_copy, result };
    drop(reports.send(report).await);
}

/// Reports that wait for their reader.
const REPORTS: usize = 64;
