use dimse::Outcome;
use dimse::service::move_::{self, CMoveRq};
use dimse::service::store::MoveOriginator;
use model::limits;
use model::query::Root;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument;
use ul::PresentationContext;

use super::Scp;
use super::counts::Ending;
use super::retrieve::{Given, Pages, Request, Retrieve, Unable};
use crate::config::Peer;
use crate::drive::Drive;
use crate::end::End;
use crate::scu::{Feed, Relay, Report, Settings};

impl<'a> Scp<'a> {
    /// Answers C-MOVE: sends the instances by C-STORE to the peer that the request names, over up to `move_associations` associations.
    ///
    /// Each sub-operation stands for itself; what the peer does not take as it is stored goes as a copy that it takes, where one can be
    /// made. C-CANCEL, and the end of the requestor's association, end all of them at once, those too
    /// that hang. Memory: a chunk of at most 1 MiB for each association, and two pages of instances.
    ///
    /// PS3.4 §C.4.2, PS3.7 §9.1.4.
    pub(super) async fn move_(
        &mut self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: CMoveRq,
    ) -> Result<(), End> {
        let destination = self.destination(&request);
        let request = Request::Move(request);
        match self.select_to_move(drive, context, root, &request, destination).await {
            Ok((mut retrieve, peer)) => {
                let sent = self.relay(drive, &mut retrieve, peer).await;
                self.finish(drive, &mut retrieve, sent).await
            }
            Err(unable) => self.unable(drive, context.id, &request, unable).await,
        }
    }

    async fn select_to_move(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: &Request,
        destination: Result<&'a Peer, Outcome>,
    ) -> Result<(Retrieve, &'a Peer), Unable> {
        let selection = self.selection(drive, context, root, request).await?;
        let peer = destination?;
        let retrieve = self.select(drive, context, request, selection, Some(&peer.name)).await?;
        Ok((retrieve, peer))
    }

    /// The peer that a request names: the first one of that AE title. Else the refusal.
    fn destination(&self, request: &CMoveRq) -> Result<&'a Peer, Outcome> {
        let Some(title) = &request.destination else {
            let reason = "no move destination, or none that is an AE title";
            return Err(Outcome::because(move_::DESTINATION_UNKNOWN, reason));
        };
        let peer = self.config.peers.iter().find(|peer| peer.ae_title == *title);
        peer.ok_or_else(|| {
            tracing::warn!(destination = %title, "C-MOVE refused: no [peer] has this AE title");
            Outcome::because(move_::DESTINATION_UNKNOWN, format!("no peer is known as {title}"))
        })
    }

    /// Sends everything, and tells the requestor how far it is.
    async fn relay(&self, drive: &mut Drive, retrieve: &mut Retrieve, peer: &Peer) -> Result<Ending, End> {
        if retrieve.counts.is_done() {
            return Ok(Ending::Done);
        }
        let message_id = retrieve.request.message_id();
        let settings = Settings::new(self.config, self.config.ae_title.clone());
        let target = peer.target().remembered(&peer.name, &settings, self.pipeline.peers());
        let originator = self.caller.calling.clone().map(|ae_title| MoveOriginator { ae_title, message_id });
        let (transcoder, associations) = (self.pipeline.transcoder(), self.config.move_associations);
        let (mut relay, feed) =
            Relay::start(&target, &settings, self.telemetry, transcoder, originator.as_ref(), associations);
        // Ends with this call, whatever its end.
        let mut feeding = JoinSet::new();
        feeding
            .spawn(feed_all(retrieve.pages(self.pipeline), retrieve.given.clone(), feed).in_current_span());
        let mut ticks = interval(limits::PENDING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ending = loop {
            tokio::select! {
                biased;
                cancelled = drive.cancelled(message_id) => {
                    cancelled?;
                    break Ending::Cancelled;
                }
                () = self.shutdown.cancelled() => break Ending::Shutdown,
                report = relay.report() => match report {
                    Some(report) => count(retrieve, report),
                    None => break Ending::Done,
                },
                _ = ticks.tick() => {}
            }
            if retrieve.tell(drive)? {
                drive.flush().await?;
            }
        };
        while let Some(report) = relay.reported() {
            count(retrieve, report);
        }
        Ok(ending)
    }
}

async fn feed_all(mut pages: Pages, given: Given, feed: Feed) {
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => {
                given.add(&page);
                feed.push(page).await;
            }
            Err(error) => tracing::error!(error = crate::chain(&error), "cannot read on in the index"),
        }
    }
}

fn count(retrieve: &mut Retrieve, report: Report) {
    let Report { sop_instance, file_bytes, is_copy, result } = report;
    retrieve.given.end(&sop_instance);
    let counts = &mut retrieve.counts;
    match result {
        Ok(outcome) => counts.answered(&sop_instance, file_bytes, is_copy, &outcome),
        Err(error) => counts.failed(&sop_instance, error.explain()),
    }
}
