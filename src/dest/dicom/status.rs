//! What the status of a C-STORE-RSP means for a delivery.

use std::ops::RangeInclusive;

use net::scu::{Outcome as Answer, Status, store_meaning};
use pipeline::Outcome;

/// What is to be done after a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Delivered,
    Retry,
    Refused,
}

/// How a delivery ended that was answered so; `sent` is the hash of what went out. The peer's Error Comment is left
/// out: it may name the patient, and this goes to logs and the status page.
pub(super) fn outcome(answer: &Answer, sent: [u8; 32]) -> Outcome {
    let words = format!("{} {}", answer.status, store_meaning(answer.status));
    match verdict(answer.status) {
        Verdict::Delivered => Outcome::Delivered { answer: words, sent },
        Verdict::Retry => Outcome::Retry { reason: words, after: None },
        Verdict::Refused => Outcome::Refused { reason: words },
    }
}

/// A code that no standard gives to C-STORE may be anything: trying again does no harm.
fn verdict(status: Status) -> Verdict {
    let row = VERDICTS.iter().find(|(codes, _)| codes.contains(&status.0));
    row.map_or(Verdict::Retry, |(_, verdict)| *verdict)
}

/// What becomes of a delivery after each status of a C-STORE-RSP: first and last code, and whether it counts as delivered, is tried
/// again, or is refused for good. A code without a line is tried again.
pub fn store_verdicts() -> impl Iterator<Item = (Status, Status, &'static str)> {
    VERDICTS.iter().map(|(codes, verdict)| {
        let word = match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Retry => "tried again",
            Verdict::Refused => "refused for good",
        };
        (Status(*codes.start()), Status(*codes.end()), word)
    })
}

/// PS3.4 Table B.2-1, PS3.7 Annex C.
const VERDICTS: &[(RangeInclusive<u16>, Verdict)] = &[
    (0x0000..=0x0000, Verdict::Delivered),
    // Warnings: it is stored.
    (0x0001..=0x0001, Verdict::Delivered),
    (0x0107..=0x0107, Verdict::Delivered),
    (0x0116..=0x0116, Verdict::Delivered),
    (0xB000..=0xBFFF, Verdict::Delivered),
    // Duplicate SOP instance: it has been there before.
    (0x0111..=0x0111, Verdict::Delivered),
    // Processing failure, resource limitation, out of resources.
    (0x0110..=0x0110, Verdict::Retry),
    (0x0213..=0x0213, Verdict::Retry),
    (0xA700..=0xA7FF, Verdict::Retry),
    // Something about this instance, or about us, that will be the same next time.
    (0x0105..=0x0106, Verdict::Refused),
    (0x0112..=0x0112, Verdict::Refused),
    (0x0115..=0x0115, Verdict::Refused),
    (0x0117..=0x0119, Verdict::Refused),
    (0x0120..=0x0122, Verdict::Refused),
    (0x0124..=0x0124, Verdict::Refused),
    (0x0211..=0x0212, Verdict::Refused),
    (0xA900..=0xA9FF, Verdict::Refused),
    (0xC000..=0xCFFF, Verdict::Refused),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_verdict() {
        use Verdict::{Delivered, Refused, Retry};
        // Where the verdict changes, from the lowest code to the highest.
        let changes = [
            (0x0000, Delivered),
            (0x0002, Retry),
            (0x0105, Refused),
            (0x0107, Delivered),
            (0x0108, Retry),
            (0x0111, Delivered),
            (0x0112, Refused),
            (0x0113, Retry),
            (0x0115, Refused),
            (0x0116, Delivered),
            (0x0117, Refused),
            (0x011A, Retry),
            (0x0120, Refused),
            (0x0123, Retry),
            (0x0124, Refused),
            (0x0125, Retry),
            (0x0211, Refused),
            (0x0213, Retry),
            (0xA900, Refused),
            (0xAA00, Retry),
            (0xB000, Delivered),
            (0xC000, Refused),
            (0xD000, Retry),
        ];
        let mut found = vec![(0, verdict(Status(0)))];
        for code in 1..=u16::MAX {
            if verdict(Status(code)) != verdict(Status(code - 1)) {
                found.push((code, verdict(Status(code))));
            }
        }
        assert_eq!(found, changes);
        for code in [0x0110, 0x0210, 0x0213, 0xA700, 0xA7FF, 0xA800, 0xFE00, 0xFF00, 0xFFFF] {
            assert_eq!(verdict(Status(code)), Retry, "{code:04X}");
        }
    }

    #[test]
    fn the_answer_is_kept_in_words() {
        let sent = [7; 32];
        let delivered = |answer: &str| Outcome::Delivered { answer: answer.to_owned(), sent };
        assert_eq!(outcome(&Status::SUCCESS.into(), sent), delivered("0000H success"));
        let coerced = Answer::because(Status(0xB000), "Patient ID");
        // The comment may name the patient.
        assert_eq!(outcome(&coerced, sent), delivered("B000H warning: coercion of data elements"));
        assert_eq!(outcome(&Status(0x0111).into(), sent), delivered("0111H duplicate SOP instance"));
        let full = Answer::because(Status(0xA700), "disk full");
        let reason = "A700H refused: out of resources".to_owned();
        assert_eq!(outcome(&full, sent), Outcome::Retry { reason, after: None });
        let reason = "C123H error: cannot understand".to_owned();
        assert_eq!(outcome(&Status(0xC123).into(), sent), Outcome::Refused { reason });
    }
}
