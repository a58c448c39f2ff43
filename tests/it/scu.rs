//! A small blocking SCU of the tests' own, so that they depend on nothing they test.
//!
//! It encodes what it sends by hand and takes what it is given: data sets go out as they are, also broken ones.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An association that a test requested.
pub(crate) struct Scu {
    stream: TcpStream,
    /// Presentation context id → accepted transfer syntax.
    pub(crate) accepted: BTreeMap<u8, String>,
    /// Presentation context id → result of a context that was not accepted.
    pub(crate) refused: BTreeMap<u8, u8>,
    pub(crate) peer_max_pdu: u32,
    message_id: u16,
}

/// What a peer answered to A-ASSOCIATE-RQ, other than accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A-ASSOCIATE-RJ: result, source, reason.
    Rejected(u8, u8, u8),
    /// A-ABORT: source, reason.
    Aborted(u8, u8),
    /// The connection was closed.
    Closed,
}

/// A presentation context to propose: abstract syntax and transfer syntaxes.
pub(crate) type Context<'a> = (&'a str, &'a [&'a str]);

/// A response: its command set by element number of group 0000, and its data set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) command: BTreeMap<u16, Vec<u8>>,
    pub(crate) data: Option<Vec<u8>>,
}

impl Response {
    /// Status (0000,0900).
    pub(crate) fn status(&self) -> u16 {
        self.command.get(&0x0900).map_or(0xFFFF, |v| u16::from_le_bytes([v[0], v[1]]))
    }
}

impl Scu {
    /// Associates as `TESTSCU` with `ANY-SCP`, contexts numbered 1, 3, 5…
    pub(crate) fn associate(address: SocketAddr, contexts: &[Context<'_>]) -> Result<Self, Refusal> {
        Self::request(address, &associate_rq("ANY-SCP", "TESTSCU", contexts))
    }

    /// Sends these bytes as the request and reads the answer.
    pub(crate) fn request(address: SocketAddr, rq: &[u8]) -> Result<Self, Refusal> {
        let mut stream = TcpStream::connect(address).map_err(|_| Refusal::Closed)?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(rq).map_err(|_| Refusal::Closed)?;
        let (kind, body) = read_pdu(&mut stream).map_err(|_| Refusal::Closed)?;
        match kind {
            2 => {
                let mut scu = Self {
                    stream,
                    accepted: BTreeMap::new(),
                    refused: BTreeMap::new(),
                    peer_max_pdu: 0,
                    message_id: 0,
                };
                scu.read_ac(&body);
                Ok(scu)
            }
            3 => Err(Refusal::Rejected(body[1], body[2], body[3])),
            7 => Err(Refusal::Aborted(body[2], body[3])),
            other => panic!("PDU type {other} in answer to A-ASSOCIATE-RQ"),
        }
    }

    /// Accepts the association that comes over this connection, with all contexts that it proposes, in Explicit VR Little Endian where
    /// that is among its transfer syntaxes, and with the roles that it proposes; and the contexts by abstract syntax.
    pub(crate) fn accept(mut stream: TcpStream) -> io::Result<(Self, BTreeMap<String, u8>)> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (kind, request) = read_pdu(&mut stream)?;
        if kind != 1 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let (mut answer, mut contexts) = (request[..68].to_vec(), BTreeMap::new());
        answer.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
        let mut user = item(0x51, &131_072_u32.to_be_bytes());
        user.extend(item(0x52, b"2.25.1"));
        let mut peer_max_pdu = 0;
        for (kind, value) in items(&request[68..]) {
            match kind {
                0x20 => {
                    let inner = || items(&value[4..]);
                    let class = inner().find(|(kind, _)| *kind == 0x30).map(|(_, class)| text(class));
                    let syntaxes: Vec<_> = inner().filter(|(kind, _)| *kind == 0x40).collect();
                    let explicit = syntaxes.iter().find(|(_, syntax)| *syntax == b"1.2.840.10008.1.2.1");
                    let (_, syntax) = explicit.or(syntaxes.first()).expect("a transfer syntax");
                    answer.extend(item(0x21, &[&[value[0], 0, 0, 0], &item(0x40, syntax)[..]].concat()));
                    contexts.insert(class.expect("an abstract syntax"), value[0]);
                }
                0x50 => items(value).for_each(|(kind, value)| match (kind, value) {
                    (0x51, [a, b, c, d]) => peer_max_pdu = u32::from_be_bytes([*a, *b, *c, *d]),
                    (0x54, role) => user.extend(item(0x54, role)),
                    _ => {}
                }),
                _ => {}
            }
        }
        answer.extend(item(0x50, &user));
        stream.write_all(&pdu(2, &answer))?;
        let (accepted, refused) = Default::default();
        Ok((Self { stream, accepted, refused, peer_max_pdu, message_id: 0 }, contexts))
    }

