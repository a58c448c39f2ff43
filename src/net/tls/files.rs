//! The files with certificates and keys, in PEM (RFC 7468).

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Where our own certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The certificate, followed by those between it and its CA.
    pub certificate: PathBuf,
    /// Its private key, unencrypted.
    pub key: PathBuf,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// Our certificate with its chain.
    Certificate,
    /// Our private key.
    Key,
    /// The certificates of those whom we trust to certify others.
    Ca,
    /// Public keys that sign tokens.
    TokenKeys,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", .path.display())]
pub struct FileError {
    /// What it is for.
    pub role: FileRole,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    problem: String,
    /// Whether it could not even be read.
    pub is_unreadable: bool,
}

/// Our certificate and key, ready for use.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) certificate: Certificate,
}

impl KeyFiles {
    /// Whether certificate and key can be used, and belong together; what the certificate is.
    ///
    /// # Errors
    /// [`FileError`] with the file that cannot be used.
    pub fn check(&self) -> Result<Certificate, FileError> {
        self.read().map(|identity| identity.certificate)
    }

    /// Reads certificate and key, and sees that they belong together.
    ///
    /// # Errors
    /// [`FileError`] with the file that cannot be used.
    pub(super) fn read(&self) -> Result<Identity, FileError> {
        let chain = certificates(FileRole::Certificate, &self.certificate)?;
        let fault = |problem: String| FileError::new(FileRole::Certificate, &self.certificate, problem);
        let certificate = chain.first().and_then(|first| Certificate::read(first));
        let certificate = certificate.ok_or_else(|| fault("has a certificate that cannot be read".into()))?;
        let key = private_key(&self.key)?;
        let key = CertifiedKey::from_der(chain, key, &super::provider()).map_err(|error| {
            let problem = match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("is not the key of the first certificate in {}", self.certificate.display())
                }
                error => format!("has a key that cannot be used: {error}"),
            };
            FileError::new(FileRole::Key, &self.key, problem)
        })?;
        Ok(Identity { key: Arc::new(key), certificate })
    }
}

/// Whether the certificates of CAs in a file can be used.
///
/// # Errors
/// [`FileError`] when they cannot.
pub fn check_ca(path: &Path) -> Result<(), FileError> {
    roots(path).map(drop)
}

/// Reads the certificates of CAs.
pub(super) fn roots(path: &Path) -> Result<Arc<RootCertStore>, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(FileRole::Ca, path)? {
        roots.add(certificate).map_err(|_| {
            let problem = "has a certificate that cannot be used as that of a CA".to_owned();
            FileError::new(FileRole::Ca, path, problem)
        })?;
    }
    Ok(Arc::new(roots))
}

/// Whether everybody on this machine may read or write a file; `false` where that cannot be told.
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

/// At least one certificate.
fn certificates(role: FileRole, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(role, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| FileError::new(role, path, malformed(&error)))?;
    if found.is_empty() {
        let problem =
            format!("has no certificate in PEM (-----BEGIN CERTIFICATE-----){}", converted(&bytes, "x509"));
        return Err(FileError::new(role, path, problem));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let bytes = read(FileRole::Key, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let is_encrypted = bytes.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
        let problem = match error {
            _ if is_encrypted => {
                "has an encrypted key, whose password nobody can type here: `openssl pkey` takes the password off".into()
            }
            pem::Error::NoItemsFound => {
                format!("has no private key in PEM (-----BEGIN PRIVATE KEY-----){}", converted(&bytes, "pkey"))
            }
            error => malformed(&error),
        };
        FileError::new(FileRole::Key, path, problem)
    })
}

/// What to do where the file is the same in DER.
fn converted(bytes: &[u8], command: &str) -> String {
    match bytes.first() {
        Some(0x30) => format!(": it seems to be DER, which `openssl {command} -inform DER` converts"),
        _ => String::new(),
    }
}

fn malformed(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "is cut short: an -----END …----- is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "has a malformed -----BEGIN …-----".to_owned(),
        pem::Error::Base64Decode(_) => "is not Base64 between -----BEGIN and -----END".to_owned(),
        _ => "is not PEM".to_owned(),
    }
}

/// The whole of a file that is not too long.
pub(crate) fn read(role: FileRole, path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let fault = FileError::new(role, path, format!("cannot be read: {error}"));
        return Err(FileError { is_unreadable: true, ..fault });
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FileError::new(role, path, format!("is longer than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

impl FileError {
    pub(crate) fn new(role: FileRole, path: &Path, problem: String) -> Self {
        Self { role, path: path.to_owned(), problem, is_unreadable: false }
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// All CAs that browsers know take 250 KB.
const MOST_BYTES: u64 = 4 << 20;

/// In the heads of PKCS #8 and in the headers of older formats.
const ENCRYPTED: &[u8] = b"ENCRYPTED";
