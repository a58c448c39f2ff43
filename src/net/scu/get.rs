mod arrival;
mod classes;
mod offer;

use std::path::{Path, PathBuf};

use dimse::Command;
use dimse::service::get::CGetRq;
use dimse::service::retrieve::SubOperations;
use dimse::service::store::CStoreRq;
use model::query::Root;
use model::{AeTitle, SopInstanceUid, TransferSyntaxUid, limits, sop};
use ul::pdu::RoleSelection;

use arrival::{Arrival, Expected};
pub use arrival::{Kept, NotKept};

use super::inquiry::Inquiry;
use super::retrieve::{Response, Retrieved, patience};
use super::{Question, Settings, Target};
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
    report: impl FnMut(Step<'_>),
) -> Result<Retrieved, Error> {
    let classes = classes::of(target, settings, question).await?;
    let sop_class = match question.root {
        Root::Patient => sop::PATIENT_ROOT_GET,
        Root::Study => sop::STUDY_ROOT_GET,
    };
    let (storage, roles) = (offer::contexts(&classes), classes.iter().map(|class| scp_of(class)).collect());
    let inquiry = Inquiry::associate(target, settings, sop_class, storage, roles).await?;
    let contexts = inquiry.drive.association().contexts();
    if !contexts.iter().any(|context| sop::is_storage(&context.abstract_syntax)) {
        inquiry.end(Ok(())).await?;
        let sop_class = classes.into_iter().next().unwrap_or_default();
        let reason = "it accepts no context to send it in";
        let transfer_syntax = "any transfer syntax".to_owned();
        return Err(Error::NotAccepted { sop_class, transfer_syntax, reason });
    }
    let mut scu = GetScu { inquiry, folder: folder.to_owned(), source: target.ae_title.clone(), report };
    let got = scu.carry_out(question).await;
    scu.inquiry.end(got).await
}

/// We are to be SCP of a storage class (PS3.4 §C.5.3).
fn scp_of(class: &str) -> RoleSelection {
    RoleSelection { sop_class: class.to_owned(), scu: false, scp: true }
}

/// An association on which a C-GET is carried out.
struct GetScu<R> {
    inquiry: Inquiry,
    folder: PathBuf,
    /// Who sends.
    source: AeTitle,
    report: R,
}

impl<R: FnMut(Step<'_>)> GetScu<R> {
    async fn carry_out(&mut self, question: &Question) -> Result<Retrieved, End> {
        let (message_id, affected_sop_class_uid) = self.inquiry.next_request();
        self.inquiry.ask(&CGetRq { message_id, affected_sop_class_uid }.into(), question).await?;
        let mut count = SubOperations::default();
        loop {
            let message = self.inquiry.drive.next_message(patience(&self.inquiry.settings)).await?;
            match message.command {
                Command::CGetRsp(response) if response.message_id_being_responded_to == message_id => {
                    let response = Response::from(response);
                    match response.read(&mut self.inquiry, &mut count).await? {
                        Some(retrieved) => return Ok(retrieved),
                        None => (self.report)(Step::Count(count)),
                    }
                }
                Command::CStoreRq(request) => {
                    self.store(message.context_id, request, message.has_data_set).await?;
                }
                other => return Err(End::OutOfTurn(other.name())),
            }
        }
    }

    /// Takes one instance. A refused one is read to its end, so that the others still come.
    ///
    /// PS3.7 §9.1.1.
    async fn store(&mut self, context_id: u8, request: CStoreRq, has_data_set: bool) -> Result<(), End> {
        let arrived = match self.expected(context_id, &request, has_data_set) {
            Ok(expected) => self.receive(expected).await?,
            Err(reason) => Err(reason),
        };
        self.inquiry.drive.drain().await?;
        let outcome = status::of_arrival(&arrived);
        let instance = request.affected_sop_instance_uid.clone();
        self.inquiry.drive.queue(context_id, &request.answer(outcome).into(), None)?;
        self.inquiry.drive.flush().await?;
        match &arrived {
            Ok(kept) => (self.report)(Step::Kept(kept)),
            Err(reason) => {
                (self.report)(Step::NotKept { instance: instance.as_ref(), reason });
            }
        }
        Ok(())
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
        Ok(Expected { sop_class, sop_instance, transfer_syntax, source: self.source.clone() })
    }

    async fn receive(&mut self, expected: Expected) -> Result<Result<Kept, NotKept>, End> {
        let root = self.folder.clone();
        let mut arrival = match blocking(move || Arrival::begin(root, expected)).await {
            Ok(arrival) => arrival,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut chunk = Vec::with_capacity(limits::SPOOL_CHUNK_BYTES);
        loop {
            let has_ended = self.inquiry.drive.read_data(&mut chunk).await?;
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
