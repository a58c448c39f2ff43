use std::io;
use std::net::SocketAddr;

use model::Fault;

use crate::end::End;

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
    /// The peer's host is not known, or nothing there takes the connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The peer took the connection, and no association was made.
    #[error("no association")]
    Association(#[source] End),
    /// The association did not last.
    #[error("association lost")]
    Lost(#[source] End),
    /// The peer does not take this kind of object.
    #[error("the peer takes no {sop_class} in {transfer_syntax}: {reason}")]
    NotAccepted {
        /// The SOP class.
        sop_class: String,
        /// The transfer syntax.
        transfer_syntax: String,
        /// The answer to the presentation context (PS3.8 Table 9-18).
        reason: &'static str,
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
            Self::Listen { .. } | Self::File(_) => Fault::Local,
            Self::Connect { .. } => Fault::Transient { retry_after: None },
            Self::Association(end) | Self::Lost(end) => end.fault(),
            Self::NotAccepted { .. } => Fault::Policy,
            Self::Response => Fault::Peer,
        }
    }
}
