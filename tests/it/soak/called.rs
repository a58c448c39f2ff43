//! A peer that the server calls: it takes storage commitment reports, and is asked for studies of which it gives rows and instances
//! with damage.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::Random;
use super::pool::{ODD, identifier, object};
use super::valid::{GET, answer_report, field};
use crate::commitment::COMMITMENT;
use crate::harness::find;
use crate::scu::{Response, Scu, command_set, element, padded, pdu};
use crate::synthetic::CT;

/// Listening until it is dropped.
pub(super) struct Called {
    pub(super) address: SocketAddr,
    inner: Arc<Inner>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Inner {
    /// By Transaction UID.
    reports: Mutex<BTreeMap<String, Response>>,
    connections: AtomicU64,
    is_over: AtomicBool,
}

impl Called {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, inner) = (listener.local_addr().unwrap(), Arc::<Inner>::default());
        let acceptor = thread::spawn({
            let inner = inner.clone();
            move || {
                for stream in listener.incoming().map(Result::unwrap) {
                    if inner.is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let inner = inner.clone();
                    // However the connection ends: it is the server's to bear.
                    thread::spawn(move || drop(inner.serve(stream)));
                }
            }
        });
        Self { address, inner, acceptor: Some(acceptor) }
    }

    /// The report of a transaction, once it has come.
    pub(super) fn report(&self, transaction: &str) -> Option<Response> {
        self.inner.reports.lock().unwrap().remove(transaction)
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.acceptor.take().map(JoinHandle::join);
    }
}

impl Inner {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut random = Random::new(1_000 + self.connections.fetch_add(1, Ordering::Relaxed));
        let (mut scu, contexts) = Scu::accept(stream)?;
        loop {
            let request = match scu.receive() {
                Ok(request) => request,
                Err(_) => return scu.stream().write_all(&pdu(6, &[0; 4])),
            };
            match field(&request) {
                0x0020 => rows(&mut scu, &request, &mut random)?,
                0x0010 => instances(&mut scu, &request, &contexts, &mut random)?,
                0x0100 => {
                    answer_report(&mut scu, contexts[COMMITMENT], &request);
                    self.note(request);
                }
                _ => {}
            }
        }
    }

    fn note(&self, report: Response) {
        let data = report.data.as_deref().unwrap();
        let at = find(data, b"\x08\0\x95\x11UI").unwrap() + 6;
        let length = usize::from(u16::from_le_bytes([data[at], data[at + 1]]));
        let transaction = String::from_utf8(data[at + 2..at + 2 + length].to_vec()).unwrap();
        let transaction = transaction.trim_end_matches('\0').to_owned();
        self.reports.lock().unwrap().insert(transaction, report);
    }
}

/// Answers a C-FIND: of what is not its own it has nothing.
fn rows(scu: &mut Scu, request: &Response, random: &mut Random) -> io::Result<()> {
    let asked = request.data.as_deref().unwrap_or_default();
    let Some(study) = study_of(asked) else { return respond(scu, 1, request, 0, None) };
    let level =
        ["STUDY", "SERIES", "IMAGE"].into_iter().find(|level| find(asked, level.as_bytes()).is_some());
    for _ in 0..*random.of(&[0, 1, 1, 1, 2, 40]) {
        let mut row = row(study, level.unwrap_or("PATIENT"), random);
        if !random.is_one_in(3) {
            random.damage(&mut row);
        }
        respond(scu, 1, request, *random.of(&[0xFF00, 0xFF00, 0xFF01]), Some(&row))?;
    }
    match random.below(24) {
        0 => respond(scu, 1, request, 0xC000, None),
        1 => Err(io::ErrorKind::ConnectionAborted.into()),
        2 => scu.stream().write_all(&pdu(4, &[0, 0, 0, 9, 1, 3])),
        3 => respond(scu, 1, request, 0, Some(&[0xFF; 30])),
        _ => respond(scu, 1, request, 0, None),
    }
}

