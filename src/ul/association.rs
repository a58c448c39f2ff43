mod receive;

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;

use crate::pdu::{
    Abort, AssociateAc, AssociateRj, AssociateRq, ContextOutcome, ProposedContext, RELEASE_RP, RELEASE_RQ,
    RoleSelection,
};
use crate::table::{self, Effect, Occurrence};
use crate::{Error, State, Violation, pdata};
use receive::Framing;

/// One end of an association: the state machine of PS3.8 §9.2, without socket and clock.
///
/// The caller feeds what the connection brings to [`receive`](Self::receive), writes out what
/// [`output`](Self::output) holds after every call, closes the connection when
/// [`wants_close`](Self::wants_close), and calls [`handle_timeout`](Self::handle_timeout) at
/// [`timeout`](Self::timeout). All times are counted from the making of the association.
pub struct Association {
    state: State,
    is_requestor: bool,
    /// From the request for a transport connection, or its indication, to its end.
    has_transport: bool,
    artim_timeout: Duration,
    artim: Option<Duration>,
    framing: Framing,
    output: BytesMut,
    /// A-ASSOCIATE-RQ of a requestor that waits for its transport connection.
    request: Vec<u8>,
    proposed: Vec<ProposedContext>,
    /// As requestor: the roles that were proposed.
    proposed_roles: Vec<RoleSelection>,
    contexts: Vec<PresentationContext>,
    /// Bit `id / 2` for each accepted context id.
    accepted: u128,
    own_max_pdu_bytes: u32,
    peer_max_pdu_bytes: u32,
}

/// What happened, for the user of the association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A-ASSOCIATE indication: answer by [`Association::accept`] or [`Association::reject`].
    AssociateRequested(Box<AssociateRq>),
    /// The state machine itself refused the request, whose protocol version is not ours; A-ASSOCIATE-RJ is in the output.
    Refused(AssociateRj),
    /// A-ASSOCIATE confirm, positive: the association is established.
    Associated(Box<AssociateAc>),
    /// A-ASSOCIATE confirm, negative.
    Rejected(AssociateRj),
    /// P-DATA indication: the next [`Pdv::bytes`] bytes of the connection are data.
    Data(Pdv),
    /// A-RELEASE indication: answer by [`Association::release_response`].
    ReleaseRequested,
    /// A-RELEASE confirm. In Sta12 (release collision, acceptor) the response to the peer's request is now to be given.
    Released,
    /// The peer aborted: A-ABORT or A-P-ABORT indication.
    Aborted(Abort),
    /// The peer broke the protocol: A-P-ABORT indication. A-ABORT is in the output.
    ProtocolError(Violation),
    /// ARTIM ran out: the connection is to be closed.
    TimedOut,
    /// The transport connection ended under a living association: A-P-ABORT indication.
    Closed,
}

/// The head of one fragment of a message (PS3.8 §9.3.5.1, Annex E).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pdv {
    /// The presentation context: an accepted one.
    pub context_id: u8,
    /// The fragment belongs to a command set, not a data set.
    pub is_command: bool,
    /// The command set or data set ends with it.
    pub is_last: bool,
    /// Bytes that follow; may be odd or 0.
    pub bytes: u32,
}

/// A presentation context that both ends agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationContext {
    /// Presentation-context-ID.
    pub id: u8,
    /// Abstract syntax: the SOP class.
    pub abstract_syntax: String,
    /// Transfer syntax of its data sets.
    pub transfer_syntax: String,
    /// The requestor of the association may be SCU: as by default, and else by role selection (PS3.7 §D.3.3.4).
    pub requestor_is_scu: bool,
    /// The requestor of the association may be SCP: by role selection only.
    pub requestor_is_scp: bool,
}

impl Association {
    /// The end that was connected to; ARTIM runs until A-ASSOCIATE-RQ is complete.
    pub fn acceptor(artim_timeout: Duration) -> Self {
        let mut association = Self::idle(artim_timeout, false);
        association.apply(Occurrence::TransportConnectIndication, true, &[], Duration::ZERO);
        association
    }

    /// The end that is about to connect; [`connected`](Self::connected) sends the request.
    ///
    /// # Errors
    /// [`Error::Unencodable`] when the request does not fit its PDU.
    pub fn requestor(rq: AssociateRq, artim_timeout: Duration) -> Result<Self, Error> {
        let mut association = Self::idle(artim_timeout, true);
        association.request = rq.to_pdu()?;
        association.own_max_pdu_bytes = rq.max_pdu_bytes;
        association.proposed = rq.contexts;
        association.proposed_roles = rq.roles;
        association.apply(Occurrence::AssociateRequest, true, &[], Duration::ZERO);
        Ok(association)
    }

