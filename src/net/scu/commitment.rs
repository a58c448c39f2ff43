use dimse::service::action::{self, NActionRq};
use dimse::service::event_report::NEventReportRq;
use dimse::{Command, Message, Outcome};
use model::commitment::Request;
use model::{PeerName, SopClassUid, SopInstanceUid, limits, sop, syntax};
use pipeline::{Pipeline, Teller};
use telemetry::Telemetry;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use ul::pdu::ContextOutcome;

use super::associate::{self, Requested};
use super::association::Open;
use super::report::SYNTAXES;
use super::{Settings, Target};
use crate::data_set;
use crate::drive::Drive;
use crate::end::{End, Wait};
use crate::error::Error;
use crate::scp::event_report::Listening;

/// What a status means in an N-ACTION response.
pub use dimse::service::action::meaning as action_meaning;

/// An association on which a peer is asked to commit to what it took. Its reports, as far as they come over it, go to the pipeline.
///
/// Dropped, the connection is closed without a word.
pub struct CommitmentAssociation {
    /// `None` once it is over.
    drive: Option<Drive>,
    settings: Settings,
    pipeline: Pipeline,
    /// The peer, as who it tells.
    teller: Teller,
    large: Semaphore,
    message_id: u16,
    open: Open,
}

/// A message that the peer has begun, to be taken.
pub struct Incoming(Message);

impl CommitmentAssociation {
    /// Connects and associates with this peer.
    ///
    /// Takes at most `connect_timeout` and `message_timeout`. Cancel safe: dropped, there is no association.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Association`]; [`Error::NotAccepted`] when the peer does not offer storage commitment.
    ///
    /// PS3.4 §J.3.
    pub async fn open(
        target: &Target,
        peer: PeerName,
        settings: &Settings,
        pipeline: &Pipeline,
        telemetry: &Telemetry,
    ) -> Result<Self, Error> {
        let class = sop::STORAGE_COMMITMENT_PUSH_MODEL.to_owned();
        let contexts = [(class.clone(), SYNTAXES.map(str::to_owned).to_vec())];
        let Requested { drive, results, .. } = associate::associate(target, settings, contexts).await?;
        let association = Self {
            drive: Some(drive),
            settings: settings.clone(),
            pipeline: pipeline.clone(),
            teller: Teller { peer: Some(peer), aet: Some(target.ae_title.clone()) },
            large: Semaphore::new(1),
            message_id: 0,
            open: Open::new(telemetry),
        };
        let result = results.first();
        if let Some(ContextOutcome::Accepted { .. }) = result.map(|result| &result.outcome) {
            return Ok(association);
        }
        let reason = result.and_then(|result| associate::refusal(result, "")).unwrap_or("not answered");
        association.close().await;
        let transfer_syntax = syntax::EXPLICIT_VR_LITTLE_ENDIAN.to_owned();
        Err(Error::NotAccepted { sop_class: class, transfer_syntax, reason })
    }

    /// Asks for storage commitment and waits for the answer, which may be a refusal: see its status. Reports that come before the answer
    /// are taken. Not cancel safe: the association is to be dropped then.
    ///
    /// # Errors
    /// [`Error::Lost`] when the association is over; the peer may have taken the request on.
    ///
    /// PS3.4 §J.3.2, PS3.7 §10.1.4.
    pub async fn ask(&mut self, request: &Request) -> Result<Outcome, Error> {
        // All of it: a peer that only ever reports does not keep us from asking.
        match timeout(self.settings.message_timeout, self.try_to_ask(request)).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(end)) => Err(self.lost(end).await),
            Err(_) => Err(self.lost(End::TimedOut(Wait::Message)).await),
        }
    }

    /// Waits for the peer's next message. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Lost`] when the association is over.
    pub async fn next(&mut self) -> Result<Incoming, Error> {
        let Some(drive) = &mut self.drive else { return Err(Error::Lost(End::Closed)) };
        match drive.next_message(limits::REPORT_PATIENCE.saturating_mul(2)).await {
            Ok(message) => Ok(Incoming(message)),
            Err(end) => Err(self.lost(end).await),
        }
    }

    /// Takes a message, which is a report, and answers it. Not cancel safe: the association is to be dropped then.
    ///
    /// # Errors
    /// [`Error::Lost`] when the association is over.
    pub async fn take(&mut self, Incoming(message): Incoming) -> Result<(), Error> {
        let taken = match message {
            Message { context_id, command: Command::NEventReportRq(request), has_data_set } => {
                self.take_report(context_id, request, has_data_set).await
            }
            Message { command, .. } => Err(End::OutOfTurn(command.name())),
        };
        match taken {
            Ok(()) => Ok(()),
            Err(end) => Err(self.lost(end).await),
        }
    }

    /// Ends the association in good order. Takes at most the ARTIM timeout, after which it is closed all the same.
    pub async fn close(mut self) {
        let Some(drive) = self.drive.take() else { return };
        self.open.end(&associate::release_within(drive, self.settings.artim_timeout).await);
    }

    /// Aborts, because this process is stopping.
    pub async fn abort(mut self) {
        drop(self.lost(End::Shutdown).await);
    }

    async fn try_to_ask(&mut self, request: &Request) -> Result<Outcome, End> {
        let drive = self.drive.as_mut().ok_or(End::Closed)?;
        let context = drive.association().context(FIRST_CONTEXT).cloned();
        let context = context.ok_or(End::OutOfTurn("presentation context"))?;
        self.message_id = self.message_id.wrapping_add(1);
        let message_id = self.message_id;
        let form = syntax::form(&context.transfer_syntax);
        let bytes = data_set::in_form(form, request.to_data_set(form.encoding));
        drive.queue(context.id, &action(message_id).into(), Some(&bytes))?;
        drive.flush().await?;
        loop {
            let drive = self.drive.as_mut().ok_or(End::Closed)?;
            let Message { context_id, command, has_data_set } =
                drive.next_message(self.settings.message_timeout).await?;
            match command {
                Command::NActionRsp(response) if response.message_id_being_responded_to == message_id => {
                    drive.drain().await?;
                    return Ok(response.outcome);
                }
                Command::NEventReportRq(request) => {
                    self.take_report(context_id, request, has_data_set).await?;
                }
                other => return Err(End::OutOfTurn(other.name())),
            }
        }
    }

    async fn take_report(
        &mut self,
        context_id: u8,
        request: NEventReportRq,
        has_data_set: bool,
    ) -> Result<(), End> {
        let drive = self.drive.as_mut().ok_or(End::Closed)?;
        let context = drive.association().context(context_id).cloned();
        let context = context.ok_or(End::OutOfTurn("presentation context"))?;
        let listening = Listening { pipeline: &self.pipeline, teller: &self.teller, large: &self.large };
        let outcome = listening.take(drive, &context, &request, has_data_set).await?;
        drive.queue(context_id, &request.answer(outcome).into(), None)?;
        drive.flush().await
    }

    async fn lost(&mut self, end: End) -> Error {
        self.open.end(&end);
        if let Some(drive) = self.drive.take() {
            associate::close(drive, &end).await;
        }
        Error::Lost(end)
    }
}

fn action(message_id: u16) -> NActionRq {
    NActionRq {
        message_id,
        requested_sop_class_uid: SopClassUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL),
        requested_sop_instance_uid: SopInstanceUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        action_type_id: Some(action::REQUEST_STORAGE_COMMITMENT),
    }
}

const FIRST_CONTEXT: u8 = 1;
