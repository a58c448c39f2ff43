//! The bytes of the upper layer protocol (PS3.8 §9.3) and of command sets (PS3.7 §6.3) as the driver needs them.
//!
//! Written apart from Gantry's own codecs on purpose: a driver that shared them would also share their faults.

use anyhow::{Context as _, Result, ensure};

pub(crate) const ASSOCIATE_RQ: u8 = 0x01;
pub(crate) const ASSOCIATE_AC: u8 = 0x02;
pub(crate) const P_DATA_TF: u8 = 0x04;
pub(crate) const RELEASE_RQ: u8 = 0x05;
pub(crate) const RELEASE_RP: u8 = 0x06;

/// What the driver proposes under one presentation context id.
pub(crate) struct Proposal {
    pub(crate) id: u8,
    pub(crate) abstract_syntax: &'static str,
    pub(crate) transfer_syntax: &'static str,
}

/// What an A-ASSOCIATE-AC says that the driver needs.
pub(crate) struct Accepted {
    /// Zero when the peer sets no limit.
    pub(crate) max_pdu_bytes: u32,
    /// Ids of the accepted contexts.
    pub(crate) contexts: Vec<u8>,
}

/// A command to send; absent elements are left out.
#[derive(Default)]
pub(crate) struct Command<'a> {
    pub(crate) field: u16,
    pub(crate) message_id: u16,
    pub(crate) sop_class: &'a str,
    pub(crate) sop_instance: Option<&'a str>,
    pub(crate) has_data_set: bool,
    pub(crate) has_priority: bool,
    /// Move Destination (PS3.7 §9.3.4.1).
    pub(crate) destination: Option<&'a str>,
    /// In a response with status 0000H, the Message ID of the request; else `message_id` stands.
    pub(crate) answers: Option<u16>,
}

/// The requestor is SCP, and SCP only, of the SOP classes `scp_of` (PS3.7 §D.3.3.4).
pub(crate) fn associate_rq(called: &str, calling: &str, proposals: &[Proposal], scp_of: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend_from_slice(format!("{called:<16.16}{calling:<16.16}").as_bytes());
    body.extend_from_slice(&[0; 32]);
    item(&mut body, 0x10, b"1.2.840.10008.3.1.1.1");
    for proposal in proposals {
        let mut context = vec![proposal.id, 0, 0, 0];
        item(&mut context, 0x30, proposal.abstract_syntax.as_bytes());
        item(&mut context, 0x40, proposal.transfer_syntax.as_bytes());
        item(&mut body, 0x20, &context);
    }
    let mut user = Vec::new();
    item(&mut user, 0x51, &131_072_u32.to_be_bytes());
    item(&mut user, 0x52, b"2.25.1");
    for sop_class in scp_of {
        let length = u16::try_from(sop_class.len()).unwrap_or(0).to_be_bytes();
        item(&mut user, 0x54, &[&length[..], sop_class.as_bytes(), &[0, 1]].concat());
    }
    item(&mut user, 0x55, b"BENCH_DRIVER");
    item(&mut body, 0x50, &user);
    pdu(ASSOCIATE_RQ, &body)
}

/// Accepts every context of an A-ASSOCIATE-RQ with its first transfer syntax, takes PDUs of so many bytes, and grants the operations
/// window that is asked for.
pub(crate) fn associate_ac(rq: &[u8], max_pdu_bytes: u32) -> Result<Vec<u8>> {
    let (head, items) = rq.split_at_checked(68).context("A-ASSOCIATE-RQ is too short")?;
    let mut body = head.to_vec();
    let mut window = None;
    for (kind, value) in split_items(items)? {
        match (kind, value) {
            (0x10, name) => item(&mut body, 0x10, name),
            (0x20, [id, _, _, _, syntaxes @ ..]) => {
                let syntaxes = split_items(syntaxes)?;
                let first = syntaxes.iter().find(|(kind, _)| *kind == 0x40);
                let mut context = vec![*id, 0, 0, 0];
                item(&mut context, 0x40, first.context("a context without transfer syntax")?.1);
                item(&mut body, 0x21, &context);
            }
            (0x50, user) => {
                window =
                    split_items(user)?.into_iter().find(|(kind, _)| *kind == 0x53).map(|(_, value)| value);
            }
            _ => {}
        }
    }
    let mut user = Vec::new();
    item(&mut user, 0x51, &max_pdu_bytes.to_be_bytes());
    item(&mut user, 0x52, b"2.25.1");
    if let Some(window) = window {
        item(&mut user, 0x53, window);
    }
    item(&mut user, 0x55, b"BENCH_SINK");
    item(&mut body, 0x50, &user);
    Ok(pdu(ASSOCIATE_AC, &body))
}

pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut pdu = vec![kind, 0];
    pdu.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    pdu.extend_from_slice(body);
    pdu
}

/// The header of a P-DATA-TF PDU that holds one fragment of `length` bytes.
pub(crate) fn pdata_header(context_id: u8, is_command: bool, is_last: bool, length: usize) -> [u8; 12] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let [a, b, c, d] = (length + 6).to_be_bytes();
    let [e, f, g, h] = (length + 2).to_be_bytes();
    let control = u8::from(is_command) | u8::from(is_last) << 1;
    [P_DATA_TF, 0, a, b, c, d, e, f, g, h, context_id, control]
}

pub(crate) fn parse_associate_ac(body: &[u8]) -> Result<Accepted> {
    let mut accepted = Accepted { max_pdu_bytes: 0, contexts: Vec::new() };
    let items = body.get(68..).context("A-ASSOCIATE-AC is too short")?;
    for (kind, value) in split_items(items)? {
        match (kind, value) {
            (0x21, [id, _, 0, ..]) => accepted.contexts.push(*id),
            (0x50, user) => {
                for (kind, value) in split_items(user)? {
                    if let (0x51, Ok(bytes)) = (kind, <[u8; 4]>::try_from(value)) {
                        accepted.max_pdu_bytes = u32::from_be_bytes(bytes);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(accepted)
}

pub(crate) fn command_set(command: &Command<'_>) -> Vec<u8> {
    let mut elements = Vec::new();
    element(&mut elements, 0x0002, command.sop_class.as_bytes());
    element(&mut elements, 0x0100, &command.field.to_le_bytes());
    match command.answers {
        Some(message_id) => element(&mut elements, 0x0120, &message_id.to_le_bytes()),
        None => element(&mut elements, 0x0110, &command.message_id.to_le_bytes()),
    }
    if let Some(destination) = command.destination {
        element(&mut elements, 0x0600, format!("{destination:<16.16}").as_bytes());
    }
    if command.has_priority {
        element(&mut elements, 0x0700, &[0, 0]);
    }
    let data_set_type: u16 = if command.has_data_set { 0x0000 } else { 0x0101 };
    element(&mut elements, 0x0800, &data_set_type.to_le_bytes());
    if command.answers.is_some() {
        element(&mut elements, 0x0900, &[0, 0]);
    }
    if let Some(sop_instance) = command.sop_instance {
        element(&mut elements, 0x1000, sop_instance.as_bytes());
    }
    let mut set = Vec::new();
    element(&mut set, 0x0000, &u32::try_from(elements.len()).unwrap_or(0).to_le_bytes());
    set.extend_from_slice(&elements);
    set
}

/// The value of one 16-bit element of a command set.
pub(crate) fn command_value(set: &[u8], wanted: u16) -> Result<u16> {
    let value = command_element(set, wanted)
        .with_context(|| format!("command element (0000,{wanted:04X}) is missing"))?;
    Ok(u16::from_le_bytes(value.try_into().context("a command element has a wrong length")?))
}

/// A UID of a command set, without its padding.
pub(crate) fn command_uid(set: &[u8], wanted: u16) -> Option<String> {
    let value = command_element(set, wanted)?;
    Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
}

fn command_element(mut set: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [_, _, low, high, a, b, c, d, rest @ ..] = set {
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()?;
        let value = rest.get(..length)?;
        if u16::from_le_bytes([*low, *high]) == wanted {
            return Some(value);
        }
        set = rest.get(length..)?;
    }
    None
}

/// Appends one element of an identifier in Implicit VR Little Endian.
pub(crate) fn identifier_element(out: &mut Vec<u8>, tag: u32, value: &str, pad: u8) {
    out.extend_from_slice(&u16::try_from(tag >> 16).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&u16::try_from(tag & 0xFFFF).unwrap_or(0).to_le_bytes());
    let padded = value.len().next_multiple_of(2);
    out.extend_from_slice(&u32::try_from(padded).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
    out.resize(out.len() + padded - value.len(), pad);
}

fn element(out: &mut Vec<u8>, element: u16, value: &[u8]) {
    let padded = value.len().next_multiple_of(2);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&element.to_le_bytes());
    out.extend_from_slice(&u32::try_from(padded).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padded - value.len(), 0);
}

fn item(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

fn split_items(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let mut items = Vec::new();
    while let [kind, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        items.push((*kind, rest.get(..length).context("an item runs past its PDU")?));
        bytes = rest.get(length..).unwrap_or_default();
    }
    ensure!(bytes.is_empty(), "bytes after the last item");
    Ok(items)
}
