//! What happens to an instance, a query, a retrieve: every door (`net`, `web`) calls the same functions.
//!
//! Read [`Pipeline`] and [`Received`] first. Each operation is one function: anything that one door can do to the archive the other
//! can do too. Deliberately absent: sockets and wire formats (the doors own them) and SQL (the archive owns it).

mod budget;
mod commitment;
mod error;
mod examine;
mod header;
mod ingest;
mod intake;
mod lane;
pub mod peers;
mod ports;
mod pulse;
mod query;
mod queues;
mod received;
mod rendition;
mod retrieve;
mod route;
mod slice;
#[cfg(test)]
mod tests;
mod transcode;
mod turns;
mod upstream;
mod verification;

use std::sync::{Arc, OnceLock};

pub use archive::{
    Acceptance, Archive, Asker, CommitmentId, CommitmentRecord, CommitmentState, Committed, ConflictSummary,
    Cursor, DeadLetter, Judgement, LaneSummary, Overview, OwedReport, Page, Parcel, Row, RowIds, Selected,
    StoredInstance, StudySummary, Support,
};
pub use error::{BodyError, Error, IngestError};
pub use examine::{Examined, examine, examine_stored};
pub use lane::{Lane, Retry};
pub use pixels::abilities;
pub use ports::{Courier, Destination, IDLE, Outcome, Waiting};
pub use received::{Body, Content, Received, Stored};
pub use rendition::{Part, Rendition};
pub use route::{DestinationFacts, RoutingError};
pub use slice::PartReader;
use telemetry::Telemetry;
use tokio::runtime::{Handle, RuntimeFlavor};
pub use transcode::{NotTranscoded, Transcoded, Transcoder, can_transcode, transcoding_targets};
pub use upstream::{
    Answers, Asked, Behalf, Completion, Fetched, FromUpstreams, Gathered, Progress, Shortfall, Upstream,
    UpstreamError, UpstreamFault, UpstreamRow, UpstreamSummary, fuzz_row,
};
pub use verification::{CommitmentTerms, ReportTaken, Teller, Verification};

/// The operations on the archive, for all doors. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    archive: Archive,
    telemetry: Telemetry,
    buffers: Arc<intake::Buffers>,
    headers: Arc<budget::Budget>,
    writers: Arc<tokio::sync::Semaphore>,
    router: Arc<route::Router>,
    /// Rung when storage commitment reports may have become due.
    reports: Arc<tokio::sync::Notify>,
    unwritten: Arc<commitment::Unwritten>,
    transcoder: Transcoder,
    peers: peers::PeerMemory,
    bridge: Arc<OnceLock<upstream::Bridge>>,
}

impl Pipeline {
    /// Builds the pipeline over an open archive.
    pub fn new(archive: Archive, telemetry: Telemetry) -> Self {
        let headers = Arc::new(budget::Budget::new(model::limits::HEADERS_BYTES));
        let transcoder = Transcoder::new(archive.clone(), headers.clone());
        let peers = peers::PeerMemory::new(archive.clone());
        Self {
            archive,
            telemetry,
            buffers: Arc::default(),
            headers,
            writers: Arc::new(tokio::sync::Semaphore::new(model::limits::FILE_WRITERS)),
            router: Arc::default(),
            reports: Arc::default(),
            unwritten: Arc::default(),
            transcoder,
            peers,
            bridge: Arc::default(),
        }
    }

    /// What is remembered of peers.
    pub fn peers(&self) -> &peers::PeerMemory {
        &self.peers
    }

    /// Counts, conflicts, recent studies and disk, for the status page. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn overview(&self) -> Result<Overview, Error> {
        Ok(self.archive.overview().await?)
    }

    /// Proves that a write transaction works right now. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when it does not.
    pub async fn probe(&self) -> Result<(), Error> {
        Ok(self.archive.probe().await?)
    }
}

/// Runs blocking work: on this thread where the runtime has others to go on with, which spares two switches between threads and
/// keeps the bytes in its caches; else on a thread for blocking work. A panic is passed on.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return tokio::task::block_in_place(work);
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is being torn down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
