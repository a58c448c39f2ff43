use std::io;

use dimse::AssembleError;
use model::Fault;
use ul::Violation;
use ul::pdu::{Abort, AbortReason, AssociateRj};

use crate::tls::TlsError;

/// How an association came to its end, or why it never began.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// Orderly.
    #[error("released")]
    Released,
    /// The acceptor did not want it: the peer, or this end.
    #[error("{0}")]
    Rejected(AssociateRj),
    /// The peer aborted.
    #[error("{0} at the other end")]
    Aborted(Abort),
    /// The peer closed the connection without a word.
    #[error("connection closed by the peer")]
    Closed,
    /// The connection failed.
    #[error("connection failed")]
    Lost(#[source] io::Error),
    /// The peer broke the upper layer protocol.
    #[error("protocol error of the peer")]
    Violation(#[source] Violation),
    /// The peer's fragments make no message.
    #[error("the peer's message cannot be assembled")]
    Assemble(#[from] AssembleError),
    /// The peer sent something that is correct in itself and has no place at this point.
    #[error("unexpected {0}")]
    OutOfTurn(&'static str),
    /// Nothing, or too little, came or went in time.
    #[error("{0}")]
    TimedOut(Wait),
    /// Newer connections needed the place of this one, which had not asked for an association.
    #[error("made way for newer connections")]
    Displaced,
    /// This end gave up in the middle of a message.
    #[error("given up in the middle of a message")]
    Abandoned,
    /// This process is stopping.
    #[error("shutting down")]
    Shutdown,
    /// The code that served it panicked.
    #[error("internal error")]
    Panicked,
    /// This end asked for something that the state machine refuses.
    #[error("internal error")]
    Refused(#[from] ul::Error),
}

/// What was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// A-ASSOCIATE-RQ, or the peer's close (ARTIM).
    #[error("no association was requested in time")]
    Request,
    /// The next message, or the response to ours.
    #[error("no message came in time")]
    Message,
    /// The rest of a message, in either direction.
    #[error("a message made too little progress")]
    Progress,
    /// An instance, or another count, of a C-MOVE or C-GET that the peer said to be pending.
    #[error("nothing came of the retrieve in time")]
    Standstill,
}

impl End {
    /// What the peer is told before the connection is closed; `None` where it knows, or the state machine has told it already.
    ///
    /// Source service-provider is for what this machine does on its own account: timeouts, shutdown, its own failure. The
    /// DIMSE service is the service-user, so its complaints about messages carry that source, which has no reasons.
    ///
    /// PS3.8 §7.3, §7.4, Table 9-26.
    pub(crate) fn abort(&self) -> Option<Abort> {
        match self {
            Self::Released
            | Self::Rejected(_)
            | Self::Aborted(_)
            | Self::Closed
            | Self::Lost(_)
            | Self::Violation(_)
            | Self::Displaced => None,
            Self::Assemble(_) | Self::OutOfTurn(_) | Self::Abandoned => Some(Abort::user()),
            Self::TimedOut(_) | Self::Shutdown | Self::Panicked | Self::Refused(_) => {
                Some(Abort::provider(AbortReason::NotSpecified))
            }
        }
    }

    /// The metric label: one of `released`, `aborted`, `timeout`, `closed`, `panicked`, `shutdown`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Rejected(_)
            | Self::Aborted(_)
            | Self::Violation(_)
            | Self::Assemble(_)
            | Self::OutOfTurn(_)
            | Self::Abandoned
            | Self::Refused(_) => "aborted",
            Self::TimedOut(_) => "timeout",
            Self::Closed | Self::Lost(_) | Self::Displaced => "closed",
            Self::Panicked => "panicked",
            Self::Shutdown => "shutdown",
        }
    }

    /// What TLS says of it; `None` where it is not about TLS.
    pub fn tls(&self) -> Option<&TlsError> {
        let Self::Lost(error) = self else { return None };
        TlsError::behind(error)
    }

    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Rejected(rejection) if !rejection.is_transient() => Fault::Policy,
            Self::Rejected(_) | Self::Lost(_) | Self::Closed | Self::TimedOut(_) | Self::Displaced => {
                Fault::Transient { retry_after: None }
            }
            Self::Released
            | Self::Aborted(_)
            | Self::Violation(_)
            | Self::Assemble(_)
            | Self::OutOfTurn(_) => Fault::Peer,
            Self::Shutdown | Self::Abandoned => Fault::Local,
            Self::Panicked | Self::Refused(_) => Fault::Bug,
        }
    }
}
