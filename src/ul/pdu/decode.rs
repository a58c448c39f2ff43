//! Reading of A-ASSOCIATE-RQ and -AC.
//!
//! By hand, because dicom-ul's reader cannot do what PS3.8 asks: it refuses unrecognized items and sub-items where they are to
//! be ignored (§9.3.1), refuses rejected contexts without a transfer syntax, reads on wherever a sub-item's length does
//! not match its fields, keeps the NULs that pad UIDs, and takes AE titles apart that must be returned as they came.
//! The tests hold both readers against each other where they should agree.

#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects
)]

use model::limits;

use super::associate::{
    AssociateAc, AssociateRq, ContextOutcome, ContextResult, ExtendedNegotiation, Implementation,
    ProposedContext, RoleSelection, Titles,
};
use super::user::{CommonExtended, OperationsWindow, UserIdentity, read_response};
use crate::Violation;

impl AssociateRq {
    /// Reads what follows the PDU's header.
    ///
    /// # Errors
    /// [`Violation::Malformed`]; the peer is answered with A-ABORT. PS3.8 Table 9-11.
    pub fn from_body(body: &[u8]) -> Result<Self, Violation> {
        let (protocol_version, titles, items) = fixed_fields(body)?;
        let mut application_context = String::new();
        let mut contexts = Vec::new();
        let mut user = UserInformation::default();
        for item in items {
            match item? {
                (0x10, value) => application_context = text(value),
                (0x20, value) => push(&mut contexts, proposed_context(value)?)?,
                (0x50, value) => user.read(value)?,
                _ => {}
            }
        }
        let UserInformation {
            max_pdu_bytes,
            implementation,
            roles,
            extended,
            identity,
            window,
            common_extended,
            ..
        } = user;
        Ok(Self {
            protocol_version,
            titles,
            application_context,
            contexts,
            max_pdu_bytes,
            implementation,
            roles,
            extended,
            identity,
            window,
            common_extended,
        })
    }
}

impl AssociateAc {
    /// Reads what follows the PDU's header.
    ///
    /// # Errors
    /// [`Violation::Malformed`]; the peer is answered with A-ABORT. PS3.8 Table 9-17.
    pub fn from_body(body: &[u8]) -> Result<Self, Violation> {
        let (protocol_version, titles, items) = fixed_fields(body)?;
        let mut application_context = String::new();
        let mut contexts = Vec::new();
        let mut user = UserInformation::default();
        for item in items {
            match item? {
                (0x10, value) => application_context = text(value),
                (0x21, value) => push(&mut contexts, context_result(value)?)?,
                (0x50, value) => user.read(value)?,
                _ => {}
            }
        }
        let UserInformation {
            max_pdu_bytes, implementation, roles, extended, window, identity_response, ..
        } = user;
        Ok(Self {
            protocol_version,
            titles,
            application_context,
            contexts,
            max_pdu_bytes,
            implementation,
            roles,
            extended,
            window,
            identity_response,
        })
    }
}

/// Whether an A-ASSOCIATE PDU's body says that its sender speaks version 1; the rest of another version is not ours to read.
///
/// PS3.8 Table 9-11: only bit 0 is tested.
pub(crate) fn speaks_version_1(body: &[u8]) -> Result<bool, Violation> {
    match body.first_chunk::<2>() {
        Some(version) => Ok(u16::from_be_bytes(*version) & 1 == 1),
        None => Err(Violation::Malformed("fixed fields cut short")),
    }
}

/// No more contexts than ids can tell apart (PS3.8 §9.3.2.2).
fn push<T>(contexts: &mut Vec<T>, context: T) -> Result<(), Violation> {
    if contexts.len() == MOST_CONTEXTS {
        return Err(Violation::Malformed("more presentation contexts than ids"));
    }
    contexts.push(context);
    Ok(())
}

