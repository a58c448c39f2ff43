use std::io;
use std::sync::Arc;
use std::time::Duration;

use dimse::Outcome;
use dimse::service::store::MoveOriginator;
use model::{SopInstanceUid, TransferSyntaxUid};
use pipeline::peers::Said;
use telemetry::{Event, Telemetry};
use tokio::time::timeout;

use super::alternatives::Kind;
use super::file::{Chunk, DataSet, Whole};
use super::queue::Instance;
use super::store::{Contexts, NotSent, Rest, StoreScu};
use super::{Settings, Target};
use crate::end::{End, Wait};
use crate::error::Error;

/// An association for C-STORE that is kept from one instance to the next, for whoever learns one by one what is to be sent.
///
/// Memory: one chunk of at most 1 MiB, whatever the size of the instances. Dropped, the connection is closed without a word.
pub struct StoreAssociation {
    /// `None` once it is over.
    scu: Option<StoreScu>,
    /// Used again for every instance.
    chunk: Chunk,
    patience: Duration,
    open: Open,
}

/// What a peer said on one association, for what it is proposed on the next.
pub struct Heard(Arc<Contexts>);

impl Heard {
    /// What it said to this kind, `None` when it was not asked.
    pub(super) fn said(&self, kind: &Kind) -> Option<Said> {
        self.0.said(kind)
    }
}

impl StoreAssociation {
    /// Connects and associates with a presentation context for each kind, one SOP class in one transfer syntax, of which there are at
    /// most [`MAX_KINDS`](super::MAX_KINDS). Each is asked for by itself, so that the peer's choice of one costs no other.
    ///
    /// Takes at most `connect_timeout` and `message_timeout`. Cancel safe: dropped, there is no association.
    ///
    /// # Errors
    /// [`Error::Connect`], or [`Error::Association`] with how it ended. A kind that the peer does not take is none.
    ///
    /// PS3.8 §9.3.2.2.
    pub async fn open(
        target: &Target,
        settings: &Settings,
        telemetry: &Telemetry,
        kinds: &[Kind],
    ) -> Result<Self, Error> {
        let scu = StoreScu::associate(target, settings, kinds).await?;
        let (chunk, patience) = (Chunk::default(), settings.artim_timeout);
        Ok(Self { scu: Some(scu), chunk, patience, open: Open::new(telemetry) })
    }

    /// Says from now on, in each request, that instances are sent for this C-MOVE (PS3.7 §9.1.1.1.6).
    pub(crate) fn on_behalf_of(mut self, originator: MoveOriginator) -> Self {
        if let Some(scu) = &mut self.scu {
            scu.set_originator(originator);
        }
        self
    }

