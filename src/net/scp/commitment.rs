use dimse::service::action::{NActionRq, REQUEST_STORAGE_COMMITMENT};
use dimse::service::event_report::{NEventReportRq, NEventReportRsp};
use dimse::{Class, Outcome, Status};
use model::commitment::{Report, Request, RequestError};
use model::{SopClassUid, SopInstanceUid, limits, sop, syntax};
use pipeline::{Acceptance, Asker, CommitmentId, Judgement};
use telemetry::Event;
use tokio::time::Instant;
use ul::PresentationContext;

use super::Scp;
use super::owed::Held;
use crate::data_set::{self, Unread};
use crate::drive::Drive;
use crate::end::End;
use crate::{reporter, status};

impl Scp<'_> {
    /// Answers N-ACTION: a request for storage commitment, which is durable before it is answered; its report follows.
    ///
    /// PS3.4 §J.3.2, PS3.7 §10.1.4.
    pub(super) async fn action(
        &mut self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: NActionRq,
        has_data_set: bool,
    ) -> Result<(), End> {
        let taken = self.asked(drive, context, &request, has_data_set).await?;
        self.telemetry.record(Event::CommitmentRequest { is_accepted: taken.is_ok() });
        let outcome = match taken {
            Ok(id) => {
                self.owe(Held { id, context_id: context.id }).await;
                Status::SUCCESS.into()
            }
            Err(refusal) => refusal,
        };
        self.respond(drive, context.id, &request.answer(outcome).into()).await
    }

    /// Reads what is asked and takes it on. The inner error is the refusal.
    async fn asked(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: &NActionRq,
        has_data_set: bool,
    ) -> Result<Result<CommitmentId, Outcome>, End> {
        let whole = match data_set::read(drive, limits::COMMITMENT_BYTES, self.large).await? {
            Ok(whole) => whole,
            Err(unread) => return Ok(Err(too_much(unread))),
        };
        if let Some(refusal) = refuse_command(context, request, has_data_set) {
            return Ok(Err(refusal));
        }
        let form = syntax::form(&context.transfer_syntax);
        let header = match data_set::scan(form, whole.bytes, limits::COMMITMENT_BYTES).await {
            Ok(header) => header,
            Err(error) => {
                return Ok(Err(Outcome::because(Status::PROCESSING_FAILURE, status::unreadable(error))));
            }
        };
        let read = Request::read(&header);
        drop((header, whole.permit));
        Ok(match read {
            Ok(request) => self.take_on(request).await,
            Err(error) => Err(refusal(error)),
        })
    }

    async fn take_on(&self, request: Request) -> Result<CommitmentId, Outcome> {
        let instances = request.references.len();
        let transaction = request.transaction.clone();
        let asker = Asker {
            calling_aet: self.caller.calling.clone(),
            peer: self.caller.peer.clone(),
            address: Some(self.caller.from),
        };
        match self.pipeline.accept_commitment(asker, request).await {
            Ok(Acceptance::Taken(id)) => {
                tracing::info!(%transaction, instances, "storage commitment asked for");
                Ok(id)
            }
            Ok(Acceptance::InUse) => Err(Outcome::because(
                Status::INVALID_ARGUMENT_VALUE,
                "Transaction UID is in use for other instances",
            )),
            Ok(Acceptance::Full) => {
                tracing::warn!(%transaction, "storage commitment refused: too many reports wait to be sent");
                Err(Outcome::because(Status::RESOURCE_LIMITATION, "too many reports wait to be sent"))
            }
            Err(error) => {
                tracing::error!(%transaction, error = crate::chain(&error), "storage commitment refused");
                Err(status::of_commitment(&error))
            }
        }
    }

    /// Notes a report that is owed, to go over this association or, where that is over with, another.
    async fn owe(&mut self, held: Held) {
        if !self.can_be_called() {
            tracing::warn!(
                "no [peer] has this AE title: the report can only go over this association, while that lasts"
            );
        }
        if self.owed.is_mute() {
            self.let_go(vec![held.id]).await;
        } else {
            self.owed.push(held, Instant::now());
        }
    }

    /// Does what is due of the reports that are owed here, at [`Owed::wake_at`](super::Owed::wake_at).
    pub(crate) async fn report(&mut self, drive: &mut Drive) -> Result<(), End> {
        let now = Instant::now();
        if self.owed.is_unanswered(now) {
            self.miss_answer().await;
        } else if !drive.is_between_messages() {
            self.owed.is_disturbed(now);
        } else if let Some(held) = self.owed.due(now) {
            return self.make_report(drive, held).await;
        }
        Ok(())
    }

    /// Whether a report can go over an association of our own.
    fn can_be_called(&self) -> bool {
        reporter::target(self.config, self.caller.peer.as_ref(), self.caller.calling.as_ref()).is_some()
    }

    /// [`Scp::report`] behind a message that was served. A report that is overdue goes over another association where one can be had: a
    /// peer that sends on and on may expect nothing but answers.
    pub(crate) async fn served(&mut self, drive: &mut Drive) -> Result<(), End> {
        let now = Instant::now();
        self.owed.is_disturbed(now);
        if self.owed.is_unanswered(now) {
            self.miss_answer().await;
        } else if let Some(held) = self.owed.overdue(now) {
            if self.can_be_called() {
                self.let_go(vec![held.id]).await;
            } else {
                return self.make_report(drive, held).await;
            }
        }
        Ok(())
    }

    async fn miss_answer(&mut self) {
        tracing::info!(
            "the peer does not answer a storage commitment report: it goes over another association"
        );
        self.stop_reporting().await;
    }

    async fn make_report(&mut self, drive: &mut Drive, held: Held) -> Result<(), End> {
        match self.pipeline.judge(held.id).await {
            Ok(judgement) => self.send_report(drive, held, judgement).await,
            Err(error) => {
                tracing::error!(error = crate::chain(&error), "a storage commitment report cannot be made");
                self.let_go(vec![held.id]).await;
                Ok(())
            }
        }
    }

    /// PS3.4 §J.3.3, PS3.7 §10.1.1.
    async fn send_report(&mut self, drive: &mut Drive, held: Held, judgement: Judgement) -> Result<(), End> {
        let Some(context) = drive.association().context(held.context_id).cloned() else {
            self.let_go(vec![held.id]).await;
            return Ok(());
        };
        let failed = judgement.failed.len();
        let report = report(judgement, self.config.ae_title.clone());
        let now = Instant::now();
        let message_id = self.owed.send(held, failed, self.config.message_timeout, now);
        let request = request(message_id, &report);
        let form = syntax::form(&context.transfer_syntax);
        let bytes = data_set::in_form(form, report.to_data_set(form.encoding));
        tracing::info!(
            transaction = %report.transaction,
            committed = report.committed.len(),
            failed,
            "storage commitment reported over the association it was asked on",
        );
        drive.queue(context.id, &request.into(), Some(&bytes))?;
        drive.flush().await?;
        self.owed.is_disturbed(now);
        Ok(())
    }

    /// Takes the answer to a report.
    pub(super) async fn report_answered(
        &mut self,
        drive: &mut Drive,
        response: NEventReportRsp,
    ) -> Result<(), End> {
        drive.drain().await?;
        let Some(waited_for) = self.owed.answered(response.message_id_being_responded_to) else {
            return Err(End::OutOfTurn("response"));
        };
        let status = response.outcome.status;
        self.tally.add("N-EVENT-REPORT-RSP", status);
        let Some((held, failed)) = waited_for else { return Ok(()) };
        let words = format!("{status} {}", dimse::service::event_report::meaning(status));
        let settled = match status.class() {
            Class::Success | Class::Warning => self.pipeline.report_delivered(held.id, failed, words).await,
            Class::Failure | Class::Cancel | Class::Pending => {
                tracing::warn!(
                    status = words,
                    "the peer does not take a storage commitment report; it is sent again"
                );
                self.pipeline.report_refused(held.id, failed, words, &self.config.report_retry).await
            }
        };
        if let Err(error) = settled {
            tracing::error!(
                error = crate::chain(&error),
                "how a storage commitment report was taken cannot be kept; tried again each second"
            );
        }
        Ok(())
    }

    /// No further report goes over this association: those that are owed go over others.
    pub(crate) async fn stop_reporting(&mut self) {
        let ids = self.owed.give_up();
        self.let_go(ids).await;
    }

    async fn let_go(&self, ids: Vec<CommitmentId>) {
        if let Err(error) = self.pipeline.let_reports_go(ids).await {
            tracing::error!(
                error = crate::chain(&error),
                "storage commitment reports wait until the index can be written"
            );
        }
    }
}

