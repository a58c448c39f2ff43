use dimse::service::event_report::NEventReportRq;
use dimse::{Outcome, Status};
use model::commitment::{ReceivedReport, ReportError};
use model::{limits, syntax};
use pipeline::{Pipeline, ReportTaken, Teller};
use tokio::sync::Semaphore;
use ul::PresentationContext;

use super::Scp;
use super::commitment::{refuse_instance, too_much};
use crate::data_set;
use crate::drive::Drive;
use crate::end::End;
use crate::status;

impl Scp<'_> {
    /// Answers N-EVENT-REPORT: a peer that we asked to commit to what it took tells how that went, over an association of its own, on
    /// which it is SCP. That it says so is not insisted on.
    ///
    /// PS3.4 §J.3.3, PS3.7 §10.1.1.
    pub(super) async fn event_report(
        &mut self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: NEventReportRq,
        has_data_set: bool,
    ) -> Result<(), End> {
        let listening = Listening {
            pipeline: self.pipeline,
            teller: &Teller { peer: self.caller.peer.clone(), aet: self.caller.calling.clone() },
            large: self.large,
        };
        let outcome = listening.take(drive, context, &request, has_data_set).await?;
        self.respond(drive, context.id, &request.answer(outcome).into()).await
    }
}

/// Who listens to reports, and to whom.
pub(crate) struct Listening<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) teller: &'a Teller,
    pub(crate) large: &'a Semaphore,
}

impl Listening<'_> {
    /// Reads a report to its end and takes it; how that went.
    pub(crate) async fn take(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: &NEventReportRq,
        has_data_set: bool,
    ) -> Result<Outcome, End> {
        let whole = match data_set::read(drive, limits::COMMITMENT_BYTES, self.large).await? {
            Ok(whole) => whole,
            Err(unread) => return Ok(too_much(unread)),
        };
        if let Some(refusal) = refuse_command(context, request, has_data_set) {
            return Ok(refusal);
        }
        let form = syntax::form(&context.transfer_syntax);
        let header = match data_set::scan(form, whole.bytes, limits::COMMITMENT_BYTES).await {
            Ok(header) => header,
            Err(error) => return Ok(Outcome::because(Status::PROCESSING_FAILURE, status::unreadable(error))),
        };
        let read = ReceivedReport::read(&header);
        drop((header, whole.permit));
        Ok(match read {
            Ok(report) => self.told(report).await,
            Err(error @ ReportError::TransactionUid) => {
                Outcome::because(Status::INVALID_ARGUMENT_VALUE, error.to_string())
            }
            Err(error @ ReportError::TooMany) => {
                Outcome::because(Status::RESOURCE_LIMITATION, error.to_string())
            }
        })
    }

    async fn told(&self, report: ReceivedReport) -> Outcome {
        let transaction = report.transaction.clone();
        match self.pipeline.take_report(self.teller, report).await {
            Ok(ReportTaken::Taken { .. }) => Status::SUCCESS.into(),
            Ok(ReportTaken::Unknown) => {
                tracing::info!(%transaction, "a storage commitment report that nobody asked for");
                Outcome::because(Status::INVALID_ARGUMENT_VALUE, "Transaction UID is not one of ours")
            }
            Ok(ReportTaken::NotAsked) => {
                tracing::warn!(
                    %transaction,
                    "a storage commitment report from another peer than the one that was asked: its AE title or address \
                     is not that of the [peer] of the destination"
                );
                Outcome::because(
                    Status::INVALID_ARGUMENT_VALUE,
                    "another AE was asked under this Transaction UID",
                )
            }
            Err(error) => {
                tracing::error!(%transaction, error = crate::chain(&error), "storage commitment report refused");
                status::of_commitment(&error)
            }
        }
    }
}

/// Why a command tells nothing that we know. What it leaves out is taken to be right.
fn refuse_command(
    context: &PresentationContext,
    request: &NEventReportRq,
    has_data_set: bool,
) -> Option<Outcome> {
    let NEventReportRq { affected_sop_class_uid: class, affected_sop_instance_uid: instance, .. } = request;
    if let Some(refusal) = refuse_instance(context, class.as_ref(), instance.as_ref()) {
        return Some(refusal);
    }
    if request.event_type_id.is_some_and(|event| !EVENT_TYPES.contains(&event)) {
        return Some(Outcome::because(Status::NO_SUCH_EVENT_TYPE, "Event Type ID is 1 or 2"));
    }
    let reason = "Event Information is missing";
    (!has_data_set).then(|| Outcome::because(Status::INVALID_ARGUMENT_VALUE, reason))
}

/// Event Type IDs of Storage Commitment; which of them it is follows from what is told (PS3.4 Table J.3-2).
const EVENT_TYPES: [u16; 2] = [1, 2];