fn fixed_fields(body: &[u8]) -> Result<(u16, Titles, Items<'_>), Violation> {
    const SHORT: Violation = Violation::Malformed("fixed fields cut short");
    let (version, rest) = body.split_first_chunk::<2>().ok_or(SHORT)?;
    let (_reserved, rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
    let (called, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
    let (calling, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
    let (reserved, items) = rest.split_first_chunk::<32>().ok_or(SHORT)?;
    let titles = Titles { called: *called, calling: *calling, reserved: *reserved };
    Ok((u16::from_be_bytes(*version), titles, Items(items)))
}

/// PS3.8 Table 9-13.
fn proposed_context(value: &[u8]) -> Result<ProposedContext, Violation> {
    let (&[id, _, _, _], sub_items) =
        value.split_first_chunk::<4>().ok_or(Violation::Malformed("Presentation Context Item"))?;
    let mut abstract_syntax = None;
    let mut transfer_syntaxes = Vec::new();
    for item in Items(sub_items) {
        match item? {
            (0x30, value) => abstract_syntax = Some(text(value)),
            (0x40, _) if transfer_syntaxes.len() == limits::TRANSFER_SYNTAXES => {
                return Err(Violation::Malformed("too many transfer syntaxes"));
            }
            (0x40, value) => transfer_syntaxes.push(text(value)),
            _ => {}
        }
    }
    let abstract_syntax = abstract_syntax.ok_or(Violation::Malformed("no Abstract Syntax Sub-Item"))?;
    Ok(ProposedContext { id, abstract_syntax, transfer_syntaxes })
}

/// PS3.8 Table 9-18. The transfer syntax is significant only when the context is accepted.
fn context_result(value: &[u8]) -> Result<ContextResult, Violation> {
    let (&[id, _, result, _], sub_items) =
        value.split_first_chunk::<4>().ok_or(Violation::Malformed("Presentation Context Item"))?;
    let outcome = match result {
        0 => {
            let mut transfer_syntax = None;
            for item in Items(sub_items) {
                if let (0x40, value) = item? {
                    transfer_syntax = Some(text(value));
                }
            }
            let transfer_syntax =
                transfer_syntax.ok_or(Violation::Malformed("no Transfer Syntax Sub-Item"))?;
            ContextOutcome::Accepted { transfer_syntax }
        }
        1 => ContextOutcome::UserRejection,
        3 => ContextOutcome::AbstractSyntaxNotSupported,
        4 => ContextOutcome::TransferSyntaxesNotSupported,
        _ => ContextOutcome::NoReason,
    };
    Ok(ContextResult { id, outcome })
}

/// PS3.8 Annex D, PS3.7 §D.3.3.
#[derive(Default)]
struct UserInformation {
    max_pdu_bytes: u32,
    implementation: Implementation,
    roles: Vec<RoleSelection>,
    extended: Vec<ExtendedNegotiation>,
    window: Option<OperationsWindow>,
    common_extended: Vec<CommonExtended>,
    identity: Option<UserIdentity>,
    identity_response: Option<Vec<u8>>,
}

impl UserInformation {
    /// Sub-items that are not read here ask for what we do not offer, and so need no answer.
    fn read(&mut self, value: &[u8]) -> Result<(), Violation> {
        for item in Items(value) {
            match item? {
                (0x51, value) => self.max_pdu_bytes = maximum_length(value)?,
                (0x52, value) => {
                    self.implementation.class_uid = Some(text(value)).filter(|uid| !uid.is_empty())
                }
                (0x53, value) => self.window = self.window.or_else(|| OperationsWindow::read(value)),
                // Roles belong to contexts; more of them say nothing.
                (0x54, value) if self.roles.len() < MOST_CONTEXTS => self.roles.push(role_selection(value)?),
                (0x55, value) => {
                    self.implementation.version_name = Some(text(value)).filter(|name| !name.is_empty());
                }
                // As for roles.
                (0x56, value) if self.extended.len() < MOST_CONTEXTS => {
                    self.extended.extend(extended_negotiation(value));
                }
                (0x57, value) if self.common_extended.len() < MOST_CONTEXTS => {
                    self.common_extended.extend(CommonExtended::read(value));
                }
                (0x58, value) if self.identity.is_none() => self.identity = UserIdentity::read(value),
                (0x59, value) => self.identity_response = Some(read_response(value)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// PS3.8 §D.1. A maximum that leaves no room for two bytes of data would let nothing be sent.
fn maximum_length(value: &[u8]) -> Result<u32, Violation> {
    match <[u8; 4]>::try_from(value).map(u32::from_be_bytes) {
        Ok(max @ (0 | 8..)) => Ok(max),
        Ok(1..8) | Err(_) => Err(Violation::Malformed("Maximum-length-received")),
    }
}

/// PS3.7 Table D.3-9.
fn role_selection(value: &[u8]) -> Result<RoleSelection, Violation> {
    const BAD: Violation = Violation::Malformed("SCP/SCU Role Selection Sub-Item");
    let (length, rest) = value.split_first_chunk::<2>().ok_or(BAD)?;
    let (sop_class, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(BAD)?;
    let &[scu, scp] = rest.first_chunk::<2>().ok_or(BAD)?;
    Ok(RoleSelection { sop_class: text(sop_class), scu: scu == 1, scp: scp == 1 })
}

/// `None` where the SOP class runs past the sub-item: nothing is asked for, which is no reason to refuse the rest.
///
/// PS3.7 Table D.3-11.
fn extended_negotiation(value: &[u8]) -> Option<ExtendedNegotiation> {
    let (length, rest) = value.split_first_chunk::<2>()?;
    let (sop_class, information) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some(ExtendedNegotiation { sop_class: text(sop_class), information: information.to_vec() })
}

/// Items and sub-items alike: type, reserved, Item-length, value (PS3.8 §9.3.2).
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8]), Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self.0.split_first_chunk::<4>().and_then(|(&[kind, _, high, low], rest)| {
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
            self.0 = rest;
            Some((kind, value))
        });
        if item.is_none() {
            self.0 = &[];
        }
        Some(item.ok_or(Violation::Malformed("an item is longer than what holds it")))
    }
}

/// Text of ISO 646, less padding; some peers pad with NUL. Bytes above 7FH become the characters of that code, so that
/// different bytes stay different.
pub(super) fn text(value: &[u8]) -> String {
    let is_padding = |byte: &u8| matches!(byte, 0 | b' ');
    let start = value.iter().take_while(|byte| is_padding(byte)).count();
    let end = value.iter().rev().take_while(|byte| is_padding(byte)).count();
    value.iter().take(value.len().saturating_sub(end)).skip(start).copied().map(char::from).collect()
}

/// There are 128 odd ids.
const MOST_CONTEXTS: usize = 128;