    fn idle(artim_timeout: Duration, is_requestor: bool) -> Self {
        Self {
            state: State::Sta1,
            is_requestor,
            has_transport: true,
            artim_timeout,
            artim: None,
            framing: Framing::Between,
            output: BytesMut::new(),
            request: Vec::new(),
            proposed: Vec::new(),
            proposed_roles: Vec::new(),
            contexts: Vec::new(),
            accepted: 0,
            own_max_pdu_bytes: 0,
            peer_max_pdu_bytes: 0,
        }
    }

    /// The transport connection is open: puts A-ASSOCIATE-RQ into the output.
    ///
    /// # Errors
    /// [`Error::OutOfPlace`] unless this is a requestor that has not connected yet.
    pub fn connected(&mut self) -> Result<(), Error> {
        let request = std::mem::take(&mut self.request);
        self.request(Occurrence::TransportConnected, &request, Duration::ZERO)
    }

    /// Answers [`Event::AssociateRequested`] with A-ASSOCIATE-AC.
    ///
    /// # Errors
    /// [`Error::OutOfPlace`] without a request to answer, [`Error::Unencodable`] when the answer does not fit its PDU.
    pub fn accept(&mut self, ac: &AssociateAc) -> Result<(), Error> {
        let pdu = ac.to_pdu()?;
        self.request(Occurrence::AssociateAccept, &pdu, Duration::ZERO)?;
        self.own_max_pdu_bytes = ac.max_pdu_bytes;
        self.establish(ac);
        Ok(())
    }

    /// Answers [`Event::AssociateRequested`] with A-ASSOCIATE-RJ.
    ///
    /// # Errors
    /// [`Error::OutOfPlace`] without a request to answer.
    pub fn reject(&mut self, rj: AssociateRj, now: Duration) -> Result<(), Error> {
        self.request(Occurrence::AssociateReject, &rj.to_pdu(), now)?;
        self.proposed = Vec::new(); // up to the whole PDU, and the peer has ARTIM's time to close
        Ok(())
    }

    /// Puts a whole message, split into P-DATA-TF that the peer takes, into the output. Meant for command sets and small data sets.
    ///
    /// # Errors
    /// [`Error::OutOfPlace`] where no data may be sent.
    pub fn send(&mut self, context_id: u8, is_command: bool, message: &[u8]) -> Result<(), Error> {
        self.check(Occurrence::DataRequest)?;
        debug_assert!(self.is_accepted(context_id), "the caller sends on contexts of `contexts` only");
        let mut rest = message;
        for fragment in pdata::fragments(self.peer_max_pdu_bytes, message.len() as u64) {
            let (data, later) = rest.split_at(fragment.bytes as usize); // fragments add up to the message
            self.output.extend_from_slice(&fragment.header(context_id, is_command));
            self.output.extend_from_slice(data);
            rest = later;
        }
        Ok(())
    }

    /// The longest P-DATA-TF (its PDU-length field) that the peer takes, 0 for no limit: what [`pdata`] asks for.
    pub fn peer_max_pdu_bytes(&self) -> u32 {
        self.peer_max_pdu_bytes
    }

    /// Sends no longer P-DATA-TF than this from now on, also where the peer takes longer ones.
    pub fn limit_sent_pdus(&mut self, most: u32) {
        self.peer_max_pdu_bytes = match self.peer_max_pdu_bytes {
            0 => most,
            theirs => theirs.min(most),
        };
    }

    /// The accepted presentation contexts, by id.
    pub fn contexts(&self) -> &[PresentationContext] {
        &self.contexts
    }

    /// The accepted presentation context with this id.
    pub fn context(&self, id: u8) -> Option<&PresentationContext> {
        let at = self.contexts.binary_search_by_key(&id, |context| context.id).ok()?;
        self.contexts.get(at)
    }

    /// Asks the peer for release; ends with [`Event::Released`].
    ///
    /// # Errors
    /// [`Error::OutOfPlace`] unless the association is established.
    pub fn release(&mut self) -> Result<(), Error> {
        self.request(Occurrence::ReleaseRequest, &RELEASE_RQ, Duration::ZERO)
    }

    /// Answers [`Event::ReleaseRequested`]; as acceptor in a release collision only after [`Event::Released`].
    ///
    /// # Errors
    /// [`Error::OutOfPlace`] when no answer is due.
    pub fn release_response(&mut self, now: Duration) -> Result<(), Error> {
        self.request(Occurrence::ReleaseResponse, &RELEASE_RP, now)
    }

    /// Aborts. Does nothing where there is no association to abort (Sta1, Sta2, Sta13): close the connection there.
    ///
    /// Who aborts within a fragment, its bytes not taken, cannot call [`receive`](Self::receive) any more, but drops
    /// what still comes until the peer closes or [`timeout`](Self::timeout).
    ///
    /// The source is the caller's choice, so that a provider's abort (PS3.8 §7.4) can come from above too.
    pub fn abort(&mut self, abort: Abort, now: Duration) {
        // deviation: PS3.8 Table 9-9: AA-1 names the service-user only; but what the caller finds wrong in messages, and
        // its shutdown, are no decisions of a user.
        self.apply(Occurrence::AbortRequest, true, &abort.to_pdu(), now);
    }

