use std::fmt;

use model::AeTitle;

use super::user::{CommonExtended, OperationsWindow, UserIdentity};
use crate::Error;

/// The DICOM Application Context Name (PS3.7 §A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// An A-ASSOCIATE-RQ PDU (PS3.8 §9.3.2).
///
/// UIDs are text as received, less padding: they are compared, never parsed. What is not kept is not answered, which means "not
/// supported" (PS3.7 §D.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateRq {
    /// Bit 0 is version 1.
    pub protocol_version: u16,
    /// Called and calling AE title.
    pub titles: Titles,
    /// Application Context Name; empty when the peer sent none.
    pub application_context: String,
    /// Proposed presentation contexts, in the requestor's order.
    pub contexts: Vec<ProposedContext>,
    /// The longest P-DATA-TF (its PDU-length field) that the requestor takes; 0: no limit, or not said.
    pub max_pdu_bytes: u32,
    /// Who wrote the requestor's software.
    pub implementation: Implementation,
    /// Proposed roles (PS3.7 §D.3.3.4).
    pub roles: Vec<RoleSelection>,
    /// What is to be negotiated about SOP classes (PS3.7 §D.3.3.5).
    pub extended: Vec<ExtendedNegotiation>,
    /// Who uses the requestor.
    pub identity: Option<UserIdentity>,
    /// How many operations it would have under way; `None`: one.
    pub window: Option<OperationsWindow>,
    /// What it tells of SOP classes. Read, not written: what we propose needs no telling.
    pub common_extended: Vec<CommonExtended>,
}

impl AssociateRq {
    /// A request of version 1 and DICOM's application context, without role selection and extended negotiation.
    pub fn new(
        titles: Titles,
        contexts: Vec<ProposedContext>,
        max_pdu_bytes: u32,
        implementation: Implementation,
    ) -> Self {
        Self {
            protocol_version: 1,
            titles,
            application_context: APPLICATION_CONTEXT.into(),
            contexts,
            max_pdu_bytes,
            implementation,
            roles: Vec::new(),
            extended: Vec::new(),
            identity: None,
            window: None,
            common_extended: Vec::new(),
        }
    }
}

/// An A-ASSOCIATE-AC PDU (PS3.8 §9.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateAc {
    /// Bit 0 is version 1.
    pub protocol_version: u16,
    /// The request's fields, returned as they came.
    pub titles: Titles,
    /// Application Context Name.
    pub application_context: String,
    /// The answer to each proposed context.
    pub contexts: Vec<ContextResult>,
    /// The longest P-DATA-TF (its PDU-length field) that the acceptor takes; 0: no limit, or not said.
    pub max_pdu_bytes: u32,
    /// Who wrote the acceptor's software.
    pub implementation: Implementation,
    /// Accepted roles.
    pub roles: Vec<RoleSelection>,
    /// What was negotiated about SOP classes (PS3.7 §D.3.3.5).
    pub extended: Vec<ExtendedNegotiation>,
    /// How many operations may be under way; `None`: one.
    pub window: Option<OperationsWindow>,
    /// The answer to a user identity, which is empty unless it was a ticket or an assertion; `None`: nobody looked at it, or was asked
    /// to say so.
    pub identity_response: Option<Vec<u8>>,
}

impl AssociateAc {
    /// The answer to `rq` with these results; titles and reserved bytes are returned as they came. One operation may be under way at a
    /// time; extended negotiation and the user identity are not answered.
    pub fn answer(
        rq: &AssociateRq,
        contexts: Vec<ContextResult>,
        roles: Vec<RoleSelection>,
        max_pdu_bytes: u32,
        implementation: Implementation,
    ) -> Self {
        Self {
            protocol_version: 1,
            titles: rq.titles.clone(),
            application_context: rq.application_context.clone(),
            contexts,
            max_pdu_bytes,
            implementation,
            roles,
            extended: Vec::new(),
            window: None,
            identity_response: None,
        }
    }
}

