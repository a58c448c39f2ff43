use std::time::{Duration, Instant};

use archive::DeliveryId;
use model::limits;

/// Whether a destination can be used, as far as its deliveries tell.
///
/// Closed, everything is tried. Open, nothing is, but for one probe at a time.
#[derive(Debug)]
pub(crate) enum Circuit<D = DeliveryId> {
    /// Those that failed since the last success, each once, fewer than it takes.
    Closed { failed: Vec<D> },
    /// Left alone.
    Open {
        /// How many probes were fruitless.
        probes: u32,
        /// When the next one may begin.
        probe_at: Instant,
        /// The one that is on its way.
        probe: Option<D>,
        /// A person has asked for one since that began.
        is_asked: bool,
        /// Nothing worked at some time since it opened; `false`: one instance after the other did not.
        was_down: bool,
    },
}

/// What a delivery tells about its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answers.
    Well,
    /// This did not work, and the next may.
    Failing,
    /// This did not work once more: that says something about itself, if the destination answers others.
    FailingAgain,
    /// Nothing works.
    Down,
    /// Nothing.
    None,
}

/// What became of the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The destination is left alone from now on.
    Opened,
    /// A probe was fruitless: it is left alone for longer.
    StaysOpen,
    /// The destination is back.
    Closed,
}

impl<D: Copy + PartialEq> Circuit<D> {
    pub(crate) fn new() -> Self {
        Self::Closed { failed: Vec::new() }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether it is open, and not only because one instance after the other failed.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self, Self::Open { was_down: true, .. })
    }

    /// When the next probe may begin: `None` when closed, or while one is on its way.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        match self {
            Self::Open { probe_at, probe: None, .. } => Some(*probe_at),
            Self::Open { .. } | Self::Closed { .. } => None,
        }
    }

    /// The next probe may begin; where one is on its way, as soon as that has ended.
    pub(crate) fn probe_now(&mut self, now: Instant) {
        if let Self::Open { probe_at, probe, is_asked, .. } = self {
            *probe_at = now.min(*probe_at);
            *is_asked = probe.is_some();
        }
    }

    /// This one is the probe.
    pub(crate) fn begin_probe(&mut self, delivery: D) {
        if let Self::Open { probe, .. } = self {
            *probe = Some(delivery);
        }
    }

    /// Takes notice of how a delivery ended.
    pub(crate) fn note(
        &mut self,
        delivery: D,
        sign: Sign,
        now: Instant,
        wait: impl Fn(u32) -> Duration,
    ) -> Option<Change> {
        match (&mut *self, sign) {
            (Self::Closed { failed }, Sign::Well) => {
                failed.clear();
                None
            }
            (Self::Closed { failed }, Sign::Failing) => {
                // One that fails again and again says something about itself only.
                if !failed.contains(&delivery) {
                    failed.push(delivery);
                }
                let is_row = failed.len() >= limits::FAILURES_IN_A_ROW;
                is_row.then(|| self.open(false, now, &wait))
            }
            (Self::Closed { .. }, Sign::Down) => Some(self.open(true, now, &wait)),
            (Self::Open { .. }, Sign::Well) => {
                *self = Self::new();
                Some(Change::Closed)
            }
            (Self::Open { probes, probe_at, probe, is_asked, was_down }, _) if *probe == Some(delivery) => {
                *probe = None;
                let is_asked = std::mem::take(is_asked);
                *was_down |= sign == Sign::Down;
                if sign == Sign::None || sign == Sign::FailingAgain && !*was_down {
                    return None;
                }
                *probes = probes.saturating_add(1);
                *probe_at = if is_asked { now } else { now + wait(*probes) };
                Some(Change::StaysOpen)
            }
            // Begun before it opened, or telling nothing.
            (Self::Open { .. }, Sign::Failing | Sign::FailingAgain | Sign::Down | Sign::None)
            | (Self::Closed { .. }, Sign::FailingAgain | Sign::None) => None,
        }
    }

    fn open(&mut self, was_down: bool, now: Instant, wait: impl Fn(u32) -> Duration) -> Change {
        let probe_at = now + wait(0);
        *self = Self::Open { probes: 0, probe_at, probe: None, is_asked: false, was_down };
        Change::Opened
    }
}

#[cfg(test)]
mod tests {
    use Change::{Closed, Opened, StaysOpen};
    use Sign::{Down, Failing, FailingAgain, Well};

    use super::*;

    /// Notes signs of deliveries, one second after the other; gives the changes.
    fn changes(circuit: &mut Circuit<u32>, begin: Instant, signs: &[(u32, Sign)]) -> Vec<Option<Change>> {
        let wait = |probes| Duration::from_secs(10_u64 << probes);
        let note = |(number, (delivery, sign)): (usize, &(u32, Sign))| {
            circuit.note(*delivery, *sign, begin + Duration::from_secs(number as u64), wait)
        };
        signs.iter().enumerate().map(note).collect()
    }

