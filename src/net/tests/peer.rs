use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dimse::service::store::CStoreRq;
use dimse::{Command, Outcome};
use model::{AeTitle, SopClassUid, SopInstanceUid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use ul::pdu::{
    AssociateAc, AssociateRj, AssociateRq, ContextOutcome, Implementation, OperationsWindow, ProposedContext,
    Titles,
};
use ul::{Association, Event, Pdv};

/// One end of an association that says exactly what the test wants; the protocol of whole messages it knows.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) association: Association,
    /// The presentation context of the last message.
    context_id: u8,
    input: BytesMut,
    started: Instant,
}

/// What a peer proposes: SOP class and its transfer syntaxes; the contexts get the ids 1, 3, 5 …
pub(crate) type Proposal<'a> = (&'a str, &'a [&'a str]);

pub(crate) const EXPLICIT: &str = model::syntax::EXPLICIT_VR_LITTLE_ENDIAN;
pub(crate) const IMPLICIT: &str = model::syntax::IMPLICIT_VR_LITTLE_ENDIAN;

pub(crate) fn request(calling: &str, called: &str, proposals: &[Proposal<'_>]) -> AssociateRq {
    let contexts = proposals.iter().map(|(class, syntaxes)| {
        ((*class).to_owned(), syntaxes.iter().map(|syntax| (*syntax).to_owned()).collect())
    });
    let title = |text| AeTitle::parse(text).unwrap();
    AssociateRq::new(
        Titles::new(&title(called), &title(calling)),
        ProposedContext::numbered(contexts).unwrap(),
        0,
        Implementation::default(),
    )
}

impl Peer {
    /// Associates as `PEER`.
    pub(crate) async fn associate(address: SocketAddr, proposals: &[Proposal<'_>]) -> Self {
        let (peer, event) = Self::ask(address, request("PEER", "GANTRY", proposals)).await;
        assert!(matches!(event, Event::Associated(_)), "{event:?}");
        peer
    }

    /// Sends A-ASSOCIATE-RQ; the peer and what it was answered.
    pub(crate) async fn ask(address: SocketAddr, rq: AssociateRq) -> (Self, Event) {
        let association = Association::requestor(rq, Duration::from_secs(10)).unwrap();
        let mut peer = Self::on(TcpStream::connect(address).await.unwrap(), association);
        peer.association.connected().unwrap();
        peer.flush().await;
        let event = peer.event().await;
        (peer, event)
    }

    /// The called end of a connection that is to have no association.
    pub(crate) async fn reject(stream: TcpStream, rj: AssociateRj) {
        let mut peer = Self::on(stream, Association::acceptor(Duration::from_secs(10)));
        let Event::AssociateRequested(_) = peer.event().await else { panic!("no request") };
        peer.association.reject(rj, Duration::ZERO).unwrap();
        peer.flush().await;
    }

    /// The called end of a connection: takes every context with its first transfer syntax, but those of `refused` SOP classes and transfer
    /// syntaxes.
    pub(crate) async fn accept(stream: TcpStream, refused: &[&str]) -> Self {
        let mut peer = Self::on(stream, Association::acceptor(Duration::from_secs(10)));
        let Event::AssociateRequested(rq) = peer.event().await else { panic!("no request") };
        let mut negotiated = ul::negotiate::negotiate(&rq, |class| {
            (!refused.contains(&class)).then_some(ul::negotiate::Service::Keeps)
        });
        let mut contexts = std::mem::take(&mut negotiated.contexts);
        for context in &mut contexts {
            if matches!(&context.outcome, ContextOutcome::Accepted { transfer_syntax } if refused.contains(&transfer_syntax.as_str()))
            {
                context.outcome = ContextOutcome::TransferSyntaxesNotSupported;
            }
        }
        let ac = AssociateAc::answer(&rq, contexts, Vec::new(), 16_384, Implementation::default());
        peer.association.accept(&ac).unwrap();
        peer.flush().await;
        peer
    }

    /// The called end of a connection, which takes every context and grants this window; what window was asked for.
    pub(crate) async fn accept_granting(
        stream: TcpStream,
        window: Option<OperationsWindow>,
    ) -> (Self, Option<OperationsWindow>) {
        let mut peer = Self::on(stream, Association::acceptor(Duration::from_secs(10)));
        let Event::AssociateRequested(rq) = peer.event().await else { panic!("no request") };
        let negotiated = ul::negotiate::negotiate(&rq, |_| Some(ul::negotiate::Service::Keeps));
        let contexts = negotiated.contexts;
        let mut ac = AssociateAc::answer(&rq, contexts, Vec::new(), 16_384, Implementation::default());
        ac.window = window;
        peer.association.accept(&ac).unwrap();
        peer.flush().await;
        (peer, rq.window)
    }

    pub(crate) fn on(stream: TcpStream, association: Association) -> Self {
        Self { stream, association, context_id: 1, input: BytesMut::new(), started: Instant::now() }
    }

    pub(crate) async fn send(&mut self, context_id: u8, command: impl Into<Command>, data: Option<&[u8]>) {
        self.association.send(context_id, true, &command.into().to_bytes()).unwrap();
        if let Some(data) = data {
            self.association.send(context_id, false, data).unwrap();
        }
        self.flush().await;
    }

    /// Answers the last message.
    pub(crate) async fn answer(&mut self, command: impl Into<Command>) {
        self.send(self.context_id, command, None).await;
    }

    pub(crate) async fn flush(&mut self) {
        let bytes = self.association.output().split();
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next event; the end of the connection is [`Event::Closed`].
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.association.receive(&mut self.input, self.started.elapsed()) {
                return event;
            }
            if self.read().await == 0 {
                return self.association.transport_closed().unwrap_or(Event::Closed);
            }
        }
    }

    /// The next message with its data set, which is empty when there is none.
    pub(crate) async fn message(&mut self) -> (Command, Vec<u8>) {
        let command = self.fragments().await;
        let (command, has_data_set) = Command::decode(&command).unwrap();
        let data = if has_data_set { self.fragments().await } else { Vec::new() };
        (command, data)
    }

    /// [`Peer::message`]; `None` when the association ends instead. A release is answered.
    pub(crate) async fn try_message(&mut self) -> Option<(Command, Vec<u8>)> {
        let first = self.event().await;
        match first {
            Event::Data(pdv) => {
                let command = self.rest_of(pdv).await;
                let (command, has_data_set) = Command::decode(&command).unwrap();
                let data = if has_data_set { self.fragments().await } else { Vec::new() };
                Some((command, data))
            }
            Event::ReleaseRequested => {
                self.association.release_response(self.started.elapsed()).unwrap();
                self.flush().await;
                None
            }
            _ => None,
        }
    }

    /// How the next message says that an operation ended.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        let (command, _) = self.message().await;
        command.outcome().unwrap_or_else(|| panic!("{command:?}")).clone()
    }

    /// The status code of the next message.
    pub(crate) async fn status(&mut self) -> u16 {
        self.outcome().await.status.0
    }

    /// Releases and sees the connection closed.
    pub(crate) async fn release(mut self) {
        self.association.release().unwrap();
        self.flush().await;
        assert_eq!(self.event().await, Event::Released);
    }

    async fn fragments(&mut self) -> Vec<u8> {
        let event = self.event().await;
        let Event::Data(pdv) = event else { panic!("{event:?}") };
        self.rest_of(pdv).await
    }

    /// The bytes of a command or data set whose first fragment is this.
    async fn rest_of(&mut self, mut pdv: Pdv) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            while self.input.len() < pdv.bytes as usize {
                assert_ne!(self.read().await, 0);
            }
            bytes.extend_from_slice(&self.input[..pdv.bytes as usize]);
            self.input.advance(pdv.bytes as usize);
            if pdv.is_last {
                self.context_id = pdv.context_id;
                return bytes;
            }
            let event = self.event().await;
            let Event::Data(next) = event else { panic!("{event:?}") };
            pdv = next;
        }
    }

    async fn read(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.input);
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => 0,
            Err(_) => panic!("nothing came"),
        }
    }
}

pub(crate) fn store(class: &str, instance: &str) -> CStoreRq {
    CStoreRq {
        message_id: 7,
        affected_sop_class_uid: SopClassUid::lenient(class),
        affected_sop_instance_uid: SopInstanceUid::lenient(instance),
        move_originator: None,
    }
}

/// A whole C-STORE of `image(1, pixel_bytes)` on context 1, ready for the wire.
pub(crate) fn image_store(class: &str, pixel_bytes: usize) -> Vec<u8> {
    let data = super::image(1, pixel_bytes);
    let command = Command::from(store(class, &super::instance_uid(1))).to_bytes();
    let mut wire = ul::pdata::header(1, true, true, u32::try_from(command.len()).unwrap()).to_vec();
    wire.extend(command);
    let mut rest = &data[..];
    for fragment in ul::pdata::fragments(0, data.len() as u64) {
        let (part, after) = rest.split_at(fragment.bytes as usize);
        wire.extend(fragment.header(1, false));
        wire.extend(part);
        rest = after;
    }
    wire
}

/// Nothing on this machine takes longer unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);
