//! A receiver inside this program that notes when each instance is complete.
//!
//! It accepts whatever is proposed, keeps nothing, answers each response in one write and asks for quick ACKs: an end at its best.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use socket2::SockRef;

use crate::wire::{self, Command};

/// Listens until dropped.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    arrived: Mutex<HashMap<String, Instant>>,
    more: Condvar,
    is_closed: AtomicBool,
    max_pdu_bytes: u32,
    connections: Mutex<Vec<TcpStream>>,
}

impl Sink {
    pub(crate) fn start() -> Result<Self> {
        Self::taking(131_072)
    }

    /// Takes P-DATA-TF PDUs of at most so many bytes.
    pub(crate) fn taking(max_pdu_bytes: u32) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shared = Arc::new(Shared { max_pdu_bytes, ..Shared::default() });
        let sink = Self { address: listener.local_addr()?, shared };
        let shared = Arc::clone(&sink.shared);
        thread::spawn(move || accept(&listener, &shared));
        Ok(sink)
    }

    /// Forgets what has arrived.
    pub(crate) fn clear(&self) {
        self.arrived().clear();
    }

    /// Waits until so many instances have arrived, each counted once; false when that takes too long.
    pub(crate) fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let waiting = |arrived: &mut HashMap<String, Instant>| arrived.len() < count;
        let arrived = self.arrived();
        let waited = self.shared.more.wait_timeout_while(arrived, patience, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// When each instance was complete, by SOP Instance UID.
    pub(crate) fn arrived(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        lock(&self.shared.arrived)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        for connection in lock(&self.shared.connections).drain(..) {
            // It may be closed already.
            connection.shutdown(Shutdown::Both).ok();
        }
        // Wakes the one who accepts.
        TcpStream::connect(self.address).ok();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_closed.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(clone) = stream.try_clone() {
            lock(&shared.connections).push(clone);
        }
        let shared = Arc::clone(shared);
        // Senders may end as they like; what did not arrive is missed by who waits for it.
        thread::spawn(move || Connection { stream, pdu: Vec::new() }.serve(&shared).ok());
    }
}

struct Connection {
    stream: TcpStream,
    pdu: Vec<u8>,
}

impl Connection {
    fn serve(mut self, shared: &Shared) -> Result<()> {
        self.stream.set_nodelay(true)?;
        let mut command = Vec::new();
        loop {
            match self.read()? {
                wire::ASSOCIATE_RQ => {
                    let answer = wire::associate_ac(&self.pdu, shared.max_pdu_bytes)?;
                    self.stream.write_all(&answer)?;
                }
                wire::P_DATA_TF => self.data(shared, &mut command)?,
                wire::RELEASE_RQ => {
                    self.stream.write_all(&wire::pdu(wire::RELEASE_RP, &[0; 4]))?;
                    return Ok(());
                }
                kind => bail!("PDU type {kind:02X}H"),
            }
        }
    }

    /// Takes the fragments of one PDU and answers a message that is complete.
    fn data(&mut self, shared: &Shared, command: &mut Vec<u8>) -> Result<()> {
        let mut rest = self.pdu.as_slice();
        let mut answers = Vec::new();
        while let [a, b, c, d, context, control, value @ ..] = rest {
            let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d]))?;
            let fragment = length.checked_sub(2).and_then(|length| value.get(..length));
            let fragment = fragment.context("a PDV runs past its PDU")?;
            if control & 1 == 1 {
                command.extend_from_slice(fragment);
            }
            let is_last = control & 2 == 2;
            if is_last && (control & 1 == 0 || wire::command_value(command, 0x0800)? == 0x0101) {
                answers.extend(answer(shared, command, *context)?);
                command.clear();
            }
            rest = value.get(length - 2..).unwrap_or_default();
        }
        Ok(self.stream.write_all(&answers)?)
    }

    /// Reads one PDU and returns its type.
    fn read(&mut self) -> Result<u8> {
        let mut header = [0; 6];
        SockRef::from(&self.stream).set_tcp_quickack(true)?;
        self.stream.read_exact(&mut header)?;
        SockRef::from(&self.stream).set_tcp_quickack(true)?;
        let [kind, _, a, b, c, d] = header;
        self.pdu.resize(usize::try_from(u32::from_be_bytes([a, b, c, d]))?, 0);
        self.stream.read_exact(&mut self.pdu)?;
        Ok(kind)
    }
}

/// The response to a complete message: Success. An instance is noted first.
fn answer(shared: &Shared, command: &[u8], context: u8) -> Result<Vec<u8>> {
    let field = wire::command_value(command, 0x0100)?;
    let sop_instance = wire::command_uid(command, 0x1000);
    if let (0x0001, Some(uid)) = (field, &sop_instance) {
        lock(&shared.arrived).entry(uid.clone()).or_insert_with(Instant::now);
        shared.more.notify_all();
    }
    let sop_class = wire::command_uid(command, 0x0002).context("Affected SOP Class UID is missing")?;
    let set = wire::command_set(&Command {
        field: field | 0x8000,
        answers: Some(wire::command_value(command, 0x0110)?),
        sop_class: &sop_class,
        sop_instance: sop_instance.as_deref(),
        ..Command::default()
    });
    let mut answer = wire::pdata_header(context, true, true, set.len()).to_vec();
    answer.extend(set);
    Ok(answer)
}
