//! Certificate authorities of the moment, and what they certify.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Someone who certifies others.
#[derive(Clone)]
pub(crate) struct Ca(Arc<CertifiedIssuer<'static, KeyPair>>);

/// A certificate with its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// `sha256:` and the digits.
    pub(crate) fingerprint: String,
}

/// What is to be certified.
pub(crate) struct Order<'a> {
    pub(crate) common_name: &'a str,
    /// Host names and IP addresses.
    pub(crate) names: &'a [&'a str],
    pub(crate) years: (i32, i32),
}

/// For a host at loopback, and now.
pub(crate) const LOCAL: Order<'_> =
    Order { common_name: "local", names: &["127.0.0.1", "localhost"], years: (2020, 2100) };

/// Files of certificates and keys, in a folder of their own.
pub(crate) struct Files(TempDir);

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(&Order { common_name: name, names: &[], ..LOCAL });
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(Arc::new(CertifiedIssuer::self_signed(params, key()).unwrap()))
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certifies for both ends of a connection.
    pub(crate) fn issue(&self, order: &Order<'_>) -> Issued {
        let key = key();
        let mut params = params(order);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Issued::of(&params.signed_by(&key, &**self.0).unwrap(), &key)
    }

    /// Certifies someone for loopback.
    pub(crate) fn local(&self, common_name: &str) -> Issued {
        self.issue(&Order { common_name, ..LOCAL })
    }
}

impl Issued {
    /// One that nobody else has signed, as devices make them for themselves.
    pub(crate) fn by_itself(order: &Order<'_>) -> Self {
        let key = key();
        Self::of(&params(order).self_signed(&key).unwrap(), &key)
    }

    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        let sha256 = hex::encode(Sha256::digest(certificate.der()));
        let fingerprint = format!("sha256:{sha256}");
        Self { certificate: certificate.pem(), key: key.serialize_pem(), fingerprint }
    }
}

impl Files {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a file; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a certificate and its key; their paths.
    pub(crate) fn keep(&self, name: &str, issued: &Issued) -> [PathBuf; 2] {
        let certificate = self.write(&format!("{name}.pem"), &issued.certificate);
        [certificate, self.write(&format!("{name}.key"), &issued.key)]
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn params(order: &Order<'_>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Hospital");
    params.distinguished_name.push(DnType::CommonName, order.common_name);
    let name = |name: &&str| match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName((*name).try_into().unwrap()),
    };
    params.subject_alt_names = order.names.iter().map(name).collect();
    (params.not_before, params.not_after) =
        (date_time_ymd(order.years.0, 1, 1), date_time_ymd(order.years.1, 1, 1));
    params
}
