//! N-ACTION (PS3.7 §10.1.4, §10.3.4): how Storage Commitment is asked for (PS3.4 §J.3.2).

use dicom_dictionary_std::tags;
use model::{SopClassUid, SopInstanceUid};

use super::StatusRow;
use crate::wire::{A_DATA_SET, CommandError, Elements, NO_DATA_SET, Writer};
use crate::{Command, Outcome, Status};

/// Asks that something be done on a SOP instance; what exactly follows as data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NActionRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Requested SOP Class UID (0000,0003); `None` when the peer left it out or empty.
    pub requested_sop_class_uid: Option<SopClassUid>,
    /// Requested SOP Instance UID (0000,1001); `None` when the peer left it out or empty.
    pub requested_sop_instance_uid: Option<SopInstanceUid>,
    /// Action Type ID (0000,1008); `None` when the peer left it out.
    pub action_type_id: Option<u16>,
}

/// Answers a [`NActionRq`]. An Action Reply is never written; one that a peer sends follows as data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NActionRsp {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// Affected SOP Class UID (0000,0002), as in the request.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000), as in the request.
    pub affected_sop_instance_uid: Option<SopInstanceUid>,
    /// Action Type ID (0000,1008), as in the request.
    pub action_type_id: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Command Field of N-ACTION-RQ (PS3.7 Table E.1-1).
pub(crate) const N_ACTION_RQ: u16 = 0x0130;
/// Command Field of N-ACTION-RSP.
pub(crate) const N_ACTION_RSP: u16 = 0x8130;

impl NActionRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id: set.message_id()?,
            requested_sop_class_uid: set.uid(tags::REQUESTED_SOP_CLASS_UID),
            requested_sop_instance_uid: set.uid(tags::REQUESTED_SOP_INSTANCE_UID),
            action_type_id: set.integer(tags::ACTION_TYPE_ID),
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::REQUESTED_SOP_CLASS_UID, self.requested_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, N_ACTION_RQ);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.integer(tags::COMMAND_DATA_SET_TYPE, A_DATA_SET);
        set.uid(tags::REQUESTED_SOP_INSTANCE_UID, self.requested_sop_instance_uid.as_ref());
        if let Some(action) = self.action_type_id {
            set.integer(tags::ACTION_TYPE_ID, action);
        }
    }

    /// The answer that this operation ended so.
    pub fn answer(self, outcome: Outcome) -> NActionRsp {
        NActionRsp {
            message_id_being_responded_to: self.message_id,
            affected_sop_class_uid: self.requested_sop_class_uid,
            affected_sop_instance_uid: self.requested_sop_instance_uid,
            action_type_id: self.action_type_id,
            outcome,
        }
    }
}

impl NActionRsp {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id_being_responded_to: set.responded_to()?,
            affected_sop_class_uid: set.sop_class(),
            affected_sop_instance_uid: set.uid(tags::AFFECTED_SOP_INSTANCE_UID),
            action_type_id: set.integer(tags::ACTION_TYPE_ID),
            outcome: set.outcome()?,
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, N_ACTION_RSP);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
        set.outcome(&self.outcome);
        set.uid(tags::AFFECTED_SOP_INSTANCE_UID, self.affected_sop_instance_uid.as_ref());
        if let Some(action) = self.action_type_id {
            set.integer(tags::ACTION_TYPE_ID, action);
        }
    }
}

/// Action Type ID of a request for storage commitment (PS3.4 Table J.3-1).
pub const REQUEST_STORAGE_COMMITMENT: u16 = 1;

/// What `status` means in an N-ACTION-RSP.
pub fn meaning(status: Status) -> &'static str {
    super::meaning(STATUSES, status)
}

/// PS3.7 §10.1.4.1.10; PS3.4 §J.3.2 adds none.
pub(super) const STATUSES: &[StatusRow] = &[
    (0x0110..=0x0110, "failed: processing failure"),
    (0x0112..=0x0112, "failed: no such SOP instance"),
    (0x0114..=0x0114, "failed: no such argument"),
    (0x0115..=0x0115, "failed: invalid argument value"),
    (0x0117..=0x0117, "failed: invalid SOP instance"),
    (0x0118..=0x0118, "failed: no such SOP class"),
    (0x0119..=0x0119, "failed: class-instance conflict"),
    (0x0123..=0x0123, "failed: no such action type"),
    (0x0124..=0x0124, "refused: not authorized"),
    (0x0210..=0x0210, "failed: duplicate invocation"),
    (0x0211..=0x0211, "failed: unrecognized operation"),
    (0x0212..=0x0212, "failed: mistyped argument"),
    (0x0213..=0x0213, "failed: resource limitation"),
];

impl From<NActionRq> for Command {
    fn from(request: NActionRq) -> Self {
        Self::NActionRq(request)
    }
}

impl From<NActionRsp> for Command {
    fn from(response: NActionRsp) -> Self {
        Self::NActionRsp(response)
    }
}
