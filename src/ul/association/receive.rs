//! The receiving half: PDUs are told apart by their headers, judged before anything of them is buffered, and become rows of
//! the table.

#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects
)]

use std::time::Duration;

use bytes::{Buf, BytesMut};
use model::limits;

use super::{Association, Event, Pdv};
use crate::pdu::{
    Abort, AssociateAc, AssociateRj, AssociateRq, HEADER_BYTES, Header, PduType, speaks_version_1,
};
use crate::table::{self, Action, Effect, Occurrence};
use crate::{State, Violation};

/// Where in the stream of PDUs the next byte stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Framing {
    /// At a PDU's header.
    Between,
    /// Within a P-DATA-TF, at a PDV's header; so many bytes of the PDU are left.
    Pdvs(u32),
    /// Within a PDU that nobody looks at; so many bytes of it are left.
    Skipping(u32),
}

/// What one look at the input came to.
enum Step {
    NeedMore,
    Again,
    Event(Event),
}

impl Association {
    /// Takes the next event from the front of what the connection brought; call until `None`, which means: more bytes are needed.
    ///
    /// After [`Event::Data`] the caller takes the fragment's bytes off the connection itself, first what `input`
    /// holds of them, and only then calls again. Nothing is consumed beyond the event's own bytes.
    /// Allocates only for A-ASSOCIATE PDUs, and never by a length that a peer declares.
    pub fn receive(&mut self, input: &mut BytesMut, now: Duration) -> Option<Event> {
        loop {
            let step = match (self.state, self.framing) {
                // There is no transport connection, or one that is being closed: nothing can come from it.
                (State::Sta1 | State::Sta4, _) => {
                    input.clear();
                    Step::NeedMore
                }
                (_, Framing::Skipping(left)) => self.skip(input, left),
                (_, Framing::Pdvs(left)) => self.pdv(input, left, now),
                (_, Framing::Between) => self.pdu(input, now),
            };
            match step {
                Step::NeedMore => return None,
                Step::Again => {}
                Step::Event(event) => return Some(event),
            }
        }
    }

    fn skip(&mut self, input: &mut BytesMut, left: u32) -> Step {
        let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        input.advance(bytes);
        let left = left.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        if left == 0 {
            self.framing = Framing::Between;
            Step::Again
        } else {
            self.framing = Framing::Skipping(left);
            Step::NeedMore
        }
    }

    fn pdu(&mut self, input: &mut BytesMut, now: Duration) -> Step {
        let Some(Header { pdu, length }) = Header::peek(input) else {
            return Step::NeedMore;
        };
        match pdu {
            Err(byte) => self.invalid(Violation::UnrecognizedPdu(byte), input, length, now),
            Ok(pdu) if !self.is_length_allowed(pdu, length) => {
                self.invalid(Violation::PduLength { pdu: pdu.name(), length }, input, length, now)
            }
            Ok(PduType::Data) if self.takes_data() => {
                input.advance(HEADER_BYTES);
                self.framing = Framing::Pdvs(length);
                Step::Again
            }
            Ok(PduType::Data) => {
                self.skip_body(input, length);
                self.occurs(Occurrence::DataPdu, None, now)
            }
            Ok(PduType::AssociateRq) => self.associate_pdu(Occurrence::AssociateRqPdu, input, length, now),
            Ok(PduType::AssociateAc) => self.associate_pdu(Occurrence::AssociateAcPdu, input, length, now),
            Ok(PduType::AssociateRj) => self.fixed_pdu(Occurrence::AssociateRjPdu, input, now, |fields| {
                let [result, source, reason] = fields;
                Event::Rejected(AssociateRj { result, source, reason })
            }),
            Ok(PduType::ReleaseRq) => {
                self.fixed_pdu(Occurrence::ReleaseRqPdu, input, now, |_| Event::ReleaseRequested)
            }
            Ok(PduType::ReleaseRp) => {
                self.fixed_pdu(Occurrence::ReleaseRpPdu, input, now, |_| Event::Released)
            }
            Ok(PduType::Abort) => self.fixed_pdu(Occurrence::AbortPdu, input, now, |[_, source, reason]| {
                Event::Aborted(Abort { source, reason })
            }),
        }
    }

    /// PS3.8 §9.3: fixed sizes, and the limits of what we buffer or announced. Data that has no place in the state is not
    /// measured; it is unexpected, however long.
    fn is_length_allowed(&self, pdu: PduType, length: u32) -> bool {
        match pdu {
            PduType::AssociateRq | PduType::AssociateAc => length <= limits::ASSOCIATE_PDU_BYTES,
            PduType::AssociateRj | PduType::ReleaseRq | PduType::ReleaseRp | PduType::Abort => length == 4,
            PduType::Data if self.takes_data() => {
                length >= PDV_HEADER_BYTES
                    && (self.own_max_pdu_bytes == 0 || length <= self.own_max_pdu_bytes)
            }
            PduType::Data => true,
        }
    }

    fn takes_data(&self) -> bool {
        matches!(table::action(Occurrence::DataPdu, self.state), Some(Action::Dt2 | Action::Ar6))
    }

