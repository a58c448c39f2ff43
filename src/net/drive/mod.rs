//! Bytes of a socket ⇄ [`ul::Association`]: one association, its one owner.

mod data;
mod write;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
pub(crate) use data::Incoming;
use data::Rest;
use dimse::{Assembler, Command, Fragment, Message};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;
use ul::pdu::{AssociateAc, AssociateRj, AssociateRq};
use ul::{Association, Event, State};

use crate::end::{End, Wait};
use crate::socket;
use crate::stream::Stream;
use crate::timer::{Progress, Timer};
use crate::tls::Secured;

/// One end of an association on its socket: reads messages, hands out their data, writes, and keeps the time.
///
/// Memory is bounded: what is read ahead is at most one read and a command set or A-ASSOCIATE PDU; data sets are never held.
pub(crate) struct Drive {
    stream: Stream,
    association: Association,
    assembler: Assembler,
    input: BytesMut,
    /// What is left of the data set of the message that came last.
    rest: Option<Rest>,
    started: Instant,
    /// When the next message must have begun; `None` while it is our turn.
    message_due: Option<Instant>,
    /// Messages that came before their turn; only the last may have a data set.
    kept: VecDeque<Message>,
    progress: Progress,
    timer: Timer,
    bytes_received: u64,
}

impl Drive {
    /// Takes over a connection. `message_timeout` is how long a message may make no progress.
    pub(crate) fn new(
        stream: impl Into<Stream>,
        association: Association,
        message_timeout: Duration,
    ) -> Self {
        let stream = stream.into();
        socket::send_at_once(stream.tcp());
        let started = Instant::now();
        Self {
            stream,
            association,
            assembler: Assembler::default(),
            input: BytesMut::new(),
            rest: None,
            started,
            message_due: None,
            kept: VecDeque::new(),
            progress: Progress::new(message_timeout),
            timer: Timer::new(),
            bytes_received: 0,
        }
    }

