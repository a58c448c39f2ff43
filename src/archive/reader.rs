//! Connections for reading: a bounded pool, used on threads that may block.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::limits;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{Error, schema};

/// At most [`limits::READERS`] connections, opened when first needed.
pub(crate) struct Readers {
    index: PathBuf,
    /// How long one read may take.
    patience: Duration,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(index: &Path) -> Self {
        Self {
            index: index.to_owned(),
            patience: limits::READ_TIMEOUT,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(limits::READERS)),
        }
    }

    /// Runs `work` in one read transaction. It must end soon: the write-ahead log cannot be emptied before.
    ///
    /// Cancel safe: dropped, the statement that runs is interrupted, and the connection is free for others.
    ///
    /// # Errors
    /// As `work`; [`Error::TooLong`] when it takes longer than [`limits::READ_TIMEOUT`].
    pub(crate) async fn read<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let (idle, index, patience) = (self.idle.clone(), self.index.clone(), self.patience);
        let wanted = Wanted::default();
        let is_left = wanted.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let spare = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = spare.map_or_else(|| schema::open_reader(&index), Ok)?;
            let end = Instant::now() + patience;
            let is_over = move || is_left.load(Ordering::Relaxed) || Instant::now() >= end;
            connection.progress_handler(STEPS, Some(is_over))?;
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

/// Somebody waits for a read; once this is dropped, nobody does.
#[derive(Default)]
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Steps of SQLite's between two looks at whether a read is to go on: some ten microseconds.
const STEPS: i32 = 1000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Does not end by itself within the life of a test.
    fn endless(connection: &Connection) -> Result<i64, Error> {
        let sql = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 1000000000000) SELECT count(*) FROM n";
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
    }

    fn one(connection: &Connection) -> Result<i64, Error> {
        Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?)
    }

    fn readers(folder: &tempfile::TempDir, patience: Duration) -> Readers {
        let path = folder.path().join("index.sqlite");
        drop(schema::open_writer(&path, true).unwrap());
        Readers { patience, ..Readers::new(&path) }
    }

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_ended_and_the_next_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, Duration::from_millis(50));
        for _ in 0..limits::READERS + 1 {
            let ended = readers.read(endless).await;
            assert!(matches!(ended, Err(Error::TooLong)), "{ended:?}");
        }
        let readers = Readers { patience: limits::READ_TIMEOUT, ..readers };
        assert_eq!(readers.read(one).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, limits::READ_TIMEOUT);
        let ended = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 * limits::READERS {
            let ended = ended.clone();
            let work = move |connection: &Connection| {
                let result = endless(connection);
                ended.fetch_add(1, Ordering::Relaxed);
                result
            };
            let left = tokio::time::timeout(Duration::from_millis(20), readers.read(work)).await;
            assert!(left.is_err());
        }
        // All connections are free again, with time to spare.
        for _ in 0..limits::READERS {
            assert_eq!(readers.read(one).await.unwrap(), 1);
        }
        readers.close().await;
        assert_eq!(ended.load(Ordering::Relaxed), 2 * limits::READERS);
    }
}
