use std::fmt;

/// An A-ABORT PDU (PS3.8 §9.3.8). Bytes that the standard does not know are kept as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// Source: 0 service-user, 2 service-provider.
    pub source: u8,
    /// Reason/Diag.; significant only with source 2.
    pub reason: u8,
}

/// Why a service-provider aborts (PS3.8 Table 9-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AbortReason {
    /// None of the others; also: we are shutting down, or the peer was silent too long.
    NotSpecified = 0,
    /// A PDU type that PS3.8 does not have.
    UnrecognizedPdu = 1,
    /// A PDU that has no place in the state.
    UnexpectedPdu = 2,
    /// A parameter that the PDU does not have.
    UnrecognizedPduParameter = 4,
    /// A parameter that has no place here.
    UnexpectedPduParameter = 5,
    /// A parameter with a value that it cannot have.
    InvalidPduParameterValue = 6,
}

impl Abort {
    /// An abort by the service-user: the program that uses the association.
    pub const fn user() -> Self {
        Self { source: 0, reason: 0 }
    }

    /// An abort by the service-provider.
    pub const fn provider(reason: AbortReason) -> Self {
        Self { source: 2, reason: reason as u8 } // the discriminant is the wire value
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source, self.reason) {
            (0, _) => f.write_str("aborted by the service-user"),
            (2, 0) => f.write_str("aborted by the service-provider"),
            (2, 1) => f.write_str("aborted by the service-provider: unrecognized PDU"),
            (2, 2) => f.write_str("aborted by the service-provider: unexpected PDU"),
            (2, 4) => f.write_str("aborted by the service-provider: unrecognized PDU parameter"),
            (2, 5) => f.write_str("aborted by the service-provider: unexpected PDU parameter"),
            (2, 6) => f.write_str("aborted by the service-provider: invalid PDU parameter value"),
            (source, reason) => write!(f, "aborted (source {source}, reason {reason})"),
        }
    }
}