    /// Whether the peer takes instances of this kind, or why not; `None` when it was not asked.
    pub fn serves(&self, kind: &Kind) -> Option<Result<(), &'static str>> {
        self.scu.as_ref()?.contexts().answer(kind)
    }

    /// Whether the peer was asked for all that an instance of this kind can go as, until it took one: another association would be no
    /// better. What it is known to refuse it need not have been asked for as it is where it takes another, nor compressed (see
    /// [`proposal`](super::proposal())).
    pub fn settles(&self, kind: &Kind, target: &Target) -> bool {
        self.scu.as_ref().is_some_and(|scu| scu.contexts().settles(kind, |kind| target.said(kind)))
    }

    /// What the peer said to each kind that it was asked for; `None` once the association is over.
    pub fn heard(&self) -> Option<Heard> {
        Some(Heard(self.scu.as_ref()?.contexts()))
    }

    /// Whether the peer takes instances of this kind, or what they can be transcoded into.
    pub fn takes(&self, kind: &Kind) -> bool {
        self.scu.as_ref().is_some_and(|scu| scu.contexts().takes_any(kind))
    }

    /// The transfer syntaxes into which an instance of this kind may be transcoded for the peer, best first; none where it takes the
    /// instance as it is.
    pub fn alternatives(&self, kind: &Kind) -> Vec<TransferSyntaxUid> {
        self.scu.as_ref().map_or_else(Vec::new, |scu| scu.contexts().alternatives(kind))
    }

    /// Whether the association still stands, as far as the peer's words have come. Where they end it, it is closed.
    ///
    /// A peer may close an association that has been idle for a while. What it said just now may still be on its way.
    pub async fn is_open(&mut self) -> bool {
        if let Some(end) = self.scu.as_mut().and_then(StoreScu::ended) {
            tracing::debug!(end = crate::chain(&end), "association lost between instances");
            self.lost(&end).await;
        }
        self.scu.is_some()
    }

    /// Sends one instance, whose file is to be `whole`, and waits for the answer, which may be a refusal: see its status.
    ///
    /// Of a file that is not, the last bytes are never sent, so that the peer gets no instance of it.
    ///
    /// A data set of odd length gets one NUL at its end (PS3.5 §7.1.1); else its bytes go out as they are. Bounded in time: the peer has
    /// to take a message, and to answer, within `message_timeout` or at least make progress. Not cancel safe: the association is
    /// to be dropped then.
    ///
    /// # Errors
    /// [`Error::NotAccepted`] when the peer takes none of its kind, and [`Error::File`] when the file cannot be read or is not
    /// whole: these concern the instance. [`Error::Lost`] when the association is over; the peer may have got the instance.
    ///
    /// PS3.7 §9.1.1, PS3.4 §B.2.
    pub async fn send(&mut self, instance: &Instance, whole: Whole) -> Result<Outcome, Error> {
        let sent = self.send_ahead(instance, whole).await?;
        match self.answer().await? {
            (message_id, _, outcome) if message_id == sent => Ok(outcome),
            (..) => {
                let end = End::OutOfTurn("C-STORE-RSP");
                self.lost(&end).await;
                Err(Error::Lost(end))
            }
        }
    }

    /// Instances that may be sent before the first of them is answered; at least one.
    pub(crate) fn window(&self) -> usize {
        self.scu.as_ref().map_or(1, StoreScu::window)
    }

    /// Whether the association is over; as [`StoreAssociation::is_open`] where answers are waited for, without a look at the peer's
    /// words.
    pub(crate) fn is_over(&self) -> bool {
        self.scu.is_none()
    }

    /// As [`StoreAssociation::send`], without waiting for the answer; gives the Message ID.
    pub(crate) async fn send_ahead(&mut self, instance: &Instance, whole: Whole) -> Result<u16, Error> {
        let Some(scu) = &mut self.scu else { return Err(Error::Lost(End::Closed)) };
        scu.contexts().of(instance)?;
        let mut rest = File { data_set: None, spare: std::mem::take(&mut self.chunk) };
        let (data, bytes) = rest.open(instance.clone(), whole).await.map_err(Error::File)?;
        let sent = scu.send_ahead(instance, data, bytes, &mut rest).await;
        self.chunk = rest.spare;
        match sent {
            Ok(message_id) => Ok(message_id),
            Err(NotSent::Torn(error)) => {
                self.lost(&End::Abandoned).await;
                Err(Error::File(error))
            }
            Err(NotSent::Lost(end)) => {
                self.lost(&end).await;
                Err(Error::Lost(end))
            }
        }
    }

    /// Waits for the answer to an instance that was sent: to which message, of which instance, and what it says. Bounded in time and not
    /// cancel safe as [`StoreAssociation::send`].
    ///
    /// # Errors
    /// [`Error::Lost`] when the association is over.
    pub(crate) async fn answer(&mut self) -> Result<(u16, Option<SopInstanceUid>, Outcome), Error> {
        let Some(scu) = &mut self.scu else { return Err(Error::Lost(End::Closed)) };
        match scu.answer().await {
            Ok(answer) => Ok(answer),
            Err(end) => {
                self.lost(&end).await;
                Err(Error::Lost(end))
            }
        }
    }

    /// Ends the association in good order. Takes at most the ARTIM timeout, after which it is closed all the same.
    pub async fn close(mut self) {
        let Some(scu) = self.scu.take() else { return };
        let end = match timeout(self.patience, scu.release()).await {
            Ok(Ok(())) => End::Released,
            Ok(Err(Error::Lost(end))) => end,
            Ok(Err(_)) | Err(_) => End::TimedOut(Wait::Message),
        };
        self.open.end(&end);
    }

    pub(super) async fn lost(&mut self, end: &End) {
        self.open.end(end);
        if let Some(scu) = self.scu.take() {
            scu.close(end).await;
        }
    }
}

/// How long a peer may still count an association that we have closed, and be full of it.
pub const AFTERMATH: Duration = Duration::from_secs(2);

/// Reads a file where it is sent. What was received a moment ago is still in memory, so that reading ahead would gain nothing.
struct File {
    data_set: Option<DataSet>,
    spare: Chunk,
}

impl File {
    /// Opens the file and reads the first chunk; with it, the bytes of the data set.
    async fn open(&mut self, instance: Instance, whole: Whole) -> io::Result<(Chunk, u64)> {
        let mut chunk = std::mem::take(&mut self.spare);
        let (chunk, data_set, bytes) = blocking(move || {
            let mut data_set = DataSet::open_whole(&instance, whole)?;
            let bytes = data_set.bytes();
            data_set.read(&mut chunk)?;
            Ok((chunk, data_set, bytes))
        })
        .await?;
        self.data_set = Some(data_set);
        Ok((chunk, bytes))
    }
}

impl Rest for File {
    async fn more(&mut self) -> io::Result<Chunk> {
        let mut chunk = std::mem::take(&mut self.spare);
        let Some(mut data_set) = self.data_set.take() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let (chunk, data_set) = blocking(move || {
            data_set.read(&mut chunk)?;
            Ok((chunk, data_set))
        })
        .await?;
        self.data_set = Some(data_set);
        Ok(chunk)
    }

    fn give_back(&mut self, chunk: Chunk) {
        self.spare = chunk;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(io::Error::other("reading ended early")))
}

/// Counts the association as open until its end.
pub(super) struct Open {
    telemetry: Telemetry,
    is_over: bool,
}

impl Open {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        telemetry.record(Event::AssociationOpened { requestor: true });
        Self { telemetry: telemetry.clone(), is_over: false }
    }

    pub(super) fn end(&mut self, end: &End) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.telemetry.record(Event::AssociationClosed { requestor: true, end: end.label() });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Nobody has ended it: whoever sent was stopped.
        self.end(&End::Shutdown);
    }
}
