//! Writing of PDUs. The items of A-ASSOCIATE-RQ and -AC are written by dicom-ul.

use dicom_ul::pdu as codec;

use super::associate::{
    AssociateAc, AssociateRq, ContextOutcome, ContextResult, ExtendedNegotiation, Implementation,
    ProposedContext, RoleSelection, Titles,
};
use super::user::{OperationsWindow, UserIdentity, response_to_bytes};
use super::{Abort, AssociateRj};
use crate::Error;

impl AssociateRq {
    /// The bytes of the PDU.
    ///
    /// # Errors
    /// [`Error::Unencodable`] when a value does not fit its field. PS3.8 Table 9-11.
    pub fn to_pdu(&self) -> Result<Vec<u8>, Error> {
        let contexts = self.contexts.iter().map(proposed).collect::<Result<_, _>>()?;
        let identity = self.identity.as_ref().map(UserIdentity::to_bytes).transpose()?;
        let pdu = codec::Pdu::AssociationRQ(codec::AssociationRQ {
            protocol_version: self.protocol_version,
            calling_ae_title: PLACEHOLDER.into(),
            called_ae_title: PLACEHOLDER.into(),
            application_context_name: checked(&self.application_context, ITEM_BYTES, APPLICATION_CONTEXT)?,
            presentation_contexts: contexts,
            user_variables: user_variables(
                self.max_pdu_bytes,
                &self.implementation,
                &self.roles,
                &self.extended,
                [window(self.window), (IDENTITY, identity)],
            )?,
        });
        encode(&pdu, &self.titles)
    }
}

impl AssociateAc {
    /// The bytes of the PDU; a rejected context names the default transfer syntax, which nobody tests.
    ///
    /// # Errors
    /// [`Error::Unencodable`] when a value does not fit its field. PS3.8 Table 9-17.
    pub fn to_pdu(&self) -> Result<Vec<u8>, Error> {
        let contexts = self.contexts.iter().map(result).collect::<Result<_, _>>()?;
        let response = self.identity_response.as_deref().map(response_to_bytes).transpose()?;
        let pdu = codec::Pdu::AssociationAC(codec::AssociationAC {
            protocol_version: self.protocol_version,
            calling_ae_title: PLACEHOLDER.into(),
            called_ae_title: PLACEHOLDER.into(),
            application_context_name: checked(&self.application_context, ITEM_BYTES, APPLICATION_CONTEXT)?,
            presentation_contexts: contexts,
            user_variables: user_variables(
                self.max_pdu_bytes,
                &self.implementation,
                &self.roles,
                &self.extended,
                [window(self.window), (IDENTITY_RESPONSE, response)],
            )?,
        });
        encode(&pdu, &self.titles)
    }
}

impl AssociateRj {
    /// The bytes of the PDU. PS3.8 Table 9-21.
    pub const fn to_pdu(self) -> [u8; 10] {
        [3, 0, 0, 0, 0, 4, 0, self.result, self.source, self.reason]
    }
}

impl Abort {
    /// The bytes of the PDU. PS3.8 Table 9-26.
    pub const fn to_pdu(self) -> [u8; 10] {
        [7, 0, 0, 0, 0, 4, 0, 0, self.source, self.reason]
    }
}

/// The bytes of an A-RELEASE-RQ PDU. PS3.8 Table 9-24.
pub const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// The bytes of an A-RELEASE-RP PDU. PS3.8 Table 9-25.
pub const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// dicom-ul pads titles and clears the reserved bytes after them; an answer must return all 64 bytes as they came
/// (PS3.8 Table 9-17), so they are put in afterwards.
fn encode(pdu: &codec::Pdu, titles: &Titles) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    codec::write_pdu(&mut bytes, pdu).map_err(|_| Error::Unencodable { field: "A-ASSOCIATE" })?;
    let fields = titles.called.iter().chain(&titles.calling).chain(&titles.reserved);
    for (to, from) in bytes.iter_mut().skip(TITLES_AT).zip(fields) {
        *to = *from;
    }
    Ok(bytes)
}

fn proposed(context: &ProposedContext) -> Result<codec::PresentationContextProposed, Error> {
    let transfer_syntaxes: Vec<String> = context
        .transfer_syntaxes
        .iter()
        .map(|uid| checked(uid, ITEM_BYTES, "Transfer-syntax-name"))
        .collect::<Result<_, _>>()?;
    let abstract_syntax = checked(&context.abstract_syntax, ITEM_BYTES, "Abstract-syntax-name")?;
    // dicom-ul would cut the item's length to 16 bits and say nothing.
    let bytes: usize = transfer_syntaxes.iter().map(|uid| 4 + uid.len()).sum();
    if 8 + abstract_syntax.len() + bytes > ITEM_BYTES {
        return Err(Error::Unencodable { field: "Presentation Context Item" });
    }
    Ok(codec::PresentationContextProposed { id: context.id, abstract_syntax, transfer_syntaxes })
}

