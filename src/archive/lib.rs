//! What is kept: the received files and the index over them, committed together.
//!
//! Read [`Archive`] first, then `batch.rs`. The way of an instance: [`Archive::spool`] → bytes → [`Spool::sync`] →
//! [`Archive::prepare`] → [`Archive::commit`]; when that returns, file, folder and rows are durable. A row makes a
//! file visible, so a file without a row is as if it had never come. Deliberately absent: deleting, and any way to
//! change what was received.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use archive::{Archive, Config};
//! use model::{QueryRetrieveLevel, query::Query};
//!
//! let folder = tempfile::tempdir()?;
//! let config = Config { data_dir: folder.path().join("data"), min_free_bytes: 0 };
//! let archive = Archive::open(config, telemetry::Telemetry::new())?;
//! let studies = Query::new(QueryRetrieveLevel::Study);
//! assert!(archive.find(&studies, None).await?.rows.is_empty());
//! archive.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod archive;
mod attribute;
mod batch;
mod below;
pub mod checkup;
mod claim;
mod clock;
mod commitment;
mod condition;
mod counters;
mod delivery;
mod desk;
mod enrol;
mod error;
mod fanout;
mod files;
mod find;
mod functions;
mod instance;
mod items;
mod kinds;
mod lanes;
mod lock;
mod maintenance;
mod merge;
mod metadata;
mod names;
mod objects;
mod overview;
mod page;
pub mod peers;
mod plan;
mod probe;
mod query;
mod reader;
mod recover;
mod refill;
mod resume;
mod retrieve;
mod rows;
mod schema;
mod scope;
mod scratch;
mod selected;
mod space;
mod start;
mod store;
mod stored;
mod stream;
mod terms;
#[cfg(test)]
mod tests;
mod trace;
mod turn;
mod verification;
mod wakeups;
mod writer;
mod zoned;

pub use archive::{Archive, Config};
pub use attribute::{Support, indexed, indexed_within, support, support_within};
pub use below::without_keys_below;
pub use commitment::{
    Acceptance, Asker, CommitmentCounts, CommitmentId, CommitmentRecord, CommitmentState, Judgement,
    OwedReport, Reported,
};
pub use delivery::{
    DeliveryId, DeliveryState, DestinationId, Parcel, Routing, RuleId, RuleSetId, Settlement, words,
};
pub use desk::{Desk, Resent, Retry};
pub use error::Error;
pub use files::{Spool, SpooledFile};
pub use instance::{Committed, NewInstance, Prepared, Source, StoredInstance};
pub use lanes::{DeadLetter, LaneSummary};
pub use overview::{ConflictSummary, Overview, StudySummary};
pub use page::{Cursor, Page, Row, RowIds};
pub use query::{needs_objects, returned_tags};
pub use selected::Selected;
pub use trace::{DeliveryRecord, LoadedRules, Trace, Traced};
pub use turn::{Circuit, Turn, Turned};
pub use verification::{Decide, GiveUp, NotCommitted, Swept, Told, VerificationDue};
