use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::limits;

/// Bytes that all holders together may claim.
pub(crate) struct Budget(AtomicUsize);

/// Bytes claimed of a [`Budget`]; given back when dropped.
pub(crate) struct Claim {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// A claim of nothing yet.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        Claim { budget: self.clone(), bytes: 0 }
    }
}

impl Claim {
    /// Raises the claim to a header of `bytes`, of which a small one needs none; false when the budget has not so much left.
    pub(crate) fn covers_header(&mut self, bytes: usize) -> bool {
        bytes <= limits::SMALL_HEADER_BYTES || self.raise_to(bytes)
    }

    /// Raises the claim to `bytes`; false, and unchanged, when the budget has not so much left.
    pub(crate) fn raise_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let left = &self.budget.0;
        let is_granted =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more)).is_ok();
        if is_granted {
            self.bytes += more;
        }
        is_granted
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_no_more_than_there_is_and_takes_back() {
        let budget = Arc::new(Budget::new(10));
        let (mut one, mut two) = (budget.claim(), budget.claim());
        assert!(one.raise_to(6) && one.raise_to(4) && two.raise_to(4));
        assert!(!two.raise_to(5));
        drop(one);
        assert!(two.raise_to(10));
    }
}