    /// The transport connection ended, by the peer or by a failure.
    pub fn transport_closed(&mut self) -> Option<Event> {
        self.has_transport = false;
        self.apply(Occurrence::TransportClosed, true, &[], Duration::ZERO)
            .contains(&Effect::Indicate)
            .then_some(Event::Closed)
    }

    /// The bytes to be written now, in order; the caller takes them off.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, counted as `now` is; `None` while ARTIM stands still.
    pub fn timeout(&self) -> Option<Duration> {
        self.artim
    }

    /// Does what is due at `now`; nothing when called early.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<Event> {
        self.artim.filter(|due| *due <= now)?;
        self.apply(Occurrence::ArtimExpired, true, &[], now);
        Some(Event::TimedOut)
    }

    /// Whether the transport connection is to be closed, once the output is written.
    pub fn wants_close(&self) -> bool {
        self.has_transport && self.state == State::Sta1
    }

    /// The state of PS3.8 §9.2.1.
    pub fn state(&self) -> State {
        self.state
    }

    /// A local request, which fails where the table has an empty cell for it.
    fn request(&mut self, occurrence: Occurrence, pdu: &[u8], now: Duration) -> Result<(), Error> {
        self.check(occurrence)?;
        self.apply(occurrence, true, pdu, now);
        Ok(())
    }

    fn check(&self, occurrence: Occurrence) -> Result<(), Error> {
        match table::action(occurrence, self.state) {
            Some(_) => Ok(()),
            None => Err(Error::OutOfPlace { request: occurrence.name(), state: self.state }),
        }
    }

    /// Goes through one cell of the table and says what the action did; issuing the indication is left to the caller. An
    /// empty cell does nothing.
    fn apply(
        &mut self,
        occurrence: Occurrence,
        is_first: bool,
        pdu: &[u8],
        now: Duration,
    ) -> &'static [Effect] {
        let Some(action) = table::action(occurrence, self.state) else {
            return &[];
        };
        self.state = action.next(is_first);
        let effects = action.effects(is_first);
        for effect in effects {
            match effect {
                Effect::Send => self.output.extend_from_slice(pdu),
                Effect::StartArtim => self.artim = Some(now.saturating_add(self.artim_timeout)),
                Effect::StopArtim => self.artim = None,
                // The indication is the caller's; `wants_close` follows from Sta1 with a transport connection.
                Effect::Indicate | Effect::Close => {}
            }
        }
        effects
    }

    /// Takes over the accepted contexts: of those that were proposed, each id once, with a transfer syntax that was offered.
    fn establish(&mut self, ac: &AssociateAc) {
        let roles = std::mem::take(&mut self.proposed_roles);
        for proposed in std::mem::take(&mut self.proposed) {
            let result = ac.contexts.iter().find(|result| result.id == proposed.id);
            let Some(ContextOutcome::Accepted { transfer_syntax }) = result.map(|result| &result.outcome)
            else {
                continue;
            };
            if proposed.id % 2 == 1
                && !self.is_accepted(proposed.id)
                && proposed.transfer_syntaxes.contains(transfer_syntax)
            {
                self.accepted |= 1 << (proposed.id / 2);
                let role = self.role(&roles, &ac.roles, &proposed.abstract_syntax);
                self.contexts.push(PresentationContext {
                    id: proposed.id,
                    abstract_syntax: proposed.abstract_syntax,
                    transfer_syntax: transfer_syntax.clone(),
                    requestor_is_scu: role.scu,
                    requestor_is_scp: role.scp,
                });
            }
        }
        self.contexts.sort_unstable_by_key(|context| context.id);
    }

    /// The roles of the requestor that hold for a SOP class: those granted, of those that were proposed; without an item, SCU only.
    ///
    /// PS3.7 §D.3.3.4.
    fn role(&self, proposed: &[RoleSelection], granted: &[RoleSelection], class: &str) -> RoleSelection {
        let of = |roles: &[RoleSelection]| roles.iter().find(|role| role.sop_class == class).cloned();
        let default = || RoleSelection { sop_class: class.to_owned(), scu: true, scp: false };
        match (of(proposed), of(granted)) {
            (Some(asked), Some(role)) => {
                RoleSelection { scu: asked.scu && role.scu, scp: asked.scp && role.scp, ..role }
            }
            // Our own answer, which grants no more than was proposed.
            (None, Some(role)) if !self.is_requestor => role,
            (_, None) | (None, Some(_)) => default(),
        }
    }

    fn is_accepted(&self, id: u8) -> bool {
        id % 2 == 1 && self.accepted >> (id / 2) & 1 == 1
    }
}

/// Without the output, which may hold patient data.
impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("state", &self.state)
            .field("is_requestor", &self.is_requestor)
            .field("artim", &self.artim)
            .finish_non_exhaustive()
    }
}
