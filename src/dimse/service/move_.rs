//! C-MOVE (PS3.7 §9.1.4, §9.3.4): retrieve to a third party, which gets instances by C-STORE (PS3.4 §C.4.2).

use dicom_dictionary_std::tags;
use model::{AeTitle, SopClassUid};

use super::retrieve::{self, SubOperations};
use crate::wire::{A_DATA_SET, CommandError, Elements, MEDIUM, NO_DATA_SET, Writer};
use crate::{Command, Outcome, Status};

/// Asks that instances be sent to [`CMoveRq::destination`]; the identifier follows as data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CMoveRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002); `None` when the peer left it out or empty.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Move Destination (0000,0600); `None` when the peer left it out, or sent what is no AE title.
    pub destination: Option<AeTitle>,
}

/// How far the retrieve is (Pending), or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CMoveRsp {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// Affected SOP Class UID (0000,0002), as in the request.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// How far its sub-operations are.
    pub sub_operations: SubOperations,
    /// An identifier with Failed SOP Instance UID List (0008,0058) follows as data set: not with Pending, nor with Success
    /// (PS3.4 §C.4.2.1.4.2).
    pub has_identifier: bool,
    /// Pending, or how the retrieve ended.
    pub outcome: Outcome,
}

/// Command Field of C-MOVE-RQ (PS3.7 Table E.1-1).
pub(crate) const C_MOVE_RQ: u16 = 0x0021;
/// Command Field of C-MOVE-RSP.
pub(crate) const C_MOVE_RSP: u16 = 0x8021;

impl CMoveRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id: set.message_id()?,
            affected_sop_class_uid: set.sop_class(),
            destination: set.ae_title(tags::MOVE_DESTINATION),
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, C_MOVE_RQ);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.ae_title(tags::MOVE_DESTINATION, self.destination.as_ref());
        set.integer(tags::PRIORITY, MEDIUM);
        set.integer(tags::COMMAND_DATA_SET_TYPE, A_DATA_SET);
    }

    /// One of the answers to this request, without identifier.
    pub fn answer(&self, outcome: Outcome, sub_operations: SubOperations) -> CMoveRsp {
        CMoveRsp {
            message_id_being_responded_to: self.message_id,
            affected_sop_class_uid: self.affected_sop_class_uid.clone(),
            sub_operations,
            has_identifier: false,
            outcome,
        }
    }
}

impl CMoveRsp {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id_being_responded_to: set.responded_to()?,
            affected_sop_class_uid: set.sop_class(),
            sub_operations: SubOperations::read(set),
            has_identifier: set.announces_data_set(),
            outcome: set.outcome()?,
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, C_MOVE_RSP);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, if self.has_identifier { A_DATA_SET } else { NO_DATA_SET });
        set.outcome(&self.outcome);
        self.sub_operations.write(set);
    }
}

/// Refused: move destination unknown (PS3.4 Table C.4-2).
pub const DESTINATION_UNKNOWN: Status = Status(0xA801);

/// What `status` means in a C-MOVE-RSP (PS3.4 Table C.4-2).
pub fn meaning(status: Status) -> &'static str {
    if status == DESTINATION_UNKNOWN {
        return "refused: move destination unknown";
    }
    super::meaning(retrieve::STATUSES, status)
}

impl From<CMoveRq> for Command {
    fn from(request: CMoveRq) -> Self {
        Self::CMoveRq(request)
    }
}

impl From<CMoveRsp> for Command {
    fn from(response: CMoveRsp) -> Self {
        Self::CMoveRsp(response)
    }
}