    fn check(signs: &[(u32, Sign)], expected: &[Option<Change>]) {
        assert_eq!(changes(&mut Circuit::new(), Instant::now(), signs), expected, "{signs:?}");
    }

    fn open(now: Instant) -> Circuit<u32> {
        let mut circuit = Circuit::new();
        assert_eq!(changes(&mut circuit, now, &[(1, Down)]), [Some(Opened)]);
        circuit
    }

    #[test]
    fn opens_when_the_destination_is_down_or_fails_in_a_row() {
        check(&[(1, Well), (2, Down)], &[None, Some(Opened)]);
        let row = [(1, Failing), (2, Failing), (3, Failing), (4, Failing), (5, Failing)];
        check(&row, &[None, None, None, None, Some(Opened)]);
        let interrupted = [(1, Failing), (2, Failing), (3, Failing), (4, Failing), (9, Well), (5, Failing)];
        check(&interrupted, &[None; 6]);
        let poison_between =
            [(1, Failing), (2, Failing), (3, Failing), (4, Failing), (9, Sign::None), (5, Failing)];
        check(&poison_between, &[None, None, None, None, None, Some(Opened)]);
    }

    #[test]
    fn what_always_fails_does_not_open_it() {
        check(&[(1, Failing); 9], &[None; 9]);
        check(&[1, 2, 3, 4, 5, 6, 7, 8, 9].map(|delivery| (delivery, FailingAgain)), &[None; 9]);
    }

    #[test]
    fn what_has_failed_before_is_no_sign_against_a_destination_that_answers() {
        let now = Instant::now();
        let mut circuit = Circuit::new();
        let row = [(1, Failing), (2, Failing), (3, Failing), (4, Failing), (5, Failing)];
        assert_eq!(changes(&mut circuit, now, &row)[4], Some(Opened));
        assert!(!circuit.is_down());
        let probe_at = circuit.probe_at();
        circuit.begin_probe(1);
        assert_eq!(changes(&mut circuit, now, &[(1, FailingAgain)]), [None]);
        assert_eq!(circuit.probe_at(), probe_at, "the next one need not wait for longer");
        circuit.begin_probe(2);
        assert_eq!(changes(&mut circuit, now, &[(2, Down)]), [Some(StaysOpen)]);
        assert!(circuit.is_down());
        circuit.begin_probe(3);
        assert_eq!(changes(&mut circuit, now, &[(3, FailingAgain)]), [Some(StaysOpen)]);
        assert!(circuit.is_down(), "it was");
    }

    #[test]
    fn a_fruitless_probe_is_followed_by_a_longer_wait() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert_eq!(circuit.probe_at(), Some(now + Duration::from_secs(10)));
        circuit.begin_probe(2);
        assert_eq!(circuit.probe_at(), None, "one at a time");
        assert_eq!(changes(&mut circuit, now, &[(2, Failing)]), [Some(StaysOpen)]);
        assert_eq!(circuit.probe_at(), Some(now + Duration::from_secs(20)));
        circuit.begin_probe(3);
        assert_eq!(changes(&mut circuit, now, &[(3, Down)]), [Some(StaysOpen)]);
        assert_eq!(circuit.probe_at(), Some(now + Duration::from_secs(40)));
        circuit.begin_probe(4);
        assert_eq!(changes(&mut circuit, now, &[(4, Well)]), [Some(Closed)]);
        assert!(!circuit.is_open());
    }

    #[test]
    fn a_person_who_asks_while_a_probe_is_on_its_way_gets_the_next() {
        let now = Instant::now();
        let mut circuit = open(now);
        circuit.begin_probe(2);
        circuit.probe_now(now);
        assert_eq!(circuit.probe_at(), None, "one at a time");
        assert_eq!(changes(&mut circuit, now, &[(2, Down)]), [Some(StaysOpen)]);
        assert_eq!(circuit.probe_at(), Some(now));
        circuit.begin_probe(3);
        assert_eq!(changes(&mut circuit, now, &[(3, Down)]), [Some(StaysOpen)]);
        assert_eq!(circuit.probe_at(), Some(now + Duration::from_secs(40)), "once");
    }

    #[test]
    fn what_began_before_it_opened_closes_it_or_changes_nothing() {
        let now = Instant::now();
        let mut circuit = open(now);
        circuit.begin_probe(5);
        assert_eq!(changes(&mut circuit, now, &[(2, Down), (3, Failing), (4, Sign::None)]), [None; 3]);
        assert_eq!(circuit.probe_at(), None, "the probe is still on its way");
        assert_eq!(changes(&mut circuit, now, &[(6, Well)]), [Some(Closed)]);
    }

    #[test]
    fn a_probe_that_tells_nothing_is_followed_by_the_next() {
        let now = Instant::now();
        let mut circuit = open(now);
        circuit.begin_probe(2);
        assert_eq!(changes(&mut circuit, now, &[(2, Sign::None)]), [None]);
        assert_eq!(circuit.probe_at(), Some(now + Duration::from_secs(10)));
    }
}
