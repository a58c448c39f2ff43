mod arrival;
pub(crate) mod classes;
mod offer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dimse::service::get::CGetRq;
use dimse::service::retrieve::SubOperations;
use dimse::service::store::CStoreRq;
use dimse::{Command, Outcome};
use model::query::Root;
use model::{AeTitle, SopInstanceUid, TransferSyntaxUid, limits, sop};
use tokio_util::sync::CancellationToken;

use arrival::Arrival;
pub(crate) use arrival::Expected;
pub use arrival::{Kept, NotKept};
use offer::Offer;

use super::inquiry::Inquiry;
use super::retrieve::{Response, Retrieved, Stopping, done, patience};
use super::{Question, Settings, Target};
use crate::drive::Drive;
use crate::end::End;
use crate::error::Error;
use crate::status;

/// What happened in the course of a C-GET.
#[derive(Debug)]
pub enum Step<'a> {
    /// The peer told how far it is.
    Count(SubOperations),
    /// An instance is in the folder, durably.
    Kept(&'a Kept),
    /// An instance that the peer sent was refused.
    NotKept {
        /// The instance, where the peer names it.
        instance: Option<&'a SopInstanceUid>,
        /// Why.
        reason: &'a NotKept,
    },
}

/// Asks a peer for instances, which come on the same association (C-GET), and puts each into `folder`, a folder that exists, as
/// `{Study}/{Series}/{SOP}.dcm`; tells `report` of each.
///
/// Which SOP classes will come is asked by C-FIND first: an association has no room for all of them. Where the peer does not tell,
/// those are proposed that are met most. Instances are kept bit by bit as they come, with File Meta Information before them; each is
/// acknowledged when it is durable: written aside, synced, and renamed over nothing. Other content that is there under the same UIDs
/// stays, and what came gets a name beside it.
///
/// Memory: a chunk of [`limits::SPOOL_CHUNK_BYTES`] and the header of an instance, whatever their number and size. Bounded in time as
/// [`move_to`](super::move_to). Cancel safe: dropped, the connection is closed without a word, and no half instance is left.
///
/// PS3.4 §C.4.3, PS3.7 §9.1.3.
///
/// # Errors
/// [`Error`] when there was no answer, [`Error::NotAccepted`] also when the peer accepts no context to send instances in. An answer may
/// still be a refusal: see its status.
pub async fn get(
    target: &Target,
    settings: &Settings,
    question: &Question,
    folder: &Path,
    report: impl FnMut(Step<'_>) + Send,
) -> Result<Retrieved, Error> {
    let classes = classes::of(target, settings, question).await?;
    let mut scu = GetScu::associate(target, settings, question.root, classes).await?;
    let source = target.ae_title.clone();
    let mut keeper = Folder { folder: folder.to_owned(), source, report };
    let patience = patience(settings);
    let got = scu.get(question, &mut keeper, patience, &CancellationToken::new()).await;
    scu.end(got).await
}

/// What became of an instance that came.
pub(crate) struct Arrived {
    /// How it is answered.
    pub(crate) outcome: Outcome,
    /// It was not there before.
    pub(crate) is_new: bool,
}

/// What becomes of instances that come by C-GET.
pub(crate) trait Keeper: Send {
    /// Takes an instance, whose data set comes by `drive` and is read to its end.
    ///
    /// # Errors
    /// The association is over.
    fn keep(
        &mut self,
        drive: &mut Drive,
        expected: Expected,
    ) -> impl Future<Output = Result<Arrived, End>> + Send;

    /// Takes note of an instance that is not taken.
    fn refuse(&mut self, instance: Option<&SopInstanceUid>, reason: &NotKept);

    /// Takes note of what the peer counts.
    fn count(&mut self, count: SubOperations);
}

/// An association on which one C-GET is carried out after the other.
pub(crate) struct GetScu {
    inquiry: Inquiry,
}

impl GetScu {
    /// Associates with contexts for what is of these SOP classes.
    ///
    /// # Errors
    /// As [`get`].
    pub(crate) async fn associate(
        target: &Target,
        settings: &Settings,
        root: Root,
        classes: Vec<String>,
    ) -> Result<Self, Error> {
        let sop_class = match root {
            Root::Patient => sop::PATIENT_ROOT_GET,
            Root::Study => sop::STUDY_ROOT_GET,
        };
        let Offer { contexts, roles } = Offer::of(&classes);
        let inquiry = Inquiry::associate(target, settings, sop_class, contexts, roles).await?;
        let contexts = inquiry.drive.association().contexts();
        if contexts.iter().any(|context| sop::is_storage(&context.abstract_syntax)) {
            return Ok(Self { inquiry });
        }
        inquiry.end(Ok(())).await?;
        let sop_class = classes.into_iter().next().unwrap_or_default();
        let reason = "it accepts no context to send it in";
        let transfer_syntax = "any transfer syntax".to_owned();
        Err(Error::NotAccepted { sop_class, transfer_syntax, reason })
    }

    /// Carries one C-GET out. Between two messages of the peer there may be as much time as `patience`, and
    /// [`limits::RETRIEVE_STANDSTILL`] times that in which no instance comes that is new, and the peer counts none as done that it had
    /// not counted; `stop` cancels it (C-CANCEL).
    pub(crate) async fn get(
        &mut self,
        question: &Question,
        keeper: &mut impl Keeper,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Retrieved, End> {
        let (message_id, affected_sop_class_uid) = self.inquiry.next_request();
        self.inquiry.ask(&CGetRq { message_id, affected_sop_class_uid }.into(), question).await?;
        let (mut count, mut most_done) = (SubOperations::default(), 0);
        let mut stopping = Stopping::new(message_id, patience);
        loop {
            let message = stopping.next_message(&mut self.inquiry, stop).await?;
            match message.command {
                Command::CGetRsp(response) if response.message_id_being_responded_to == message_id => {
                    match Response::from(response).read(&mut self.inquiry, &mut count).await? {
                        Some(retrieved) => return Ok(retrieved),
                        None => keeper.count(count),
                    }
                    if done(count) > most_done {
                        most_done = done(count);
                        stopping.go_on();
                    }
                }
                Command::CStoreRq(request) => {
                    // One that comes again and again is no progress.
                    if self.store(message.context_id, request, message.has_data_set, keeper).await? {
                        stopping.go_on();
                    }
                }
                other => return Err(End::OutOfTurn(other.name())),
            }
        }
    }

    /// Ends the association as what was asked last has it.
    pub(crate) async fn end<T>(self, asked: Result<T, End>) -> Result<T, Error> {
        self.inquiry.end(asked).await
    }

    /// Takes one instance; whether it is new. A refused one is read to its end, so that the others still come.
    ///
    /// PS3.7 §9.1.1.
    async fn store(
        &mut self,
        context_id: u8,
        request: CStoreRq,
        has_data_set: bool,
        keeper: &mut impl Keeper,
    ) -> Result<bool, End> {
        let Arrived { outcome, is_new } = match self.expected(context_id, &request, has_data_set) {
            Ok(expected) => keeper.keep(&mut self.inquiry.drive, expected).await?,
            Err(reason) => {
                keeper.refuse(request.affected_sop_instance_uid.as_ref(), &reason);
                Arrived { outcome: status::of_arrival(&Err(reason)), is_new: false }
            }
        };
        self.inquiry.drive.drain().await?;
        self.inquiry.drive.queue(context_id, &request.answer(outcome).into(), None)?;
        self.inquiry.drive.flush().await?;
        Ok(is_new)
    }

    /// What the command says that comes.
    fn expected(&self, context_id: u8, request: &CStoreRq, has_data_set: bool) -> Result<Expected, NotKept> {
        let context = self.inquiry.drive.association().context(context_id);
        let (Some(context), Some(sop_class)) = (context, request.affected_sop_class_uid.clone()) else {
            return Err(NotKept::NotOfItsContext);
        };
        if sop_class.as_str() != context.abstract_syntax || !sop::is_storage(sop_class.as_str()) {
            return Err(NotKept::NotOfItsContext);
        }
        let sop_instance = request.affected_sop_instance_uid.clone().filter(|_| has_data_set);
        let sop_instance = sop_instance.ok_or(NotKept::Missing("data set, or Affected SOP Instance UID"))?;
        let transfer_syntax = TransferSyntaxUid::lenient(&context.transfer_syntax);
        let transfer_syntax = transfer_syntax.ok_or(NotKept::Missing("transfer syntax"))?;
        Ok(Expected { sop_class, sop_instance, transfer_syntax })
    }
}

/// Puts what comes into a folder.
struct Folder<R> {
    folder: PathBuf,
    /// Who sends.
    source: AeTitle,
    report: R,
}

impl<R: FnMut(Step<'_>) + Send> Keeper for Folder<R> {
    async fn keep(&mut self, drive: &mut Drive, expected: Expected) -> Result<Arrived, End> {
        let instance = expected.sop_instance.clone();
        let arrived = self.receive(drive, expected).await?;
        match &arrived {
            Ok(kept) => (self.report)(Step::Kept(kept)),
            Err(reason) => (self.report)(Step::NotKept { instance: Some(&instance), reason }),
        }
        let is_new = arrived.as_ref().is_ok_and(|kept| !kept.was_there);
        Ok(Arrived { outcome: status::of_arrival(&arrived), is_new })
    }

    fn refuse(&mut self, instance: Option<&SopInstanceUid>, reason: &NotKept) {
        (self.report)(Step::NotKept { instance, reason });
    }

    fn count(&mut self, count: SubOperations) {
        (self.report)(Step::Count(count));
    }
}

impl<R> Folder<R> {
    async fn receive(&mut self, drive: &mut Drive, expected: Expected) -> Result<Result<Kept, NotKept>, End> {
        let (root, source) = (self.folder.clone(), self.source.clone());
        let mut arrival = match blocking(move || Arrival::begin(root, expected, &source)).await {
            Ok(arrival) => arrival,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut chunk = Vec::with_capacity(limits::SPOOL_CHUNK_BYTES);
        loop {
            let has_ended = drive.read_data(&mut chunk).await?;
            let taken = blocking(move || {
                arrival.take(&chunk)?;
                chunk.clear();
                Ok((arrival, chunk))
            });
            (arrival, chunk) = match taken.await {
                Ok(taken) => taken,
                Err(reason) => return Ok(Err(reason)),
            };
            if has_ended {
                return Ok(blocking(move || arrival.finish()).await);
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotKept> + Send + 'static,
) -> Result<T, NotKept> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(NotKept::Interrupted))
}