    /// C-STORE on a context; the data set goes out as it is.
    pub(crate) fn store(&mut self, id: u8, class: &str, instance: &str, data: &[u8]) -> io::Result<Response> {
        let command = self.command(0x0001, class, &[(0x0700, &[0, 0]), (0x1000, &padded(instance))], true);
        self.send(id, true, &command)?;
        self.send(id, false, data)?;
        self.receive()
    }

    /// C-ECHO on a context.
    pub(crate) fn echo(&mut self, id: u8) -> io::Result<Response> {
        let command = self.command(0x0030, "1.2.840.10008.1.1", &[], false);
        self.send(id, true, &command)?;
        self.receive()
    }

    /// C-FIND on a context: all responses, the final one last.
    pub(crate) fn find(&mut self, id: u8, class: &str, identifier: &[u8]) -> io::Result<Vec<Response>> {
        let command = self.command(0x0020, class, &[(0x0700, &[0, 0])], true);
        self.send(id, true, &command)?;
        self.send(id, false, identifier)?;
        let mut responses = Vec::new();
        loop {
            let response = self.receive()?;
            let is_pending = matches!(response.status(), 0xFF00 | 0xFF01);
            responses.push(response);
            if !is_pending {
                return Ok(responses);
            }
        }
    }

    /// Message ID of the last request.
    pub(crate) fn message_id(&self) -> u16 {
        self.message_id
    }

    /// A-RELEASE, to its end.
    pub(crate) fn release(mut self) -> io::Result<()> {
        self.stream.write_all(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0])?;
        let (kind, _) = read_pdu(&mut self.stream)?;
        assert_eq!(kind, 6, "A-RELEASE-RP");
        Ok(())
    }

    /// The connection, for tests that break the protocol.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a message in P-DATA-TF PDUs that the peer takes.
    pub(crate) fn send(&mut self, id: u8, is_command: bool, message: &[u8]) -> io::Result<()> {
        let limit = match self.peer_max_pdu {
            0 => 131_072,
            max => max.min(131_072),
        };
        let room = (limit as usize - 6) & !1;
        let mut chunks = message.chunks(room).peekable();
        if message.is_empty() {
            return self.stream.write_all(&pdata(id, u8::from(is_command) | 2, &[]));
        }
        while let Some(chunk) = chunks.next() {
            let control = u8::from(is_command) | if chunks.peek().is_none() { 2 } else { 0 };
            self.stream.write_all(&pdata(id, control, chunk))?;
        }
        Ok(())
    }

    /// Reads one message. An A-ABORT or the connection's end is an error of kind `ConnectionAborted`.
    pub(crate) fn receive(&mut self) -> io::Result<Response> {
        let mut command = Vec::new();
        let mut data = Vec::new();
        let mut parsed: Option<Response> = None;
        loop {
            let (kind, body) = read_pdu(&mut self.stream)?;
            if kind != 4 {
                let text = format!("PDU type {kind} {:02X?}", body.get(..4));
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
            }
            let mut rest = body.as_slice();
            while let [a, b, c, d, _id, control, ..] = *rest {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                let value = &rest[6..4 + length];
                if control & 1 == 1 {
                    command.extend(value)
                } else {
                    data.extend(value)
                }
                rest = &rest[4 + length..];
                if control & 2 == 0 {
                    continue;
                }
                if control & 1 == 0 {
                    let mut response = parsed.take().expect("command before data");
                    response.data = Some(data);
                    return Ok(response);
                }
                let response = Response { command: parse_command(&command), data: None };
                if response.command.get(&0x0800).is_some_and(|kind| *kind == [0x01, 0x01]) {
                    return Ok(response);
                }
                parsed = Some(response);
            }
        }
    }

    /// A request's command set with a new message ID.
    pub(crate) fn command(
        &mut self,
        field: u16,
        class: &str,
        extra: &[(u16, &[u8])],
        has_data: bool,
    ) -> Vec<u8> {
        self.message_id += 1;
        let data_type: u16 = if has_data { 0x0000 } else { 0x0101 };
        let mut elements = BTreeMap::from([
            (0x0002, padded(class)),
            (0x0100, field.to_le_bytes().to_vec()),
            (0x0110, self.message_id.to_le_bytes().to_vec()),
            (0x0800, data_type.to_le_bytes().to_vec()),
        ]);
        elements.extend(extra.iter().map(|(element, value)| (*element, value.to_vec())));
        command_set(&elements)
    }

    fn read_ac(&mut self, body: &[u8]) {
        let mut rest = &body[68..];
        while let [kind, _, a, b, ..] = *rest {
            let length = usize::from(u16::from_be_bytes([a, b]));
            let item = &rest[4..4 + length];
            match kind {
                0x21 if item[2] == 0 => {
                    let syntax = String::from_utf8_lossy(&item[8..]).trim_end_matches('\0').to_owned();
                    self.accepted.insert(item[0], syntax);
                }
                0x21 => {
                    self.refused.insert(item[0], item[2]);
                }
                0x50 if item[0] == 0x51 => {
                    self.peer_max_pdu = u32::from_be_bytes([item[4], item[5], item[6], item[7]]);
                }
                _ => {}
            }
            rest = &rest[4 + length..];
        }
    }
}

