//! A DICOM peer as a destination.

mod census;
mod pool;
mod status;
mod verifier;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::{DestinationName, Fault};
use net::scu::{Instance, Settings, Target, Whole};
use net::{End, Error};
use pipeline::{
    Courier, Destination, NotTranscoded, Outcome, Parcel, StoredInstance, Transcoded, Transcoder, Waiting,
};
use rustix::io::Errno;
use telemetry::Telemetry;

use pool::{Awake, Held, Pool};
pub use status::store_verdicts;
pub use verifier::Verifier;

/// Stores instances at a peer by C-STORE, their data sets as they are kept where the peer takes these.
///
/// Its couriers share at most `associations` associations, which last from one instance to the next. Each is proposed for all kinds
/// that wait, and made anew for a kind that came later. A peer that takes fewer associations gets as many as it takes. Where the
/// peer does not take a kind, the instance is sent in a transfer syntax that the peer takes and that it can be transcoded into
/// ([`proposal`](net::scu::proposal())); where there is none, it is refused. What the peer said last time shapes what it is asked, but
/// nothing is refused for what is remembered: it was asked for just before.
///
/// PS3.4 §B.2, PS3.7 §9.1.1.
pub struct Dicom {
    name: DestinationName,
    associations: NonZeroUsize,
    pool: Arc<Pool>,
    transcoder: Transcoder,
    /// Whether the peer is to be asked to commit to what it took.
    is_verified: bool,
}

impl Dicom {
    /// A peer, called as `settings` say. Nothing is connected yet.
    pub fn new(
        name: DestinationName,
        target: Target,
        settings: Settings,
        associations: NonZeroUsize,
        transcoder: Transcoder,
        telemetry: Telemetry,
    ) -> Self {
        let pool = Pool::new(target, settings, associations, telemetry);
        Self { name, associations, pool, transcoder, is_verified: false }
    }

    /// What the peer takes is not delivered before it has committed to its storage: a [`Verifier`] asks it.
    pub fn verified(self) -> Self {
        Self { is_verified: true, ..self }
    }
}

impl Destination for Dicom {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn width(&self) -> usize {
        self.associations.get()
    }

    fn courier(&self) -> Box<dyn Courier> {
        Box::new(StoreCourier {
            pool: Arc::clone(&self.pool),
            transcoder: self.transcoder.clone(),
            awake: None,
            is_verified: self.is_verified,
        })
    }
}

/// Sends over the associations of the pool.
struct StoreCourier {
    pool: Arc<Pool>,
    transcoder: Transcoder,
    /// While it may want an association.
    awake: Option<Awake>,
    is_verified: bool,
}

impl Courier for StoreCourier {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel, waiting: &'a dyn Waiting) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.send(&parcel.instance, waiting).await {
                Outcome::Delivered { answer, sent } if self.is_verified => Outcome::Stored { answer, sent },
                outcome => outcome,
            }
        })
    }

    fn rest(&mut self) -> BoxFuture<'_, ()> {
        self.awake = None;
        Box::pin(self.pool.let_go())
    }
}

impl StoreCourier {
    /// Sends an instance; once more where an association broke that was used before, or had to wait for a copy: its peer may have closed it
    /// meanwhile.
    async fn send(&mut self, instance: &StoredInstance, waiting: &dyn Waiting) -> Outcome {
        self.awake.get_or_insert_with(|| self.pool.wake());
        let mut copy = None;
        match self.try_to_send(instance, waiting, &mut copy).await {
            Ok(outcome) => outcome,
            Err(NotSent { error, was_used }) if (was_used || copy.is_some()) && is_over_early(&error) => {
                tracing::debug!(error = error.explain(), "trying again on another association");
                self.pool.clear().await;
                let sent = self.try_to_send(instance, waiting, &mut copy).await;
                sent.unwrap_or_else(NotSent::into_outcome)
            }
            Err(not_sent) => not_sent.into_outcome(),
        }
    }

