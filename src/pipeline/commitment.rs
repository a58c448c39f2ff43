use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use archive::{
    Acceptance, Archive, Asker, CommitmentCounts, CommitmentId, CommitmentRecord, Judgement, OwedReport,
    Reported,
};
use model::AeTitle;
use model::commitment::Request;
use telemetry::{Event, ReportEnd, Reports};
use time::OffsetDateTime;

use crate::lane::gave_up;
use crate::{Error, Pipeline, Retry};

/// What the index did not take of reports. Until it does, none is sent over an association of our own: each would be sent again and
/// again.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    changes: Mutex<HashMap<CommitmentId, Change>>,
    /// Held while one is written, and while a request is taken on anew that one may be of: either is whole before the other.
    writing: tokio::sync::Mutex<()>,
}

/// A change of one request.
#[derive(Debug, Clone)]
enum Change {
    /// The association that its report was held for has ended.
    LetGo,
    Reported {
        failed: Option<usize>,
        how: Reported,
    },
}

impl Pipeline {
    /// Takes on a request for storage commitment: when this gives [`Acceptance::Taken`], it is durable that a report is owed. The
    /// report is held for the association that the request came on, until [`Pipeline::let_reports_go`] or the next start.
    ///
    /// Cancel safety: once the request is queued it is kept, whether or not anybody waits.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Archive`]: nothing is owed.
    ///
    /// PS3.4 §J.3.2.
    pub async fn accept_commitment(&self, asker: Asker, request: Request) -> Result<Acceptance, Error> {
        if !self.archive.has_space() {
            return Err(Error::NoSpace);
        }
        let _alone = if self.unwritten.changes().is_empty() {
            None
        } else {
            Some(self.unwritten.writing.lock().await)
        };
        let accepted = self.archive.accept_commitment(asker, request).await?;
        if let Acceptance::Taken(id) = accepted {
            self.unwritten.forget(id);
        }
        Ok(accepted)
    }

    /// What can be said about a request now: an instance is committed to when it is in the index with that SOP class and its file
    /// is there in full length. Takes as long as there are instances in it. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn judge(&self, id: CommitmentId) -> Result<Judgement, Error> {
        Ok(self.archive.judge(id).await?)
    }

    /// The reports that are due over associations of our own, but for those to AE titles that are `busy`. What the index did not take
    /// of others is written first. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read, or still does not take what it did not take before.
    pub async fn due_reports(&self, busy: Vec<Option<AeTitle>>) -> Result<Vec<OwedReport>, Error> {
        self.unwritten.write(&self.archive).await?;
        Ok(self.archive.due_reports(busy).await?)
    }

    /// The association that reports were held for has ended: those that are still owed are due now.
    ///
    /// # Errors
    /// [`Error::Archive`]: they are due when the index can be written.
    pub async fn let_reports_go(&self, ids: Vec<CommitmentId>) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let let_go = self.archive.let_reports_go(ids.clone()).await;
        if let_go.is_err() {
            self.unwritten.note_let_go(ids);
        }
        self.reports.notify_one();
        Ok(let_go?)
    }

    /// The asker has its report, and answered so; `failed` instances were not committed to.
    ///
    /// # Errors
    /// [`Error::Archive`]: it is written when the index can be; after a restart before that the report is sent again.
    pub async fn report_delivered(
        &self,
        id: CommitmentId,
        failed: usize,
        answer: String,
    ) -> Result<(), Error> {
        self.telemetry.record(Event::CommitmentReport(ReportEnd::Delivered));
        self.reported(id, Some(failed), Reported::Delivered { answer }).await
    }

    /// A report could not be sent for this reason: it is tried again later, or given up when it has been owed for too long. Gives
    /// which; `failed` instances were not committed to, if that was looked at.
    ///
    /// # Errors
    /// [`Error::Archive`]: it is written when the index can be.
    pub async fn report_failed(
        &self,
        owed: &OwedReport,
        failed: Option<usize>,
        reason: String,
        retry: &Retry,
    ) -> Result<ReportEnd, Error> {
        let age = OffsetDateTime::now_utc() - owed.requested;
        let (how, end) = if age >= retry.give_up {
            let reason = format!("{}: {reason}", gave_up(retry.give_up));
            (Reported::GivenUp { reason }, ReportEnd::GaveUp)
        } else {
            let after = retry.delay(owed.attempts, fastrand::f64() * 2.0 - 1.0);
            (Reported::Retry { after, reason }, ReportEnd::Retry)
        };
        self.telemetry.record(Event::CommitmentReport(end));
        self.reported(owed.id, failed, how).await?;
        Ok(end)
    }

    /// The asker has refused its report over the association that it was asked on: it is tried again over another.
    ///
    /// # Errors
    /// [`Error::Archive`]: it is written when the index can be.
    pub async fn report_refused(
        &self,
        id: CommitmentId,
        failed: usize,
        reason: String,
        retry: &Retry,
    ) -> Result<(), Error> {
        let after = retry.delay(0, fastrand::f64() * 2.0 - 1.0);
        self.telemetry.record(Event::CommitmentReport(ReportEnd::Retry));
        self.reported(id, Some(failed), Reported::Retry { after, reason }).await
    }

    async fn reported(&self, id: CommitmentId, failed: Option<usize>, how: Reported) -> Result<(), Error> {
        let written = self.archive.reported(id, failed, how.clone()).await;
        if written.is_err() {
            self.unwritten.note_reported(id, failed, how);
        }
        Ok(written?)
    }

    /// Waits until a report may be due. What another process makes due does not end it. Cancel safe.
    pub async fn report_due(&self) {
        self.reports.notified().await;
    }

    /// The storage commitment reports that wait and those that were given up, at most so many of each. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn commitments(&self, limit: u32) -> Result<Vec<CommitmentRecord>, Error> {
        Ok(self.archive.commitments(limit).await?)
    }

    /// Sets the metrics of reports that wait and were given up. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read; the metrics stay as they were.
    pub(crate) async fn measure_reports(&self) -> Result<(), Error> {
        let CommitmentCounts { waiting, given_up } = self.archive.commitment_counts().await?;
        self.telemetry.set_reports(Reports { waiting, given_up });
        Ok(())
    }
}

