//! From a TCP connection to one under TLS, at either end.

use std::io;

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::certificate::Certificate;
use super::client::Client;
use super::error::{Problem, TlsError};
use super::server::Server;
use super::verify::Seen;

/// A handshake that failed, and the connection, on which something may still be said.
pub(crate) type Failed = (TlsError, TcpStream);

impl Server {
    /// Takes the TLS handshake of a caller. Not bounded in time. Dropped, the connection is closed.
    ///
    /// # Errors
    /// Why there is no TLS; where TLS has an alert for it, that is sent.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        let mut first = [0; 1];
        match stream.peek(&mut first).await {
            Ok(0) => {
                return Err((
                    TlsError::new(Problem::Closed, "it closed the connection without a word"),
                    stream,
                ));
            }
            Ok(_) => {}
            Err(error) => return Err((TlsError::of_io(&error), stream)),
        }
        match first {
            [HANDSHAKE] => {}
            // The types of PDUs (PS3.8 §9.3.1).
            [1..=7] => {
                return Err((
                    TlsError::new(Problem::Plain, "it speaks DICOM without TLS on our TLS port"),
                    stream,
                ));
            }
            _ => {
                return Err((
                    TlsError::new(Problem::Protocol, "what it sent is neither TLS nor DICOM"),
                    stream,
                ));
            }
        }
        let seen = Seen::default();
        let config = match self.config(&seen) {
            Ok(config) => config,
            Err(error) => return Err((error, stream)),
        };
        match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => Ok(stream.into()),
            Err((error, stream)) => Err((TlsError::of_io(&error).with(seen.certificate()), stream)),
        }
    }
}

impl Client {
    /// Makes the TLS handshake with a peer that is reached at `address`, a host and a port. Not bounded in time. Cancel safe:
    /// dropped, the connection is closed.
    ///
    /// # Errors
    /// Why there is no TLS.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        address: &str,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let seen = Seen::default();
        let (config, name) = (self.config(&seen)?, self.server_name(host(address))?);
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(stream.into()),
            Err(error) => Err(TlsError::of_io(&error).with(seen.certificate())),
        }
    }
}

/// What is known of a connection under TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// Such as `TLSv1_3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The certificate of the peer, which was verified.
    pub certificate: Option<Certificate>,
}

impl Secured {
    pub(crate) fn of(stream: &TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        let word = |word: Option<String>| word.unwrap_or_else(|| "unknown".to_owned());
        Self {
            version: word(session.protocol_version().map(|version| format!("{version:?}"))),
            cipher_suite: word(session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()))),
            certificate: session
                .peer_certificates()
                .and_then(<[CertificateDer<'_>]>::first)
                .and_then(|der| Certificate::read(der)),
        }
    }
}

/// Whether the first byte of a connection, or of what is to be a PDU, is that of a TLS record which begins or ends a handshake.
pub(crate) fn looks_like_tls(first: u8) -> bool {
    matches!(first, ALERT | HANDSHAKE)
}

/// A connection that TLS ended without its close is no failure: PDUs say by themselves where they end.
pub(crate) fn is_unclosed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// Without the port, and without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Content types of TLS records (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_port() {
        for (address, expected) in [
            ("pacs.example:2762", "pacs.example"),
            ("10.1.2.3:104", "10.1.2.3"),
            ("[fd00::7]:104", "fd00::7"),
        ] {
            assert_eq!(host(address), expected);
        }
    }
}
