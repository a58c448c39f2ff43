//! A DICOM peer as a destination.

mod census;
mod pool;
mod status;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use model::DestinationName;
use net::scu::{Instance, Settings, Target, Whole};
use net::{End, Error};
use pipeline::{Courier, Destination, Outcome, Parcel, StoredInstance, Waiting};
use rustix::io::Errno;
use telemetry::Telemetry;

use pool::{Awake, Pool};

/// Stores instances at a peer by C-STORE, their data sets as they are kept.
///
/// Its couriers share at most `associations` associations, which last from one instance to the next. Each is proposed for all kinds
/// that wait, and made anew for a kind that came later. A peer that takes fewer associations gets as many as it takes. Where the
/// peer does not take a kind, the instance is refused: nothing is transcoded.
///
/// PS3.4 §B.2, PS3.7 §9.1.1.
pub struct Dicom {
    name: DestinationName,
    associations: NonZeroUsize,
    pool: Arc<Pool>,
}

impl Dicom {
    /// A peer, called as `settings` say. Nothing is connected yet.
    pub fn new(
        name: DestinationName,
        target: Target,
        settings: Settings,
        associations: NonZeroUsize,
        telemetry: Telemetry,
    ) -> Self {
        Self { name, associations, pool: Pool::new(target, settings, associations, telemetry) }
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
        Box::new(StoreCourier { pool: Arc::clone(&self.pool), awake: None })
    }
}

/// Sends over the associations of the pool.
struct StoreCourier {
    pool: Arc<Pool>,
    /// While it may want an association.
    awake: Option<Awake>,
}

impl Courier for StoreCourier {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel, waiting: &'a dyn Waiting) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(&parcel.instance, waiting))
    }

    fn rest(&mut self) -> BoxFuture<'_, ()> {
        self.awake = None;
        Box::pin(self.pool.let_go())
    }
}

impl StoreCourier {
    /// Sends an instance; once more where an association broke that was used before, which its peer may have closed meanwhile.
    async fn send(&mut self, instance: &StoredInstance, waiting: &dyn Waiting) -> Outcome {
        self.awake.get_or_insert_with(|| self.pool.wake());
        match self.try_to_send(instance, waiting).await {
            Ok(outcome) => outcome,
            Err(NotSent { error, was_used: true }) if is_over_early(&error) => {
                tracing::debug!(error = error.explain(), "trying again on another association");
                self.pool.clear().await;
                self.try_to_send(instance, waiting).await.unwrap_or_else(NotSent::into_outcome)
            }
            Err(not_sent) => not_sent.into_outcome(),
        }
    }

    async fn try_to_send(
        &self,
        instance: &StoredInstance,
        waiting: &dyn Waiting,
    ) -> Result<Outcome, NotSent> {
        let sendable = Instance {
            path: instance.path.clone(),
            data_offset: instance.data_offset,
            sop_class: instance.ids.sop_class.clone(),
            sop_instance: instance.ids.sop_instance.clone(),
            transfer_syntax: instance.transfer_syntax.clone(),
        };
        let kind = (sendable.sop_class.clone(), sendable.transfer_syntax.clone());
        let mut held = match self.pool.association(&kind, waiting).await {
            Ok(held) => held,
            Err(reason) => return Ok(Outcome::Down { reason }),
        };
        let whole = Whole { file_bytes: instance.length, sha256: instance.sha256 };
        match held.association().send(&sendable, whole).await {
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
