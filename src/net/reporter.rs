//! Sends storage commitment reports over associations of our own, where those that they were asked on are over.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use dimse::Class;
use futures_util::FutureExt;
use model::{AeTitle, PeerName, limits};
use pipeline::{OwedReport, Pipeline};
use telemetry::{Event, ReportEnd, Telemetry};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::config::{Config, Peer};
use crate::error::Error;
use crate::scp;
use crate::scu::{ReportAssociation, Settings};

/// Sends what is due: to several AE titles at once, to each over one association at a time.
pub(crate) struct Reporter {
    pub(crate) config: Arc<Config>,
    pub(crate) pipeline: Pipeline,
    pub(crate) telemetry: Telemetry,
}

/// The peer to report to: that which asked, or else the first one configured with the AE title that asked.
pub(crate) fn target<'c>(
    config: &'c Config,
    peer: Option<&PeerName>,
    aet: Option<&AeTitle>,
) -> Option<&'c Peer> {
    let by_name = peer.and_then(|name| config.peers.iter().find(|known| known.name == *name));
    by_name.or_else(|| config.peers.iter().find(|known| aet == Some(&known.ae_title)))
}

impl Reporter {
    /// Reports until `shutdown`. A report that is on its way then may arrive; it is sent again after the next start. After a panic of its
    /// own it begins anew.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let reporter = Arc::new(self);
        while AssertUnwindSafe(Self::work(&reporter, &shutdown)).catch_unwind().await.is_err() {
            reporter.telemetry.record(Event::Panicked);
            tracing::error!("sending storage commitment reports has failed and begins anew");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(limits::LANE_TICK) => {}
            }
        }
    }

    async fn work(reporter: &Arc<Self>, shutdown: &CancellationToken) {
        let mut running: JoinSet<()> = JoinSet::new();
        let mut busy: HashMap<tokio::task::Id, Option<AeTitle>> = HashMap::new();
        let mut is_failing = false;
        loop {
            if running.len() < AT_ONCE {
                let due = reporter.pipeline.due_reports(busy.values().cloned().collect()).await;
                if let Err(error) = &due
                    && !is_failing
                {
                    let error = crate::chain(error);
                    tracing::error!(
                        error,
                        "storage commitment reports wait for the index, looked at each second"
                    );
                }
                is_failing = due.is_err();
                for (aet, reports) in
                    by_title(due.unwrap_or_default()).into_iter().take(AT_ONCE - running.len())
                {
                    let reporter = Arc::clone(reporter);
                    let span = tracing::info_span!("reports", to = aet.as_ref().map(AeTitle::as_str));
                    let work = async move { reporter.send_all(reports).await };
                    busy.insert(running.spawn(work.instrument(span)).id(), aet);
                }
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(done) = running.join_next_with_id(), if !running.is_empty() => match done {
                    Ok((id, _)) => drop(busy.remove(&id)),
                    Err(failed) => {
                        busy.remove(&failed.id());
                        reporter.telemetry.record(Event::Panicked);
                        // What it was to send is still due, and not to be tried without end.
                        sleep(limits::LANE_TICK).await;
                    }
                },
                () = reporter.pipeline.report_due() => {}
                () = sleep(limits::LANE_TICK) => {}
            }
        }
    }

    /// Sends reports to one AE title, which may be several peers.
    async fn send_all(&self, reports: Vec<OwedReport>) {
        let mut by_peer: Vec<(Option<&Peer>, Vec<OwedReport>)> = Vec::new();
        for owed in reports {
            let peer = target(&self.config, owed.peer.as_ref(), owed.aet.as_ref());
            match by_peer
                .iter_mut()
                .find(|(known, _)| known.map(|one| &one.name) == peer.map(|one| &one.name))
            {
                Some((_, reports)) => reports.push(owed),
                None => by_peer.push((peer, vec![owed])),
            }
        }
        for (peer, reports) in by_peer {
            match peer {
                Some(peer) => self.send_to(peer, reports).await,
                None => {
                    let reason =
                        "no [peer] has this AE title, and the association that it was asked on is over";
                    self.all_failed(&reports, reason).await;
                }
            }
        }
    }

    async fn send_to(&self, peer: &Peer, reports: Vec<OwedReport>) {
        let settings = Settings::new(&self.config, self.config.ae_title.clone());
        let target = peer.target().remembered(&peer.name, &settings, self.pipeline.peers());
        let mut association = match ReportAssociation::open(&target, &settings, &self.telemetry).await {
            Ok(association) => association,
            Err(error) => return self.all_failed(&reports, &error.explain()).await,
        };
        let mut reports = reports.iter();
        while let Some(owed) = reports.next() {
            if let Err(error) = self.send(&mut association, owed).await {
                let reason = error.explain();
                self.failed(owed, None, reason.clone()).await;
                return self.all_failed(reports.as_slice(), &reason).await;
            }
        }
        association.close().await;
    }

    /// Sends one report.
    ///
    /// # Errors
    /// The association is over, and the report is not settled.
    async fn send(&self, association: &mut ReportAssociation, owed: &OwedReport) -> Result<(), Error> {
        let judgement = match self.pipeline.judge(owed.id).await {
            Ok(judgement) => judgement,
            Err(error) => {
                tracing::error!(error = crate::chain(&error), "a storage commitment report cannot be made");
                self.failed(owed, None, "the report cannot be made: see the log".to_owned()).await;
                return Ok(());
            }
        };
        let failed = judgement.failed.len();
        let report = scp::commitment::report(judgement, self.config.ae_title.clone());
        let outcome = association.send(&report).await?;
        let words = format!("{} {}", outcome.status, dimse::service::event_report::meaning(outcome.status));
        match outcome.status.class() {
            Class::Success | Class::Warning => {
                let (transaction, committed) = (&report.transaction, report.committed.len());
                tracing::info!(%transaction, committed, failed, "storage commitment reported");
                if let Err(error) = self.pipeline.report_delivered(owed.id, failed, words).await {
                    let error = crate::chain(&error);
                    tracing::error!(
                        error,
                        "a report was sent, which cannot be kept; tried again each second"
                    );
                }
            }
            Class::Failure | Class::Cancel | Class::Pending => self.failed(owed, Some(failed), words).await,
        }
        Ok(())
    }

    async fn all_failed(&self, reports: &[OwedReport], reason: &str) {
        for owed in reports {
            self.failed(owed, None, reason.to_owned()).await;
        }
    }

    async fn failed(&self, owed: &OwedReport, failed: Option<usize>, reason: String) {
        let attempts = owed.attempts.saturating_add(1);
        match self.pipeline.report_failed(owed, failed, reason.clone(), &self.config.report_retry).await {
            Ok(ReportEnd::GaveUp) => {
                tracing::warn!(attempts, reason, "storage commitment report given up");
            }
            // The first failure is news, the others are more of the same.
            Ok(ReportEnd::Retry) if owed.attempts == 0 => {
                tracing::warn!(reason, "storage commitment report not sent, to be tried again");
            }
            Ok(ReportEnd::Retry | ReportEnd::Delivered) => {
                tracing::debug!(attempts, reason, "storage commitment report not sent, to be tried again");
            }
            Err(error) => {
                let error = crate::chain(&error);
                tracing::error!(error, "how a report fared cannot be kept; tried again each second");
            }
        }
    }
}

/// The reports of each AE title, in their order.
fn by_title(due: Vec<OwedReport>) -> HashMap<Option<AeTitle>, Vec<OwedReport>> {
    let mut by_title: HashMap<Option<AeTitle>, Vec<OwedReport>> = HashMap::new();
    for owed in due {
        by_title.entry(owed.aet.clone()).or_default().push(owed);
    }
    by_title
}

/// AE titles that are reported to at once: one that hangs must not hold up the others.
const AT_ONCE: usize = 8;