/// A row of its own study, or one that says too much.
fn row(study: u32, level: &str, random: &mut Random) -> Vec<u8> {
    let object = object(study, 1, 1);
    let count = *random.of(&["1", "1", "0", "-1", "4294967295", "99999999999999999999", "one"]);
    let long = "9".repeat(60_000);
    let mut keys = vec![
        (0x08, 0x61, "CS", "CT"),
        (0x10, 0x10, "PN", object.patient_name.as_str()),
        (0x10, 0x20, "LO", object.patient_id.as_str()),
        (0x20, 0x0D, "UI", object.study.as_str()),
        (0x20, 0x0E, "UI", object.series.as_str()),
        (0x08, 0x18, "UI", object.instance.as_str()),
        (0x20, 0x1208, "IS", count),
        (0x20, 0x1209, "IS", count),
    ];
    match random.below(8) {
        0 => keys.push((0x08, 0x62, "UI", *random.of(&["1.2.3", "x", &long[..64], ""]))),
        1 => keys.push((0x10, 0x4000, "LT", &long)),
        2 => keys.push((0x08, 0x05, "CS", *random.of(&["ISO 2022 IR 87", "GB18030", "nonsense", "\\\\\\"]))),
        _ => {}
    }
    let mut row = identifier(level, &keys);
    if random.is_one_in(8) {
        let nested =
            [&b"\x40\0\x75\x02SQ\0\0\xFF\xFF\xFF\xFF"[..], b"\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF"].concat();
        row.extend(nested.repeat(random.below(500)));
    }
    row
}

/// Answers a C-GET: with another object than was asked for, a damaged one, or none, and with any counters.
fn instances(
    scu: &mut Scu,
    request: &Response,
    contexts: &BTreeMap<String, u8>,
    random: &mut Random,
) -> io::Result<()> {
    let study = request.data.as_deref().and_then(study_of).unwrap_or(ODD);
    let get = contexts.get(GET).copied().unwrap_or(1);
    let object = object(study, 1, 1);
    if let Some(context) = contexts.get(CT).filter(|_| !random.is_one_in(3)) {
        // Damaged in few ways, so that what may be kept of it is not more and more.
        let mut data = object.data_set();
        let mut way = Random::new(random.below(40) as u64);
        let mut head = data.drain(..600).collect();
        way.damage(&mut head);
        let extra: [(u16, &[u8]); 2] = [(0x0700, &[0, 0]), (0x1000, &padded(&object.instance))];
        let command = scu.command(0x0001, CT, &extra, true);
        scu.send(*context, true, &command)?;
        scu.send(*context, false, &[head, data].concat())?;
        drop(scu.receive()?);
    }
    if random.is_one_in(4) {
        respond(scu, get, request, 0xFF00, None)?;
    }
    let mut failed = element(0x08, 0x58, "UI", &[object.instance.as_str(); 30].join("\\"));
    match random.below(8) {
        0 => Err(io::ErrorKind::ConnectionAborted.into()),
        1 => respond(scu, get, request, 0, None),
        2 => respond(scu, get, request, 0xA702, Some(&failed)),
        3 => respond(scu, get, request, 0xC000, None),
        4 => scu.stream().write_all(&pdu(4, &[0, 0, 0, 9, 1, 3])),
        _ => {
            random.damage(&mut failed);
            respond(scu, get, request, 0xB000, Some(&failed))
        }
    }
}

/// The number of a study of its own in an identifier.
fn study_of(asked: &[u8]) -> Option<u32> {
    let at = find(asked, format!("2.25.{ODD}").as_bytes())? + 5;
    std::str::from_utf8(asked.get(at..at + 5)?).ok()?.parse().ok()
}

/// A response with all counters that there are.
fn respond(
    scu: &mut Scu,
    context: u8,
    request: &Response,
    status: u16,
    data: Option<&[u8]>,
) -> io::Result<()> {
    let kind: u16 = if data.is_some() { 0 } else { 0x0101 };
    let mut elements: BTreeMap<u16, Vec<u8>> = [
        (0x0002, request.command[&0x0002].clone()),
        (0x0100, (field(request) | 0x8000).to_le_bytes().to_vec()),
        (0x0120, request.command[&0x0110].clone()),
        (0x0800, kind.to_le_bytes().to_vec()),
        (0x0900, status.to_le_bytes().to_vec()),
    ]
    .into_iter()
    .collect();
    if field(request) == 0x0010 {
        elements.extend((0x1020..=0x1023).map(|number| (number, vec![0xFF, number as u8])));
    }
    scu.send(context, true, &command_set(&elements))?;
    data.map_or(Ok(()), |data| scu.send(context, false, data))
}
