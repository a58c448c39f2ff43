use std::io;
use std::net::SocketAddr;

use model::{Fault, sop, syntax};
use ul::Violation;

use crate::end::End;
use crate::tls::{FileError, Problem, TlsError, looks_like_tls};

/// Why listening, or an operation at a peer, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address to listen at cannot be had.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file with the certificates or keys that callers meet cannot be used.
    #[error("callers cannot be told apart")]
    KeyFile(#[source] FileError),
    /// The peer's host is not known, or nothing there takes the connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The peer took the connection, and there is no TLS with it.
    #[error("no TLS with {address}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The user identity that we are to present is not at hand.
    #[error("no user identity: {0}")]
    OurIdentity(String),
    /// The peer did not say that it looked at our user identity.
    #[error("the peer does not say that it looked at our user identity")]
    IdentityIgnored,
    /// The peer took the connection, and no association was made.
    #[error("no association")]
    Association(#[source] End),
    /// The association did not last.
    #[error("association lost")]
    Lost(#[source] End),
    /// The peer does not take this kind of object.
    #[error(
        "the peer takes no {} in {}: {reason}",
        named(sop::name(sop_class), sop_class),
        named(syntax::name(transfer_syntax), transfer_syntax)
    )]
    NotAccepted {
        /// The SOP class.
        sop_class: String,
        /// The transfer syntax.
        transfer_syntax: String,
        /// The answer to the presentation context (PS3.8 Table 9-18).
        reason: &'static str,
    },
    /// The peer does not take this kind of object, and it cannot be made one that it takes.
    #[error(
        "the peer takes no {} in {}; not transcoded: {reason}",
        named(sop::name(sop_class), sop_class),
        named(syntax::name(transfer_syntax), transfer_syntax)
    )]
    NotTranscoded {
        /// The SOP class.
        sop_class: String,
        /// The transfer syntax that it is stored in.
        transfer_syntax: String,
        /// Why there is no copy.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read the file")]
    File(#[source] io::Error),
    /// The response is not one to our request.
    #[error("the peer answered something else")]
    Response,
}

impl Error {
    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Listen { .. } | Self::KeyFile(_) | Self::OurIdentity(_) | Self::File(_) => Fault::Local,
            Self::Connect { .. } => Fault::Transient { retry_after: None },
            Self::Tls { source, .. } => source.problem.fault(),
            Self::Association(end) | Self::Lost(end) => end.fault(),
            Self::NotAccepted { .. } | Self::NotTranscoded { .. } | Self::IdentityIgnored => Fault::Policy,
            Self::Response => Fault::Peer,
        }
    }

    /// Whether the peer has as many associations as it takes, or no room for another reason of the moment.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Association(End::Rejected(rejection)) if rejection.is_transient())
    }

    /// The error with its causes, and what may be wrong where that can be told: for an operator.
    pub fn explain(&self) -> String {
        let causes = crate::chain(self);
        match self.hint() {
            Some(hint) => format!("{causes}; {hint}"),
            None => causes,
        }
    }

    /// What TLS says of it. That the peer refuses our certificate may only show in what follows the handshake.
    pub fn tls(&self) -> Option<&TlsError> {
        match self {
            Self::Tls { source, .. } => Some(source),
            Self::Association(End::Lost(error)) | Self::Lost(End::Lost(error)) => TlsError::behind(error),
            Self::Association(_)
            | Self::Lost(_)
            | Self::Connect { .. }
            | Self::Listen { .. }
            | Self::KeyFile(_)
            | Self::OurIdentity(_)
            | Self::IdentityIgnored
            | Self::NotAccepted { .. }
            | Self::NotTranscoded { .. }
            | Self::File(_)
            | Self::Response => None,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        if let Some(error) = self.tls() {
            return hint_of_tls(error.problem);
        }
        match self {
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
                Some("nothing listens there")
            }
            Self::Association(End::Rejected(rejection)) => match (rejection.source, rejection.reason) {
                (1, 3) => Some("the peer does not know our AE title"),
                (2, 1) => Some("it may ask for a user identity that it knows"),
                (1, 7) => Some("the peer is not called so: see its AE title"),
                (3, 1 | 2) => Some("the peer is full"),
                (_, _) => None,
            },
            Self::Association(End::Violation(Violation::UnrecognizedPdu(first)))
                if looks_like_tls(*first) =>
            {
                Some("that is TLS: call it by TLS, or at its plain port")
            }
            Self::Association(End::Closed | End::Lost(_) | End::Violation(_) | End::TimedOut(_)) => Some(
                "it took the connection and gave no DICOM answer: is this a DICOM port, and one without TLS?",
            ),
            Self::Association(_)
            | Self::Lost(_)
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Listen { .. }
            | Self::KeyFile(_)
            | Self::OurIdentity(_)
            | Self::IdentityIgnored
            | Self::NotAccepted { .. }
            | Self::NotTranscoded { .. }
            | Self::File(_)
            | Self::Response => None,
        }
    }
}

fn hint_of_tls(problem: Problem) -> Option<&'static str> {
    match problem {
        Problem::UnknownCa => Some("name its CA, or trust this one certificate by its fingerprint"),
        Problem::WrongName => Some("say which name its certificate has, if this is the right peer"),
        Problem::Protocol | Problem::Closed => Some("is this its TLS port?"),
        Problem::Refused => Some("ours has to be one that the peer trusts"),
        Problem::Plain
        | Problem::Nothing
        | Problem::Expired
        | Problem::NotYetValid
        | Problem::BadCertificate
        | Problem::NoCertificate
        | Problem::TimedOut
        | Problem::Internal => None,
    }
}

/// A UID by its name, where it has one.
fn named<'a>(name: Option<&'a str>, uid: &'a str) -> &'a str {
    name.unwrap_or(uid)
}
