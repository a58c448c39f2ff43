//! How far a retrieve is: counters, the list of what failed, and what its end is called.

use std::collections::BTreeSet;

use dimse::service::retrieve::{self, SubOperations};
use dimse::service::store;
use dimse::{Class, Outcome, Status};
use model::attributes::Attributes;
use model::{SopInstanceUid, Tag, Vr, limits};
use telemetry::Retrieved;

/// The sub-operations of one C-MOVE or C-GET.
#[derive(Debug)]
pub(super) struct Counts {
    total: u64,
    completed: u64,
    warning: u64,
    failed: u64,
    bytes: u64,
    /// Of those that were taken, how many went as copies in another transfer syntax.
    transcoded: u64,
    failed_uids: Vec<String>,
    failed_uids_bytes: usize,
    reasons: BTreeSet<String>,
    first_reason: Option<String>,
}

/// Why a retrieve ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Every instance has had its turn.
    Done,
    /// The requestor wants no more.
    Cancelled,
    /// The process is stopping.
    Shutdown,
}

impl Counts {
    pub(super) fn new(total: u64) -> Self {
        Self {
            total,
            completed: 0,
            warning: 0,
            failed: 0,
            bytes: 0,
            transcoded: 0,
            failed_uids: Vec::new(),
            failed_uids_bytes: 0,
            reasons: BTreeSet::new(),
            first_reason: None,
        }
    }

    /// Counts a sub-operation by its answer. What was taken, the instance or a copy in another transfer syntax, has so many bytes.
    pub(super) fn answered(
        &mut self,
        instance: &SopInstanceUid,
        bytes: u64,
        is_copy: bool,
        answer: &Outcome,
    ) {
        match answer.status.class() {
            Class::Success => self.completed += 1,
            Class::Warning => self.warning += 1,
            Class::Failure | Class::Cancel | Class::Pending => {
                // Without the peer's comment: it may name the patient.
                let reason = format!("answered {} {}", answer.status, store::meaning(answer.status));
                return self.failed(instance, reason);
            }
        }
        self.bytes += bytes;
        self.transcoded += u64::from(is_copy);
    }

    /// Counts a sub-operation that failed, for a reason without patient data. Each reason is logged once, with the first instance.
    pub(super) fn failed(&mut self, instance: &SopInstanceUid, reason: String) {
        self.failed += 1;
        // The value has a delimiter before each further UID.
        let bytes = self.failed_uids_bytes + usize::from(self.failed > 1) + instance.as_str().len();
        if bytes <= limits::FAILED_UIDS_BYTES && self.failed_uids.len() as u64 + 1 == self.failed {
            self.failed_uids.push(instance.as_str().to_owned());
            self.failed_uids_bytes = bytes;
        }
        if self.reasons.len() < limits::FAILURE_REASONS && !self.reasons.contains(&reason) {
            tracing::warn!(sop_instance = %instance, reason, "instance not retrieved; others for the same reason are only counted");
            self.first_reason.get_or_insert_with(|| reason.clone());
            self.reasons.insert(reason);
        } else {
            tracing::debug!(sop_instance = %instance, reason, "instance not retrieved");
        }
    }

    /// How many have had their end.
    pub(super) fn over(&self) -> u64 {
        self.completed + self.warning + self.failed
    }

    /// Whether there are some that have had no end, and all that failed are listed.
    pub(super) fn lists_more(&self) -> bool {
        self.remaining() > 0 && self.failed_uids.len() as u64 == self.failed
    }

    /// Counts as failed so many, at most, of those that have had no end: nothing will come of them.
    pub(super) fn give_up(&mut self, most: u64, reason: &str) {
        let instances = self.remaining().min(most);
        if instances > 0 {
            self.failed += instances;
            self.first_reason.get_or_insert_with(|| reason.to_owned());
            tracing::warn!(instances, reason, "instances not retrieved");
        }
    }

    /// The counters of a Pending response.
    pub(super) fn pending(&self) -> SubOperations {
        SubOperations { remaining: Some(counter(self.remaining())), ..self.ended() }
    }

