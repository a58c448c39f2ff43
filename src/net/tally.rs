use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dimse::Status;
use model::limits;

/// How many operations of an association ended how, and why some were refused.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<(&'static str, Status), u64>,
    refusals: BTreeSet<(&'static str, Status, String)>,
}

impl Tally {
    pub(crate) fn add(&mut self, operation: &'static str, status: Status) {
        *self.counts.entry((operation, status)).or_default() += 1;
    }

    /// Whether this is the first refusal for that reason, so that it is to be told; of a peer that finds ever new ones, some are.
    pub(crate) fn is_news(&mut self, operation: &'static str, status: Status, reason: &str) -> bool {
        self.refusals.len() < limits::FAILURE_REASONS
            && self.refusals.insert((operation, status, reason.to_owned()))
    }
}

/// `C-STORE 0000H: 120, C-STORE A700H: 1`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ((operation, status), count)) in self.counts.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{operation} {status}: {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_operation_and_status() {
        let mut tally = Tally::default();
        for status in [0, 0xA700, 0] {
            tally.add("C-STORE", Status(status));
        }
        tally.add("C-ECHO", Status::SUCCESS);
        assert_eq!(tally.to_string(), "C-ECHO 0000H: 1, C-STORE 0000H: 2, C-STORE A700H: 1");
    }

    #[test]
    fn each_reason_is_news_once_and_not_without_end() {
        let mut tally = Tally::default();
        let mut is_news = |reason: &str| tally.is_news("C-FIND-RSP", Status(0xA900), reason);
        assert!(is_news("a") && is_news("b") && !is_news("a"));
        let told = (0..100).filter(|n| is_news(&n.to_string())).count();
        assert_eq!(told, limits::FAILURE_REASONS - 2);
    }
}
