use super::{REFERENCED_SOP_SEQUENCE, Reference, TRANSACTION_UID, bytes_of, items, put_sequence};
use crate::element::put;
use crate::header::Header;
use crate::syntax::Encoding;
use crate::{Tag, TransactionUid, Vr, limits};

/// Action Information of Storage Commitment: the instances of which storage is to be committed to.
///
/// PS3.4 Table J.3-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Transaction UID (0008,1195): the report names it.
    pub transaction: TransactionUid,
    /// Referenced SOP Sequence (0008,1199), at least one.
    pub references: Vec<Reference>,
}

/// Why a data set asks for nothing that could be committed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no Transaction UID, or it is longer than a UID may be.
    #[error("Transaction UID is missing or too long")]
    TransactionUid,
    /// Referenced SOP Sequence is absent, empty or no sequence.
    #[error("Referenced SOP Sequence is missing or empty")]
    ReferencedSopSequence,
    /// An item does not say which instance of which class it means.
    #[error("item {0} of Referenced SOP Sequence lacks a UID")]
    Reference(usize),
    /// More instances than [`limits::COMMITMENT_REFERENCES`].
    #[error("more than {} instances are referenced", limits::COMMITMENT_REFERENCES)]
    TooMany,
}

impl RequestError {
    /// The attribute that is wrong.
    pub fn tag(self) -> Tag {
        match self {
            Self::TransactionUid => TRANSACTION_UID,
            Self::ReferencedSopSequence | Self::Reference(_) | Self::TooMany => REFERENCED_SOP_SEQUENCE,
        }
    }
}

impl Request {
    /// Reads what a peer asks. UIDs that break PS3.5 §9.1 are taken: instances are kept under such UIDs.
    ///
    /// # Errors
    /// [`RequestError`]; nothing of the request can be carried out then.
    pub fn read(header: &Header) -> Result<Self, RequestError> {
        let transaction = header.uid(TRANSACTION_UID);
        let transaction: TransactionUid = transaction
            .filter(|uid: &TransactionUid| uid.as_str().len() <= UID_BYTES)
            .ok_or(RequestError::TransactionUid)?;
        let missing = RequestError::ReferencedSopSequence;
        let items = items(header.element(REFERENCED_SOP_SEQUENCE)).ok_or(missing)?;
        let mut references = Vec::new();
        for (number, item) in (1..).zip(items) {
            if number > limits::COMMITMENT_REFERENCES {
                return Err(RequestError::TooMany);
            }
            references.push(Reference::read(&item).ok_or(RequestError::Reference(number))?);
        }
        if header.omitted() > 0 {
            // Something did not find room in the header, and it may be items.
            return Err(RequestError::TooMany);
        }
        if references.is_empty() { Err(missing) } else { Ok(Self { transaction, references }) }
    }

    /// Writes it as a data set.
    pub fn to_data_set(&self, encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, encoding, TRANSACTION_UID, Vr::UI, &bytes_of(&self.transaction));
        put_sequence(&mut out, encoding, REFERENCED_SOP_SEQUENCE, &self.references, |reference, out| {
            reference.put(out, encoding);
        });
        out
    }
}

/// The longest UID (PS3.5 §9.1).
const UID_BYTES: usize = 64;