/// A-ASSOCIATE-RQ with our application context, maximum length and implementation UID.
pub(crate) fn associate_rq(called: &str, calling: &str, contexts: &[Context<'_>]) -> Vec<u8> {
    associate_rq_with(called, calling, contexts, &[])
}

/// The same with more items of user information.
pub(crate) fn associate_rq_with(
    called: &str,
    calling: &str,
    contexts: &[Context<'_>],
    more: &[u8],
) -> Vec<u8> {
    let mut items = item(0x10, b"1.2.840.10008.3.1.1.1");
    for (n, (class, syntaxes)) in contexts.iter().enumerate() {
        let mut context = vec![2 * n as u8 + 1, 0, 0, 0];
        context.extend(item(0x30, class.as_bytes()));
        syntaxes.iter().for_each(|syntax| context.extend(item(0x40, syntax.as_bytes())));
        items.extend(item(0x20, &context));
    }
    let mut user = item(0x51, &131_072_u32.to_be_bytes());
    user.extend(item(0x52, b"2.25.1"));
    user.extend(more);
    items.extend(item(0x50, &user));
    let mut body = vec![0, 1, 0, 0];
    body.extend(format!("{called:<16}{calling:<16}").into_bytes());
    body.extend([0; 32]);
    body.extend(items);
    pdu(1, &body)
}

/// One PDU.
pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// One P-DATA-TF PDU with one fragment.
pub(crate) fn pdata(id: u8, control: u8, value: &[u8]) -> Vec<u8> {
    let mut body = (value.len() as u32 + 2).to_be_bytes().to_vec();
    body.extend([id, control]);
    body.extend(value);
    pdu(4, &body)
}

/// An element of an Explicit VR Little Endian data set with a short length.
pub(crate) fn element(group: u16, element: u16, vr: &str, value: &str) -> Vec<u8> {
    let mut value = value.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == "UI" { 0 } else { b' ' });
    }
    let mut bytes = Vec::new();
    bytes.extend(group.to_le_bytes());
    bytes.extend(element.to_le_bytes());
    bytes.extend(vr.as_bytes());
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value);
    bytes
}

/// Reads one PDU: its type and body.
pub(crate) fn read_pdu(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    assert!(length <= 1 << 20, "the server sent a PDU of {length} bytes");
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// An item of A-ASSOCIATE.
pub(crate) fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes
}

/// The items of A-ASSOCIATE that stand there.
fn items(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [kind, _, a, b, ..] = *rest else { return None };
        let (value, after) = rest[4..].split_at(usize::from(u16::from_be_bytes([a, b])));
        rest = after;
        Some((kind, value))
    })
}

/// A UID of even length.
pub(crate) fn padded(uid: &str) -> Vec<u8> {
    let mut bytes = uid.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// A command set of these elements of group 0000.
pub(crate) fn command_set(elements: &BTreeMap<u16, Vec<u8>>) -> Vec<u8> {
    let mut body = Vec::new();
    for (element, value) in elements {
        body.extend([0, 0]);
        body.extend(element.to_le_bytes());
        body.extend((value.len() as u32).to_le_bytes());
        body.extend(value);
    }
    let mut bytes = vec![0, 0, 0, 0, 4, 0, 0, 0];
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes
}

fn parse_command(mut rest: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut command = BTreeMap::new();
    while let [_, _, c, d, l0, l1, l2, l3, ..] = *rest {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        command.insert(u16::from_le_bytes([c, d]), rest[8..8 + length].to_vec());
        rest = &rest[8 + length..];
    }
    command
}
