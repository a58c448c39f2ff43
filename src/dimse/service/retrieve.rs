//! What C-MOVE and C-GET share: the numbers of their sub-operations, and statuses (PS3.4 §C.4.2, §C.4.3).

use dicom_dictionary_std::tags;

use super::StatusRow;
use crate::Status;
use crate::wire::{Elements, Writer};

/// How far the C-STORE sub-operations of a retrieve are. Each number may be absent (PS3.4 §C.4.2.1.6 to §C.4.2.1.9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubOperations {
    /// Number of Remaining Sub-operations (0000,1020): neither ended nor begun. Not in a final response other than Cancel.
    pub remaining: Option<u16>,
    /// Number of Completed Sub-operations (0000,1021): ended in Success.
    pub completed: Option<u16>,
    /// Number of Failed Sub-operations (0000,1022).
    pub failed: Option<u16>,
    /// Number of Warning Sub-operations (0000,1023): ended in Warning.
    pub warning: Option<u16>,
}

impl SubOperations {
    pub(crate) fn read(set: Elements<'_>) -> Self {
        Self {
            remaining: set.integer(tags::NUMBER_OF_REMAINING_SUBOPERATIONS),
            completed: set.integer(tags::NUMBER_OF_COMPLETED_SUBOPERATIONS),
            failed: set.integer(tags::NUMBER_OF_FAILED_SUBOPERATIONS),
            warning: set.integer(tags::NUMBER_OF_WARNING_SUBOPERATIONS),
        }
    }

    pub(crate) fn write(self, set: &mut Writer) {
        for (tag, number) in [
            (tags::NUMBER_OF_REMAINING_SUBOPERATIONS, self.remaining),
            (tags::NUMBER_OF_COMPLETED_SUBOPERATIONS, self.completed),
            (tags::NUMBER_OF_FAILED_SUBOPERATIONS, self.failed),
            (tags::NUMBER_OF_WARNING_SUBOPERATIONS, self.warning),
        ] {
            if let Some(number) = number {
                set.integer(tag, number);
            }
        }
    }
}

/// Refused: out of resources, unable to calculate number of matches (PS3.4 Tables C.4-2, C.4-3).
pub const UNABLE_TO_CALCULATE: Status = Status(0xA701);
/// Refused: out of resources, unable to perform sub-operations (PS3.4 Tables C.4-2, C.4-3).
pub const UNABLE_TO_PERFORM: Status = Status(0xA702);
/// Failed: identifier does not match SOP class (PS3.4 Tables C.4-2, C.4-3).
pub const IDENTIFIER_DOES_NOT_MATCH: Status = Status(0xA900);
/// Failed: unable to process (PS3.4 Tables C.4-2, C.4-3).
pub const UNABLE_TO_PROCESS: Status = Status(0xC000);
/// Warning: sub-operations complete, one or more failures or warnings (PS3.4 Tables C.4-2, C.4-3).
pub const COMPLETE_WITH_FAILURES: Status = Status(0xB000);

/// PS3.4 Table C.4-3. Table C.4-2 has these and one more; [`super::move_::meaning`] knows it.
pub(super) const STATUSES: &[StatusRow] = &[
    (0xA701..=0xA701, "refused: out of resources, unable to calculate number of matches"),
    (0xA702..=0xA702, "refused: out of resources, unable to perform sub-operations"),
    (0xA900..=0xA9FF, "failed: identifier does not match SOP class"),
    (0xAA00..=0xAA00, "failed: none of the frames requested were found"),
    (0xAA01..=0xAA01, "failed: unable to create new object for this SOP class"),
    (0xAA02..=0xAA02, "failed: unable to extract frames"),
    (0xAA03..=0xAA03, "failed: time-based request for an object that has no time base"),
    (0xAA04..=0xAA04, "failed: invalid request"),
    (0xC000..=0xCFFF, "failed: unable to process"),
    (0xB000..=0xB000, "warning: sub-operations complete, one or more failures or warnings"),
];
