use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What a piece of work on another thread and the one who waits for it know of each other.
#[derive(Debug)]
pub(crate) struct Pulse {
    is_given_up: AtomicBool,
    began: Instant,
    /// When it went on last, in milliseconds since it began.
    latest: AtomicU64,
}

/// Somebody waits for the work; once this is dropped, nobody does.
#[derive(Debug, Default)]
pub(crate) struct Waiting(pub(crate) Arc<Pulse>);

/// Writes, and tells that the work goes on.
pub(crate) struct Beating<'a, W>(pub(crate) W, pub(crate) &'a Pulse);

impl Pulse {
    /// Tells that the work goes on; whether it is to.
    pub(crate) fn beat(&self) -> bool {
        self.latest.store(self.age(), Ordering::Relaxed);
        !self.is_given_up.load(Ordering::Relaxed)
    }

    /// Whether nobody waits any more.
    #[cfg(test)]
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// For how long the work has not gone on.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.age().saturating_sub(self.latest.load(Ordering::Relaxed)))
    }

    /// Returns when the work has not gone on for so long. Cancel safe.
    pub(crate) async fn stands_still(&self, patience: Duration) {
        while let Some(rest) = patience.checked_sub(self.idle()).filter(|rest| !rest.is_zero()) {
            sleep(rest).await;
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self { is_given_up: AtomicBool::default(), began: Instant::now(), latest: AtomicU64::default() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_given_up.store(true, Ordering::Relaxed);
    }
}

impl<W: Write> Write for Beating<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.beat();
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: io::Seek> io::Seek for Beating<'_, W> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(16);

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_is_waited_for_and_what_stands_still_is_not() {
        let waiting = Waiting::default();
        let pulse = &waiting.0;
        let started = Instant::now();
        let works = async {
            for _ in 0..5 {
                sleep(PATIENCE * 3 / 4).await;
                assert!(pulse.beat());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { () = works => (), () = pulse.stands_still(PATIENCE) => () }
        let (worked, least) = (started.elapsed(), PATIENCE * 15 / 4 + PATIENCE);
        assert!(worked >= least && worked <= least + Duration::from_millis(10), "{worked:?}");
        let pulse = Arc::clone(pulse);
        drop(waiting);
        assert!(pulse.is_given_up() && !pulse.beat());
    }
}
