//! An S3 bucket as a destination.

mod answer;
mod bucket;
mod courier;
mod http;
mod probe;
mod trouble;
mod upload;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use model::DestinationName;
use pipeline::{Courier, Destination};

use self::bucket::Bucket;
use self::courier::S3Courier;
use crate::probe::Probed;

/// An S3 bucket that gets each instance as the file that is stored, at `{prefix}v1/{hh}/{Study}/{Series}/{SOP}[~sha12].dcm`, where
/// `hh` is the first byte of the SHA-256 of the Study Instance UID.
///
/// Every upload carries a SHA-256 that the store checks. The object's metadata has that of the whole file (`sha256`), the transfer
/// syntax (`ts-uid`) and who wrote it (`router-version`). Other content under the same UIDs stands beside what was there first: nothing
/// is overwritten, also by a store that does not know conditional writes, as long as no one else writes to the same keys.
///
/// The access key needs `s3:PutObject`, `s3:GetObject`, `s3:ListBucket` (without it, an object that is not there looks forbidden) and
/// `s3:AbortMultipartUpload`. A crash may leave parts of a large object: have the bucket's life cycle abort incomplete uploads.
pub struct S3 {
    name: DestinationName,
    parallel: NonZeroUsize,
    bucket: Arc<Bucket>,
}

/// Where an S3 bucket is and how to write to it.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The URL of the service, with `http` or `https`; `None` for AWS. The bucket is named in the path.
    pub endpoint: Option<String>,
    /// The bucket, which must exist.
    pub bucket: String,
    /// What every key begins with, such as `site-7/`.
    pub prefix: String,
    /// The region, which takes part in signatures.
    pub region: String,
    /// The access key; `None` for the role of the machine, pod or task in AWS.
    pub access_key_id: Option<Secret>,
    /// The secret that belongs to it.
    pub secret_access_key: Option<Secret>,
    /// Uploads at once.
    pub parallel: NonZeroUsize,
}

impl S3 {
    /// A bucket by its configuration. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Error`] when this can be no bucket.
    pub fn new(name: DestinationName, config: S3Config) -> Result<Self, Error> {
        let parallel = config.parallel;
        Ok(Self { name, parallel, bucket: Arc::new(Bucket::new(&config)?) })
    }

    /// Puts a small object at a new key below `{prefix}`, gets it back and deletes it, as far as that works.
    ///
    /// Each step takes at most two minutes. Cancel safe; the object may stay then.
    pub async fn probe(&self) -> (String, Vec<Probed>) {
        probe::probe(&self.bucket).await
    }

    /// What reasons call it: endpoint and bucket.
    pub fn place(&self) -> &str {
        &self.bucket.place
    }
}

impl Destination for S3 {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn width(&self) -> usize {
        self.parallel.get()
    }

    fn courier(&self) -> Box<dyn Courier> {
        Box::new(S3Courier::new(self.bucket.clone()))
    }
}

/// What the configuration makes no bucket of. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is no URL of a service.
    #[error(
        "endpoint {0:?} is not a URL such as http://127.0.0.1:8333 or https://s3.example.org, without user, query and fragment"
    )]
    Endpoint(String),
    /// The bucket's name cannot stand in a URL.
    #[error("bucket {0:?} is not a name of letters, digits, dots, hyphens and underscores")]
    Bucket(String),
    /// The region's name cannot stand in a URL.
    #[error("region {0:?} is not a name of letters, digits and hyphens")]
    Region(String),
    /// The prefix cannot begin a key.
    #[error(
        "prefix {0:?} cannot begin a key: no slash in front, no empty part, no . or .. as a part, no control characters"
    )]
    Prefix(String),
    /// One of the two keys is missing, or no key.
    #[error("access_key_id and secret_access_key are both needed, or neither; they have no spaces")]
    AccessKey,
    /// Certificates of the system cannot be used.
    #[error("https cannot be used")]
    Client(#[source] object_store::Error),
}

/// A secret that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
