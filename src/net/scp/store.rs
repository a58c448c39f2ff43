use std::time::{Duration, Instant};

use dimse::service::store::{self, CStoreRq};
use dimse::{Outcome, Status};
use model::{Fault, SopInstanceUid, TransferSyntaxUid};
use pipeline::{Content, IngestError, Received, Stored};
use telemetry::{Door, Event};
use ul::PresentationContext;

use super::{Caller, Scp};
use crate::drive::{Drive, Incoming};
use crate::end::End;
use crate::status;

impl Scp<'_> {
    /// Takes one instance. A refused one is read to its end, so that the association goes on.
    ///
    /// PS3.7 §9.1.1, PS3.4 §B.2.
    pub(super) async fn store(
        &mut self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: CStoreRq,
        has_data_set: bool,
    ) -> Result<(), End> {
        let started = Instant::now();
        let outcome = match instance(context, &request, has_data_set) {
            Ok(content) => {
                let mut body = Incoming::new(drive);
                // A sub-operation of a C-MOVE of ours (PS3.7 §9.1.1.1.6).
                let originator = request.move_originator.as_ref();
                let is_asked_for = originator.is_some_and(|originator| originator.ae_title == *self.ae_title);
                let received = self.received(is_asked_for, content);
                let result = self.pipeline.ingest(received, &mut body).await;
                body.finish().await?;
                log(&result, started.elapsed());
                status::of_ingest(&result)
            }
            Err(refusal) => {
                let bytes = drive.drain().await?;
                let status =
                    if refusal.status == Status::SOP_CLASS_NOT_SUPPORTED { "mismatch" } else { "unreadable" };
                let elapsed = started.elapsed();
                self.telemetry.record(Event::InstanceReceived { door: Door::Dimse, status, bytes, elapsed });
                refusal
            }
        };
        self.respond(drive, context.id, &request.answer(outcome).into()).await
    }

    fn received(&self, is_asked_for: bool, content: Content) -> Received {
        let Caller { calling, called, peer, from, hops: _ } = &self.caller;
        Received {
            door: Door::Dimse,
            calling_aet: calling.clone(),
            called_aet: called.clone(),
            peer: peer.clone(),
            address: Some(*from),
            is_asked_for,
            content,
        }
    }
}

/// What the command says that comes, or why it cannot be taken.
fn instance(
    context: &PresentationContext,
    request: &CStoreRq,
    has_data_set: bool,
) -> Result<Content, Outcome> {
    let understood = |uid: Option<SopInstanceUid>| match uid {
        Some(uid) if has_data_set => Ok(uid),
        Some(_) => Err(Outcome::because(store::CANNOT_UNDERSTAND, "no data set")),
        None => Err(Outcome::because(store::CANNOT_UNDERSTAND, "Affected SOP Instance UID is missing")),
    };
    let sop_class = request.affected_sop_class_uid.clone();
    let Some(sop_class) = sop_class.filter(|class| class.as_str() == context.abstract_syntax) else {
        return Err(Outcome::because(
            Status::SOP_CLASS_NOT_SUPPORTED,
            "SOP class is not that of the presentation context",
        ));
    };
    if !context.requestor_is_scu {
        let reason = "by role selection the requestor is no SCU here";
        return Err(Outcome::because(Status::SOP_CLASS_NOT_SUPPORTED, reason));
    }
    let sop_instance = understood(request.affected_sop_instance_uid.clone())?;
    let Some(transfer_syntax) = TransferSyntaxUid::lenient(&context.transfer_syntax) else {
        return Err(Outcome::because(
            store::CANNOT_UNDERSTAND,
            "presentation context without transfer syntax",
        ));
    };
    Ok(Content::DataSet { transfer_syntax, sop_class, sop_instance, study: None })
}

fn log(result: &Result<Stored, IngestError>, elapsed: Duration) {
    match result {
        Ok(stored) => {
            tracing::debug!(sop_instance = %stored.ids.sop_instance, outcome = ?stored.outcome, ?elapsed, "stored");
        }
        Err(refused) => {
            let sop_instance = refused.sop_instance.as_ref().map(tracing::field::display);
            let sop_class = refused.sop_class.as_ref().map(tracing::field::display);
            let error = crate::chain(&refused.error);
            match refused.error.fault() {
                Fault::Local | Fault::Bug => {
                    tracing::error!(sop_instance, sop_class, error, "instance not stored");
                }
                Fault::Transient { .. } => {
                    tracing::warn!(sop_instance, sop_class, error, "instance not stored")
                }
                Fault::Peer | Fault::Policy => {
                    tracing::info!(sop_instance, sop_class, error, "instance not stored");
                }
            }
        }
    }
}
