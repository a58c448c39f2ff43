//! Which certificates are taken: those of trusted CAs, and those that are named by their fingerprint.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificate::Certificate;
use super::name::CertificateName;

/// What one peer presented, for whoever tells of it afterwards.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<OnceLock<Certificate>>);

/// Verifies the certificate of a peer that is called.
#[derive(Debug)]
pub(super) struct CalledVerifier {
    /// Absent where only fingerprints are trusted.
    pub(super) chain: Option<Arc<WebPkiServerVerifier>>,
    /// Which certificate it must be; none: any that the chain proves.
    pub(super) names: Vec<CertificateName>,
    pub(super) seen: Seen,
}

/// Verifies the certificate of a caller.
pub(super) struct CallerVerifier {
    /// Absent where only fingerprints are trusted.
    pub(super) chain: Option<Arc<dyn ClientCertVerifier>>,
    /// The certificates that are trusted as they are.
    pub(super) pins: Arc<[[u8; 32]]>,
    pub(super) is_required: bool,
    pub(super) seen: Seen,
}

impl Seen {
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.0.get()
    }

    fn note(&self, der: &[u8]) -> Result<&Certificate, Error> {
        let certificate =
            Certificate::read(der).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        Ok(self.0.get_or_init(|| certificate))
    }
}

impl ServerCertVerifier for CalledVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = self.seen.note(end_entity)?;
        let (pins, others): (Vec<_>, Vec<_>) =
            self.names.iter().partition(|name| matches!(name, CertificateName::Sha256(_)));
        if pins.iter().any(|pin| pin.is_of(certificate)) {
            return Ok(ServerCertVerified::assertion());
        }
        let is_named = self.names.is_empty() || others.iter().any(|name| name.is_of(certificate));
        match &self.chain {
            Some(chain) if is_named => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Some(_) | None => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl ClientCertVerifier for CallerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    /// The names of the CAs that we trust; none where a certificate of nobody's may be one that we take.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.chain {
            Some(chain) if self.pins.is_empty() => chain.root_hint_subjects(),
            Some(_) | None => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificate = self.seen.note(end_entity)?;
        if self.pins.contains(&certificate.sha256) {
            return Ok(ClientCertVerified::assertion());
        }
        match &self.chain {
            Some(chain) => chain.verify_client_cert(end_entity, intermediates, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl fmt::Debug for CallerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerVerifier").field("is_required", &self.is_required).finish_non_exhaustive()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    super::provider().signature_verification_algorithms
}
