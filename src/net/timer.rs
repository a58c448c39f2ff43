use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use model::limits;
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

/// Whether a message moves on: within every `timeout` it has to bring [`limits::MESSAGE_BYTES_PER_SECOND`] on average, but within the
/// first [`limits::MESSAGE_FIRST_BYTES`] suffice.
///
/// So a peer cannot hold an association open with a message that trickles and never ends.
#[derive(Debug)]
pub(crate) struct Progress {
    timeout: Duration,
    deadline: Instant,
    missing: usize,
    paused: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(timeout: Duration) -> Self {
        let missing = enough(timeout).min(limits::MESSAGE_FIRST_BYTES);
        Self { timeout, deadline: Instant::now() + timeout, missing, paused: None }
    }

    /// Counts anew: a message begins.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.timeout);
    }

    /// Stops the clock, for as long as it is not the peer we wait for.
    pub(crate) fn pause(&mut self) {
        self.paused.get_or_insert_with(Instant::now);
    }

    /// Ends a pause.
    pub(crate) fn resume(&mut self) {
        if let Some(since) = self.paused.take() {
            self.deadline += since.elapsed();
        }
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        match self.missing.checked_sub(bytes) {
            None | Some(0) => {
                self.missing = enough(self.timeout);
                self.deadline = Instant::now() + self.timeout;
            }
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

/// What a message has to bring within `timeout`.
fn enough(timeout: Duration) -> usize {
    let bytes = timeout.as_millis().saturating_mul(limits::MESSAGE_BYTES_PER_SECOND.into()) / 1000;
    usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
}

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

    const MINUTE: Duration = Duration::from_secs(60);

    /// How long a message of so many bytes each second is let go on, at most an hour.
    async fn lasts(progress: &mut Progress, bytes_per_second: usize) -> Duration {
        let start = Instant::now();
        while start.elapsed() < 60 * MINUTE && Instant::now() < progress.deadline() {
            tokio::time::advance(Duration::from_secs(1)).await;
            progress.add(bytes_per_second);
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_no_progress() {
        for (bytes_per_second, expected) in [
            (0, MINUTE),
            (272, MINUTE),
            // The first bytes may be few, which must not help for long.
            (300, MINUTE + Duration::from_secs(55)),
            (4_000, MINUTE + Duration::from_secs(5)),
            (8_000, 60 * MINUTE),
        ] {
            let found = lasts(&mut Progress::new(MINUTE), bytes_per_second).await;
            assert_eq!(found, expected, "{bytes_per_second}");
        }
        let mut progress = Progress::new(MINUTE);
        progress.add(100 << 20);
        assert_eq!(lasts(&mut progress, 4_000).await, MINUTE, "what came fast before does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_pauses_do_not_count_and_give_nothing() {
        let (start, mut progress) = (Instant::now(), Progress::new(MINUTE));
        tokio::time::advance(MINUTE / 2).await;
        progress.pause();
        tokio::time::advance(10 * MINUTE).await;
        progress.pause();
        tokio::time::advance(10 * MINUTE).await;
        progress.resume();
        progress.resume();
        assert_eq!(progress.deadline() - start, 21 * MINUTE);
        progress.pause();
        progress.restart();
        tokio::time::advance(MINUTE / 2).await;
        progress.resume();
        assert_eq!(progress.deadline() - Instant::now(), MINUTE / 2, "a message that begins ends the pause");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_timeout_asks_for_less() {
        assert_eq!(lasts(&mut Progress::new(Duration::from_secs(1)), 4_096).await, 60 * MINUTE);
    }
}