/// The report that a judgement makes.
pub(crate) fn report(judgement: Judgement, retrieve_ae_title: model::AeTitle) -> Report {
    let Judgement { transaction, committed, failed } = judgement;
    Report { transaction, retrieve_ae_title, committed, failed }
}

/// N-EVENT-REPORT-RQ of a report.
pub(crate) fn request(message_id: u16, report: &Report) -> NEventReportRq {
    NEventReportRq {
        message_id,
        affected_sop_class_uid: SopClassUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL),
        affected_sop_instance_uid: SopInstanceUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        event_type_id: Some(report.event_type_id()),
    }
}

/// Why this is not the instance that requests and reports are about (PS3.4 §J.3.5).
pub(super) fn refuse_instance(
    context: &PresentationContext,
    class: Option<&SopClassUid>,
    instance: Option<&SopInstanceUid>,
) -> Option<Outcome> {
    if class.is_some_and(|class| class.as_str() != context.abstract_syntax) {
        let reason = "SOP class is not that of the presentation context";
        return Some(Outcome::because(Status::NO_SUCH_SOP_CLASS, reason));
    }
    if instance.is_some_and(|uid| uid.as_str() != sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE) {
        let reason = "the one instance is 1.2.840.10008.1.20.1.1";
        return Some(Outcome::because(Status::NO_SUCH_SOP_INSTANCE, reason));
    }
    None
}

