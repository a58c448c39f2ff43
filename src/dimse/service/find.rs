//! C-FIND (PS3.7 §9.1.2, §9.3.2), the query part of Query/Retrieve (PS3.4 §C.4.1), and C-CANCEL (PS3.7 §9.3.2.3).

use dicom_dictionary_std::tags;
use model::SopClassUid;

use super::StatusRow;
use crate::wire::{A_DATA_SET, CommandError, Elements, MEDIUM, NO_DATA_SET, Writer};
use crate::{Class, Command, Outcome, Status};

/// Asks for matches; the identifier follows as data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CFindRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002); `None` when the peer left it out or empty.
    pub affected_sop_class_uid: Option<SopClassUid>,
}

/// One match (Pending; its identifier follows as data set), or the end of the matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CFindRsp {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// Affected SOP Class UID (0000,0002), as in the request.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Pending, or how the query ended.
    pub outcome: Outcome,
}

/// Asks that the operation with this Message ID be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CCancelRq {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
}

/// Command Field of C-FIND-RQ (PS3.7 Table E.1-1).
pub(crate) const C_FIND_RQ: u16 = 0x0020;
/// Command Field of C-FIND-RSP.
pub(crate) const C_FIND_RSP: u16 = 0x8020;
/// Command Field of C-CANCEL-RQ, the only request that names another message.
pub(crate) const C_CANCEL_RQ: u16 = 0x0FFF;

impl CFindRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self { message_id: set.message_id()?, affected_sop_class_uid: set.sop_class() })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, C_FIND_RQ);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.integer(tags::PRIORITY, MEDIUM);
        set.integer(tags::COMMAND_DATA_SET_TYPE, A_DATA_SET);
    }

    /// One of the answers to this request.
    pub fn answer(&self, outcome: Outcome) -> CFindRsp {
        CFindRsp {
            message_id_being_responded_to: self.message_id,
            affected_sop_class_uid: self.affected_sop_class_uid.clone(),
            outcome,
        }
    }
}

impl CFindRsp {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id_being_responded_to: set.responded_to()?,
            affected_sop_class_uid: set.sop_class(),
            outcome: set.outcome()?,
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        let has_identifier = self.outcome.status.class() == Class::Pending;
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, C_FIND_RSP);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, if has_identifier { A_DATA_SET } else { NO_DATA_SET });
        set.outcome(&self.outcome);
    }
}

impl CCancelRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self { message_id_being_responded_to: set.responded_to()? })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.integer(tags::COMMAND_FIELD, C_CANCEL_RQ);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
    }
}

/// Refused: out of resources (PS3.4 Table C.4-1).
pub const OUT_OF_RESOURCES: Status = Status(0xA700);
/// Failed: identifier does not match SOP class (PS3.4 Table C.4-1).
pub const IDENTIFIER_DOES_NOT_MATCH: Status = Status(0xA900);
/// Failed: unable to process (PS3.4 Table C.4-1).
pub const UNABLE_TO_PROCESS: Status = Status(0xC000);

/// What `status` means in a C-FIND-RSP.
pub fn meaning(status: Status) -> &'static str {
    super::meaning(STATUSES, status)
}

/// PS3.4 Table C.4-1.
const STATUSES: &[StatusRow] = &[
    (0xA700..=0xA7FF, "refused: out of resources"),
    (0xA900..=0xA9FF, "failed: identifier does not match SOP class"),
    (0xC000..=0xCFFF, "failed: unable to process"),
];

impl From<CFindRq> for Command {
    fn from(request: CFindRq) -> Self {
        Self::CFindRq(request)
    }
}

impl From<CFindRsp> for Command {
    fn from(response: CFindRsp) -> Self {
        Self::CFindRsp(response)
    }
}

impl From<CCancelRq> for Command {
    fn from(request: CCancelRq) -> Self {
        Self::CCancelRq(request)
    }
}
