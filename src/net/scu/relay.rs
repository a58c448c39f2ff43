//! Instances on their way to one application entity while they are still being found, over several associations.

mod work;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use dimse::Outcome;
use dimse::service::store::MoveOriginator;
use futures_util::FutureExt;
use model::SopInstanceUid;
use pipeline::{StoredInstance, Transcoded, Transcoder};
use telemetry::Telemetry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use self::work::{Claim, Claimed, Job, Present, Work};
use super::alternatives::Kind;
use super::association::{AFTERMATH, Heard, StoreAssociation};
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
/// With [`Terms::ahead`](super::Terms::ahead) several are sent on an association before the first is answered; what it is lost with goes
/// alone the next time.
///
/// Memory: a chunk of at most 1 MiB for each association, and two pages of instances; on disk, a copy for each that is sent. Dropped, all
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
        let mut heard = None;
        while let Some(kinds) = self.work.kinds().await {
            let opened = tokio::select! {
                opened = self.open(&kinds, heard.as_ref()) => opened,
                // The others have sent everything.
                () = self.work.done() => return,
            };
            match opened {
                Ok(association) => {
                    let association = match &self.originator {
                        Some(originator) => association.on_behalf_of(originator.clone()),
                        None => association,
                    };
                    heard = association.heard();
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

    /// An association for these kinds, after one on which the peer said so.
    async fn open(&self, kinds: &[Kind], heard: Option<&Heard>) -> Result<StoreAssociation, Error> {
        let kinds = proposal(kinds, |kind| self.target.said_or(heard, kind));
        let started = Instant::now();
        loop {
            let opening = StoreAssociation::open(&self.target, &self.settings, &self.telemetry, &kinds);
            match opening.await {
                // It may still count the one that was closed a moment ago.
                Err(error) if error.is_full() && heard.is_some() && started.elapsed() < AFTERMATH => {
                    sleep(AFTERMATH / 10).await;
                }
                opened => return opened,
            }
        }
    }

    /// Sends what the association serves, until there is nothing left, or the next instance is of another kind, or it is lost.
    async fn send(&self, mut association: StoreAssociation) {
        let mut under_way = VecDeque::new();
        match self.send_served(&mut association, &mut under_way).await {
            Ok(()) if association.is_over() => {}
            Ok(()) => association.close().await,
            Err(error) => self.lost(under_way, error).await,
        }
    }

    /// Sends as many instances before the first answer as the peer lets us. What has not been answered stays in `under_way`, by its
    /// message ID.
    ///
    /// # Errors
    /// The association is lost.
    async fn send_served(
        &self,
        association: &mut StoreAssociation,
        under_way: &mut VecDeque<(u16, Claim)>,
    ) -> Result<(), Error> {
        loop {
            let claiming = self.work.claim(|kind| association.settles(kind, &self.target));
            // Nobody waits for work while answers are to be read.
            let claimed = match under_way.is_empty() {
                true => Some(claiming.await),
                false => claiming.now_or_never(),
            };
            let mut claim = match claimed {
                Some(Claimed::Job(claim)) => *claim,
                Some(Claimed::OtherKind | Claimed::Nothing) if under_way.is_empty() => return Ok(()),
                None | Some(Claimed::OtherKind | Claimed::Nothing) => {
                    self.answered(association, under_way).await?;
                    continue;
                }
            };
            // What an association was lost with goes alone, so that it takes no other instance with it again.
            let window = if claim.was_lost() { 1 } else { association.window() };
            self.answered_to(window - 1, association, under_way).await?;
            match self.send_one(association, &mut claim).await {
                Ok(message_id) => under_way.push_back((message_id, claim)),
                Err(error @ Error::Lost(_)) => {
                    under_way.push_back((0, claim)); // nobody will ask for its number
                    return Err(error);
                }
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
                    if under_way.is_empty() && !association.is_open().await {
                        return Ok(());
                    }
                    if association.is_over() {
                        return Err(Error::Lost(End::Abandoned));
                    }
                }
            }
            self.answered_to(window - 1, association, under_way).await?;
        }
    }

    /// Sends an instance, or the copy that is made of it; the message ID.
    async fn send_one(&self, association: &mut StoreAssociation, claim: &mut Claim) -> Result<u16, Error> {
        let sendable = self.sendable(association, claim).await?;
        association.send_ahead(&Instance::from(sendable.clone()), Whole::of(sendable)).await
    }

    /// Waits for answers until no more than `most` are waited for.
    async fn answered_to(
        &self,
        most: usize,
        association: &mut StoreAssociation,
        under_way: &mut VecDeque<(u16, Claim)>,
    ) -> Result<(), Error> {
        while under_way.len() > most {
            self.answered(association, under_way).await?;
        }
        Ok(())
    }

    /// Waits for one answer, to any of those that are under way, and reports it.
    async fn answered(
        &self,
        association: &mut StoreAssociation,
        under_way: &mut VecDeque<(u16, Claim)>,
    ) -> Result<(), Error> {
        let (message_id, uid, outcome) = association.answer().await?;
        // Peers may be untidy about the UID; where several wait for answers, one that is of another instance is not to be trusted.
        let is_alone = under_way.len() == 1;
        let found = under_way.iter_mut().position(|(sent, claim)| {
            let is_of = uid.as_ref().is_none_or(|uid| *uid == claim.job().instance.ids.sop_instance);
            *sent == message_id && (is_alone || is_of)
        });
        let Some((_, claim)) = found.and_then(|at| under_way.remove(at)) else {
            let end = End::OutOfTurn("C-STORE-RSP");
            association.lost(&end).await;
            return Err(Error::Lost(end));
        };
        report(&self.reports, claim.answered(), Ok(outcome)).await;
        Ok(())
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

    /// An association was lost with instances, the first of which the peer was to answer next.
    async fn lost(&self, under_way: VecDeque<(u16, Claim)>, error: Error) {
        tracing::info!(error = error.explain(), "association lost with an instance");
        let is_silent = matches!(&error, Error::Lost(End::TimedOut(_)));
        let error = Arc::new(error);
        // Those that are dropped wait again, the first of them in front.
        for (at, (_, mut claim)) in under_way.into_iter().enumerate().rev() {
            if (is_silent && at == 0) || !claim.may_try_again() {
                report(&self.reports, claim.settle(), Err(Arc::clone(&error))).await;
            }
        }
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
