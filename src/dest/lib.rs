//! Where instances go: DICOM peers, S3 buckets and folders.
//!
//! Read [`KINDS`], then `folder.rs`: each kind is one file, with a type that the configuration makes and that implements
//! [`pipeline::Destination`]. What all kinds promise is in `tests/suite.rs`: the same instance twice has the effect of once, nothing is
//! overwritten, every failure has its class. Deliberately absent: queues, delays and attempts, which the pipeline owns.
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use dest::Folder;
//! use model::DestinationName;
//! use pipeline::Destination;
//!
//! let copies = Folder::new(DestinationName::new("copies"), "/mnt/copies".into(), NonZeroUsize::MIN);
//! assert_eq!((copies.name().as_str(), copies.width()), ("copies", 1));
//! ```

mod claim;
mod dicom;
mod folder;
mod key;
mod probe;
mod s3;
mod source;
#[cfg(test)]
mod tests;
mod words;

pub use dicom::{Dicom, Verifier, store_verdicts};
pub use folder::Folder;
pub use probe::{FolderProbe, Probed};
pub use s3::{Error, S3, S3Config, Secret};

/// The kinds of destinations, as the configuration calls them.
pub const KINDS: &[&str] = &["dicom", "s3", "folder"];
