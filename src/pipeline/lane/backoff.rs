use std::time::Duration;

use model::limits;

/// When a failed delivery is tried again, and for how long. Each wait is up to a fifth longer or shorter than it says here: what
/// failed together is not tried again together.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// The wait after the first failure.
    pub first: Duration,
    /// How much longer each further wait is; at least 1.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// A delivery that fails so long after it was queued is given up; but see [`Retry::grace`].
    pub give_up: Duration,
}

impl Retry {
    /// For so long after a start nothing is given up: while the server was off nobody has tried, and other systems may start later.
    pub fn grace(&self) -> Duration {
        self.give_up.min(limits::GRACE)
    }

    /// How long to wait after a failure that `failures` others came before.
    ///
    /// `jitter` is from -1 to 1.
    pub(crate) fn delay(&self, failures: u32, jitter: f64) -> Duration {
        jittered(self.step(failures, self.max), jitter)
    }

    /// How long a destination is left alone after so many fruitless probes.
    pub(crate) fn until_probe(&self, probes: u32, jitter: f64) -> Duration {
        jittered(self.step(probes, self.max.min(limits::PROBE_INTERVAL)), jitter)
    }

    fn step(&self, failures: u32, max: Duration) -> Duration {
        let factor = self.factor.max(1.0).powi(i32::try_from(failures).unwrap_or(i32::MAX));
        // Too large a number for a Duration is more than any maximum.
        Duration::try_from_secs_f64(self.first.as_secs_f64() * factor).unwrap_or(max).min(max)
    }
}

/// A fifth more or less.
fn jittered(delay: Duration, jitter: f64) -> Duration {
    delay.mul_f64(1.0 + jitter.clamp(-1.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        first: Duration::from_secs(10),
        factor: 2.0,
        max: Duration::from_secs(900),
        give_up: Duration::from_secs(259_200),
    };

    #[test]
    fn waits_grow_up_to_the_longest() {
        for (failures, jitter, seconds) in [
            (0, 0.0, 10),
            (1, 0.0, 20),
            (2, 0.0, 40),
            (6, 0.0, 640),
            (7, 0.0, 900),
            (5000, 0.0, 900),
            (u32::MAX, 0.0, 900),
            (0, -1.0, 8),
            (0, 1.0, 12),
            (0, 7.0, 12),
            (9, 1.0, 1080),
        ] {
            let expected = Duration::from_secs(seconds);
            assert_eq!(RETRY.delay(failures, jitter), expected, "{failures} {jitter}");
        }
    }

    #[test]
    fn a_destination_that_is_down_is_asked_every_minute_at_least() {
        for (probes, max, seconds) in [(0, 900, 10), (2, 900, 40), (3, 900, 60), (99, 900, 60), (9, 30, 30)] {
            let retry = Retry { max: Duration::from_secs(max), ..RETRY };
            assert_eq!(retry.until_probe(probes, 0.0), Duration::from_secs(seconds), "{probes} {max}");
        }
    }

    #[test]
    fn odd_factors_do_no_harm() {
        for factor in [0.0, -3.0, f64::NAN] {
            assert_eq!(Retry { factor, ..RETRY }.delay(5, 0.0), RETRY.first);
        }
        let factor = f64::INFINITY;
        assert_eq!(Retry { factor, ..RETRY }.delay(5, 0.0), RETRY.max);
    }
}
