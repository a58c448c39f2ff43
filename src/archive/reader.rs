//! Connections for reading: a bounded pool, used on threads that may block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::limits;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{Error, schema};

/// At most [`limits::READERS`] connections, opened when first needed.
pub(crate) struct Readers {
    index: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(index: &Path) -> Self {
        Self {
            index: index.to_owned(),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(limits::READERS)),
        }
    }

    /// Runs `work` in one read transaction. It must end soon: the write-ahead log cannot be emptied before.
    ///
    /// Cancel safety: dropped, the work runs to its end and its result is lost.
    pub(crate) async fn read<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let (idle, index) = (self.idle.clone(), self.index.clone());
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let spare = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = spare.map_or_else(|| schema::open_reader(&index), Ok)?;
            let transaction = connection.unchecked_transaction()?;
            let result = work(&transaction);
            transaction.finish()?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        });
        match done.await {
            Ok(result) => result,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(Error::Closed),
        }
    }

    /// Lets nobody read any more, so that the log can be emptied.
    pub(crate) async fn close(&self) {
        let all = u32::try_from(limits::READERS).unwrap_or(u32::MAX);
        if let Ok(permits) = self.permits.acquire_many(all).await {
            permits.forget();
        }
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
