use std::sync::Arc;
use std::time::Duration;

use archive::{DeadLetter, LaneSummary};
use telemetry::Queue;
use time::OffsetDateTime;

use crate::{Destination, Error, Lane, Pipeline, Retry};

impl Pipeline {
    /// The lane of a destination.
    ///
    /// # Panics
    /// When [`Pipeline::set_destinations`] was not told of it.
    pub fn lane(&self, destination: Arc<dyn Destination>, retry: Retry) -> Lane {
        let id =
            self.router.id(destination.name()).expect("the composition makes its destinations known first");
        Lane { archive: self.archive.clone(), telemetry: self.telemetry.clone(), id, destination, retry }
    }

    /// What waits for each destination that the index knows, and how it fares. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn lanes(&self) -> Result<Vec<LaneSummary>, Error> {
        Ok(self.archive.lanes().await?)
    }

    /// The deliveries that were given up last, the newest first. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        Ok(self.archive.dead_letters(limit).await?)
    }

    /// Sets the metrics of what waits: storage commitment reports, and deliveries for each configured destination; and of the codecs
    /// that are overdue. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read; the metrics of what waits stay as they were.
    pub async fn measure_queues(&self) -> Result<(), Error> {
        self.telemetry.set_codecs_overdue(self.transcoder.overdue());
        self.measure_reports().await?;
        if self.router.known().is_empty() {
            return Ok(());
        }
        let now = OffsetDateTime::now_utc();
        for lane in self.archive.lanes().await? {
            if self.router.id(&lane.destination).is_none() {
                continue;
            }
            let waits = |since| Duration::try_from(now - since).unwrap_or_default();
            let LaneSummary { ready, retrying, leased, dead, verifying, .. } = lane;
            let oldest = lane.oldest.map(waits);
            self.telemetry
                .set_queue(&lane.destination, Queue { ready, retrying, leased, dead, verifying, oldest });
        }
        Ok(())
    }
}
