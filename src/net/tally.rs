use std::collections::BTreeMap;
use std::fmt;

use dimse::Status;

/// How many operations of an association ended how.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(&'static str, Status), u64>);

impl Tally {
    pub(crate) fn add(&mut self, operation: &'static str, status: Status) {
        *self.0.entry((operation, status)).or_default() += 1;
    }
}

/// `C-STORE 0000H: 120, C-STORE A700H: 1`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ((operation, status), count)) in self.0.iter().enumerate() {
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
}
