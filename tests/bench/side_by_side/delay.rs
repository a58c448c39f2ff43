//! A line in between that takes its time: what comes in at one end goes out at the other so much later, however much is on its way.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::SockRef;

/// Takes connections until dropped.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    is_closed: Arc<AtomicBool>,
}

impl Line {
    /// A line to `to`, `each_way` long. Both ends have their bytes acknowledged at once.
    pub(crate) fn start(to: SocketAddr, each_way: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let line = Self { address: listener.local_addr()?, is_closed: Arc::default() };
        let is_closed = Arc::clone(&line.is_closed);
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever called sees the connection end where it cannot be.
                connect(near, to, each_way).ok();
            }
        });
        Ok(line)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // Wakes the one who accepts.
        TcpStream::connect(self.address).ok();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "any number of bytes may be on their way: a section sends some 100 MB"
)]
fn connect(near: TcpStream, to: SocketAddr, each_way: Duration) -> Result<()> {
    let far = TcpStream::connect(to)?;
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        to.set_nodelay(true)?;
        let (sender, receiver) = channel();
        thread::spawn(move || read(from, &sender, each_way));
        thread::spawn(move || write(to, &receiver));
    }
    Ok(())
}

fn read(mut from: TcpStream, line: &Sender<(Instant, Vec<u8>)>, each_way: Duration) {
    let mut buffer = vec![0; 256 << 10];
    loop {
        SockRef::from(&from).set_tcp_quickack(true).ok();
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                if line.send((Instant::now() + each_way, bytes)).is_err() {
                    return;
                }
            }
        }
    }
}

/// Writes what has been on its way for long enough; then the end.
fn write(mut to: TcpStream, line: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, bytes)) = line.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}
