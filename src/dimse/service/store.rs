//! C-STORE (PS3.7 §9.1.1, §9.3.1): the Storage service (PS3.4 Annex B).

use dicom_dictionary_std::tags;
use model::{AeTitle, SopClassUid, SopInstanceUid};

use super::StatusRow;
use crate::wire::{A_DATA_SET, CommandError, Elements, MEDIUM, NO_DATA_SET, Writer};
use crate::{Command, Outcome, Status};

/// Brings one composite SOP instance; its data set follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CStoreRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002); `None` when the peer left it out or empty.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000); `None` when the peer left it out or empty.
    pub affected_sop_instance_uid: Option<SopInstanceUid>,
    /// The C-MOVE that this is a sub-operation of; `None` for any other C-STORE.
    pub move_originator: Option<MoveOriginator>,
}

/// The C-MOVE that a C-STORE is a sub-operation of (PS3.7 §9.1.1.1.6, §9.1.1.1.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveOriginator {
    /// Move Originator Application Entity Title (0000,1030): who asked for the C-MOVE.
    pub ae_title: AeTitle,
    /// Move Originator Message ID (0000,1031): the Message ID of its C-MOVE-RQ.
    pub message_id: u16,
}

/// Answers a [`CStoreRq`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CStoreRsp {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// Affected SOP Class UID (0000,0002), as in the request.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000), as in the request.
    pub affected_sop_instance_uid: Option<SopInstanceUid>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Command Field of C-STORE-RQ (PS3.7 Table E.1-1).
pub(crate) const C_STORE_RQ: u16 = 0x0001;
/// Command Field of C-STORE-RSP.
pub(crate) const C_STORE_RSP: u16 = 0x8001;

impl CStoreRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id: set.message_id()?,
            affected_sop_class_uid: set.sop_class(),
            affected_sop_instance_uid: set.uid(tags::AFFECTED_SOP_INSTANCE_UID),
            move_originator: MoveOriginator::read(set),
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, C_STORE_RQ);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.integer(tags::PRIORITY, MEDIUM);
        set.integer(tags::COMMAND_DATA_SET_TYPE, A_DATA_SET);
        set.uid(tags::AFFECTED_SOP_INSTANCE_UID, self.affected_sop_instance_uid.as_ref());
        if let Some(MoveOriginator { ae_title, message_id }) = &self.move_originator {
            set.ae_title(tags::MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, Some(ae_title));
            set.integer(tags::MOVE_ORIGINATOR_MESSAGE_ID, *message_id);
        }
    }

    /// The answer that this operation ended so.
    pub fn answer(self, outcome: Outcome) -> CStoreRsp {
        CStoreRsp {
            message_id_being_responded_to: self.message_id,
            affected_sop_class_uid: self.affected_sop_class_uid,
            affected_sop_instance_uid: self.affected_sop_instance_uid,
            outcome,
        }
    }
}

impl MoveOriginator {
    /// `None` unless both of its elements are there.
    fn read(set: Elements<'_>) -> Option<Self> {
        Some(Self {
            ae_title: set.ae_title(tags::MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE)?,
            message_id: set.integer(tags::MOVE_ORIGINATOR_MESSAGE_ID)?,
        })
    }
}

impl CStoreRsp {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id_being_responded_to: set.responded_to()?,
            affected_sop_class_uid: set.sop_class(),
            affected_sop_instance_uid: set.uid(tags::AFFECTED_SOP_INSTANCE_UID),
            outcome: set.outcome()?,
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, C_STORE_RSP);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
        set.outcome(&self.outcome);
        set.uid(tags::AFFECTED_SOP_INSTANCE_UID, self.affected_sop_instance_uid.as_ref());
    }
}

/// Refused: out of resources (PS3.4 Table B.2-1).
pub const OUT_OF_RESOURCES: Status = Status(0xA700);
/// Error: data set does not match SOP class (PS3.4 Table B.2-1).
pub const DATA_SET_DOES_NOT_MATCH: Status = Status(0xA900);
/// Error: cannot understand (PS3.4 Table B.2-1).
pub const CANNOT_UNDERSTAND: Status = Status(0xC000);

/// What `status` means in a C-STORE-RSP.
pub fn meaning(status: Status) -> &'static str {
    super::meaning(STATUSES, status)
}

/// PS3.4 Table B.2-1.
const STATUSES: &[StatusRow] = &[
    (0xA700..=0xA7FF, "refused: out of resources"),
    (0xA900..=0xA9FF, "error: data set does not match SOP class"),
    (0xC000..=0xCFFF, "error: cannot understand"),
    (0xB000..=0xB000, "warning: coercion of data elements"),
    (0xB006..=0xB006, "warning: elements discarded"),
    (0xB007..=0xB007, "warning: data set does not match SOP class"),
];

impl From<CStoreRq> for Command {
    fn from(request: CStoreRq) -> Self {
        Self::CStoreRq(request)
    }
}

impl From<CStoreRsp> for Command {
    fn from(response: CStoreRsp) -> Self {
        Self::CStoreRsp(response)
    }
}
