use std::sync::{Mutex, MutexGuard, PoisonError};

use model::limits;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::UpstreamError;

/// Whether an upstream archive answered when it was asked last.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when it does not answer, or when that was seen last.
    silent: Option<Instant>,
    answered: Option<OffsetDateTime>,
    failure: Option<(String, OffsetDateTime)>,
}

/// When it answered last, and when and why it did not, since the start.
pub(super) type Seen = (Option<OffsetDateTime>, Option<(String, OffsetDateTime)>);

impl Health {
    /// Whether it failed a moment ago, so that who can do without it does not wait for it.
    pub(super) fn is_down(&self) -> bool {
        self.state().silent.is_some_and(|silent| silent.elapsed() < limits::UPSTREAM_PAUSE)
    }

    /// Whether it did not answer when it was asked last.
    pub(super) fn is_silent(&self) -> bool {
        self.state().silent.is_some()
    }

    /// Takes note of an answer, or that there was none; whether that is news.
    pub(super) fn note(&self, is_well: bool) -> bool {
        let mut state = self.state();
        if is_well {
            state.answered = Some(OffsetDateTime::now_utc());
        }
        let was_well = state.silent.is_none();
        state.silent = (!is_well).then(Instant::now);
        was_well != is_well
    }

    /// Takes note of what it failed at.
    pub(super) fn note_failure(&self, error: &UpstreamError) {
        self.state().failure = Some((error.reason.clone(), OffsetDateTime::now_utc()));
    }

    /// What was seen of it.
    pub(super) fn seen(&self) -> Seen {
        let state = self.state();
        (state.answered, state.failure.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn what_was_seen_last_is_told() {
        let health = Health::default();
        assert_eq!(health.seen(), (None, None));
        health.note(false);
        health.note_failure(&UpstreamError::late("no answer in time"));
        let (answered, failure) = health.seen();
        assert_eq!((answered, failure.unwrap().0.as_str()), (None, "no answer in time"));
        health.note(true);
        assert!(matches!(health.seen(), (Some(_), Some(_))));
    }
}
