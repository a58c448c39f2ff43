use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many associations are open, in use or not.
#[derive(Default)]
pub(super) struct Census(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    open: usize,
    /// When the last one ended.
    closed: Option<Instant>,
}

/// An association that is open until this is dropped.
pub(super) struct Counted(Arc<Mutex<Counts>>);

impl Census {
    pub(super) fn open(&self) -> usize {
        lock(&self.0).open
    }

    pub(super) fn has_closed_within(&self, time: Duration) -> bool {
        lock(&self.0).closed.is_some_and(|closed| closed.elapsed() < time)
    }

    pub(super) fn count(&self) -> Counted {
        lock(&self.0).open += 1;
        Counted(Arc::clone(&self.0))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = lock(&self.0);
        counts.open -= 1;
        counts.closed = Some(Instant::now());
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
