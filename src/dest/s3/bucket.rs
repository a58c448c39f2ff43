use std::env;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{StatusCode, Uri};
use model::limits;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, GetOptions, GetResult, ObjectStore, PutMode, PutOptions,
    RetryConfig,
};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::http::Connector;
use super::trouble::Trouble;
use super::{Error, S3Config, Secret};
use crate::claim::Claims;
use crate::key::Key;

/// A bucket, for all couriers.
pub(super) struct Bucket {
    pub(super) store: AmazonS3,
    /// What reasons call it: endpoint and bucket.
    pub(super) place: String,
    pub(super) claims: Arc<Claims>,
    /// In KiB: what is on its way to here.
    pub(super) memory: Arc<Semaphore>,
    prefix: String,
    /// Whether its keys come from AWS, and not from the configuration.
    has_role: bool,
    creation: AtomicU8,
}

/// Whether the store keeps to `If-None-Match: *`, by which a key is written only if it is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    /// Not known yet.
    Unknown = 0,
    /// It does.
    Safe = 1,
    /// It overwrites, or does not know how.
    Unsafe = 2,
}

/// What stands at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// What was to be written there.
    Same,
    Other,
}

/// An object to be written.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) length: u64,
    pub(super) sha256: [u8; 32],
    pub(super) attributes: Attributes,
}

impl Bucket {
    pub(super) fn new(config: &S3Config) -> Result<Self, Error> {
        check(config)?;
        let endpoint = config.endpoint.as_deref().map(|endpoint| endpoint.trim_end_matches('/'));
        let has_tls = !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let aws = || format!("https://s3.{}.amazonaws.com", config.region);
        let builder = AmazonS3Builder::new()
            .with_endpoint(endpoint.map_or_else(aws, str::to_owned))
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_allow_http(true)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_tagging(true)
            // Not every store deletes several at once.
            .with_disable_bulk_delete(true)
            .with_http_connector(Connector { has_tls })
            // The queue tries again; this is for a kept connection that turns out to be closed.
            .with_retry(RetryConfig {
                backoff: BackoffConfig { init_backoff: PAUSE, max_backoff: 2 * PAUSE, base: 2.0 },
                max_retries: 1,
                retry_timeout: Duration::from_secs(60),
            });
        let store =
            with_access(builder, config, |name| env::var(name).ok())?.build().map_err(Error::Client)?;
        Ok(Self {
            store,
            place: format!("{}/{}", endpoint.map_or_else(aws, str::to_owned), config.bucket),
            claims: Arc::default(),
            memory: Arc::new(Semaphore::new(kib(limits::S3_MEMORY_BYTES) as usize)),
            prefix: config.prefix.clone(),
            has_role: config.access_key_id.is_none(),
            creation: AtomicU8::new(Creation::Unknown as u8),
        })
    }

    /// The place of a file in the folder of a key.
    pub(super) fn path(&self, key: &Key, file: &str) -> Path {
        let text = format!("{}v1/{}/{}/{file}", self.prefix, key.shard(), key.folder());
        Path::parse(text).expect("the prefix is checked, and a key has no empty part")
    }

    /// The place of an object that is only to show whether it can be written: a new one each time.
    pub(super) fn probe_path(&self) -> Path {
        let number = RandomState::new().hash_one(std::process::id());
        Path::parse(format!("{}gantry-doctor-{number:016x}", self.prefix)).expect("the prefix is checked")
    }

    /// Sees to it that there are keys to sign with; they are kept until they expire.
    pub(super) async fn sign_in(&self) -> Result<(), Trouble> {
        if self.has_role {
            self.store.credentials().get_credential().await.map_err(|error| Trouble::of_role(&error))?;
        }
        Ok(())
    }

    pub(super) fn creation(&self) -> Creation {
        match self.creation.load(Ordering::Relaxed) {
            1 => Creation::Safe,
            2 => Creation::Unsafe,
            _ => Creation::Unknown,
        }
    }

    fn learn(&self, creation: Creation) {
        if self.creation.swap(creation as u8, Ordering::Relaxed) != creation as u8 {
            let is_safe = creation == Creation::Safe;
            tracing::info!(place = self.place, is_safe, "whether this store keeps to If-None-Match is known");
        }
    }

    /// Writes an object whole, unless something is in the way; whether it did. Nothing must have been found at `path` before, unless
    /// `creation` is safe.
    pub(super) async fn put(
        &self,
        path: &Path,
        object: &Object,
        content: &Bytes,
        creation: Creation,
    ) -> Result<bool, Trouble> {
        let put = async |mode| {
            let options = PutOptions { mode, attributes: object.attributes.clone(), ..PutOptions::default() };
            self.store
                .put_opts(path, content.clone().into(), options)
                .await
                .map_err(|error| Trouble::of(&error))
        };
        if creation == Creation::Unsafe {
            return put(PutMode::Overwrite).await.map(|_| true);
        }
        match put(PutMode::Create).await {
            Ok(_) => {}
            Err(trouble) if is_taken(&trouble) => return Ok(false),
            Err(trouble)
                if trouble.status() == Some(StatusCode::NOT_IMPLEMENTED) && creation == Creation::Unknown =>
            {
                put(PutMode::Overwrite).await?;
                self.learn(Creation::Unsafe);
                return Ok(true);
            }
            Err(trouble) => return Err(trouble),
        }
        if creation == Creation::Unknown {
            // The same bytes once more: a store that takes them would take others too.
            match put(PutMode::Create).await {
                Ok(_) => self.learn(Creation::Unsafe),
                Err(trouble) if trouble.status() == Some(StatusCode::PRECONDITION_FAILED) => {
                    self.learn(Creation::Safe);
                }
                // The object is there; another one will tell. 409 may be about something else.
                Err(_) => {}
            }
        }
        Ok(true)
    }