    /// The counters of the final response (PS3.7 §9.1.3.1, §9.1.4.1: what remains is told only of a retrieve that was cancelled).
    pub(super) fn last(&self, ending: Ending) -> SubOperations {
        match ending {
            Ending::Cancelled => self.pending(),
            Ending::Done | Ending::Shutdown => self.ended(),
        }
    }

    /// How the retrieve ended.
    ///
    /// PS3.4 §C.4.2.3.1, §C.4.3.3.1.
    pub(super) fn outcome(&self, ending: Ending) -> Outcome {
        let status = match ending {
            Ending::Cancelled => Status::CANCEL,
            Ending::Done | Ending::Shutdown if self.failed == 0 && self.warning == 0 => Status::SUCCESS,
            Ending::Done | Ending::Shutdown if self.completed == 0 && self.warning == 0 => {
                retrieve::UNABLE_TO_PERFORM
            }
            Ending::Done | Ending::Shutdown => retrieve::COMPLETE_WITH_FAILURES,
        };
        match &self.first_reason {
            Some(reason) if ending != Ending::Cancelled => Outcome::because(status, reason.clone()),
            _ => status.into(),
        }
    }

    /// The identifier of the final response; `None` when there is nothing to list.
    ///
    /// PS3.4 §C.4.2.1.4.2, §C.4.3.1.3.2.
    pub(super) fn identifier(&self) -> Option<Attributes> {
        if self.failed_uids.is_empty() {
            return None;
        }
        let mut attributes = Attributes::new();
        attributes.insert(FAILED_SOP_INSTANCE_UID_LIST, Vr::UI, self.failed_uids.clone());
        Some(attributes)
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.remaining() == 0
    }

    /// How many instances went as copies in another transfer syntax.
    pub(super) fn transcoded(&self) -> u64 {
        self.transcoded
    }

    /// For the metrics.
    pub(super) fn retrieved(&self) -> Retrieved {
        let Self { completed, warning, failed, bytes, .. } = *self;
        Retrieved { completed, warning, failed, remaining: self.remaining(), bytes }
    }

    fn remaining(&self) -> u64 {
        self.total.saturating_sub(self.over())
    }

    fn ended(&self) -> SubOperations {
        SubOperations {
            remaining: None,
            completed: Some(counter(self.completed)),
            failed: Some(counter(self.failed)),
            warning: Some(counter(self.warning)),
        }
    }
}

/// The field has 16 bits: more is told as so many.
fn counter(count: u64) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

const FAILED_SOP_INSTANCE_UID_LIST: Tag = Tag(0x0008, 0x0058);

#[cfg(test)]
mod tests {
    use model::syntax::Encoding;

    use super::*;

    fn uid(number: usize) -> SopInstanceUid {
        SopInstanceUid::lenient(&format!("1.2.{number}")).unwrap()
    }

    fn told(sub_operations: SubOperations) -> [Option<u16>; 4] {
        let SubOperations { remaining, completed, failed, warning } = sub_operations;
        [remaining, completed, failed, warning]
    }

