use std::time::Duration;

use model::limits;

/// Whether a body moves on: within every [`limits::HTTP_STALL_TIMEOUT`] that we spend waiting for the peer it has to move
/// [`limits::HTTP_BODY_BYTES_PER_SECOND`] on average, but within the first [`limits::HTTP_BODY_FIRST_BYTES`] suffice.
///
/// So a peer cannot hold a connection with a body that trickles. Our own work in between does not count.
#[derive(Debug)]
pub(crate) struct Pace {
    patience: Duration,
    missing: usize,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { patience: limits::HTTP_STALL_TIMEOUT, missing: limits::HTTP_BODY_FIRST_BYTES }
    }

    /// How long to wait for the peer now; nothing when it has been too slow.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Notes that after waiting for so long so many bytes moved.
    pub(crate) fn moved(&mut self, waited: Duration, bytes: usize) {
        self.patience = self.patience.saturating_sub(waited);
        match self.missing.checked_sub(bytes) {
            None | Some(0) => {
                self.missing = ENOUGH;
                self.patience = limits::HTTP_STALL_TIMEOUT;
            }
            Some(missing) => self.missing = missing,
        }
    }
}

/// What a body has to move within a timeout.
const ENOUGH: usize = {
    // A minute or so: fits any usize.
    #[expect(clippy::cast_possible_truncation, reason = "a number of seconds that is written in the source")]
    let seconds = limits::HTTP_STALL_TIMEOUT.as_secs() as usize;
    seconds * limits::HTTP_BODY_BYTES_PER_SECOND
};

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many seconds a body of so many bytes each second is let go on, at most an hour.
    fn lasts(bytes_per_second: usize) -> u32 {
        let mut pace = Pace::new();
        (0..3600)
            .find(|_| {
                pace.moved(SECOND, bytes_per_second);
                pace.patience().is_zero()
            })
            .map_or(3600, |before| before + 1)
    }

    #[test]
    fn a_trickle_is_no_progress() {
        for (bytes_per_second, expected) in
            [(0, 60), (272, 60), (300, 55 + 60), (4_000, 5 + 60), (4_096, 3600), (8_000, 3600)]
        {
            assert_eq!(lasts(bytes_per_second), expected, "{bytes_per_second}");
        }
    }

    #[test]
    fn what_came_fast_before_does_not_count() {
        let mut pace = Pace::new();
        pace.moved(Duration::ZERO, 100 << 20);
        pace.moved(60 * SECOND, 1000);
        assert!(pace.patience().is_zero());
    }
}
