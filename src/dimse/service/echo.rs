//! C-ECHO (PS3.7 §9.1.5, §9.3.5): the Verification service (PS3.4 Annex A).

use dicom_dictionary_std::tags;
use model::sop;

use crate::wire::{CommandError, Elements, NO_DATA_SET, Writer};
use crate::{Command, Outcome};

/// Asks whether the peer is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CEchoRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
}

/// Answers a [`CEchoRq`]. Beside Success it has the statuses of PS3.7 §9.1.5.1.4: 0122H, 0210H, 0211H, 0212H.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CEchoRsp {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// How it ended.
    pub outcome: Outcome,
}

/// Command Field of C-ECHO-RQ (PS3.7 Table E.1-1).
pub(crate) const C_ECHO_RQ: u16 = 0x0030;
/// Command Field of C-ECHO-RSP.
pub(crate) const C_ECHO_RSP: u16 = 0x8030;

impl CEchoRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self { message_id: set.message_id()? })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid_text(tags::AFFECTED_SOP_CLASS_UID, sop::VERIFICATION);
        set.integer(tags::COMMAND_FIELD, C_ECHO_RQ);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
    }

    /// The answer that this operation ended so.
    pub fn answer(self, outcome: Outcome) -> CEchoRsp {
        CEchoRsp { message_id_being_responded_to: self.message_id, outcome }
    }
}

impl CEchoRsp {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self { message_id_being_responded_to: set.responded_to()?, outcome: set.outcome()? })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid_text(tags::AFFECTED_SOP_CLASS_UID, sop::VERIFICATION);
        set.integer(tags::COMMAND_FIELD, C_ECHO_RSP);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
        set.outcome(&self.outcome);
    }
}

impl From<CEchoRq> for Command {
    fn from(request: CEchoRq) -> Self {
        Self::CEchoRq(request)
    }
}

impl From<CEchoRsp> for Command {
    fn from(response: CEchoRsp) -> Self {
        Self::CEchoRsp(response)
    }
}
