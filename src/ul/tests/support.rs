//! What the tests share: requests and answers, golden PDUs, and a pair of associations on a fake wire with a fake clock.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use model::AeTitle;
use ul::negotiate::{Service, negotiate};
use ul::pdu::{AssociateAc, AssociateRq, Implementation, ProposedContext, Titles};
use ul::{Association, Event, Pdv};

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const IMPLICIT: &str = model::syntax::IMPLICIT_VR_LITTLE_ENDIAN;
pub(crate) const EXPLICIT: &str = model::syntax::EXPLICIT_VR_LITTLE_ENDIAN;
pub(crate) const ARTIM: Duration = Duration::from_secs(10);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Verification as context 1, CT as context 3.
pub(crate) fn request(max_pdu_bytes: u32) -> AssociateRq {
    let contexts = ProposedContext::numbered([
        (model::sop::VERIFICATION.into(), vec![IMPLICIT.into()]),
        (CT.into(), vec![EXPLICIT.into(), IMPLICIT.into()]),
    ]);
    let title = |text| AeTitle::parse(text).unwrap();
    let titles = Titles::new(&title("ACCEPTOR"), &title("REQUESTOR"));
    AssociateRq::new(titles, contexts.unwrap(), max_pdu_bytes, Implementation::default())
}

/// Accepts everything.
pub(crate) fn answer(rq: &AssociateRq, max_pdu_bytes: u32) -> AssociateAc {
    let answer = negotiate(rq, |_| Some(Service::Keeps));
    AssociateAc::answer(rq, answer.contexts, answer.roles, max_pdu_bytes, Implementation::default())
}

/// The bytes of a file in testdata/pdu: hex digits, and comments from `#` to the end of a line.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let text = testdata(name);
    let digits: String = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    hex::decode(digits.replace(char::is_whitespace, "")).unwrap()
}

pub(crate) fn testdata(name: &str) -> String {
    let path = format!("{}/../../testdata/pdu/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One end with what its user saw.
pub(crate) struct End {
    pub(crate) association: Association,
    pub(crate) events: Vec<Event>,
    /// Fragments with their data.
    pub(crate) data: Vec<(Pdv, Vec<u8>)>,
    input: BytesMut,
    fragment_left: usize,
    is_closed: bool,
}

impl End {
    pub(crate) fn new(association: Association) -> Self {
        let (events, data, input) = (Vec::new(), Vec::new(), BytesMut::new());
        Self { association, events, data, input, fragment_left: 0, is_closed: false }
    }

    /// Takes bytes from the wire, as a driver does: events by the association, data past it.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: Duration) {
        self.feed_and(bytes, now, |_, _| {});
    }

    /// [`End::feed`], and lets the user act on each event at once.
    pub(crate) fn feed_and(
        &mut self,
        bytes: &[u8],
        now: Duration,
        mut act: impl FnMut(&mut Association, &Event),
    ) {
        self.input.extend_from_slice(bytes);
        loop {
            let taken = self.fragment_left.min(self.input.len());
            if let Some((_, data)) = self.data.last_mut() {
                data.extend_from_slice(&self.input[..taken]);
            }
            self.input.advance(taken);
            self.fragment_left -= taken;
            if self.fragment_left > 0 {
                return;
            }
            match self.association.receive(&mut self.input, now) {
                None => return,
                Some(Event::Data(pdv)) => {
                    self.fragment_left = pdv.bytes as usize;
                    self.data.push((pdv, Vec::new()));
                }
                Some(event) => {
                    act(&mut self.association, &event);
                    self.events.push(event);
                }
            }
        }
    }

    /// Everything that was sent on one context, commands and data sets each put together.
    pub(crate) fn messages(&self) -> Vec<(u8, bool, Vec<u8>)> {
        let mut messages: Vec<(u8, bool, Vec<u8>)> = Vec::new();
        let mut was_last = true;
        for (pdv, data) in &self.data {
            if was_last {
                messages.push((pdv.context_id, pdv.is_command, Vec::new()));
            }
            let (context_id, is_command, bytes) = messages.last_mut().unwrap();
            assert_eq!((*context_id, *is_command), (pdv.context_id, pdv.is_command));
            bytes.extend_from_slice(data);
            was_last = pdv.is_last;
        }
        assert!(was_last);
        messages
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// Two ends, the wire between them, and the time.
pub(crate) struct Pair {
    pub(crate) requestor: End,
    pub(crate) acceptor: End,
    pub(crate) now: Duration,
    /// Bytes that the wire carries at a time.
    chunk: usize,
}

impl Pair {
    pub(crate) fn new(rq: AssociateRq, chunk: usize) -> Self {
        let mut requestor = Association::requestor(rq, ARTIM).unwrap();
        requestor.connected().unwrap();
        let acceptor = End::new(Association::acceptor(ARTIM));
        Self { requestor: End::new(requestor), acceptor, now: seconds(1), chunk }
    }

    pub(crate) fn established(chunk: usize) -> Self {
        let rq = request(16_384);
        let mut pair = Self::new(rq.clone(), chunk);
        pair.run();
        pair.acceptor.association.accept(&answer(&rq, 131_072)).unwrap();
        pair.run();
        pair.acceptor.take_events();
        pair.requestor.take_events();
        pair
    }

    /// Carries bytes and closes until nothing moves.
    pub(crate) fn run(&mut self) {
        while self.carry() {}
    }

    fn carry(&mut self) -> bool {
        let (now, chunk) = (self.now, self.chunk);
        let there = transfer(&mut self.requestor, &mut self.acceptor, now, chunk);
        let back = transfer(&mut self.acceptor, &mut self.requestor, now, chunk);
        there || back
    }

    pub(crate) fn states(&self) -> (ul::State, ul::State) {
        (self.requestor.association.state(), self.acceptor.association.state())
    }

    pub(crate) fn are_closed(&self) -> bool {
        self.requestor.is_closed && self.acceptor.is_closed
    }
}

fn transfer(from: &mut End, to: &mut End, now: Duration, chunk: usize) -> bool {
    let output = from.association.output();
    let bytes = output.split_to(output.len().min(chunk));
    if !bytes.is_empty() {
        to.feed(&bytes, now);
        return true;
    }
    if from.association.wants_close() {
        for end in [from, to] {
            end.is_closed = true;
            end.events.extend(end.association.transport_closed());
        }
        return true;
    }
    false
}
