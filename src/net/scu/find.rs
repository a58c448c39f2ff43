use std::num::NonZeroU64;

use dimse::service::find::{CCancelRq, CFindRq};
use dimse::{Class, Command, Outcome, Status};
use model::header::Header;
use model::query::Root;
use model::{limits, sop};

use super::identifier::Identifier;
use super::inquiry::Inquiry;
use super::{Question, Settings, Target};
use crate::end::End;
use crate::error::Error;

/// How a query ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How the peer says that it ended.
    pub outcome: Outcome,
    /// Matches that were handed out.
    pub rows: u64,
    /// Matches that are too large, or no data set.
    pub unreadable: u64,
    /// There were more than the limit; the peer was asked to stop.
    pub has_more: bool,
    /// The peer says that it does not know some of the keys (FF01H).
    pub has_unknown_keys: bool,
}

/// Asks a peer for matches (C-FIND) and hands each out as it comes, at most `limit`.
///
/// Memory is that of one match, whatever their number. What is more than the limit is cancelled (C-CANCEL); a peer that does not
/// listen to that is left. Bounded in time between two matches by `message_timeout`. Cancel safe: dropped, the connection is closed
/// without a word.
///
/// PS3.4 §C.4.1, PS3.7 §9.1.2, §9.3.2.3.
///
/// # Errors
/// [`Error`] when there was no answer. An answer may still be a refusal: see its status.
pub async fn find(
    target: &Target,
    settings: &Settings,
    question: &Question,
    limit: Option<NonZeroU64>,
    row: impl FnMut(&Header),
) -> Result<Found, Error> {
    let mut scu = FindScu::associate(target, settings, question.root).await?;
    let found = scu.find(question, limit, row).await;
    scu.end(found).await
}

/// An association on which one query is put after the other.
pub(crate) struct FindScu {
    inquiry: Inquiry,
    /// The peer did not listen to C-CANCEL: there is no knowing what comes next.
    is_deaf: bool,
}

impl FindScu {
    pub(crate) async fn associate(target: &Target, settings: &Settings, root: Root) -> Result<Self, Error> {
        let sop_class = match root {
            Root::Patient => sop::PATIENT_ROOT_FIND,
            Root::Study => sop::STUDY_ROOT_FIND,
        };
        let inquiry = Inquiry::associate(target, settings, sop_class, Vec::new(), Vec::new()).await?;
        Ok(Self { inquiry, is_deaf: false })
    }

    /// Puts one query.
    pub(super) async fn find(
        &mut self,
        question: &Question,
        limit: Option<NonZeroU64>,
        mut row: impl FnMut(&Header),
    ) -> Result<Found, End> {
        let message_id = self.ask(question).await?;
        let mut found = Found {
            outcome: Status::CANCEL.into(),
            rows: 0,
            unreadable: 0,
            has_more: false,
            has_unknown_keys: false,
        };
        let mut late = 0;
        loop {
            let outcome = self.response(message_id).await?;
            if outcome.status.class() != Class::Pending {
                self.inquiry.drive.drain().await?;
                return Ok(Found { outcome, ..found });
            }
            found.has_unknown_keys |= outcome.status == Status::PENDING_UNSUPPORTED_KEYS;
            if limit.is_some_and(|limit| found.rows + found.unreadable >= limit.get()) {
                self.inquiry.drive.drain().await?;
                if !found.has_more {
                    found.has_more = true;
                    self.cancel(message_id).await?;
                }
                late += 1;
                if late > limits::MATCHES_AFTER_CANCEL {
                    self.is_deaf = true;
                    return Ok(found);
                }
                continue;
            }
            match self.matching().await? {
                Some(header) => {
                    found.rows += 1;
                    row(&header);
                }
                None => found.unreadable += 1,
            }
        }
    }

    /// Begins a query: its id.
    pub(crate) async fn ask(&mut self, question: &Question) -> Result<u16, End> {
        if self.is_deaf {
            return Err(End::Abandoned);
        }
        let (message_id, affected_sop_class_uid) = self.inquiry.next_request();
        self.inquiry.ask(&CFindRq { message_id, affected_sop_class_uid }.into(), question).await?;
        Ok(message_id)
    }

    /// Asks for the end of a query (PS3.7 §9.3.2.3).
    pub(crate) async fn cancel(&mut self, message_id: u16) -> Result<(), End> {
        let cancel = CCancelRq { message_id_being_responded_to: message_id };
        self.inquiry.tell(&cancel.into()).await
    }

    /// The match that comes with a Pending response; `None` when it is too large, or no data set.
    pub(crate) async fn matching(&mut self) -> Result<Option<Header>, End> {
        let identifier = Identifier::receive(&mut self.inquiry.drive, self.inquiry.form).await?;
        Ok(identifier.map(|identifier| identifier.header).filter(|header| !header.is_empty()))
    }

    /// Drops what comes with a response.
    pub(crate) async fn drain(&mut self) -> Result<(), End> {
        self.inquiry.drive.drain().await.map(|_| ())
    }

    /// Ends the association because of this.
    pub(crate) async fn close(self, end: &End) {
        self.inquiry.close(end).await;
    }

    /// How the next response says that the query stands. Cancel safe.
    pub(crate) async fn response(&mut self, message_id: u16) -> Result<Outcome, End> {
        let message = self.inquiry.drive.next_message(self.inquiry.settings.message_timeout).await?;
        match message.command {
            Command::CFindRsp(response) if response.message_id_being_responded_to == message_id => {
                Ok(response.outcome)
            }
            other => Err(End::OutOfTurn(other.name())),
        }
    }

    /// Ends the association as what was asked last has it.
    pub(crate) async fn end<T>(self, asked: Result<T, End>) -> Result<T, Error> {
        match asked {
            Ok(answer) if self.is_deaf => {
                self.inquiry.close(&End::Abandoned).await;
                Ok(answer)
            }
            asked => self.inquiry.end(asked).await,
        }
    }
}