    #[test]
    fn the_end_is_called_by_what_became_of_all() {
        use Ending::{Cancelled, Done, Shutdown};
        // Statuses of the sub-operations, of three in all.
        for (answers, ending, status, counts) in [
            (&[0, 0, 0][..], Done, 0x0000, [None, Some(3), Some(0), Some(0)]),
            (&[0, 0xB000, 0], Done, 0xB000, [None, Some(2), Some(0), Some(1)]),
            (&[0xB007, 0xB000, 0x0107], Done, 0xB000, [None, Some(0), Some(0), Some(3)]),
            (&[0, 0xA700, 0], Done, 0xB000, [None, Some(2), Some(1), Some(0)]),
            (&[0xC000, 0xA700, 0xB000], Done, 0xB000, [None, Some(0), Some(2), Some(1)]),
            (&[0xC000, 0x0110, 0xFF00], Done, 0xA702, [None, Some(0), Some(3), Some(0)]),
            (&[0, 0xA900], Cancelled, 0xFE00, [Some(1), Some(1), Some(1), Some(0)]),
            (&[], Cancelled, 0xFE00, [Some(3), Some(0), Some(0), Some(0)]),
            (&[0], Shutdown, 0xB000, [None, Some(1), Some(2), Some(0)]),
            (&[], Shutdown, 0xA702, [None, Some(0), Some(3), Some(0)]),
        ] {
            let mut found = Counts::new(3);
            for (number, answer) in answers.iter().enumerate() {
                found.answered(&uid(number), 10, false, &Status(*answer).into());
            }
            if ending == Shutdown {
                found.give_up(u64::MAX, "stopped");
            }
            assert_eq!(found.outcome(ending).status, Status(status), "{answers:X?} {ending:?}");
            assert_eq!(told(found.last(ending)), counts, "{answers:X?} {ending:?}");
        }
        let nothing = Counts::new(0);
        assert_eq!(nothing.outcome(Done), Status::SUCCESS.into());
        assert_eq!(told(nothing.last(Done)), [None, Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn what_failed_is_listed_with_its_first_reason() {
        let mut counts = Counts::new(4);
        assert_eq!(counts.identifier(), None);
        counts.answered(&uid(1), 7, false, &Status::SUCCESS.into());
        counts.failed(&uid(2), "no context".to_owned());
        counts.answered(&uid(3), 7, false, &Outcome::because(Status(0xA700), "DOE^JOHN"));
        assert_eq!(told(counts.pending()), [Some(1), Some(1), Some(2), Some(0)]);
        let listed = counts.identifier().unwrap();
        assert_eq!(listed.get(FAILED_SOP_INSTANCE_UID_LIST).unwrap().values, ["1.2.2", "1.2.3"]);
        counts.answered(&uid(4), 7, true, &Status::SUCCESS.into());
        assert_eq!(counts.outcome(Ending::Done), Outcome::because(Status(0xB000), "no context"));
        let retrieved = Retrieved { completed: 2, warning: 0, failed: 2, remaining: 0, bytes: 14 };
        assert_eq!((counts.retrieved(), counts.transcoded()), (retrieved, 1));
        assert!(!format!("{counts:?}").contains("DOE"));
    }

    #[test]
    fn each_that_is_given_up_has_its_own_reason() {
        let mut counts = Counts::new(5);
        counts.answered(&uid(1), 7, false, &Status::SUCCESS.into());
        counts.give_up(0, "nothing");
        counts.give_up(3, "not fetched");
        assert_eq!((counts.remaining(), counts.failed), (1, 3));
        counts.give_up(u64::MAX, "not read");
        assert_eq!((counts.remaining(), counts.failed), (0, 4));
        assert_eq!(counts.outcome(Ending::Done), Outcome::because(Status(0xB000), "not fetched"));
        let mut local = Counts::new(2);
        local.give_up(0, "not fetched");
        local.give_up(u64::MAX, "not read");
        assert_eq!(local.outcome(Ending::Done), Outcome::because(Status(0xA702), "not read"));
    }

    #[test]
    fn the_list_and_the_counters_are_bounded() {
        let mut counts = Counts::new(70_000);
        assert_eq!(told(counts.pending()), [Some(u16::MAX), Some(0), Some(0), Some(0)]);
        for number in 0..70_000 {
            counts.failed(&uid(number), format!("reason {number}"));
        }
        assert_eq!(counts.reasons.len(), limits::FAILURE_REASONS);
        assert_eq!(told(counts.last(Ending::Done))[2], Some(u16::MAX));
        assert_eq!(counts.retrieved().failed, 70_000);
        let listed = counts.identifier().unwrap();
        let data = model::attributes::to_data_set(&listed, Encoding::ExplicitLittle, &Default::default());
        assert!(data.len() > 65_500 && data.len() <= 65_534 + 8, "{}", data.len());
        assert!(data.starts_with(b"\x08\0\x58\0UI"));
        assert_eq!(usize::from(u16::from_le_bytes([data[6], data[7]])), data.len() - 8);
    }
}
