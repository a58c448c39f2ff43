use std::cell::Cell;

use model::limits;

/// What is left of the work that one instance may cause inside of `any` and `all`, where a condition is asked once for each value or
/// item. What stands outside is asked once, and is not counted.
///
/// A step is a part of a condition that is asked about a value or item, an element or reference of an item that is decoded, or some
/// ten bytes of text that are looked through.
pub(crate) struct Budget {
    of_instance: Cell<usize>,
    of_rule: Cell<usize>,
    has_run_out: Cell<bool>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            of_instance: Cell::new(limits::ROUTING_STEPS),
            of_rule: Cell::new(0),
            has_run_out: Cell::new(false),
        }
    }
}

impl Budget {
    /// From here on another rule is asked. One that has run out takes nothing from the next.
    pub(crate) fn begin_rule(&self) {
        self.of_rule.set(limits::RULE_STEPS.min(self.of_instance.get()));
        self.has_run_out.set(false);
    }

    /// From here on nothing is counted, because a rule that has not run out is told about.
    pub(crate) fn lift(&self) {
        self.of_instance.set(usize::MAX);
        self.of_rule.set(usize::MAX);
        self.has_run_out.set(false);
    }

    /// Takes steps; false when there are not as many left for this rule, which then has none at all.
    pub(crate) fn spend(&self, steps: usize) -> bool {
        let left = self.of_rule.get();
        let taken = steps.min(left);
        if taken < steps {
            self.has_run_out.set(true);
        }
        let taken = if self.has_run_out.get() { left } else { taken };
        self.of_rule.set(left - taken);
        self.of_instance.set(self.of_instance.get().saturating_sub(taken));
        !self.has_run_out.get()
    }

    /// Whether the rule that is asked has run out.
    pub(crate) fn has_run_out(&self) -> bool {
        self.has_run_out.get()
    }

    /// The steps for looking through so many bytes.
    pub(crate) fn steps(bytes: usize) -> usize {
        bytes / BYTES_OF_A_STEP
    }
}

const BYTES_OF_A_STEP: usize = 16;
