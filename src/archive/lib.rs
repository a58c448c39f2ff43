//! What is kept: the received files and the index over them, committed together.
//!
//! Read [`Archive`] first, then `batch.rs`. The way of an instance: [`Archive::spool`] → bytes → [`Spool::sync`] →
//! [`Archive::prepare`] → [`Archive::commit`]; when that returns, file, folder and rows are durable. A row makes a file visible, so a
//! file without a row is as if it had never come. Deliberately absent: deleting, and any way to change what was received.

mod archive;
mod attribute;
mod batch;
mod condition;
mod counters;
mod error;
mod files;
mod find;
mod instance;
mod lock;
mod maintenance;
mod merge;
mod metadata;
mod overview;
mod page;
mod plan;
mod query;
mod reader;
mod recover;
mod retrieve;
mod rows;
mod schema;
mod scope;
mod space;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use archive::{Archive, Config};
pub use attribute::{Support, support};
pub use error::Error;
pub use files::{Spool, SpooledFile};
pub use instance::{Committed, NewInstance, Prepared, Source, StoredInstance};
pub use overview::{ConflictSummary, Overview, StudySummary};
pub use page::{Cursor, Page, Row, RowIds};
