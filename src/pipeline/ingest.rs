use std::time::Instant;

use archive::Committed;
use model::{SopClassUid, SopInstanceUid};
use telemetry::Event;

use crate::intake::{Intake, Taken};
use crate::{Body, Content, Error, IngestError, Pipeline, Received, Stored, blocking};

impl Pipeline {
    /// Takes one instance in, from any door: writes, hashes and scans it while it streams, and commits file and index.
    ///
    /// When this returns [`Stored`], file and folder are synced and the index rows are committed: the door may acknowledge.
    /// Memory: a buffer of [`model::limits::SPOOL_CHUNK_BYTES`], the header and its JSON (bounded in sum over all instances), whatever the object's size.
    /// Not cancel safe towards the body; dropped before the commit is queued it leaves nothing behind.
    ///
    /// # Errors
    /// [`IngestError`]: nothing was kept. The body may be partly unread; the door drains it.
    pub async fn ingest<B: Body>(&self, received: Received, body: &mut B) -> Result<Stored, IngestError> {
        let started = Instant::now();
        let door = received.door;
        let claimed = claimed(&received.content);
        let mut bytes = 0;
        let result = self.take_in(received, body, &mut bytes).await;
        let status = match &result {
            Ok(stored) => outcome_label(&stored.outcome),
            Err(refused) => error_label(&refused.error),
        };
        self.telemetry.record(Event::InstanceReceived { door, status, bytes, elapsed: started.elapsed() });
        result.map_err(|refused| IngestError {
            error: refused.error,
            sop_class: refused.sop_class.or(claimed.0),
            sop_instance: refused.sop_instance.or(claimed.1),
        })
    }

    async fn take_in<B: Body>(
        &self,
        received: Received,
        body: &mut B,
        bytes: &mut u64,
    ) -> Result<Stored, IngestError> {
        if !self.archive.has_space() {
            return Err(Error::NoSpace.into());
        }
        let route = self.router.route(&received);
        let mut buffer = self.buffers.take();
        let mut ended = body.fill(&mut buffer).await.map_err(Error::Body)?;
        *bytes += buffer.len() as u64;
        let claim = self.headers.claim();
        let mut intake = Intake::begin(self.archive.clone(), claim, received, route, &buffer, ended)?;
        while !ended {
            let permit = self.writers.clone().acquire_owned().await;
            (intake, buffer) = blocking(move || {
                let taken = intake.take(&buffer);
                drop(permit);
                taken.map(|()| (intake, buffer))
            })
            .await?;
            buffer.clear();
            ended = match body.fill(&mut buffer).await {
                Ok(ended) => ended,
                Err(error) => {
                    // What was written of it goes with it.
                    blocking(move || drop(intake)).await;
                    return Err(Error::Body(error).into());
                }
            };
            *bytes += buffer.len() as u64;
        }
        let permit = self.writers.clone().acquire_owned().await;
        let (done, buffer) = blocking(move || {
            let done = intake.finish(&buffer);
            drop(permit);
            (done, buffer)
        })
        .await;
        self.buffers.give_back(buffer);
        let Taken { prepared, ids, omitted, header_claim: _claim } = done?;
        if omitted > 0 {
            self.telemetry.record(Event::ElementsOmitted(omitted));
        }
        let outcome =
            self.archive.commit(prepared).await.map_err(Error::from).map_err(|error| IngestError {
                error,
                sop_class: Some(ids.sop_class.clone()),
                sop_instance: Some(ids.sop_instance.clone()),
            })?;
        Ok(Stored { ids, outcome, omitted })
    }
}

impl From<Error> for IngestError {
    fn from(error: Error) -> Self {
        Self { error, sop_class: None, sop_instance: None }
    }
}

fn claimed(content: &Content) -> (Option<SopClassUid>, Option<SopInstanceUid>) {
    match content {
        Content::DataSet { sop_class, sop_instance, .. } => {
            (Some(sop_class.clone()), Some(sop_instance.clone()))
        }
        Content::Part10 { .. } => (None, None),
    }
}

fn outcome_label(outcome: &Committed) -> &'static str {
    match outcome {
        Committed::New => "stored",
        Committed::Duplicate => "duplicate",
        Committed::Conflict { .. } => "conflict",
    }
}

fn error_label(error: &Error) -> &'static str {
    match error {
        Error::NoSpace | Error::Busy => "no_space",
        Error::NotPart10 | Error::Part10(_) | Error::Unreadable(_) | Error::MissingUid(_) => "unreadable",
        Error::Disagreement(_) | Error::OtherStudy => "mismatch",
        Error::Body(_) => "aborted",
        Error::NotFound
        | Error::NotAvailable(_)
        | Error::TooManySelected
        | Error::TooManySought
        | Error::TooLong
        | Error::NoTurn(_)
        | Error::File(_)
        | Error::Archive(_) => "error",
    }
}