/// Why a command asks for nothing that we do. What it leaves out is taken to be right.
fn refuse_command(context: &PresentationContext, request: &NActionRq, has_data_set: bool) -> Option<Outcome> {
    if !context.requestor_is_scu {
        let reason = "by role selection the requestor is no SCU here";
        return Some(Outcome::because(Status::NOT_AUTHORIZED, reason));
    }
    let NActionRq { requested_sop_class_uid: class, requested_sop_instance_uid: instance, .. } = request;
    if let Some(refusal) = refuse_instance(context, class.as_ref(), instance.as_ref()) {
        return Some(refusal);
    }
    if request.action_type_id.is_some_and(|action| action != REQUEST_STORAGE_COMMITMENT) {
        return Some(Outcome::because(Status::NO_SUCH_ACTION, "the one Action Type ID is 1"));
    }
    let reason = "Action Information is missing";
    (!has_data_set).then(|| Outcome::because(Status::INVALID_ARGUMENT_VALUE, reason))
}

fn refusal(error: RequestError) -> Outcome {
    let status = match error {
        RequestError::TransactionUid | RequestError::ReferencedSopSequence | RequestError::Reference(_) => {
            Status::INVALID_ARGUMENT_VALUE
        }
        RequestError::TooMany => Status::RESOURCE_LIMITATION,
    };
    Outcome::because(status, error.to_string())
}

pub(super) fn too_much(unread: Unread) -> Outcome {
    Outcome::because(
        Status::RESOURCE_LIMITATION,
        match unread {
            Unread::TooLarge => "data set is too large",
            Unread::Busy => "too many large requests at once",
        },
    )
}
