use model::Fault;

use crate::State;
use crate::pdu::{Abort, AbortReason};

/// Why a local request was not carried out. Nothing was sent, the state is what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// PS3.8 Table 9-10 has no cell for the request in this state.
    #[error("{request} has no place in {state}")]
    OutOfPlace {
        /// The primitive, as the standard calls it.
        request: &'static str,
        /// The state in which it was asked for.
        state: State,
    },
    /// A value does not fit the PDU: too long for its length field, or not ISO 646.
    #[error("{field} does not fit its field of the PDU")]
    Unencodable {
        /// The field, as the standard calls it.
        field: &'static str,
    },
}

impl Error {
    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            Self::OutOfPlace { .. } => Fault::Bug,
            Self::Unencodable { .. } => Fault::Local,
        }
    }
}

/// How the peer broke the protocol. It is answered by A-ABORT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A PDU type that PS3.8 does not have; often not DICOM at all.
    #[error("unrecognized PDU type {0:02X}H")]
    UnrecognizedPdu(u8),
    /// A PDU that has no place in the state.
    #[error("unexpected {pdu} in {state}")]
    UnexpectedPdu {
        /// The PDU, as the standard calls it.
        pdu: &'static str,
        /// The state in which it came.
        state: State,
    },
    /// A length that is over the limit, under the minimum, or not the PDU's fixed one.
    #[error("{pdu} of {length} bytes")]
    PduLength {
        /// The PDU, as the standard calls it.
        pdu: &'static str,
        /// The PDU-length field.
        length: u32,
    },
    /// A PDV that does not fit its P-DATA-TF PDU.
    #[error("PDV of {length} bytes does not fit its PDU")]
    PdvLength {
        /// The Item-length field.
        length: u32,
    },
    /// Data on a presentation context that was not accepted.
    #[error("data on presentation context {0}, which was not accepted")]
    PresentationContext(u8),
    /// An A-ASSOCIATE PDU that cannot be read; the text says which field.
    #[error("malformed A-ASSOCIATE PDU: {0}")]
    Malformed(&'static str),
}

impl Violation {
    /// What the peer is told (PS3.8 Table 9-26).
    pub fn abort(&self) -> Abort {
        Abort::provider(match self {
            Self::UnrecognizedPdu(_) => AbortReason::UnrecognizedPdu,
            Self::UnexpectedPdu { .. } => AbortReason::UnexpectedPdu,
            Self::PduLength { .. }
            | Self::PdvLength { .. }
            | Self::PresentationContext(_)
            | Self::Malformed(_) => AbortReason::InvalidPduParameterValue,
        })
    }
}
