//! A folder as a destination.

mod keep;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::{DestinationName, limits};
use pipeline::{Courier, Destination, Outcome, Parcel, StoredInstance, Waiting};
use tokio::sync::Semaphore;

use crate::claim::Claims;
use crate::key::Key;
use crate::probe::{self, FolderProbe};
use crate::source::blocking;

/// A folder that gets each instance as the file that is stored: `{path}/{Study}/{Series}/{SOP}[~sha12].dcm`.
///
/// What is delivered is durable: written aside in the same folder, synced, renamed over nothing, and the names synced too. A crash may
/// leave a `.part` file, which the next attempt replaces. Other content under the same UIDs stands beside what was there first.
pub struct Folder {
    name: DestinationName,
    parallel: NonZeroUsize,
    shared: Arc<Shared>,
}

impl Folder {
    /// A folder, made when the first instance comes. `parallel` files are written at once.
    pub fn new(name: DestinationName, path: PathBuf, parallel: NonZeroUsize) -> Self {
        let threads = Arc::new(Semaphore::new(parallel.get()));
        Self { name, parallel, shared: Arc::new(Shared { path, claims: Arc::default(), threads }) }
    }

    /// Writes a small file there, syncs it and removes it. Takes at most ten seconds; a file system that has stopped answering keeps a
    /// thread. Cancel safe.
    pub async fn probe(&self) -> FolderProbe {
        probe::folder(&self.shared.path, PROBE_PATIENCE).await
    }
}

impl Destination for Folder {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn width(&self) -> usize {
        self.parallel.get()
    }

    fn courier(&self) -> Box<dyn Courier> {
        Box::new(FolderCourier { shared: self.shared.clone(), durable: None })
    }
}

struct Shared {
    path: PathBuf,
    claims: Arc<Claims>,
    /// One for each thread that may be at work, or stuck in a file system that has stopped answering.
    threads: Arc<Semaphore>,
}

struct FolderCourier {
    shared: Arc<Shared>,
    /// The folder of the latest series: its name is durable.
    durable: Option<PathBuf>,
}

impl FolderCourier {
    async fn carry(&mut self, instance: &StoredInstance) -> Outcome {
        let Shared { path, claims, threads } = &*self.shared;
        let key = Key::of(&instance.ids);
        let claim = claims.claim(key.to_string()).await;
        let permit = threads.clone().acquire_owned().await;
        let (root, instance, durable) = (path.clone(), instance.clone(), self.durable.take());
        let kept = blocking(move || {
            // Held until the work is done, also when nobody waits for it any longer.
            let _held = (claim, permit);
            keep::keep(&root, &key, &instance, durable.as_deref())
                .map_err(|failure| failure.outcome(&instance))
        });
        match kept.await {
            Ok(kept) => {
                self.durable = Some(kept.folder);
                Outcome::Delivered { answer: kept.answer.to_owned(), sent: kept.sent }
            }
            Err(outcome) => outcome,
        }
    }
}

impl Courier for FolderCourier {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel, _waiting: &'a dyn Waiting) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let patience = patience(parcel.instance.length);
            match tokio::time::timeout(patience, self.carry(&parcel.instance)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Down {
                    reason: format!(
                        "{} does not answer for {} s",
                        self.shared.path.display(),
                        patience.as_secs()
                    ),
                },
            }
        })
    }

    fn rest(&mut self) -> BoxFuture<'_, ()> {
        self.durable = None;
        Box::pin(std::future::ready(()))
    }
}

fn patience(length: u64) -> Duration {
    limits::FOLDER_TIMEOUT + Duration::from_secs(length / limits::FOLDER_BYTES_PER_SECOND)
}

const PROBE_PATIENCE: Duration = Duration::from_secs(10);