/// The AE title fields and the reserved 32 bytes after them, which an A-ASSOCIATE-AC returns unchanged (PS3.8 Table 9-17).
#[derive(Clone, PartialEq, Eq)]
pub struct Titles {
    pub(super) called: [u8; 16],
    pub(super) calling: [u8; 16],
    pub(super) reserved: [u8; 32],
}

impl Titles {
    /// The fields of a request, padded with spaces.
    pub fn new(called: &AeTitle, calling: &AeTitle) -> Self {
        Self { called: field(called), calling: field(calling), reserved: [0; 32] }
    }

    /// The called AE title; `None` when the field holds none that PS3.5 §6.2 allows.
    pub fn called(&self) -> Option<AeTitle> {
        title(&self.called)
    }

    /// The calling AE title; `None` when the field holds none that PS3.5 §6.2 allows.
    pub fn calling(&self) -> Option<AeTitle> {
        title(&self.calling)
    }
}

impl fmt::Debug for Titles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" <- \"{}\"", self.called.escape_ascii(), self.calling.escape_ascii())
    }
}

fn field(title: &AeTitle) -> [u8; 16] {
    let mut field = [b' '; 16];
    for (to, from) in field.iter_mut().zip(title.as_str().bytes()) {
        *to = from;
    }
    field
}

/// Some peers pad with NUL, which the standard does not have.
fn title(field: &[u8; 16]) -> Option<AeTitle> {
    let text = std::str::from_utf8(field).ok()?;
    AeTitle::parse(text.trim_matches(|c| c == '\0' || c == ' ')).ok()
}

/// Who wrote a peer's software (PS3.7 §D.3.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Implementation {
    /// Implementation Class UID.
    pub class_uid: Option<String>,
    /// Implementation Version Name.
    pub version_name: Option<String>,
}

/// A presentation context as the requestor proposes it (PS3.8 §9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedContext {
    /// Presentation-context-ID, odd.
    pub id: u8,
    /// Abstract syntax: the SOP class.
    pub abstract_syntax: String,
    /// Transfer syntaxes, in the requestor's order.
    pub transfer_syntaxes: Vec<String>,
}

impl ProposedContext {
    /// Contexts with the ids 1, 3, 5 … in the given order.
    ///
    /// # Errors
    /// [`Error::Unencodable`] when there are more than the 128 that ids can tell apart.
    pub fn numbered(contexts: impl IntoIterator<Item = (String, Vec<String>)>) -> Result<Vec<Self>, Error> {
        let mut ids = (1..=u8::MAX).step_by(2);
        contexts
            .into_iter()
            .map(|(abstract_syntax, transfer_syntaxes)| {
                let id = ids.next().ok_or(Error::Unencodable { field: "Presentation-context-ID" })?;
                Ok(Self { id, abstract_syntax, transfer_syntaxes })
            })
            .collect()
    }
}

/// The acceptor's answer to one presentation context (PS3.8 §9.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextResult {
    /// Presentation-context-ID of the proposal.
    pub id: u8,
    /// Accepted or why not.
    pub outcome: ContextOutcome,
}

/// The Result/Reason field of PS3.8 Table 9-18, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextOutcome {
    /// 0: acceptance.
    Accepted {
        /// The one transfer syntax of the context.
        transfer_syntax: String,
    },
    /// 1: user-rejection.
    UserRejection,
    /// 2: no-reason (provider rejection).
    NoReason,
    /// 3: abstract-syntax-not-supported (provider rejection).
    AbstractSyntaxNotSupported,
    /// 4: transfer-syntaxes-not-supported (provider rejection).
    TransferSyntaxesNotSupported,
}

/// One SCP/SCU Role Selection sub-item (PS3.7 §D.3.3.4): in a request what the requestor proposes to be, in an answer what it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSelection {
    /// The SOP class.
    pub sop_class: String,
    /// The requestor is SCU.
    pub scu: bool,
    /// The requestor is SCP.
    pub scp: bool,
}

/// One SOP Class Extended Negotiation sub-item (PS3.7 §D.3.3.5): in a request what the requestor asks of a SOP class, in an answer
/// what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedNegotiation {
    /// The SOP class.
    pub sop_class: String,
    /// Service-class-application-information: each service class says what the bytes mean.
    pub information: Vec<u8>,
}