    /// One PDV header (PS3.8 §9.3.5.1, §E.2). What follows the fragment in the PDU must be able to hold another.
    fn pdv(&mut self, input: &mut BytesMut, left: u32, now: Duration) -> Step {
        if !self.takes_data() {
            // A local request has changed the state since the PDU began.
            self.framing = Framing::Skipping(left);
            return self.occurs(Occurrence::DataPdu, None, now);
        }
        let Some(&[a, b, c, d, context_id, control]) = input.first_chunk::<6>() else {
            return Step::NeedMore;
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        let bytes = length.checked_sub(2);
        let rest =
            left.checked_sub(PDV_HEADER_BYTES).zip(bytes).and_then(|(left, bytes)| left.checked_sub(bytes));
        let (Some(bytes), Some(rest @ (0 | PDV_HEADER_BYTES..))) = (bytes, rest) else {
            self.framing = Framing::Skipping(left);
            return self.occurs_invalid(Violation::PdvLength { length }, now);
        };
        if !self.is_accepted(context_id) {
            self.framing = Framing::Skipping(left);
            return self.occurs_invalid(Violation::PresentationContext(context_id), now);
        }
        input.advance(6);
        self.framing = if rest == 0 { Framing::Between } else { Framing::Pdvs(rest) };
        let (is_command, is_last) = (control & 1 != 0, control & 2 != 0);
        let pdv = Pdv { context_id, is_command, is_last, bytes };
        self.occurs(Occurrence::DataPdu, Some(Event::Data(pdv)), now)
    }

    /// A-ASSOCIATE-RQ or -AC: read where it is expected, which is when all of it has come; elsewhere nobody looks into it.
    fn associate_pdu(
        &mut self,
        occurrence: Occurrence,
        input: &mut BytesMut,
        length: u32,
        now: Duration,
    ) -> Step {
        let read = match table::action(occurrence, self.state) {
            Some(Action::Ae6) => Self::requested,
            Some(Action::Ae3) => Self::associated,
            _ => {
                self.skip_body(input, length);
                return self.occurs(occurrence, None, now);
            }
        };
        let bytes = HEADER_BYTES.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if input.len() < bytes {
            return Step::NeedMore;
        }
        let mut body = input.split_to(bytes);
        body.advance(HEADER_BYTES);
        match read(self, &body) {
            Ok(Event::Refused(rj)) => {
                self.apply(occurrence, false, &rj.to_pdu(), now);
                Step::Event(Event::Refused(rj))
            }
            Ok(event) => self.occurs(occurrence, Some(event), now),
            Err(violation) => self.occurs_invalid(violation, now),
        }
    }

    fn requested(&mut self, body: &[u8]) -> Result<Event, Violation> {
        if !speaks_version_1(body)? {
            return Ok(Event::Refused(AssociateRj::PROTOCOL_VERSION));
        }
        let rq = AssociateRq::from_body(body)?;
        self.peer_max_pdu_bytes = rq.max_pdu_bytes;
        self.proposed.clone_from(&rq.contexts);
        Ok(Event::AssociateRequested(Box::new(rq)))
    }

    fn associated(&mut self, body: &[u8]) -> Result<Event, Violation> {
        if !speaks_version_1(body)? {
            return Err(Violation::Malformed("Protocol-version"));
        }
        let ac = AssociateAc::from_body(body)?;
        self.peer_max_pdu_bytes = ac.max_pdu_bytes;
        self.establish(&ac);
        Ok(Event::Associated(Box::new(ac)))
    }

    /// A PDU of fixed size, whose last three bytes make the event.
    fn fixed_pdu(
        &mut self,
        occurrence: Occurrence,
        input: &mut BytesMut,
        now: Duration,
        event: impl FnOnce([u8; 3]) -> Event,
    ) -> Step {
        let Some(&[.., a, b, c]) = input.first_chunk::<FIXED_PDU_BYTES>() else {
            return Step::NeedMore;
        };
        input.advance(FIXED_PDU_BYTES);
        self.occurs(occurrence, Some(event([a, b, c])), now)
    }

    fn invalid(&mut self, violation: Violation, input: &mut BytesMut, length: u32, now: Duration) -> Step {
        self.skip_body(input, length);
        self.occurs_invalid(violation, now)
    }

    fn skip_body(&mut self, input: &mut BytesMut, length: u32) {
        input.advance(HEADER_BYTES);
        self.framing = Framing::Skipping(length);
    }

    fn occurs_invalid(&mut self, violation: Violation, now: Duration) -> Step {
        self.answer(Occurrence::InvalidPdu, None, violation, now)
    }

    fn occurs(&mut self, occurrence: Occurrence, event: Option<Event>, now: Duration) -> Step {
        let violation = Violation::UnexpectedPdu { pdu: occurrence.name(), state: self.state };
        self.answer(occurrence, event, violation, now)
    }

    /// Goes through the table with what the peer sent: `event` where it is expected, `violation` where it is not.
    fn answer(
        &mut self,
        occurrence: Occurrence,
        event: Option<Event>,
        violation: Violation,
        now: Duration,
    ) -> Step {
        let action = table::action(occurrence, self.state);
        let abort = if action == Some(Action::Aa1) { Abort::user() } else { violation.abort() };
        let is_first = action != Some(Action::Ar8) || self.is_requestor;
        let effects = self.apply(occurrence, is_first, &abort.to_pdu(), now);
        if matches!(action, Some(Action::Aa1 | Action::Aa8)) {
            // AA-1 indicates nothing, there being no user yet; but somebody keeps the log.
            return Step::Event(Event::ProtocolError(violation));
        }
        match event {
            Some(event) if effects.contains(&Effect::Indicate) => Step::Event(event),
            Some(_) | None => Step::Again,
        }
    }
}

/// A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP and A-ABORT.
const FIXED_PDU_BYTES: usize = 10;

/// Item-length, Presentation-context-ID and message control header.
const PDV_HEADER_BYTES: u32 = 6;