    /// Looks what stands at a key: by its metadata, else by its content.
    pub(super) async fn look(&self, path: &Path, object: &Object) -> Result<Found, Trouble> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        match self.store.get_opts(path, head).await {
            Ok(found) if found.meta.size != object.length => Ok(Found::Other),
            Ok(found) => match found.attributes.get(&Attribute::Metadata(SHA256.into())) {
                Some(sha256) if **sha256 == *hex::encode(object.sha256) => Ok(Found::Same),
                Some(sha256) if sha256.len() == 64 => Ok(Found::Other),
                Some(_) | None => self.read(path, object).await,
            },
            Err(error) => match Trouble::of(&error) {
                trouble if trouble.status() == Some(StatusCode::NOT_FOUND) => Ok(Found::Nothing),
                // The answer to HEAD has no words, and not every proxy lets it through.
                trouble if trouble.status().is_some_and(is_about_the_request) => {
                    self.read(path, object).await
                }
                Trouble::Broken(_) => self.read(path, object).await,
                trouble => Err(trouble),
            },
        }
    }

    async fn read(&self, path: &Path, object: &Object) -> Result<Found, Trouble> {
        match self.store.get_opts(path, GetOptions::default()).await {
            Ok(found) if found.meta.size != object.length => Ok(Found::Other),
            Ok(found) => {
                let patience = limits::S3_ANSWER_TIMEOUT
                    + Duration::from_secs(object.length / limits::S3_BYTES_PER_SECOND);
                match timeout(patience, hash(found)).await {
                    Ok(hash) => Ok(if hash? == object.sha256 { Found::Same } else { Found::Other }),
                    Err(_) => Err(Trouble::Broken("an object comes too slowly to be compared".to_owned())),
                }
            }
            Err(error) => match Trouble::of(&error) {
                Trouble::Answer(answer)
                    if answer.status == StatusCode::NOT_FOUND && answer.code != "NoSuchBucket" =>
                {
                    Ok(Found::Nothing)
                }
                trouble => Err(trouble),
            },
        }
    }
}

impl Object {
    pub(super) fn new(length: u64, sha256: [u8; 32], transfer_syntax: &str) -> Self {
        let text = |name: &'static str| Attribute::Metadata(name.into());
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, "application/dicom".to_owned()),
            (text(SHA256), hex::encode(sha256)),
            (text("ts-uid"), transfer_syntax.to_owned()),
            (text("router-version"), concat!("gantry/", env!("CARGO_PKG_VERSION")).to_owned()),
        ]);
        Self { length, sha256, attributes }
    }
}

/// What stands in the way of a conditional write. 409: another one is under way.
fn is_taken(trouble: &Trouble) -> bool {
    matches!(trouble.status(), Some(StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT))
}

/// Whether another request may fare better.
fn is_about_the_request(status: StatusCode) -> bool {
    status == StatusCode::NOT_IMPLEMENTED
        || status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

async fn hash(found: GetResult) -> Result<[u8; 32], Trouble> {
    let mut hash = Sha256::new();
    let mut chunks = found.into_stream();
    loop {
        match timeout(limits::S3_ANSWER_TIMEOUT, chunks.next()).await {
            Ok(Some(Ok(chunk))) => hash.update(&chunk),
            Ok(Some(Err(error))) => return Err(Trouble::of(&error)),
            Ok(None) => return Ok(hash.finalize().into()),
            Err(_) => return Err(Trouble::Broken("an object stopped coming".to_owned())),
        }
    }
}

fn check(config: &S3Config) -> Result<(), Error> {
    if let Some(endpoint) = &config.endpoint
        && !is_endpoint(endpoint)
    {
        return Err(Error::Endpoint(endpoint.clone()));
    }
    let is_name = |name: &str, others: &str| {
        (1..=255).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    if !is_name(&config.bucket, ".-_") || matches!(&*config.bucket, "." | "..") {
        return Err(Error::Bucket(config.bucket.clone()));
    }
    if !is_name(&config.region, "-") {
        return Err(Error::Region(config.region.clone()));
    }
    if config.prefix.starts_with('/') || Path::parse(format!("{}v1", config.prefix)).is_err() {
        return Err(Error::Prefix(config.prefix.clone()));
    }
    let is_key = |secret: &Secret| {
        !secret.expose().is_empty() && secret.expose().bytes().all(|b| b.is_ascii_graphic())
    };
    match (&config.access_key_id, &config.secret_access_key) {
        (None, None) => Ok(()),
        (Some(id), Some(secret)) if is_key(id) && is_key(secret) => Ok(()),
        _ => Err(Error::AccessKey),
    }
}

fn is_endpoint(endpoint: &str) -> bool {
    endpoint.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
            && uri.query().is_none()
            && !endpoint.contains('#')
    })
}

/// Adds the access key, or else what AWS puts into the environment of a pod or task that has a role.
fn with_access(
    builder: AmazonS3Builder,
    config: &S3Config,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<AmazonS3Builder, Error> {
    if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        return Ok(builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose()));
    }
    let role = ROLE_VARIABLES.iter().filter_map(|(name, key)| Some((*key, environment(name)?)));
    Ok(role.fold(builder, |builder, (key, value)| builder.with_config(key, value)))
}

/// Permits for so many bytes, which fit into [`limits::S3_MEMORY_BYTES`].
pub(super) fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

const ROLE_VARIABLES: [(&str, AmazonS3ConfigKey); 6] = [
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
];

const SHA256: &str = "sha256";

/// Before the one further try of a request.
const PAUSE: Duration = Duration::from_millis(100);
