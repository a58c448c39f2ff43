use std::fmt;
use std::io;

use model::Fault;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::certificate::{Certificate, day};

/// Why TLS with a peer failed, in plain words.
#[derive(Debug, Clone)]
pub struct TlsError {
    /// What kind of trouble it is.
    pub problem: Problem,
    words: String,
    /// The certificate that the peer presented, where it matters.
    pub presented: Option<Box<Certificate>>,
}

/// What stood in the way of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The peer speaks DICOM without TLS.
    Plain,
    /// What it sent is no TLS, or breaks it.
    Protocol,
    /// No version, cipher suite or other mechanism in common.
    Nothing,
    /// Its certificate has expired.
    Expired,
    /// Its certificate does not hold yet.
    NotYetValid,
    /// Its certificate comes from nobody whom we trust.
    UnknownCa,
    /// Its certificate is for others.
    WrongName,
    /// Its certificate cannot be taken for another reason.
    BadCertificate,
    /// It presented none.
    NoCertificate,
    /// It refuses our certificate, or wants one.
    Refused,
    /// The connection ended in the middle.
    Closed,
    /// It took too long.
    TimedOut,
    /// This end failed.
    Internal,
}

impl Problem {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Protocol => "protocol",
            Self::Nothing => "nothing_in_common",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownCa => "unknown_ca",
            Self::WrongName => "wrong_name",
            Self::BadCertificate => "bad_certificate",
            Self::NoCertificate => "no_certificate",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::TimedOut => "timeout",
            Self::Internal => "internal",
        }
    }

    /// Whether the other end may not have spoken TLS at all.
    pub fn may_be_no_tls(self) -> bool {
        match self {
            Self::Plain | Self::Protocol | Self::Closed | Self::TimedOut => true,
            Self::Nothing
            | Self::Expired
            | Self::NotYetValid
            | Self::UnknownCa
            | Self::WrongName
            | Self::BadCertificate
            | Self::NoCertificate
            | Self::Refused
            | Self::Internal => false,
        }
    }

    /// Who must act.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Closed | Self::TimedOut => Fault::Transient { retry_after: None },
            Self::Protocol => Fault::Peer,
            Self::Internal => Fault::Local,
            Self::Plain
            | Self::Nothing
            | Self::Expired
            | Self::NotYetValid
            | Self::UnknownCa
            | Self::WrongName
            | Self::BadCertificate
            | Self::NoCertificate
            | Self::Refused => Fault::Policy,
        }
    }
}

impl TlsError {
    pub(crate) fn new(problem: Problem, words: impl Into<String>) -> Self {
        Self { problem, words: words.into(), presented: None }
    }

    /// With the certificate that the peer presented, where the trouble is with it.
    pub(super) fn with(mut self, presented: Option<&Certificate>) -> Self {
        self.presented = match self.problem {
            Problem::Expired
            | Problem::NotYetValid
            | Problem::UnknownCa
            | Problem::WrongName
            | Problem::BadCertificate => presented.cloned().map(Box::new),
            Problem::Plain
            | Problem::Protocol
            | Problem::Nothing
            | Problem::NoCertificate
            | Problem::Refused
            | Problem::Closed
            | Problem::TimedOut
            | Problem::Internal => None,
        };
        self
    }

