//! The nouns of Gantry: identifiers, data sets, queries.
//!
//! Pure: bytes in, values out. Nothing here opens a socket or a file or reads a clock, so nothing here
//! fails for environmental reasons. Read [`Scanner`](scan::Scanner) and [`Header`](header::Header) first: they turn hostile data set bytes
//! into bounded, typed values. Deliberately absent: decoding of pixels, and re-encoding of data sets (see `pixels`), because
//! received bytes are kept as received.

mod ae;
pub mod attributes;
pub mod charset;
pub mod check;
pub mod commitment;
pub mod element;
pub mod fault;
pub mod fold;
pub mod header;
mod ident;
pub mod json;
mod level;
pub mod limits;
pub mod multipart;
mod name;
pub mod part10;
pub mod query;
pub mod scan;
pub mod sop;
pub mod sound;
pub mod syntax;
mod uid;
pub mod vr;

pub use ae::{AeTitle, AeTitleError};
pub use dicom_core::{Tag, VR as Vr};
pub use fault::Fault;
pub use ident::{InstanceIds, Scope};
pub use level::QueryRetrieveLevel;
pub use name::{DestinationName, PeerName, RuleName, UpstreamName};
pub use uid::{
    InvalidUid, Kind, Series, SeriesInstanceUid, SopClass, SopClassUid, SopInstance, SopInstanceUid, Study,
    StudyInstanceUid, Transaction, TransactionUid, TransferSyntaxKind, TransferSyntaxUid, Uid,
};