fn result(context: &ContextResult) -> Result<codec::PresentationContextResult, Error> {
    use codec::PresentationContextResultReason as Reason;
    let unused = model::syntax::IMPLICIT_VR_LITTLE_ENDIAN;
    let (reason, transfer_syntax) = match &context.outcome {
        ContextOutcome::Accepted { transfer_syntax } => (Reason::Acceptance, transfer_syntax.as_str()),
        ContextOutcome::UserRejection => (Reason::UserRejection, unused),
        ContextOutcome::NoReason => (Reason::NoReason, unused),
        ContextOutcome::AbstractSyntaxNotSupported => (Reason::AbstractSyntaxNotSupported, unused),
        ContextOutcome::TransferSyntaxesNotSupported => (Reason::TransferSyntaxesNotSupported, unused),
    };
    let transfer_syntax = checked(transfer_syntax, ITEM_BYTES - 8, "Transfer-syntax-name")?;
    Ok(codec::PresentationContextResult { id: context.id, reason, transfer_syntax })
}

/// A sub-item that dicom-ul does not know, by its type.
type OtherItem = (u8, Option<Vec<u8>>);

fn window(window: Option<OperationsWindow>) -> OtherItem {
    (WINDOW, window.map(OperationsWindow::to_bytes))
}

fn user_variables<const N: usize>(
    max_pdu_bytes: u32,
    implementation: &Implementation,
    roles: &[RoleSelection],
    extended: &[ExtendedNegotiation],
    others: [OtherItem; N],
) -> Result<Vec<codec::UserVariableItem>, Error> {
    let mut items = vec![codec::UserVariableItem::MaxLength(max_pdu_bytes)];
    let mut bytes = 8;
    if let Some(uid) = &implementation.class_uid {
        let uid = checked(uid, ITEM_BYTES, "Implementation-class-uid")?;
        bytes += 4 + uid.len();
        items.push(codec::UserVariableItem::ImplementationClassUID(uid));
    }
    for role in roles {
        let sop_class = checked(&role.sop_class, ITEM_BYTES, "SOP-class-uid")?;
        bytes += 8 + sop_class.len();
        let roles = codec::RequestorRoles { scu: role.scu, scp: role.scp };
        items.push(codec::UserVariableItem::ScuScpRoleSelectionSubItem(sop_class, roles));
    }
    for ExtendedNegotiation { sop_class, information } in extended {
        let sop_class = checked(sop_class, ITEM_BYTES, "SOP-class-uid")?;
        bytes += 6 + sop_class.len() + information.len();
        items.push(codec::UserVariableItem::SopClassExtendedNegotiationSubItem(
            sop_class,
            information.clone(),
        ));
    }
    if let Some(name) = &implementation.version_name {
        let name = checked(name, 16, "Implementation-version-name")?;
        bytes += 4 + name.len();
        items.push(codec::UserVariableItem::ImplementationVersionName(name));
    }
    for (kind, value) in others {
        let Some(value) = value else { continue };
        bytes += 4 + value.len();
        items.push(codec::UserVariableItem::Unknown(kind, value));
    }
    if bytes > ITEM_BYTES { Err(Error::Unencodable { field: "User Information Item" }) } else { Ok(items) }
}

/// Text that dicom-ul will write as one byte a character: what the reader may have read.
fn checked(text: &str, most: usize, field: &'static str) -> Result<String, Error> {
    let is_encodable = text.chars().all(|c| u8::try_from(c).is_ok()) && text.chars().count() <= most;
    if is_encodable { Ok(text.to_owned()) } else { Err(Error::Unencodable { field }) }
}

const APPLICATION_CONTEXT: &str = "Application-context-name";

/// What a 16-bit Item-length can say. UIDs over 64 are sent as they are found, as those of data sets are kept.
const ITEM_BYTES: usize = 0xFFFF;

/// Item-types of PS3.7 §D.3.3.3 and PS3.7 §D.3.3.7.
const WINDOW: u8 = 0x53;
const IDENTITY: u8 = 0x58;
const IDENTITY_RESPONSE: u8 = 0x59;

/// Where Called-AE-title stands in the PDU.
const TITLES_AT: usize = 10;

/// dicom-ul refuses a request without titles; see [`encode`].
const PLACEHOLDER: &str = "-";
