use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::BytesMut;
use dimse::service::store::{CStoreRq, CStoreRsp, MoveOriginator};
use dimse::{Command, Outcome};
use futures_util::FutureExt;
use model::{SopClassUid, SopInstanceUid, TransferSyntaxUid, sop};
use pipeline::peers::Said;
use ul::PresentationContext;
use ul::pdata::{self, Fragments};

use super::alternatives::{self, Kind};
use super::associate::{self, Requested, UNKNOWN_CLASS, Wishes};
use super::file::Chunk;
use super::proposal::plain_ways;
use super::queue::Instance;
use super::{Settings, Target};
use crate::drive::Drive;
use crate::end::End;
use crate::error::Error;

/// An association on which instances are sent, one after the other.
pub(super) struct StoreScu {
    drive: Drive,
    contexts: Arc<Contexts>,
    settings: Settings,
    /// Instances that may be sent before the first of them is answered.
    window: usize,
    message_id: u16,
    /// The C-MOVE that the instances are sent for.
    originator: Option<MoveOriginator>,
}

/// The presentation context of each kind that was proposed, or why there is none.
pub(crate) struct Contexts(HashMap<Kind, Result<u8, &'static str>>);

/// Why an instance was not sent.
pub(crate) enum NotSent {
    /// Its file failed in the middle; the association is lost with it.
    Torn(io::Error),
    /// The association is over.
    Lost(End),
}

/// The rest of a data set that is being sent, in chunks.
pub(crate) trait Rest {
    /// The next chunk; there is one.
    async fn more(&mut self) -> io::Result<Chunk>;

    /// Takes a chunk back that has been written, to be filled again.
    fn give_back(&mut self, chunk: Chunk);
}

impl From<End> for NotSent {
    fn from(end: End) -> Self {
        Self::Lost(end)
    }
}

impl StoreScu {
    /// Associates with a context for each kind, of which there are at most [`MAX_KINDS`].
    ///
    /// PS3.8 §9.3.2.2.
    pub(super) async fn associate(
        target: &Target,
        settings: &Settings,
        kinds: &[Kind],
    ) -> Result<Self, Error> {
        let (proposed, others): (Vec<Kind>, Vec<Kind>) = kinds.iter().cloned().partition(is_proposable);
        let pairs = proposed.iter().map(|(class, syntax)| (class.to_string(), vec![syntax.to_string()]));
        let wishes = Wishes { operations: target.terms.ahead, ..Wishes::default() };
        let requested = associate::associate_as(target, settings, pairs, wishes).await?;
        let Requested { drive, results, window, .. } = requested;
        let ids = (1..=u8::MAX).step_by(2);
        let answers = proposed.into_iter().zip(ids).map(|(kind, id)| {
            let refusal = match results.iter().find(|result| result.id == id) {
                Some(result) => associate::refusal(result, kind.1.as_str()),
                None => Some("not answered"),
            };
            (kind, refusal.map_or(Ok(id), Err))
        });
        let others = others.into_iter().map(|kind| (kind, Err("a UID of it cannot be proposed")));
        let contexts = Contexts(answers.chain(others).collect());
        let (contexts, settings) = (Arc::new(contexts), settings.clone());
        Ok(Self { drive, contexts, settings, window: window.into(), message_id: 0, originator: None })
    }

    /// Says from now on that instances are sent for this C-MOVE.
    pub(super) fn set_originator(&mut self, originator: MoveOriginator) {
        self.originator = Some(originator);
    }

    /// What it sends.
    pub(super) fn contexts(&self) -> Arc<Contexts> {
        Arc::clone(&self.contexts)
    }

    /// Instances that may be sent before the first of them is answered; at least one.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Sends an instance that begins with `data` and goes on in `rest`, `bytes` in all, without waiting for the answer; its message ID.
    ///
    /// PS3.7 §9.1.1, PS3.4 §B.2.
    pub(super) async fn send_ahead(
        &mut self,
        instance: &Instance,
        data: Chunk,
        bytes: u64,
        rest: &mut impl Rest,
    ) -> Result<u16, NotSent> {
        let Ok(context_id) = self.contexts.of(instance) else { return Err(End::Abandoned.into()) };
        self.message_id = self.message_id.wrapping_add(1);
        let request = CStoreRq {
            message_id: self.message_id,
            affected_sop_class_uid: Some(instance.sop_class.clone()),
            affected_sop_instance_uid: Some(instance.sop_instance.clone()),
            move_originator: self.originator.clone(),
        };
        put(&mut self.drive, context_id, request, data, bytes, rest).await?;
        Ok(self.message_id)
    }

    /// Waits for the answer to an instance that was sent: to which message, of which instance, and what it says.
    pub(super) async fn answer(&mut self) -> Result<(u16, Option<SopInstanceUid>, Outcome), End> {
        let message = self.drive.next_message(self.settings.message_timeout).await?;
        match message.command {
            Command::CStoreRsp(response) => {
                self.drive.drain().await?;
                let CStoreRsp { message_id_being_responded_to, affected_sop_instance_uid, outcome, .. } =
                    response;
                Ok((message_id_being_responded_to, affected_sop_instance_uid, outcome))
            }
            other => Err(End::OutOfTurn(other.name())),
        }
    }

    /// How the association ended since the last answer, when it did. Waits for nothing.
    pub(super) fn ended(&mut self) -> Option<End> {
        match self.drive.next_message(self.settings.message_timeout).now_or_never()? {
            Ok(message) => Some(End::OutOfTurn(message.command.name())),
            Err(end) => Some(end),
        }
    }

    /// Ends the association in good order.
    pub(super) async fn release(self) -> Result<(), Error> {
        associate::release(self.drive).await
    }

    /// Ends an association that failed so.
    pub(super) async fn close(self, end: &End) {
        associate::close(self.drive, end).await;
    }
}

/// Writes a C-STORE request whose data set begins with `data` and goes on in `rest`, `bytes` in all, behind what is queued. The answer
/// is for the caller to read. Not cancel safe.
///
/// PS3.7 §9.3.1.1.
pub(crate) async fn put(
    drive: &mut Drive,
    context_id: u8,
    request: CStoreRq,
    mut data: Chunk,
    bytes: u64,
    rest: &mut impl Rest,
) -> Result<(), NotSent> {
    drive.queue(context_id, &request.into(), None)?;
    let mut framer = Framer::new(context_id, drive.association().peer_max_pdu_bytes(), bytes);
    let mut sent = 0;
    loop {
        sent += data.bytes().len() as u64;
        let queued = drive.take_queued();
        write(drive, &queued, &mut framer, data.bytes()).await?;
        rest.give_back(data);
        if sent >= bytes {
            return Ok(());
        }
        data = rest.more().await.map_err(NotSent::Torn)?;
    }
}

impl Contexts {
    /// Those on which the requestor of an association wants to be sent instances: it is SCP there (PS3.7 §D.3.3.4).
    pub(crate) fn of_requestor(contexts: &[PresentationContext]) -> Self {
        let mut of_kind = HashMap::new();
        for context in contexts {
            let kind = SopClassUid::lenient(&context.abstract_syntax)
                .zip(TransferSyntaxUid::lenient(&context.transfer_syntax));
            if let Some(kind) = kind
                && context.requestor_is_scp
                && sop::is_storage(&context.abstract_syntax)
            {
                of_kind.entry(kind).or_insert(Ok(context.id));
            }
        }
        Self(of_kind)
    }

    /// Whether there is no context at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a context was proposed, or cannot be, for this kind.
    pub(super) fn knows(&self, kind: &Kind) -> bool {
        self.0.contains_key(kind)
    }

    /// Whether the peer takes this kind, or why not; `None` when it was not asked.
    pub(super) fn answer(&self, kind: &Kind) -> Option<Result<(), &'static str>> {
        self.0.get(kind).map(|context| context.map(drop))
    }

    /// Whether the peer was asked for all that an instance of this kind can go as, until it took one. What it is known to refuse it need
    /// not have been asked for as it is where it takes another, nor compressed; and nothing compressed where it does not know the SOP
    /// class.
    pub(super) fn settles(&self, kind: &Kind, said: impl Fn(&Kind) -> Option<Said>) -> bool {
        let is_refused = |way: &Kind| said(way) == Some(Said::Refuses);
        if self.takes_any(kind) {
            return self.knows(kind) || is_refused(kind);
        }
        let is_of_unknown_class = |way: Kind| self.0.get(&way) == Some(&Err(UNKNOWN_CLASS));
        plain_ways(kind).all(|way| self.knows(&way))
            && (plain_ways(kind).any(is_of_unknown_class)
                || alternatives::proposed_at_last(kind).all(|way| self.knows(&way) || is_refused(&way)))
    }

    /// What the peer said to this kind.
    pub(super) fn said(&self, kind: &Kind) -> Option<Said> {
        let answer = self.0.get(kind)?;
        Some(if answer.is_ok() { Said::Takes } else { Said::Refuses })
    }

    /// Whether it takes this kind, or what that can be transcoded into.
    pub(super) fn takes_any(&self, kind: &Kind) -> bool {
        self.takes(kind) || !self.alternatives(kind).is_empty()
    }

    /// The transfer syntaxes in which instances of this kind are taken that can be made of them, best first; none where they are taken as
    /// they are.
    pub(crate) fn alternatives(&self, kind: &Kind) -> Vec<TransferSyntaxUid> {
        if self.takes(kind) {
            return Vec::new();
        }
        let made = alternatives::made_of(&kind.1);
        made.filter(|syntax| self.takes(&(kind.0.clone(), syntax.clone()))).collect()
    }

    fn takes(&self, kind: &Kind) -> bool {
        matches!(self.0.get(kind), Some(Ok(_)))
    }

    /// The presentation context for an instance that goes out as it is in its file, a copy in another transfer syntax perhaps. Every
    /// instance that is sent by C-STORE asks here, and nothing else decides on its context.
    ///
    /// # Errors
    /// [`Error::NotAccepted`] when the peer takes none of its kind.
    pub(crate) fn of(&self, instance: &Instance) -> Result<u8, Error> {
        let kind = instance.kind();
        self.0.get(&kind).copied().unwrap_or(Err("not proposed")).map_err(|reason| Error::NotAccepted {
            sop_class: kind.0.to_string(),
            transfer_syntax: kind.1.to_string(),
            reason,
        })
    }
}

