use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// One deadline that moves often and passes rarely: moving it later costs nothing until the old one passes.
pub(crate) struct Timer {
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { deadline: now, sleep: Box::pin(tokio::time::sleep_until(now)) }
    }

    pub(crate) fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.sleep.deadline() > self.deadline {
                self.sleep.as_mut().reset(self.deadline);
            }
            ready!(self.sleep.as_mut().poll(cx));
            if self.sleep.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.deadline);
        }
    }
}

/// Whether a message moves on: at least [`PROGRESS_BYTES`] have to pass in every `timeout`.
///
/// A byte now and then is no progress, so a peer cannot hold an association open with a message that never ends.
#[derive(Debug)]
pub(crate) struct Progress {
    timeout: Duration,
    deadline: Instant,
    missing: usize,
}

impl Progress {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, deadline: Instant::now() + timeout, missing: PROGRESS_BYTES }
    }

    /// Counts anew: a message begins, or goes on after a pause that was ours.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.timeout);
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        match self.missing.checked_sub(bytes) {
            None | Some(0) => self.restart(),
            Some(missing) => self.missing = missing,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// A telephone line does more than this within any sensible `message_timeout`.
const PROGRESS_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_move_both_ways() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut timer = Timer::new();
        timer.set(start + 5 * second);
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(cx))).await.is_pending());
        timer.set(start + 9 * second);
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 9);
        timer.set(start + 20 * second);
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(cx))).await.is_pending());
        timer.set(start + 12 * second);
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_no_progress() {
        let start = Instant::now();
        let mut progress = Progress::new(Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(50)).await;
        progress.add(PROGRESS_BYTES - 1);
        assert_eq!(progress.deadline() - start, Duration::from_secs(60));
        progress.add(1);
        assert_eq!(progress.deadline() - start, Duration::from_secs(110));
    }
}
