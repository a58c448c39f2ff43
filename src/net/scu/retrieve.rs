use dimse::service::get::CGetRsp;
use dimse::service::move_::{CMoveRq, CMoveRsp};
use dimse::service::retrieve::SubOperations;
use dimse::{Class, Command, Outcome};
use model::query::Root;
use model::{AeTitle, SopInstanceUid, limits, sop};

use super::identifier::Identifier;
use super::inquiry::Inquiry;
use super::{Question, Settings, Target};
use crate::end::End;
use crate::error::Error;

/// How a retrieve ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrieved {
    /// How the peer says that it ended.
    pub outcome: Outcome,
    /// What the peer counted, as far as it told.
    pub sub_operations: SubOperations,
    /// The instances that the peer says could not be sent (PS3.4 §C.4.2.1.4.2).
    pub failed: Vec<SopInstanceUid>,
}

/// Asks a peer to send instances to `destination`, another application entity that it knows (C-MOVE), and tells `progress` what the
/// peer counts meanwhile.
///
/// Bounded in time between two responses by [`limits::RETRIEVE_TIMEOUT`], or `message_timeout` where that is more. Cancel safe:
/// dropped, the connection is closed without a word; the peer may go on.
///
/// PS3.4 §C.4.2, PS3.7 §9.1.4.
///
/// # Errors
/// [`Error`] when there was no answer. An answer may still be a refusal: see its status.
pub async fn move_to(
    target: &Target,
    settings: &Settings,
    question: &Question,
    destination: &AeTitle,
    progress: impl FnMut(SubOperations),
) -> Result<Retrieved, Error> {
    let sop_class = match question.root {
        Root::Patient => sop::PATIENT_ROOT_MOVE,
        Root::Study => sop::STUDY_ROOT_MOVE,
    };
    let mut inquiry = Inquiry::associate(target, settings, sop_class, Vec::new(), Vec::new()).await?;
    let moved = carry_out(&mut inquiry, question, destination, progress).await;
    inquiry.end(moved).await
}

async fn carry_out(
    inquiry: &mut Inquiry,
    question: &Question,
    destination: &AeTitle,
    mut progress: impl FnMut(SubOperations),
) -> Result<Retrieved, End> {
    let (message_id, affected_sop_class_uid) = inquiry.next_request();
    let request = CMoveRq { message_id, affected_sop_class_uid, destination: Some(destination.clone()) };
    inquiry.ask(&request.into(), question).await?;
    let mut count = SubOperations::default();
    loop {
        let message = inquiry.drive.next_message(patience(&inquiry.settings)).await?;
        let response = match message.command {
            Command::CMoveRsp(response) if response.message_id_being_responded_to == message_id => {
                Response::from(response)
            }
            other => return Err(End::OutOfTurn(other.name())),
        };
        match response.read(inquiry, &mut count).await? {
            Some(retrieved) => return Ok(retrieved),
            None => progress(count),
        }
    }
}

/// How long the next response may take.
pub(super) fn patience(settings: &Settings) -> std::time::Duration {
    settings.message_timeout.max(limits::RETRIEVE_TIMEOUT)
}

/// What a C-MOVE-RSP and a C-GET-RSP have in common.
pub(super) struct Response {
    outcome: Outcome,
    sub_operations: SubOperations,
}

impl From<CMoveRsp> for Response {
    fn from(CMoveRsp { outcome, sub_operations, .. }: CMoveRsp) -> Self {
        Self { outcome, sub_operations }
    }
}

impl From<CGetRsp> for Response {
    fn from(CGetRsp { outcome, sub_operations, .. }: CGetRsp) -> Self {
        Self { outcome, sub_operations }
    }
}

impl Response {
    /// Takes note of the count, and reads the identifier, if there is one. `None`: more follows.
    pub(super) async fn read(
        self,
        inquiry: &mut Inquiry,
        count: &mut SubOperations,
    ) -> Result<Option<Retrieved>, End> {
        let is_final = self.outcome.status.class() != Class::Pending;
        *count = SubOperations {
            // Of a final response absent means none (PS3.4 §C.4.2.1.6).
            remaining: if is_final {
                self.sub_operations.remaining
            } else {
                self.sub_operations.remaining.or(count.remaining)
            },
            completed: self.sub_operations.completed.or(count.completed),
            failed: self.sub_operations.failed.or(count.failed),
            warning: self.sub_operations.warning.or(count.warning),
        };
        if !is_final {
            inquiry.drive.drain().await?;
            return Ok(None);
        }
        let identifier = Identifier::receive(&mut inquiry.drive, inquiry.form).await?;
        let failed = identifier.map(|identifier| identifier.failed_instances()).unwrap_or_default();
        Ok(Some(Retrieved { outcome: self.outcome, sub_operations: *count, failed }))
    }
}
