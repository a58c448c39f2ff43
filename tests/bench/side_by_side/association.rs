//! A blocking requestor: one association, one message at a time.
//!
//! It writes command and data set in as few system calls as fit, with TCP_NODELAY, and asks for quick ACKs before it waits for a
//! response and again after the PDU header. DCMTK (and so Orthanc) writes a response in two pieces with Nagle's algorithm on; without
//! quick ACKs every peer built on it would be measured at the delayed ACK timer's 22 instances per second.

use std::io::{IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::SockRef;

use crate::synthetic::{CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, MULTI_FRAME_WORD_STORAGE, Template};
use crate::wire::{self, Command, Proposal};

const VERIFICATION: &str = "1.2.840.10008.1.1";
const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";
const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";

/// Longest wait for any response; the slowest peer takes 6 s for 600 MB.
const PATIENCE: Duration = Duration::from_secs(120);
/// Fragments handed to one `writev`.
const FRAGMENTS_PER_WRITE: usize = 64;
/// Fragments are never larger than this, also for a peer without limit.
const LARGEST_FRAGMENT_BYTES: usize = 131_072 - 6;

/// How long the first identifiers of a C-FIND took.
#[derive(Default)]
pub(crate) struct FirstRows {
    pub(crate) first: Option<Duration>,
    pub(crate) all: Option<Duration>,
    /// Identifiers that came, those too that were on their way when it was cancelled.
    pub(crate) matches: u64,
}

/// An open association with the peer's limits.
pub(crate) struct Association {
    stream: TcpStream,
    fragment_bytes: usize,
    contexts: Vec<u8>,
    message_id: u16,
    /// The body of the P-DATA-TF PDU being read, and how far.
    pdu: Vec<u8>,
    position: usize,
}

impl Association {
    /// Opens an association with contexts for storage, verification and study root find.
    pub(crate) fn open(peer: SocketAddr, called: &str) -> Result<Self> {
        let proposals = [
            Proposal { id: 1, abstract_syntax: CT_IMAGE_STORAGE, transfer_syntax: EXPLICIT_VR_LITTLE_ENDIAN },
            Proposal { id: 3, abstract_syntax: VERIFICATION, transfer_syntax: IMPLICIT_VR_LITTLE_ENDIAN },
            Proposal { id: 5, abstract_syntax: STUDY_ROOT_FIND, transfer_syntax: IMPLICIT_VR_LITTLE_ENDIAN },
            Proposal {
                id: 7,
                abstract_syntax: MULTI_FRAME_WORD_STORAGE,
                transfer_syntax: EXPLICIT_VR_LITTLE_ENDIAN,
            },
        ];
        Self::propose(peer, called, &proposals, &[])
    }

    /// Opens an association with contexts for C-MOVE and C-GET in the study root, on which CT may be sent to us.
    pub(crate) fn to_retrieve(peer: SocketAddr, called: &str) -> Result<Self> {
        let proposals = [
            Proposal { id: 1, abstract_syntax: STUDY_ROOT_MOVE, transfer_syntax: IMPLICIT_VR_LITTLE_ENDIAN },
            Proposal { id: 3, abstract_syntax: STUDY_ROOT_GET, transfer_syntax: IMPLICIT_VR_LITTLE_ENDIAN },
            Proposal { id: 5, abstract_syntax: CT_IMAGE_STORAGE, transfer_syntax: EXPLICIT_VR_LITTLE_ENDIAN },
        ];
        Self::propose(peer, called, &proposals, &[CT_IMAGE_STORAGE])
    }

    fn propose(peer: SocketAddr, called: &str, proposals: &[Proposal], scp_of: &[&str]) -> Result<Self> {
        let stream = TcpStream::connect(peer).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut association = Self {
            stream,
            fragment_bytes: 0,
            contexts: Vec::new(),
            message_id: 0,
            pdu: Vec::new(),
            position: 0,
        };
        association.stream.write_all(&wire::associate_rq(called, "BENCH", proposals, scp_of))?;
        let kind = association.read_pdu()?;
        ensure!(kind == wire::ASSOCIATE_AC, "the association was answered by PDU type {kind:02X}H");
        let accepted = wire::parse_associate_ac(&association.pdu)?;
        let limit = usize::try_from(accepted.max_pdu_bytes)?.saturating_sub(6);
        association.fragment_bytes =
            if limit == 0 { LARGEST_FRAGMENT_BYTES } else { limit.min(LARGEST_FRAGMENT_BYTES) & !1 };
        association.contexts = accepted.contexts;
        association.position = association.pdu.len();
        Ok(association)
    }

    /// C-ECHO (PS3.7 §9.1.5); anything but Success is an error.
    pub(crate) fn echo(&mut self) -> Result<()> {
        let message_id = self.next_message_id();
        let command = Command { field: 0x0030, message_id, sop_class: VERIFICATION, ..Command::default() };
        self.send(3, &wire::command_set(&command), &[])?;
        let status = self.receive()?;
        ensure!(status == 0, "C-ECHO was answered {status:04X}H");
        Ok(())
    }

    /// C-STORE (PS3.7 §9.1.1) of the template as it is now; returns the status.
    pub(crate) fn store(&mut self, template: &Template) -> Result<u16> {
        let message_id = self.next_message_id();
        let command = Command {
            field: 0x0001,
            message_id,
            sop_class: template.sop_class(),
            sop_instance: Some(template.sop_instance()),
            has_data_set: true,
            has_priority: true,
            ..Command::default()
        };
        let context = if template.sop_class() == CT_IMAGE_STORAGE { 1 } else { 7 };
        self.send(context, &wire::command_set(&command), template.data_set())?;
        self.receive()
    }

    /// C-FIND (PS3.7 §9.1.2) in the study root; returns how many identifiers came back.
    pub(crate) fn find(&mut self, identifier: &[u8]) -> Result<u64> {
        let message_id = self.next_message_id();
        let command = Command {
            field: 0x0020,
            message_id,
            sop_class: STUDY_ROOT_FIND,
            sop_instance: None,
            has_data_set: true,
            has_priority: true,
            ..Command::default()
        };
        self.send(5, &wire::command_set(&command), identifier)?;
        let mut matches = 0;
        loop {
            match self.receive()? {
                0xFF00 | 0xFF01 => matches += 1,
                0x0000 => return Ok(matches),
                status => bail!("C-FIND was answered {status:04X}H"),
            }
        }
    }

    /// C-FIND in the study root, cancelled after so many identifiers.
    pub(crate) fn find_first(&mut self, identifier: &[u8], rows: u64) -> Result<FirstRows> {
        let begin = Instant::now();
        let message_id = self.next_message_id();
        let find = Command {
            field: 0x0020,
            message_id,
            sop_class: STUDY_ROOT_FIND,
            has_data_set: true,
            has_priority: true,
            ..Command::default()
        };
        self.send(5, &wire::command_set(&find), identifier)?;
        let mut found = FirstRows::default();
        loop {
            let status = self.receive()?;
            let elapsed = begin.elapsed();
            let is_over = matches!(status, 0x0000 | 0xFE00);
            ensure!(is_over || matches!(status, 0xFF00 | 0xFF01), "C-FIND was answered {status:04X}H");
            found.matches += u64::from(!is_over);
            found.first.get_or_insert(elapsed);
            if is_over || found.matches == rows {
                found.all.get_or_insert(elapsed);
            }
            if is_over {
                return Ok(found);
            }
            if found.matches == rows {
                let cancel = Command { field: 0x0FFF, answers: Some(message_id), ..Command::default() };
                self.send(5, &wire::command_set(&cancel), &[])?;
            }
        }
    }

    /// C-MOVE (PS3.7 §9.1.4) in the study root to this application entity; the final status.
    pub(crate) fn move_to(&mut self, destination: &str, identifier: &[u8]) -> Result<u16> {
        let message_id = self.next_message_id();
        let command = Command {
            field: 0x0021,
            message_id,
            sop_class: STUDY_ROOT_MOVE,
            destination: Some(destination),
            has_data_set: true,
            has_priority: true,
            ..Command::default()
        };
        self.send(1, &wire::command_set(&command), identifier)?;
        loop {
            match self.receive()? {
                0xFF00 => {}
                status => return Ok(status),
            }
        }
    }

    /// C-GET (PS3.7 §9.1.3) in the study root: how many instances came, each answered with success, and the final status.
    pub(crate) fn get(&mut self, identifier: &[u8]) -> Result<(u64, u16)> {
        let message_id = self.next_message_id();
        let command = Command {
            field: 0x0010,
            message_id,
            sop_class: STUDY_ROOT_GET,
            has_data_set: true,
            has_priority: true,
            ..Command::default()
        };
        self.send(3, &wire::command_set(&command), identifier)?;
        let (mut came, mut data) = (0, Vec::new());
        loop {
            let mut command = Vec::new();
            while !self.fragment(true, &mut command)? {}
            data.clear();
            if wire::command_value(&command, 0x0800)? != 0x0101 {
                while !self.fragment(false, &mut data)? {}
            }
            if wire::command_value(&command, 0x0100)? == 0x0001 {
                came += 1;
                let sop_instance = wire::command_uid(&command, 0x1000);
                let answer = Command {
                    field: 0x8001,
                    answers: Some(wire::command_value(&command, 0x0110)?),
                    sop_class: CT_IMAGE_STORAGE,
                    sop_instance: sop_instance.as_deref(),
                    ..Command::default()
                };
                self.send(5, &wire::command_set(&answer), &[])?;
                continue;
            }
            match wire::command_value(&command, 0x0900)? {
                0xFF00 => {}
                status => return Ok((came, status)),
            }
        }
    }

    /// Releases the association (PS3.8 §7.2) and closes the connection.
    pub(crate) fn release(mut self) -> Result<()> {
        self.stream.write_all(&wire::pdu(wire::RELEASE_RQ, &[0; 4]))?;
        let kind = self.read_pdu()?;
        ensure!(kind == wire::RELEASE_RP, "the release was answered by PDU type {kind:02X}H");
        Ok(())
    }

    fn next_message_id(&mut self) -> u16 {
        self.message_id = self.message_id.wrapping_add(1);
        self.message_id
    }

    fn send(&mut self, context: u8, command: &[u8], data_set: &[u8]) -> Result<()> {
        ensure!(self.contexts.contains(&context), "presentation context {context} was not accepted");
        let command_header = wire::pdata_header(context, true, true, command.len());
        let fragments: Vec<&[u8]> = data_set.chunks(self.fragment_bytes).collect();
        let last = fragments.len().saturating_sub(1);
        let headers: Vec<[u8; 12]> = fragments
            .iter()
            .enumerate()
            .map(|(index, fragment)| wire::pdata_header(context, false, index == last, fragment.len()))
            .collect();
        let mut slices = vec![IoSlice::new(&command_header), IoSlice::new(command)];
        for (header, fragment) in headers.iter().zip(&fragments) {
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(fragment));
        }
        for batch in slices.chunks_mut(2 * FRAGMENTS_PER_WRITE) {
            write_all_vectored(&mut self.stream, batch)?;
        }
        Ok(())
    }

    /// Reads one response with the identifier that may follow it, which is dropped; returns the status.
    fn receive(&mut self) -> Result<u16> {
        let mut command = Vec::new();
        while !self.fragment(true, &mut command)? {}
        if wire::command_value(&command, 0x0800)? != 0x0101 {
            let mut identifier = Vec::new();
            while !self.fragment(false, &mut identifier)? {}
        }
        wire::command_value(&command, 0x0900)
    }

    /// Appends the next fragment to `message`; true when it was the last.
    fn fragment(&mut self, is_command: bool, message: &mut Vec<u8>) -> Result<bool> {
        if self.position == self.pdu.len() {
            let kind = self.read_pdu()?;
            ensure!(kind == wire::P_DATA_TF, "PDU type {kind:02X}H came where P-DATA was due");
            self.position = 0;
        }
        let rest = self.pdu.get(self.position..).unwrap_or_default();
        let [a, b, c, d, _context, control, value @ ..] = rest else { bail!("a PDV is too short") };
        ensure!((control & 1 == 1) == is_command, "command and data set fragments are mixed up");
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d]))?;
        let fragment = length.checked_sub(2).and_then(|length| value.get(..length));
        message.extend_from_slice(fragment.context("a PDV runs past its PDU")?);
        self.position += 4 + length;
        Ok(control & 2 == 2)
    }

    /// Reads one PDU into `self.pdu` and returns its type.
    fn read_pdu(&mut self) -> Result<u8> {
        let mut header = [0; 6];
        SockRef::from(&self.stream).set_tcp_quickack(true)?;
        self.stream.read_exact(&mut header).context("read a PDU header")?;
        SockRef::from(&self.stream).set_tcp_quickack(true)?;
        let [kind, _, a, b, c, d] = header;
        self.pdu.resize(usize::try_from(u32::from_be_bytes([a, b, c, d]))?, 0);
        self.stream.read_exact(&mut self.pdu).context("read a PDU")?;
        Ok(kind)
    }
}

fn write_all_vectored(stream: &mut TcpStream, mut slices: &mut [IoSlice<'_>]) -> Result<()> {
    while !slices.is_empty() {
        let written = stream.write_vectored(slices).context("write")?;
        ensure!(written > 0, "the connection takes no more bytes");
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}