    /// Waits for A-ASSOCIATE-RQ until ARTIM runs out. Cancel safe.
    pub(crate) async fn requested(&mut self) -> Result<Box<AssociateRq>, End> {
        match self.event(FIRST_READ_BYTES).await? {
            Event::AssociateRequested(rq) => {
                self.shrink_input();
                Ok(rq)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Sends A-ASSOCIATE-RQ and waits for its answer, for as long as a message may make no progress.
    pub(crate) async fn associate(&mut self) -> Result<Box<AssociateAc>, End> {
        self.association.connected()?;
        self.flush().await?;
        self.message_due = Some(Instant::now() + self.progress.timeout());
        match self.event(FIRST_READ_BYTES).await? {
            Event::Associated(ac) => {
                self.shrink_input();
                Ok(ac)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Waits for the next message, whose first byte must come within `patience`. The data set of the one before has been read.
    ///
    /// A release is answered here. Cancel safe: what has come of a message is kept.
    pub(crate) async fn next_message(&mut self, patience: Duration) -> Result<Message, End> {
        if let Some(message) = self.kept.pop_front() {
            self.progress.restart();
            self.progress.pause();
            return Ok(message);
        }
        self.message_due = Some(Instant::now() + patience);
        let message = self.read_message().await?;
        self.message_due = None;
        self.progress.pause();
        Ok(message)
    }

    async fn read_message(&mut self) -> Result<Message, End> {
        debug_assert!(self.rest.is_none(), "the data set before has been read to its end");
        loop {
            if self.assembler.needs_command_bytes() {
                if self.input.is_empty() {
                    self.read_ahead(READ_BYTES).await?;
                }
            } else {
                self.begin_fragment().await?;
            }
            if let Some(message) = self.assembler.take_command(&mut self.input)? {
                self.rest = message.has_data_set.then(Rest::default);
                return Ok(message);
            }
        }
    }

    /// Waits until the peer cancels the operation of `message_id`. A message of any other kind is kept for
    /// [`Drive::next_message`]; behind one with a data set, or more than a few, this never returns. Cancel safe.
    ///
    /// PS3.7 §9.3.2.3.
    pub(crate) async fn cancelled(&mut self, message_id: u16) -> Result<(), End> {
        while self.kept.len() < MOST_KEPT && self.kept.back().is_none_or(|last| !last.has_data_set) {
            let message = self.read_message().await?;
            match message.command {
                Command::CCancelRq(cancel) if !message.has_data_set => {
                    if cancel.message_id_being_responded_to == message_id {
                        return Ok(());
                    }
                }
                _ => self.kept.push_back(message),
            }
        }
        std::future::pending().await
    }

    /// Asks for release and waits for the answer; what the peer still sends is skipped.
    pub(crate) async fn release(&mut self) -> Result<(), End> {
        self.association.release()?;
        self.flush().await?;
        self.message_due = Some(Instant::now() + self.progress.timeout());
        loop {
            match self.event(FIRST_READ_BYTES).await {
                Err(End::Released) => return Ok(()),
                Err(end) => return Err(end),
                Ok(Event::ReleaseRequested) => {
                    self.association.release_response(self.started.elapsed())?;
                    self.flush().await?;
                }
                Ok(Event::Data(pdv)) => self.skip(pdv.bytes).await?,
                Ok(other) => return Err(unexpected(&other)),
            }
        }
    }

    /// Says what the peer has yet to hear, and waits for it to close the connection, at most until ARTIM runs out or `give_up` ends.
    /// Never fails: the association is over.
    ///
    /// Closing with bytes unread would reset the connection, and the peer might never see our last PDU.
    pub(crate) async fn close(mut self, end: &End, give_up: impl Future<Output = ()>) {
        if let Some(abort) = end.abort() {
            self.association.abort(abort, self.started.elapsed());
        }
        self.input = BytesMut::new();
        let is_between_pdus = matches!(end, End::Released);
        let farewell = async {
            if self.flush().await.is_ok() && self.association.state() == State::Sta13 {
                while self.read_ahead(FIRST_READ_BYTES).await.is_ok() {
                    if is_between_pdus && self.is_aborted_too() {
                        break;
                    }
                    self.input.clear();
                }
            }
            if self.stream.holds_back() {
                // The peer may be gone already: then nobody misses the close of TLS.
                drop(self.stream.shutdown().await);
            }
        };
        tokio::select! {
            biased; // there is hardly ever no room for a last PDU
            () = farewell => {}
            () = give_up => {}
        }
    }

    /// Whether the peer has aborted after all, and waits for us to close (PS3.8 Table 9-10, Sta13).
    fn is_aborted_too(&mut self) -> bool {
        while self.association.receive(&mut self.input, self.started.elapsed()).is_some() {}
        self.association.wants_close()
    }

    /// Whether nothing of a further message has come.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.input.is_empty()
            && self.rest.is_none()
            && self.kept.is_empty()
            && !self.assembler.is_inside_message()
    }

    /// Where the peer is, while the connection stands.
    pub(crate) fn peer_address(&self) -> Option<IpAddr> {
        self.stream.tcp().peer_addr().ok().map(|address| address.ip().to_canonical())
    }

    /// What TLS says of the peer; `None` without TLS.
    pub(crate) fn secured(&self) -> Option<Secured> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(Secured::of(stream)),
        }
    }

    pub(crate) fn association(&self) -> &Association {
        &self.association
    }

    /// Answers A-ASSOCIATE-RQ with A-ASSOCIATE-AC.
    pub(crate) async fn accept(&mut self, ac: &AssociateAc) -> Result<(), End> {
        self.association.accept(ac)?;
        self.flush().await
    }

    /// Answers A-ASSOCIATE-RQ with A-ASSOCIATE-RJ, which [`Drive::close`] writes.
    pub(crate) fn reject(&mut self, rejection: AssociateRj) -> End {
        match self.association.reject(rejection, self.started.elapsed()) {
            Ok(()) => End::Rejected(rejection),
            Err(error) => error.into(),
        }
    }

    /// Sends no longer P-DATA-TF than this, also where the peer takes longer ones.
    pub(crate) fn limit_sent_pdus(&mut self, most: u32) {
        self.association.limit_sent_pdus(most);
    }

    /// Bytes that the connection has brought.
    pub(crate) fn bytes_received(&self) -> u64 {
        self.bytes_received
    }

    /// Waits for the head of the next fragment, which belongs to a command.
    async fn begin_fragment(&mut self) -> Result<(), End> {
        match self.event(READ_BYTES).await? {
            Event::Data(pdv) => match self.assembler.begin(&pdv)? {
                Fragment::Command => Ok(()),
                Fragment::Data { .. } => Err(End::OutOfTurn("data")),
            },
            Event::ReleaseRequested => Err(self.released()),
            other => Err(unexpected(&other)),
        }
    }

    /// Answers the peer's A-RELEASE-RQ; the answer is written when the connection is closed.
    fn released(&mut self) -> End {
        match self.association.release_response(self.started.elapsed()) {
            Ok(()) => End::Released,
            Err(error) => error.into(),
        }
    }

    /// Gives up the room that an A-ASSOCIATE PDU took.
    fn shrink_input(&mut self) {
        self.input = BytesMut::from(self.input.as_ref());
    }

    /// The next event that does not end the association. Cancel safe.
    async fn event(&mut self, read_bytes: usize) -> Result<Event, End> {
        loop {
            match self.association.receive(&mut self.input, self.started.elapsed()) {
                None => self.read_ahead(read_bytes).await?,
                Some(Event::Released) => return Err(End::Released),
                Some(Event::Refused(rejection) | Event::Rejected(rejection)) => {
                    return Err(End::Rejected(rejection));
                }
                Some(Event::Aborted(abort)) => return Err(End::Aborted(abort)),
                Some(Event::ProtocolError(violation)) => return Err(End::Violation(violation)),
                Some(Event::TimedOut) => return Err(End::TimedOut(Wait::Request)),
                Some(Event::Closed) => return Err(End::Closed),
                Some(
                    event @ (Event::AssociateRequested(_)
                    | Event::Associated(_)
                    | Event::Data(_)
                    | Event::ReleaseRequested),
                ) => return Ok(event),
            }
        }
    }

    /// Reads at least one byte into the input. Cancel safe.
    async fn read_ahead(&mut self, bytes: usize) -> Result<(), End> {
        let is_new = self.is_between_messages();
        let wait = self.arm();
        // The whole buffer, not so much again beside the few bytes that may be left in it: its size stays.
        let bytes = bytes.saturating_sub(self.input.len()).max(FIRST_READ_BYTES);
        self.input.reserve(bytes);
        let mut room = (&mut self.input).limit(bytes);
        let read = read(&mut self.stream, &mut self.timer, &mut room).await;
        self.account(read, wait)?;
        if is_new {
            self.progress.restart();
        }
        Ok(())
    }

    /// Sets the timer for the next read; says what it guards.
    fn arm(&mut self) -> Wait {
        self.progress.resume();
        let (wait, deadline) = if let Some(artim) = self.association.timeout() {
            (Wait::Request, self.started + artim)
        } else if self.is_between_messages() {
            (Wait::Message, self.message_due.unwrap_or_else(|| Instant::now() + OUR_TURN))
        } else {
            (Wait::Progress, self.progress.deadline())
        };
        self.timer.set(deadline);
        wait
    }

    /// Takes note of what a read brought.
    fn account(&mut self, read: io::Result<Option<usize>>, wait: Wait) -> Result<usize, End> {
        match read {
            Ok(Some(0)) => {
                self.association.transport_closed();
                Err(End::Closed)
            }
            Ok(Some(bytes)) => {
                self.bytes_received += bytes as u64;
                self.progress.add(bytes);
                Ok(bytes)
            }
            Ok(None) => {
                self.association.handle_timeout(self.started.elapsed());
                Err(End::TimedOut(wait))
            }
            Err(error) => {
                self.association.transport_closed();
                Err(End::Lost(error))
            }
        }
    }
}

/// Reads once; `None` when the timer ran out first. Cancel safe.
async fn read<B: BufMut>(stream: &mut Stream, timer: &mut Timer, buf: &mut B) -> io::Result<Option<usize>> {
    poll_fn(|cx| match poll_read_buf(Pin::new(&mut *stream), cx, buf) {
        Poll::Ready(read) => Poll::Ready(read.map(Some)),
        Poll::Pending => {
            socket::acknowledge_at_once(stream.tcp());
            timer.poll(cx).map(|()| Ok(None))
        }
    })
    .await
}

fn unexpected(event: &Event) -> End {
    End::OutOfTurn(match event {
        Event::AssociateRequested(_) => "A-ASSOCIATE-RQ",
        Event::Associated(_) | Event::Refused(_) | Event::Rejected(_) => "answer to A-ASSOCIATE-RQ",
        Event::Data(_) => "data",
        Event::ReleaseRequested | Event::Released => "release",
        Event::Aborted(_) | Event::ProtocolError(_) | Event::TimedOut | Event::Closed => "end",
    })
}

/// Read at once while a message may begin: a small instance comes whole, with its command, in one read.
const READ_BYTES: usize = 64 << 10;
/// Messages that may come before their turn: answers to reports, and what a peer should not send.
const MOST_KEPT: usize = 4;
/// Read at once before there is an association and after it, and to see a release.
const FIRST_READ_BYTES: usize = 4 << 10;
/// While we work on a request its sender need not say anything, however long that takes.
const OUR_TURN: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use model::AeTitle;
    use tokio::net::{TcpListener, TcpStream};
    use ul::pdu::{Implementation, ProposedContext, Titles};

    use super::*;

    #[tokio::test]
    async fn a_large_request_leaves_no_large_buffer() {
        let syntaxes = vec!["1.2.840.10008.1.2.4.50".to_owned(); 64];
        let contexts = (0..128).map(|_| ("1.2.840.10008.5.1.4.1.1.2".to_owned(), syntaxes.clone()));
        let title = AeTitle::parse("ANY").unwrap();
        let rq = AssociateRq::new(
            Titles::new(&title, &title),
            ProposedContext::numbered(contexts).unwrap(),
            0,
            Implementation::default(),
        );
        let mut requestor = Association::requestor(rq, PATIENCE).unwrap();
        requestor.connected().unwrap();
        let mut bytes = requestor.output().to_vec();
        assert!(bytes.len() > 200_000);
        bytes.push(4);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut drive = Drive::new(stream, Association::acceptor(PATIENCE), PATIENCE);
        let (rq, written) = tokio::join!(drive.requested(), peer.write_all(&bytes));
        written.unwrap();
        assert_eq!(rq.unwrap().contexts.len(), 128);
        assert!(drive.input.capacity() < 2 * FIRST_READ_BYTES, "{}", drive.input.capacity());
        while drive.input.is_empty() {
            drive.read_ahead(FIRST_READ_BYTES).await.unwrap();
        }
        assert_eq!(drive.input.as_ref(), [4], "what came behind it is kept");
    }

    const PATIENCE: Duration = Duration::from_secs(10);
}
