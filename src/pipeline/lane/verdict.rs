use std::time::Duration;

use archive::{Settlement, words};
use model::limits;
use telemetry::DeliveryEnd;

use super::circuit::Sign;
use crate::Outcome;

/// What an outcome tells about the destination, after so many attempts that failed.
///
/// A courier that is turned away while another is being served says nothing of the kind "down": there are destinations that take one
/// association at a time.
pub(crate) fn sign(outcome: &Outcome, attempts: u32, others_do_well: bool) -> Sign {
    match outcome {
        Outcome::Delivered { .. } | Outcome::Stored { .. } | Outcome::Refused { .. } => Sign::Well,
        Outcome::Down { .. } if !others_do_well => Sign::Down,
        Outcome::Retry { .. } | Outcome::Down { .. } if attempts > 0 => Sign::FailingAgain,
        Outcome::Retry { .. } | Outcome::Down { .. } => Sign::Failing,
        Outcome::Poison { .. } => Sign::None,
    }
}

/// What becomes of a delivery that was queued `age` ago, and what is counted. It is tried again unless it is as old as `give_up`; then
/// after `wait`, or after what the destination asks for, if that is longer.
pub(crate) fn settle(
    outcome: Outcome,
    age: Duration,
    give_up: Option<Duration>,
    wait: Duration,
) -> (Settlement, DeliveryEnd) {
    let (reason, after, end) = match outcome {
        Outcome::Delivered { answer, sent } => {
            let settlement = Settlement::Delivered { answer: words(&answer), sent };
            return (settlement, DeliveryEnd::Delivered { since_queued: age });
        }
        Outcome::Stored { answer, sent } => {
            let ask_after = limits::COMMITMENT_GATHERED;
            return (Settlement::Stored { answer: words(&answer), sent, ask_after }, DeliveryEnd::Stored);
        }
        Outcome::Refused { reason } => {
            return (Settlement::Dead { reason: words(&reason) }, DeliveryEnd::Refused);
        }
        Outcome::Poison { reason } => {
            return (Settlement::Dead { reason: words(&reason) }, DeliveryEnd::Poison);
        }
        Outcome::Retry { reason, after } => (reason, after.unwrap_or_default(), DeliveryEnd::Retry),
        Outcome::Down { reason } => (reason, Duration::ZERO, DeliveryEnd::Down),
    };
    let reason = words(&reason);
    if let Some(give_up) = give_up.filter(|give_up| age >= *give_up) {
        let reason = format!("{}: {reason}", gave_up(give_up));
        return (Settlement::Dead { reason: words(&reason) }, DeliveryEnd::GaveUp);
    }
    (Settlement::Retry { after: wait.max(after.min(limits::RETRY_AFTER)), reason }, end)
}

/// The words for deliveries that have waited for too long.
pub(crate) fn gave_up(after: Duration) -> String {
    let seconds = after.as_secs();
    match (seconds.is_multiple_of(3600), seconds.is_multiple_of(60)) {
        _ if seconds == 0 => format!("gave up after {} ms", after.as_millis()),
        (true, _) => format!("gave up after {} h", seconds / 3600),
        (_, true) => format!("gave up after {} min", seconds / 60),
        _ => format!("gave up after {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const WAIT: Duration = Duration::from_secs(10);
    const GIVE_UP: Option<Duration> = Some(HOUR.saturating_mul(72));

    fn retry(after: Option<Duration>) -> Outcome {
        Outcome::Retry { reason: "busy".to_owned(), after }
    }

    fn again(after: Duration) -> Settlement {
        Settlement::Retry { after, reason: "busy".to_owned() }
    }

    fn dead(reason: &str) -> Settlement {
        Settlement::Dead { reason: reason.to_owned() }
    }

    #[test]
    fn every_outcome_has_its_settlement() {
        let down = || Outcome::Down { reason: "busy".to_owned() };
        let delivered = Outcome::Delivered { answer: "0000H".to_owned(), sent: [7; 32] };
        let stored = Outcome::Stored { answer: "0000H".to_owned(), sent: [7; 32] };
        let ask_after = limits::COMMITMENT_GATHERED;
        let refused = Outcome::Refused { reason: "no such syntax".to_owned() };
        let poison = Outcome::Poison { reason: "file is gone".to_owned() };
        for (outcome, age, settlement, end) in [
            (
                delivered,
                HOUR * 100,
                Settlement::Delivered { answer: "0000H".to_owned(), sent: [7; 32] },
                DeliveryEnd::Delivered { since_queued: HOUR * 100 },
            ),
            (
                stored,
                HOUR * 100,
                Settlement::Stored { answer: "0000H".to_owned(), sent: [7; 32], ask_after },
                DeliveryEnd::Stored,
            ),
            (refused, HOUR, dead("no such syntax"), DeliveryEnd::Refused),
            (poison, HOUR, dead("file is gone"), DeliveryEnd::Poison),
            (retry(None), HOUR, again(WAIT), DeliveryEnd::Retry),
            (retry(Some(WAIT / 2)), HOUR, again(WAIT), DeliveryEnd::Retry),
            (retry(Some(WAIT * 3)), HOUR, again(WAIT * 3), DeliveryEnd::Retry),
            (retry(Some(HOUR * 9999)), HOUR, again(limits::RETRY_AFTER), DeliveryEnd::Retry),
            (down(), HOUR * 71, again(WAIT), DeliveryEnd::Down),
            (down(), HOUR * 72, dead("gave up after 72 h: busy"), DeliveryEnd::GaveUp),
            (retry(Some(HOUR)), HOUR * 73, dead("gave up after 72 h: busy"), DeliveryEnd::GaveUp),
        ] {
            assert_eq!(settle(outcome.clone(), age, GIVE_UP, WAIT), (settlement, end), "{outcome:?}");
        }
        assert_eq!(settle(down(), HOUR * 99, None, WAIT), (again(WAIT), DeliveryEnd::Down));
    }

    #[test]
    fn reasons_are_one_line_and_bounded() {
        let reason = format!("a\r\nb{}", "ü".repeat(2000));
        let (settlement, _) = settle(Outcome::Refused { reason }, HOUR, GIVE_UP, WAIT);
        let expected = format!("a  b{}", "ü".repeat(limits::REASON_CHARS - 4));
        assert_eq!(settlement, dead(&expected));
    }

    #[test]
    fn times_are_said_in_the_unit_that_fits() {
        for (after, words) in [
            (HOUR * 72, "gave up after 72 h"),
            (Duration::from_secs(90 * 60), "gave up after 90 min"),
            (Duration::from_secs(90), "gave up after 90 s"),
            (Duration::from_millis(5), "gave up after 5 ms"),
        ] {
            assert_eq!(gave_up(after), words);
        }
    }

    #[test]
    fn only_a_lone_courier_can_tell_that_a_destination_is_down() {
        let down = Outcome::Down { reason: String::new() };
        assert_eq!((sign(&down, 0, false), sign(&down, 0, true)), (Sign::Down, Sign::Failing));
        assert_eq!((sign(&down, 2, false), sign(&down, 2, true)), (Sign::Down, Sign::FailingAgain));
        assert_eq!(
            (sign(&retry(None), 0, false), sign(&retry(None), 1, false)),
            (Sign::Failing, Sign::FailingAgain)
        );
        assert_eq!(sign(&Outcome::Refused { reason: String::new() }, 1, false), Sign::Well);
        assert_eq!(sign(&Outcome::Poison { reason: String::new() }, 1, false), Sign::None);
    }
}
