//! A TCP proxy that tests put before a peer to make it refuse, slow, vanish or talk nonsense, and back.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// What a proxy does with connections.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Everything passes, both ways.
    Pass,
    /// Nothing listens.
    Refuse,
    /// What the client sends passes at so many bytes a second.
    Slow(usize),
    /// Each connection breaks after so many bytes of the client's.
    Cut(usize),
    /// Connections are taken; nothing passes and nothing comes.
    Silent,
    /// Whatever is sent, this comes back.
    Nonsense(&'static [u8]),
    /// Each request is answered so: status, more header lines, body.
    Http(u16, &'static str, &'static str),
    /// The last byte of each piece of a request's body is another one.
    Corrupt,
}

/// A running proxy. Its address stays its own whatever the mode.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    acceptor: Option<JoinHandle<()>>,
    /// Bound and not listening: nobody else gets the port while the proxy refuses.
    _place: Socket,
}

struct Inner {
    state: Mutex<State>,
    accepted: AtomicUsize,
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

struct State {
    peer: SocketAddr,
    mode: Mode,
    listener: Option<TcpListener>,
    /// Both ends of what is open.
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Starts before a peer.
    pub(crate) fn start(peer: SocketAddr, mode: Mode) -> Self {
        let place = bind("127.0.0.1:0".parse().unwrap());
        let address = place.local_addr().unwrap().as_socket().unwrap();
        let state = Mutex::new(State { peer, mode: Mode::Refuse, listener: None, open: Vec::new() });
        let inner = Arc::new(Inner {
            state,
            accepted: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let acceptor = thread::spawn({
            let inner = inner.clone();
            move || inner.accept()
        });
        let proxy = Self { address, inner, acceptor: Some(acceptor), _place: place };
        proxy.set(mode);
        proxy
    }

    /// Changes what happens, at once: what is open breaks, but for [`Mode::Silent`], which leaves it open and dead.
    pub(crate) fn set(&self, mode: Mode) {
        let mut state = self.inner.state.lock().unwrap();
        self.inner.is_silent.store(mode == Mode::Silent, Ordering::SeqCst);
        if mode != Mode::Silent {
            state.break_open();
        }
        if mode == Mode::Refuse {
            state.listener = None;
        } else if state.listener.is_none() {
            let listener = bind(self.address);
            listener.listen(128).unwrap();
            listener.set_nonblocking(true).unwrap();
            state.listener = Some(listener.into());
        }
        state.mode = mode;
    }

    /// Passes what comes from now on to this peer.
    pub(crate) fn lead_to(&self, peer: SocketAddr) {
        self.inner.state.lock().unwrap().peer = peer;
        self.set(Mode::Pass);
    }

    /// Connections taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.inner.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::SeqCst);
        self.inner.state.lock().unwrap().break_open();
        self.acceptor.take().map(JoinHandle::join);
    }
}

impl State {
    fn break_open(&mut self) {
        for stream in self.open.drain(..) {
            // It fails when the other side has gone already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Inner {
    fn accept(self: Arc<Self>) {
        while !self.is_over.load(Ordering::SeqCst) {
            let mut state = self.state.lock().unwrap();
            let Some(Ok((client, _))) = state.listener.as_ref().map(TcpListener::accept) else {
                drop(state);
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            self.accepted.fetch_add(1, Ordering::SeqCst);
            client.set_nonblocking(false).unwrap();
            client.set_nodelay(true).unwrap();
            state.open.push(client.try_clone().unwrap());
            let mode = state.mode.clone();
            drop(state);
            let inner = self.clone();
            thread::spawn(move || inner.serve(client, &mode));
        }
    }

    /// One connection to its end. Errors are its end, too.
    fn serve(self: Arc<Self>, mut client: TcpStream, mode: &Mode) {
        let done = match mode {
            Mode::Refuse | Mode::Silent => swallow(&mut client),
            Mode::Nonsense(answer) => client.write_all(answer).and_then(|()| swallow(&mut client)),
            Mode::Http(status, headers, body) => answer_http(&mut client, *status, headers, body),
            Mode::Pass | Mode::Slow(_) | Mode::Cut(_) | Mode::Corrupt => self.pass(&mut client, mode),
        };
        drop(done);
        drop(client.shutdown(Shutdown::Both));
    }

    fn pass(self: &Arc<Self>, client: &mut TcpStream, mode: &Mode) -> io::Result<()> {
        let mut peer = TcpStream::connect(self.state.lock().unwrap().peer)?;
        peer.set_nodelay(true)?;
        {
            let mut state = self.state.lock().unwrap();
            if state.mode != *mode {
                return Ok(());
            }
            state.open.push(peer.try_clone()?);
        }
        let (mut from, mut to) = (peer.try_clone()?, client.try_clone()?);
        let inner = self.clone();
        let back = thread::spawn(move || inner.pump(&mut from, &mut to, &Mode::Pass));
        let done = self.pump(client, &mut peer, mode);
        if done.is_err() {
            drop(peer.shutdown(Shutdown::Both));
            drop(client.shutdown(Shutdown::Both));
        }
        drop(back.join());
        Ok(())
    }

    fn pump(&self, from: &mut TcpStream, to: &mut TcpStream, mode: &Mode) -> io::Result<()> {
        let at_once = if let Mode::Slow(rate) = mode { (rate / 50).max(1) } else { 65_536 };
        let mut buffer = vec![0; at_once];
        let mut passed = 0;
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return to.shutdown(Shutdown::Write);
            }
            if self.is_silent.load(Ordering::SeqCst) {
                continue;
            }
            let piece = &mut buffer[..read];
            match mode {
                Mode::Slow(rate) => thread::sleep(Duration::from_secs_f64(read as f64 / *rate as f64)),
                Mode::Cut(limit) if passed + read >= *limit => {
                    to.write_all(&piece[..limit - passed])?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                Mode::Corrupt if !piece.ends_with(b"\r\n\r\n") => piece[read - 1] ^= 1,
                _ => {}
            }
            to.write_all(piece)?;
            passed += read;
        }
    }
}

/// Reads to the end and forgets.
fn swallow(client: &mut TcpStream) -> io::Result<()> {
    io::copy(client, &mut io::sink()).map(drop)
}

/// Reads request after request and gives each the same answer.
fn answer_http(client: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        let shown = if head.starts_with("HEAD") { "" } else { body };
        let length = body.len();
        write!(client, "HTTP/1.1 {status} So\r\n{headers}Content-Length: {length}\r\n\r\n{shown}")?;
    }
}

/// A socket with an address that others of ours may have, too; only those that listen get connections.
fn bind(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

#[test]
fn each_mode_does_what_it_says() {
    use std::fs;

    use crate::harness::{dcmtk, run};
    use crate::sinks::StoreScp;
    use crate::synthetic::Object;

    let sink = StoreScp::start();
    let object = Object { pixel_bytes: 200_000, ..Object::new(1, 1, 1) };
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, object.file()).unwrap();
    let proxy = Proxy::start(sink.address, Mode::Pass);
    let store = || {
        let port = proxy.address.port().to_string();
        let mut storescu = dcmtk("storescu");
        run(storescu.args(["-to", "1", "-ta", "1", "-td", "1", "127.0.0.1", &port]).arg(&file))
    };
    let modes = [
        (Mode::Pass, true),
        (Mode::Refuse, false),
        (Mode::Slow(10_000_000), true),
        (Mode::Cut(100_000), false),
        (Mode::Silent, false),
        (Mode::Nonsense(b"SSH-2.0-nothing\r\n"), false),
        (Mode::Http(503, "", "busy"), false),
        (Mode::Pass, true),
    ];
    for (mode, is_stored) in modes {
        proxy.set(mode.clone());
        let (stored, printed) = store();
        assert_eq!(stored, is_stored, "{mode:?}: {printed}");
    }
    assert_eq!(proxy.accepted(), 7, "all but the refused one");
    let kept = sink.data_sets();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|data| *data == object.data_set()));

    proxy.set(Mode::Http(404, "X-So: yes\r\n", "gone"));
    let answer = ureq::get(format!("http://{}/", proxy.address)).call();
    assert!(matches!(answer, Err(ureq::Error::StatusCode(404))), "{answer:?}");
}
