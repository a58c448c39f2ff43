use std::sync::{Mutex, PoisonError};

use model::limits;
use tokio::time::Instant;

/// Whether an upstream archive answered when it was asked last.
#[derive(Debug, Default)]
pub(super) struct Health {
    failed: Mutex<Option<Instant>>,
}

impl Health {
    /// Whether it failed a moment ago, so that who can do without it does not wait for it.
    pub(super) fn is_down(&self) -> bool {
        self.failed().is_some_and(|failed| failed.elapsed() < limits::UPSTREAM_PAUSE)
    }

    /// Takes note of an answer, or that there was none; whether that is news.
    pub(super) fn note(&self, is_well: bool) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let was_well = failed.is_none();
        *failed = (!is_well).then(Instant::now);
        was_well != is_well
    }

    fn failed(&self) -> Option<Instant> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_failed_is_left_alone_for_a_while() {
        let health = Health::default();
        assert!(!health.is_down() && !health.note(true));
        assert!(health.note(false) && health.is_down() && !health.note(false));
        tokio::time::advance(limits::UPSTREAM_PAUSE).await;
        assert!(!health.is_down());
        assert!(health.note(true) && !health.is_down());
    }
}