    /// Sends an instance; a `copy` that was made for it is sent where the peer takes that.
    async fn try_to_send(
        &self,
        instance: &StoredInstance,
        waiting: &dyn Waiting,
        copy: &mut Option<Transcoded>,
    ) -> Result<Outcome, NotSent> {
        let kind = (instance.ids.sop_class.clone(), instance.transfer_syntax.clone());
        let mut held = match self.pool.association(&kind, waiting).await {
            Ok(held) => held,
            Err(reason) => return Ok(Outcome::Down { reason }),
        };
        let alternatives = held.association().alternatives(&kind);
        if alternatives.is_empty() {
            return send(held, instance).await;
        }
        if copy.as_ref().is_none_or(|copy| !alternatives.contains(&copy.instance.transfer_syntax)) {
            match self.transcoder.transcode_into_any(instance, &alternatives).await {
                Ok(made) => *copy = Some(made),
                Err(NotTranscoded::Cannot(reason)) if held.association().serves(&kind).is_none() => {
                    self.pool.ask_again(&kind);
                    held.keep();
                    let reason = format!("not transcoded: {reason}; the peer is asked for it as it is");
                    return Ok(Outcome::Retry { reason, after: Some(Duration::ZERO) });
                }
                Err(reason) => {
                    let refusal = send(held, instance).await?;
                    return Ok(not_transcoded(refusal, reason));
                }
            }
        }
        let Some(copy) = copy else { return send(held, instance).await };
        let words = Transcoded::describe(&instance.transfer_syntax, &copy.instance.transfer_syntax);
        tracing::debug!(instance = %instance.ids.sop_instance, words, "sending a copy");
        Ok(with_words(send(held, &copy.instance).await?, &words))
    }
}

/// Sends what is in a file as it is there.
async fn send(mut held: Held<'_>, instance: &StoredInstance) -> Result<Outcome, NotSent> {
    let sendable = Instance {
        path: instance.path.clone(),
        data_offset: instance.data_offset,
        sop_class: instance.ids.sop_class.clone(),
        sop_instance: instance.ids.sop_instance.clone(),
        transfer_syntax: instance.transfer_syntax.clone(),
    };
    match held.association().send(&sendable, Whole::of(instance)).await {
        Ok(answer) => {
            held.keep();
            // It was checked on the way; a NUL that makes the data set's length even is not counted.
            Ok(status::outcome(&answer, instance.sha256))
        }
        Err(error @ Error::NotAccepted { .. }) => {
            held.keep();
            Ok(Outcome::Refused { reason: error.explain() })
        }
        Err(Error::File(error)) => {
            if held.association().is_open().await {
                held.keep();
            }
            Ok(unreadable(&instance.path.display().to_string(), &error))
        }
        Err(error) => Err(NotSent { error, was_used: held.was_used() }),
    }
}

/// How a delivery ends for which no copy could be made, where the instance as it is would be refused so.
fn not_transcoded(refusal: Outcome, reason: NotTranscoded) -> Outcome {
    match reason {
        NotTranscoded::Cannot(reason) => with_words(refusal, &format!("not transcoded: {reason}")),
        NotTranscoded::Failed(error) => match error.fault() {
            Fault::Transient { .. } => {
                Outcome::Retry { reason: format!("cannot transcode now: {error}"), after: None }
            }
            Fault::Local | Fault::Bug | Fault::Peer | Fault::Policy => {
                Outcome::Poison { reason: format!("cannot transcode: {error}") }
            }
        },
    }
}

/// With words behind those that there are.
fn with_words(outcome: Outcome, words: &str) -> Outcome {
    let join = |text: String| format!("{text}; {words}");
    match outcome {
        Outcome::Delivered { answer, sent } => Outcome::Delivered { answer: join(answer), sent },
        Outcome::Stored { answer, sent } => Outcome::Stored { answer: join(answer), sent },
        Outcome::Refused { reason } => Outcome::Refused { reason: join(reason) },
        Outcome::Retry { reason, after } => Outcome::Retry { reason: join(reason), after },
        Outcome::Down { reason } => Outcome::Down { reason: join(reason) },
        Outcome::Poison { reason } => Outcome::Poison { reason: join(reason) },
    }
}

/// The association broke under an instance.
struct NotSent {
    error: Error,
    was_used: bool,
}

impl NotSent {
    fn into_outcome(self) -> Outcome {
        Outcome::Retry { reason: self.error.explain(), after: None }
    }
}

/// Whether the peer ended the association, or the network did. One that just says nothing would be waited for twice.
fn is_over_early(error: &Error) -> bool {
    matches!(error, Error::Lost(end) if !matches!(end, End::TimedOut(_)))
}

/// What we keep cannot be read: not the fault of the instance when the process lacks what every reading takes.
fn unreadable(path: &str, error: &io::Error) -> Outcome {
    let reason = format!("cannot read {path}: {error}");
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Outcome::Retry { reason, after: None },
        _ => Outcome::Poison { reason },
    }
}

#[cfg(test)]
mod tests;