/// Writes the command, when there is one, and the next bytes of the data set, as one piece where the socket takes it.
async fn write(drive: &mut Drive, command: &BytesMut, framer: &mut Framer, data: &[u8]) -> Result<(), End> {
    let segments = framer.segments(data.len());
    let mut slices = Vec::with_capacity(1 + 2 * segments.len());
    slices.push(IoSlice::new(command));
    let mut rest = data;
    for segment in &segments {
        let (bytes, after) = rest.split_at_checked(segment.bytes).unwrap_or((rest, &[]));
        slices.extend([
            IoSlice::new(segment.header.as_ref().map_or(&[], |header| header)),
            IoSlice::new(bytes),
        ]);
        rest = after;
    }
    drive.write(&mut slices).await
}

/// Puts P-DATA-TF headers between the bytes of a data set that come in chunks of any size.
struct Framer {
    context_id: u8,
    fragments: Fragments,
    fragment_left: usize,
}

/// Bytes of the data set that go out in one piece, after the header of their PDU where they are its first.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    header: Option<[u8; pdata::HEADER_BYTES]>,
    bytes: usize,
}

impl Framer {
    fn new(context_id: u8, peer_max_pdu_bytes: u32, bytes: u64) -> Self {
        Self { context_id, fragments: pdata::fragments(peer_max_pdu_bytes, bytes), fragment_left: 0 }
    }

