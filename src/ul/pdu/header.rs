#![deny(clippy::indexing_slicing)]

/// Bytes before a PDU's variable field: type, reserved, PDU-length (PS3.8 §9.3.1).
pub(crate) const HEADER_BYTES: usize = 6;

/// The first bytes of any PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The PDU type; as a byte when the standard has none such.
    pub(crate) pdu: Result<PduType, u8>,
    /// PDU-length: bytes that follow.
    pub(crate) length: u32,
}

/// The PDUs of PS3.8 §9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PduType {
    AssociateRq,
    AssociateAc,
    AssociateRj,
    Data,
    ReleaseRq,
    ReleaseRp,
    Abort,
}

impl Header {
    /// The header at the front of `input`; `None` while it is not complete.
    pub(crate) fn peek(input: &[u8]) -> Option<Self> {
        let &[pdu, _, a, b, c, d] = input.first_chunk::<HEADER_BYTES>()?;
        Some(Self { pdu: PduType::from_byte(pdu).ok_or(pdu), length: u32::from_be_bytes([a, b, c, d]) })
    }
}

impl PduType {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::AssociateRq,
            2 => Self::AssociateAc,
            3 => Self::AssociateRj,
            4 => Self::Data,
            5 => Self::ReleaseRq,
            6 => Self::ReleaseRp,
            7 => Self::Abort,
            _ => return None,
        })
    }

    /// The name that the standard gives the PDU.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AssociateRq => "A-ASSOCIATE-RQ",
            Self::AssociateAc => "A-ASSOCIATE-AC",
            Self::AssociateRj => "A-ASSOCIATE-RJ",
            Self::Data => "P-DATA-TF",
            Self::ReleaseRq => "A-RELEASE-RQ",
            Self::ReleaseRp => "A-RELEASE-RP",
            Self::Abort => "A-ABORT",
        }
    }
}
