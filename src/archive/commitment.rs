//! What peers asked us to commit to, and the reports that we owe for it.
//!
//! A request is a row before it is answered. Whether an instance is kept is looked at when the report is made, each time anew: a
//! report that goes out late tells what is so then.

mod record;
mod rows;

use std::net::IpAddr;
use std::time::Duration;

use model::commitment::{FailureReason, Reference, Request};
use model::{AeTitle, PeerName, TransactionUid, limits};
use time::OffsetDateTime;

use crate::{Archive, Error};

pub use record::{CommitmentCounts, CommitmentRecord, CommitmentState};
pub(crate) use record::{counts, records};
pub(crate) use rows::{hasten, resume};
#[cfg(test)]
pub(crate) use {record::STATEMENTS as RECORD_STATEMENTS, rows::STATEMENTS};

/// The number of a request in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitmentId(pub(crate) i64);

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// The AE title that it gives itself.
    pub calling_aet: Option<AeTitle>,
    /// The configured peer that it is.
    pub peer: Option<PeerName>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is kept, and a report is owed. A request that was taken before and comes again, word for word, gets its report again.
    Taken(CommitmentId),
    /// Its asker has used the Transaction UID for something else.
    InUse,
    /// Too many reports wait to be sent.
    Full,
}

/// A report that is to be sent over an association of our own.
#[derive(Debug, Clone)]
pub struct OwedReport {
    /// The request.
    pub id: CommitmentId,
    /// The AE title that asked.
    pub aet: Option<AeTitle>,
    /// The configured peer that asked.
    pub peer: Option<PeerName>,
    /// When it was asked for.
    pub requested: OffsetDateTime,
    /// Attempts so far.
    pub attempts: u32,
}

/// What can be said about a request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Its Transaction UID.
    pub transaction: TransactionUid,
    /// What is durably kept.
    pub committed: Vec<Reference>,
    /// What is not, and why.
    pub failed: Vec<(Reference, FailureReason)>,
}

/// How an attempt to report ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// The asker has it.
    Delivered {
        /// Its answer in words.
        answer: String,
    },
    /// To be tried again after this time.
    Retry {
        /// From now.
        after: Duration,
        /// Why it failed, in words.
        reason: String,
    },
    /// Never to be tried again by itself.
    GivenUp {
        /// Why, in words.
        reason: String,
    },
}

impl Archive {
    /// Keeps a request, whose report is then owed: durable when this returns. It is held for the association that it came on until
    /// [`Archive::let_reports_go`], or the next start.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn accept_commitment(&self, asker: Asker, request: Request) -> Result<Acceptance, Error> {
        // Packing takes some milliseconds, which others need not wait for.
        let packed = rows::pack(&request.references);
        self.change(move |connection| rows::accept(connection, &asker, &request, &packed)).await
    }

    /// Looks whether what a request asks for is durably kept: there with that SOP class, its file in full length. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    pub async fn judge(&self, id: CommitmentId) -> Result<Judgement, Error> {
        let (transaction, mut references) =
            self.read(move |connection, _| rows::references(connection, id)).await?;
        let mut judgement = Judgement { transaction, committed: Vec::new(), failed: Vec::new() };
        // Page by page, so that no read transaction lasts.
        while !references.is_empty() {
            let rest = references.split_off(references.len().min(PAGE));
            let page = std::mem::replace(&mut references, rest);
            for (reference, failure) in
                self.read(move |connection, files| rows::look_up(connection, files, page)).await?
            {
                match failure {
                    None => judgement.committed.push(reference),
                    Some(reason) => judgement.failed.push((reference, reason)),
                }
            }
        }
        Ok(judgement)
    }

    /// The reports that are due, the longest first, but for those to AE titles that are `busy`. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn due_reports(&self, busy: Vec<Option<AeTitle>>) -> Result<Vec<OwedReport>, Error> {
        self.read(move |connection, _| rows::due(connection, &busy)).await
    }

    /// Lets go of reports that were held for an association: they are due now. Those that have been sent meanwhile stay so.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn let_reports_go(&self, ids: Vec<CommitmentId>) -> Result<(), Error> {
        self.change(move |connection| rows::let_go(connection, &ids)).await
    }

    /// Writes how an attempt to report ended, and how many of the instances it did not commit to. One that was sent stays so.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn reported(
        &self,
        id: CommitmentId,
        failed: Option<usize>,
        how: Reported,
    ) -> Result<(), Error> {
        self.change(move |connection| rows::settle(connection, id, failed, &how)).await
    }

    /// The reports that wait, those due first before the others, and then those that were given up, the latest first; at most so
    /// many of each. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    pub async fn commitments(&self, limit: u32) -> Result<Vec<CommitmentRecord>, Error> {
        self.read(move |connection, _| records(connection, limit)).await
    }

    /// How many reports wait and were given up. Takes as long as there are such. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn commitment_counts(&self) -> Result<CommitmentCounts, Error> {
        self.read(|connection, _| counts(connection)).await
    }
}

/// References that are looked up in one read transaction.
const PAGE: usize = limits::PAGE_ROWS as usize;