    /// How the next `bytes` bytes go out. With none at the start, an empty data set has its one empty fragment.
    fn segments(&mut self, mut bytes: usize) -> Vec<Segment> {
        let mut segments = Vec::new();
        loop {
            let mut header = None;
            if self.fragment_left == 0 {
                let Some(fragment) = self.fragments.next() else { return segments };
                self.fragment_left = fragment.bytes as usize; // lossless: at most limits::SENT_PDU_BYTES
                header = Some(fragment.header(self.context_id, false));
            }
            let taken = self.fragment_left.min(bytes);
            segments.push(Segment { header, bytes: taken });
            self.fragment_left -= taken;
            bytes -= taken;
            if bytes == 0 {
                return segments;
            }
        }
    }
}

/// A name in A-ASSOCIATE-RQ is a UID (PS3.8 Annex F); a peer may refuse the whole association for one that is none.
fn is_proposable((class, syntax): &Kind) -> bool {
    class.is_valid() && syntax.is_valid()
}

/// Presentation contexts of one association: the odd numbers of a byte (PS3.8 Table 9-13).
pub const MAX_KINDS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stand_where_pdus_begin_whatever_the_chunks() {
        // 10 bytes of data fit one PDU of 16.
        for chunks in [&[25][..], &[10, 10, 5], &[3, 7, 15], &[1; 25]] {
            let mut framer = Framer::new(5, 16, 25);
            let mut wire = Vec::new();
            for chunk in chunks {
                for Segment { header, bytes } in framer.segments(*chunk) {
                    wire.extend(header.iter().flatten());
                    wire.extend(vec![0xAA; bytes]);
                }
            }
            let mut expected = Vec::new();
            for (bytes, is_last) in [(10, false), (10, false), (5, true)] {
                expected.extend(pdata::header(5, false, is_last, bytes));
                expected.extend(vec![0xAA; bytes as usize]);
            }
            assert_eq!(wire, expected, "{chunks:?}");
        }
    }

    #[test]
    fn an_empty_data_set_is_one_empty_fragment() {
        let mut framer = Framer::new(1, 0, 0);
        let header = Some(pdata::header(1, false, true, 0));
        assert_eq!(framer.segments(0), [Segment { header, bytes: 0 }]);
    }
}
