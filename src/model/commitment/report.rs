use super::{
    FAILED_SOP_SEQUENCE, FAILURE_REASON, FailureReason, REFERENCED_SOP_INSTANCE, REFERENCED_SOP_SEQUENCE,
    RETRIEVE_AE_TITLE, Reference, TRANSACTION_UID, bytes_of, items, put_sequence, uid,
};
use crate::element::put;
use crate::header::Header;
use crate::syntax::Encoding;
use crate::{AeTitle, SopInstanceUid, TransactionUid, Vr, limits};

/// Event Information of Storage Commitment as we write it: the answer to a [`Request`](super::Request).
///
/// PS3.4 Table J.3-2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Transaction UID (0008,1195) of the request.
    pub transaction: TransactionUid,
    /// Retrieve AE Title (0008,0054): from whom the instances can be had.
    pub retrieve_ae_title: AeTitle,
    /// Referenced SOP Sequence (0008,1199): what is committed to.
    pub committed: Vec<Reference>,
    /// Failed SOP Sequence (0008,1198): what is not, and why.
    pub failed: Vec<(Reference, FailureReason)>,
}

/// Event Information of Storage Commitment as a peer tells it; of each instance only its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedReport {
    /// Transaction UID (0008,1195) of the request.
    pub transaction: TransactionUid,
    /// What the peer commits to.
    pub committed: Vec<SopInstanceUid>,
    /// What it does not, and why.
    pub failed: Vec<(SopInstanceUid, FailureReason)>,
}

/// Why a data set tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// There is no Transaction UID.
    #[error("Transaction UID is missing")]
    TransactionUid,
    /// More instances than [`limits::COMMITMENT_REFERENCES`].
    #[error("more than {} instances are told of", limits::COMMITMENT_REFERENCES)]
    TooMany,
}

impl Report {
    /// Event Type ID (0000,1002): 1, storage of all is committed to; 2, there are failures.
    ///
    /// PS3.4 §J.3.3.1.1.
    pub fn event_type_id(&self) -> u16 {
        if self.failed.is_empty() { ALL_COMMITTED } else { FAILURES_EXIST }
    }

    /// Writes it as a data set. A sequence without items is left out.
    pub fn to_data_set(&self, encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, encoding, RETRIEVE_AE_TITLE, Vr::AE, self.retrieve_ae_title.as_str().as_bytes());
        put(&mut out, encoding, TRANSACTION_UID, Vr::UI, &bytes_of(&self.transaction));
        if !self.failed.is_empty() {
            put_sequence(
                &mut out,
                encoding,
                FAILED_SOP_SEQUENCE,
                &self.failed,
                |(reference, reason), out| {
                    reference.put(out, encoding);
                    let code = match encoding {
                        Encoding::ExplicitBig => reason.0.to_be_bytes(),
                        Encoding::ImplicitLittle | Encoding::ExplicitLittle => reason.0.to_le_bytes(),
                    };
                    put(out, encoding, FAILURE_REASON, Vr::US, &code);
                },
            );
        }
        if !self.committed.is_empty() {
            put_sequence(&mut out, encoding, REFERENCED_SOP_SEQUENCE, &self.committed, |reference, out| {
                reference.put(out, encoding);
            });
        }
        out
    }
}

impl ReceivedReport {
    /// Reads what a peer tells. Items without SOP Instance UID tell nothing and are passed over; a failure without a reason is a
    /// processing failure; an instance that is in both sequences has failed.
    ///
    /// # Errors
    /// [`ReportError`]: it belongs to no transaction, or is larger than any answer to what we ask.
    pub fn read(header: &Header) -> Result<Self, ReportError> {
        let transaction = header.uid(TRANSACTION_UID).ok_or(ReportError::TransactionUid)?;
        let some_more = limits::COMMITMENT_REFERENCES.saturating_add(1);
        let instance = |item: &crate::header::Item<'_>| uid(item, REFERENCED_SOP_INSTANCE);
        let failed: Vec<(SopInstanceUid, FailureReason)> = items(header.element(FAILED_SOP_SEQUENCE))
            .into_iter()
            .flatten()
            .filter_map(|item| {
                let reason = item.element(FAILURE_REASON).and_then(|element| element.integer());
                let code = reason.and_then(|code| u16::try_from(code).ok());
                Some((instance(&item)?, code.map_or(FailureReason::PROCESSING_FAILURE, FailureReason)))
            })
            .take(some_more)
            .collect();
        let has_failed: std::collections::HashSet<&SopInstanceUid> =
            failed.iter().map(|(uid, _)| uid).collect();
        let committed: Vec<SopInstanceUid> = items(header.element(REFERENCED_SOP_SEQUENCE))
            .into_iter()
            .flatten()
            .filter_map(|item| instance(&item))
            .filter(|uid| !has_failed.contains(uid))
            .take(some_more)
            .collect();
        let is_too_large = committed.len().max(failed.len()) > limits::COMMITMENT_REFERENCES;
        if is_too_large || header.omitted() > 0 {
            return Err(ReportError::TooMany);
        }
        Ok(Self { transaction, committed, failed })
    }
}

const ALL_COMMITTED: u16 = 1;
const FAILURES_EXIST: u16 = 2;
