use std::time::Duration;

use dimse::service::find::CCancelRq;
use dimse::service::get::CGetRsp;
use dimse::service::move_::{CMoveRq, CMoveRsp};
use dimse::service::retrieve::SubOperations;
use dimse::{Class, Command, Message, Outcome};
use model::query::Root;
use model::{AeTitle, SopInstanceUid, limits, sop};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::identifier::Identifier;
use super::inquiry::Inquiry;
use super::{Question, Settings, Target};
use crate::end::{End, Wait};
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
/// Bounded in time between two responses by [`limits::RETRIEVE_TIMEOUT`], or `message_timeout` where that is more, and
/// [`limits::RETRIEVE_STANDSTILL`] times that between two that count differently. Cancel safe: dropped, the connection is closed without a word; the peer may go on.
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
    mut progress: impl FnMut(SubOperations),
) -> Result<Retrieved, Error> {
    let mut scu = MoveScu::associate(target, settings, question.root).await?;
    let (patience, stop) = (patience(settings), CancellationToken::new());
    let moved = scu.move_to(question, destination, &mut progress, patience, &stop).await;
    scu.end(moved).await
}

/// An association on which one C-MOVE is carried out after the other.
pub(crate) struct MoveScu {
    inquiry: Inquiry,
}

impl MoveScu {
    pub(crate) async fn associate(target: &Target, settings: &Settings, root: Root) -> Result<Self, Error> {
        let sop_class = match root {
            Root::Patient => sop::PATIENT_ROOT_MOVE,
            Root::Study => sop::STUDY_ROOT_MOVE,
        };
        let inquiry = Inquiry::associate(target, settings, sop_class, Vec::new(), Vec::new()).await?;
        Ok(Self { inquiry })
    }

    /// Carries one C-MOVE out. Between two responses there may be as much time as `patience`; `stop` cancels it (C-CANCEL).
    pub(crate) async fn move_to(
        &mut self,
        question: &Question,
        destination: &AeTitle,
        progress: &mut impl FnMut(SubOperations),
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Retrieved, End> {
        let inquiry = &mut self.inquiry;
        let (message_id, affected_sop_class_uid) = inquiry.next_request();
        let request = CMoveRq { message_id, affected_sop_class_uid, destination: Some(destination.clone()) };
        inquiry.ask(&request.into(), question).await?;
        let (mut count, mut most_done) = (SubOperations::default(), 0);
        let mut stopping = Stopping::new(message_id, patience);
        loop {
            let message = stopping.next_message(inquiry, stop).await?;
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
            if done(count) > most_done {
                most_done = done(count);
                stopping.go_on();
            }
        }
    }

    /// Ends the association as what was asked last has it.
    pub(crate) async fn end<T>(self, asked: Result<T, End>) -> Result<T, Error> {
        self.inquiry.end(asked).await
    }
}

/// How many instances the peer says to be through with.
pub(super) fn done(SubOperations { completed, failed, warning, .. }: SubOperations) -> u32 {
    [completed, failed, warning].into_iter().flatten().map(u32::from).sum()
}

/// The wait for the messages of a retrieve that may be cancelled.
pub(super) struct Stopping {
    message_id: u16,
    patience: Duration,
    /// When something came of it last.
    moved: Instant,
    /// Cancelled, and to be over by then.
    until: Option<Instant>,
}

impl Stopping {
    pub(super) fn new(message_id: u16, patience: Duration) -> Self {
        Self { message_id, patience, moved: Instant::now(), until: None }
    }

    /// Takes note that something came of it: an instance, or a higher count.
    pub(super) fn go_on(&mut self) {
        self.moved = Instant::now();
    }

    /// When nothing will have come of it for so long that it is over: a peer may say for ever that it is pending.
    fn standstill(&self) -> Instant {
        self.moved + self.patience.saturating_mul(limits::RETRIEVE_STANDSTILL)
    }

    /// The next message; once `stop` says so, C-CANCEL is sent, and what still comes must do so within
    /// [`limits::CANCEL_PATIENCE`].
    pub(super) async fn next_message(
        &mut self,
        inquiry: &mut Inquiry,
        stop: &CancellationToken,
    ) -> Result<Message, End> {
        if self.until.is_none() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = sleep_until(self.standstill()) => return Err(End::TimedOut(Wait::Standstill)),
                message = inquiry.drive.next_message(self.patience) => return message,
            }
            self.until = Some(Instant::now() + limits::CANCEL_PATIENCE);
            inquiry.tell(&CCancelRq { message_id_being_responded_to: self.message_id }.into()).await?;
        }
        let until = self.until.unwrap_or_else(Instant::now);
        match timeout_at(until, inquiry.drive.next_message(self.patience)).await {
            Ok(message) => message,
            Err(_) => Err(End::Abandoned),
        }
    }
}

/// How long the next response may take.
pub(super) fn patience(settings: &Settings) -> Duration {
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