    /// What a connection under TLS failed with.
    pub(super) fn of_io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of(error),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::new(Problem::Closed, "it closed the connection in the middle of the TLS handshake")
            }
            None => {
                Self::new(Problem::Closed, format!("the connection failed in the TLS handshake: {error}"))
            }
        }
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => of_certificate(error),
            Error::AlertReceived(alert) => of_alert(*alert),
            Error::NoCertificatesPresented => {
                Self::new(Problem::NoCertificate, "it presented no certificate, and one is required")
            }
            Error::PeerIncompatible(reason) => Self::new(Problem::Nothing, incompatible(reason)),
            Error::InvalidMessage(_) => Self::new(Problem::Protocol, "what it sent is not TLS"),
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord
            | Error::DecryptError => {
                Self::new(Problem::Protocol, format!("it broke the TLS protocol: {error}"))
            }
            error => Self::new(Problem::Internal, error.to_string()),
        }
    }

    /// What a reader or writer is to be told of an error of the connection: our words for what TLS says, else the error itself.
    pub(crate) fn worded(error: io::Error) -> io::Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(inner) => io::Error::new(error.kind(), Self::of(inner)),
            None => error,
        }
    }

    /// The TLS error behind what a connection failed with.
    pub(crate) fn behind(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        match &self.presented {
            Some(certificate) => write!(f, " ({certificate})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TlsError {}

fn of_certificate(error: &CertificateError) -> TlsError {
    use CertificateError as E;
    let seconds = |time: &rustls::pki_types::UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match error {
        E::ExpiredContext { not_after, .. } => {
            let words = format!("its certificate expired on {}", day(seconds(not_after)));
            TlsError::new(Problem::Expired, words)
        }
        E::Expired => TlsError::new(Problem::Expired, "its certificate has expired"),
        E::NotValidYetContext { not_before, .. } => {
            let words = format!("its certificate does not hold before {}", day(seconds(not_before)));
            TlsError::new(Problem::NotYetValid, words)
        }
        E::NotValidYet => TlsError::new(Problem::NotYetValid, "its certificate does not hold yet"),
        E::UnknownIssuer => {
            TlsError::new(Problem::UnknownCa, "its certificate comes from no CA that we trust")
        }
        E::NotValidForNameContext { expected, .. } => {
            let words = format!("its certificate is not for {}", expected.to_str());
            TlsError::new(Problem::WrongName, words)
        }
        E::NotValidForName => TlsError::new(Problem::WrongName, "its certificate is for other names"),
        E::ApplicationVerificationFailure => {
            TlsError::new(Problem::WrongName, "its certificate is none of those that are configured for it")
        }
        E::BadEncoding => TlsError::new(Problem::BadCertificate, "its certificate cannot be read"),
        E::BadSignature => TlsError::new(
            Problem::BadCertificate,
            "a signature is wrong: on its certificate, or by another key than the certificate's",
        ),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => TlsError::new(
            Problem::BadCertificate,
            "its certificate is not meant for this end of a connection (extended key usage)",
        ),
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => TlsError::new(
            Problem::BadCertificate,
            "its certificate is that of a CA, and cannot be trusted but by its fingerprint",
        ),
        error => TlsError::new(Problem::BadCertificate, format!("its certificate cannot be taken: {error}")),
    }
}

fn of_alert(alert: AlertDescription) -> TlsError {
    use AlertDescription as A;
    let (problem, words) = match alert {
        A::CertificateRequired | A::NoCertificate => (Problem::Refused, "it requires a certificate of ours"),
        A::UnknownCA => (Problem::Refused, "it does not trust the CA of our certificate"),
        A::CertificateExpired => (Problem::Refused, "it says that our certificate has expired"),
        A::CertificateRevoked => (Problem::Refused, "it says that our certificate is revoked"),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown => {
            (Problem::Refused, "it refuses our certificate")
        }
        A::DecryptError => (Problem::Refused, "it refuses our certificate: a signature is wrong"),
        A::AccessDenied => (Problem::Refused, "it trusts our certificate, and denies us access"),
        A::ProtocolVersion => (Problem::Nothing, "no TLS version in common: we speak 1.2 and 1.3"),
        A::HandshakeFailure | A::InsufficientSecurity => (
            Problem::Nothing,
            "it ended the handshake: no cipher suite in common, or it requires a certificate of ours",
        ),
        A::UnrecognisedName => (Problem::Nothing, "it is not called so: see the name that we ask for"),
        alert => {
            return TlsError::new(Problem::Protocol, format!("it ended TLS with the alert {alert:?}"));
        }
    };
    TlsError::new(problem, words)
}

fn incompatible(reason: &PeerIncompatible) -> &'static str {
    match reason {
        PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        // Older versions do not have it.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "no TLS version in common: it speaks neither 1.2 nor 1.3"
        }
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite in common",
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            "no key exchange in common: we take X25519, P-256 and P-384"
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "no signature algorithm in common that fits our key"
        }
        _ => "it lacks something of TLS that we require",
    }
}