impl Unwritten {
    fn note_let_go(&self, ids: Vec<CommitmentId>) {
        let mut changes = self.changes();
        for id in ids {
            // What is known of its report says more.
            changes.entry(id).or_insert(Change::LetGo);
        }
    }

    fn note_reported(&self, id: CommitmentId, failed: Option<usize>, how: Reported) {
        self.changes().insert(id, Change::Reported { failed, how });
    }

    /// It is asked for anew.
    fn forget(&self, id: CommitmentId) {
        self.changes().remove(&id);
    }

    /// Writes all, one after the other, until one fails. Cancel safe.
    async fn write(&self, archive: &Archive) -> Result<(), archive::Error> {
        loop {
            let _alone = self.writing.lock().await;
            let next = self.changes().iter().next().map(|(id, change)| (*id, change.clone()));
            let Some((id, change)) = next else { return Ok(()) };
            match change {
                Change::LetGo => archive.let_reports_go(vec![id]).await?,
                Change::Reported { failed, how } => archive.reported(id, failed, how).await?,
            }
            self.forget(id);
        }
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, HashMap<CommitmentId, Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use model::commitment::Reference;
    use model::{SopClassUid, SopInstanceUid, TransactionUid};

    use super::*;
    use crate::tests::{CT, Home};

    fn request() -> Request {
        let reference = Reference {
            sop_class: SopClassUid::lenient(CT).unwrap(),
            sop_instance: SopInstanceUid::lenient("1.2.3").unwrap(),
        };
        Request { transaction: TransactionUid::lenient("1.2.3.4").unwrap(), references: vec![reference] }
    }

    fn delivered() -> Reported {
        Reported::Delivered { answer: "0000H".to_owned() }
    }

    /// A request whose report was delivered, which the index was not told.
    async fn taken_and_unwritten(pipeline: &Pipeline) -> CommitmentId {
        let taken = pipeline.accept_commitment(Asker::default(), request()).await.unwrap();
        let Acceptance::Taken(id) = taken else { panic!("{taken:?}") };
        pipeline.unwritten.note_reported(id, Some(0), delivered());
        id
    }

    /// Whether a report is owed once its association has ended.
    async fn is_owed(pipeline: &Pipeline, id: CommitmentId) -> bool {
        pipeline.let_reports_go(vec![id]).await.unwrap();
        pipeline.due_reports(Vec::new()).await.unwrap().iter().any(|owed| owed.id == id)
    }

    #[tokio::test]
    async fn a_request_that_comes_anew_waits_for_what_is_being_written_of_it() {
        let home = Home::new(&[]).await;
        let pipeline = &home.pipeline;
        let id = taken_and_unwritten(pipeline).await;
        let writing = pipeline.unwritten.writing.lock().await;
        let mut anew = Box::pin(pipeline.accept_commitment(Asker::default(), request()));
        assert!((&mut anew).now_or_never().is_none());
        pipeline.archive.reported(id, Some(0), delivered()).await.unwrap();
        pipeline.unwritten.forget(id);
        drop(writing);
        assert_eq!(anew.await.unwrap(), Acceptance::Taken(id));
        assert!(is_owed(pipeline, id).await);
    }

    #[tokio::test]
    async fn what_is_to_be_written_of_a_request_waits_while_that_comes_anew() {
        let home = Home::new(&[]).await;
        let pipeline = &home.pipeline;
        let id = taken_and_unwritten(pipeline).await;
        let accepting = pipeline.unwritten.writing.lock().await;
        let mut written = Box::pin(pipeline.unwritten.write(&pipeline.archive));
        let accepted = pipeline.archive.accept_commitment(Asker::default(), request()).await.unwrap();
        assert!((&mut written).now_or_never().is_none());
        pipeline.unwritten.forget(id);
        drop(accepting);
        written.await.unwrap();
        assert_eq!(accepted, Acceptance::Taken(id));
        assert!(is_owed(pipeline, id).await);
    }
}
