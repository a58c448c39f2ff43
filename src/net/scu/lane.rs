use std::num::NonZeroUsize;
use std::sync::Arc;

use dimse::Outcome;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::queue::{Claim, Instance, Queue};
use super::reader::{Piece, Reader};
use super::store::{MAX_KINDS, NotSent, StoreScu};
use super::{Settings, Target};
use crate::end::End;
use crate::error::Error;

/// Sends instances over up to `lanes` associations at once, each of which takes the next instance when it has sent one, and tells
/// `report` of each once: its index and how the peer answered, or why it was not sent.
///
/// An association is made for as many instances as 128 presentation contexts serve; a context is one SOP class in one transfer syntax.
/// An instance that the peer takes no context for is passed over. With [`Terms::ahead`](super::Terms::ahead) several are sent before
/// the first is answered. When an association is lost, what was sent on it without an answer is tried once more on another: the peer may
/// then get it twice, which C-STORE allows. When an association cannot be made, the others send what is left; everything fails with that
/// reason only when there are no others.
///
/// A data set of odd length gets one NUL at its end (PS3.5 §7.1.1); else its bytes go out as they are.
/// Memory: four chunks of at most 1 MiB for each lane, whatever the size of the instances. Dropping the future aborts without a word.
///
/// PS3.4 §B.2, PS3.7 §9.1.1.
pub async fn send_all(
    target: &Target,
    settings: &Settings,
    instances: Vec<Instance>,
    lanes: NonZeroUsize,
    mut report: impl FnMut(usize, Result<Outcome, Arc<Error>>),
) {
    let lanes = lanes.get().min(instances.len());
    let queue = Queue::new(instances, lanes);
    let (sender, mut reports) = mpsc::channel(REPORTS);
    let mut running = JoinSet::new();
    for number in 0..lanes {
        let lane = Lane {
            target: target.clone(),
            settings: settings.clone(),
            queue: Arc::clone(&queue),
            reports: sender.clone(),
        };
        running.spawn(lane.run().instrument(tracing::info_span!("lane", number)));
    }
    drop(sender);
    while let Some((index, result)) = reports.recv().await {
        report(index, result);
    }
    let ends = running.join_all().await;
    let idle: Vec<_> = ends.into_iter().flatten().collect();
    if let Some(error) = idle.first().filter(|_| idle.len() < lanes) {
        let error = crate::chain(&**error);
        tracing::warn!(failed = idle.len(), lanes, error, "fewer associations than wanted");
    }
}

/// Sends one instance after the other, on one association at a time.
struct Lane {
    target: Target,
    settings: Settings,
    queue: Arc<Queue>,
    reports: mpsc::Sender<Report>,
}

type Report = (usize, Result<Outcome, Arc<Error>>);

/// How an association on which instances were sent ended before its work did.
struct Broken {
    end: End,
    /// The instances that were on their way.
    claims: Vec<Claim>,
}

impl Lane {
    /// Sends until nothing waits; why it could not, when it gave up before.
    async fn run(self) -> Option<Arc<Error>> {
        while let Some(kinds) = self.queue.next_kinds(MAX_KINDS) {
            let sent = match StoreScu::associate(&self.target, &self.settings, &kinds).await {
                Ok(scu) => self.send(scu).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                let error = Arc::new(error);
                for claim in self.queue.leave() {
                    self.report(claim, Err(Arc::clone(&error))).await;
                }
                return Some(error);
            }
        }
        None
    }

    /// Sends what one association serves.
    ///
    /// # Errors
    /// When files cannot be read at all; that of an instance or an association is reported.
    async fn send(&self, mut scu: StoreScu) -> Result<(), Error> {
        let mut reader = Reader::start(Arc::clone(&self.queue), scu.contexts());
        let sent = self.send_from(&mut scu, &mut reader).await;
        // What was read ahead waits again before anybody looks whether something does.
        let read = reader.stop().await;
        match sent {
            Ok(()) => {
                if let Err(error) = scu.release().await {
                    // Every instance has been answered: nothing is lost.
                    tracing::debug!(error = crate::chain(&error), "association not released");
                }
            }
            Err(Broken { end, claims }) => {
                scu.close(&end).await;
                tracing::debug!(end = crate::chain(&end), "association lost");
                let error = Arc::new(Error::Lost(end));
                for claim in claims.into_iter().filter_map(Claim::try_again) {
                    self.report(claim, Err(Arc::clone(&error))).await;
                }
            }
        }
        read.map_err(Error::File)
    }

    async fn send_from(&self, scu: &mut StoreScu, reader: &mut Reader) -> Result<(), Broken> {
        let mut under_way = Vec::new();
        let sent = self.send_ahead(scu, reader, &mut under_way).await;
        sent.map_err(|end| Broken { end, claims: under_way.into_iter().map(|(_, claim)| claim).collect() })
    }

    /// Sends what is read, as many instances before the first answer as the peer lets us. What has not been answered stays in
    /// `under_way`, by its message ID.
    async fn send_ahead(
        &self,
        scu: &mut StoreScu,
        reader: &mut Reader,
        under_way: &mut Vec<(u16, Claim)>,
    ) -> Result<(), End> {
        while let Some(piece) = reader.next().await {
            match piece {
                Piece::First { claim, data, bytes } => {
                    // What an association was lost with goes alone, so that it takes no other instance with it again.
                    let window = if claim.was_tried() { 1 } else { scu.window() };
                    while under_way.len() >= window {
                        self.answered(scu, under_way).await?;
                    }
                    match scu.send_ahead(claim.instance(), data, bytes, reader).await {
                        Ok(message_id) => under_way.push((message_id, claim)),
                        Err(NotSent::Torn(error)) => {
                            self.report(claim, Err(Arc::new(Error::File(error)))).await;
                            return Err(End::Abandoned);
                        }
                        Err(NotSent::Lost(end)) => {
                            under_way.push((0, claim)); // nobody will ask for its number
                            return Err(end);
                        }
                    }
                    while under_way.len() >= window {
                        self.answered(scu, under_way).await?;
                    }
                }
                Piece::Unread { claim, error } => self.report(claim, Err(Arc::new(error))).await,
                // They follow their first piece, and were taken with it.
                Piece::More(_) | Piece::Failed(_) => return Err(End::Abandoned),
            }
        }
        while !under_way.is_empty() {
            self.answered(scu, under_way).await?;
        }
        Ok(())
    }

    /// Waits for one answer, to any of those that are under way, and reports it.
    async fn answered(&self, scu: &mut StoreScu, under_way: &mut Vec<(u16, Claim)>) -> Result<(), End> {
        let (message_id, uid, outcome) = scu.answer().await?;
        // Peers may be untidy about the UID; where several wait for answers, one that is of another instance is not to be trusted.
        let is_of = |claim: &Claim| uid.as_ref().is_none_or(|uid| *uid == claim.instance().sop_instance);
        let is_alone = under_way.len() == 1;
        let found =
            under_way.iter().position(|(sent, claim)| *sent == message_id && (is_alone || is_of(claim)));
        let Some(at) = found else {
            return Err(End::OutOfTurn("C-STORE-RSP"));
        };
        let (_, claim) = under_way.remove(at);
        self.report(claim, Ok(outcome)).await;
        Ok(())
    }

    async fn report(&self, claim: Claim, result: Result<Outcome, Arc<Error>>) {
        // It goes nowhere only when nobody waits for it any more.
        drop(self.reports.send((claim.settle(), result)).await);
    }
}

/// Reports that wait for their reader.
const REPORTS: usize = 64;
