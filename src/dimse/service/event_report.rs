//! N-EVENT-REPORT (PS3.7 §10.1.1, §10.3.1): how Storage Commitment tells its result (PS3.4 §J.3.3).

use dicom_dictionary_std::tags;
use model::{SopClassUid, SopInstanceUid};

use super::StatusRow;
use crate::wire::{A_DATA_SET, CommandError, Elements, NO_DATA_SET, Writer};
use crate::{Command, Outcome, Status};

/// Tells of something that happened to a SOP instance; what exactly follows as data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NEventReportRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002); `None` when the peer left it out or empty.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000); `None` when the peer left it out or empty.
    pub affected_sop_instance_uid: Option<SopInstanceUid>,
    /// Event Type ID (0000,1002); `None` when the peer left it out.
    pub event_type_id: Option<u16>,
}

/// Answers a [`NEventReportRq`]. An Event Reply is never written; one that a peer sends follows as data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NEventReportRsp {
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// Affected SOP Class UID (0000,0002), as in the request.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// Affected SOP Instance UID (0000,1000), as in the request.
    pub affected_sop_instance_uid: Option<SopInstanceUid>,
    /// Event Type ID (0000,1002), as in the request.
    pub event_type_id: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Command Field of N-EVENT-REPORT-RQ (PS3.7 Table E.1-1).
pub(crate) const N_EVENT_REPORT_RQ: u16 = 0x0100;
/// Command Field of N-EVENT-REPORT-RSP.
pub(crate) const N_EVENT_REPORT_RSP: u16 = 0x8100;

impl NEventReportRq {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id: set.message_id()?,
            affected_sop_class_uid: set.sop_class(),
            affected_sop_instance_uid: set.uid(tags::AFFECTED_SOP_INSTANCE_UID),
            event_type_id: set.integer(tags::EVENT_TYPE_ID),
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, N_EVENT_REPORT_RQ);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.integer(tags::COMMAND_DATA_SET_TYPE, A_DATA_SET);
        set.uid(tags::AFFECTED_SOP_INSTANCE_UID, self.affected_sop_instance_uid.as_ref());
        if let Some(event) = self.event_type_id {
            set.integer(tags::EVENT_TYPE_ID, event);
        }
    }

    /// The answer that this notification ended so.
    pub fn answer(self, outcome: Outcome) -> NEventReportRsp {
        NEventReportRsp {
            message_id_being_responded_to: self.message_id,
            affected_sop_class_uid: self.affected_sop_class_uid,
            affected_sop_instance_uid: self.affected_sop_instance_uid,
            event_type_id: self.event_type_id,
            outcome,
        }
    }
}

impl NEventReportRsp {
    pub(crate) fn read(set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            message_id_being_responded_to: set.responded_to()?,
            affected_sop_class_uid: set.sop_class(),
            affected_sop_instance_uid: set.uid(tags::AFFECTED_SOP_INSTANCE_UID),
            event_type_id: set.integer(tags::EVENT_TYPE_ID),
            outcome: set.outcome()?,
        })
    }

    pub(crate) fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, N_EVENT_REPORT_RSP);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
        set.outcome(&self.outcome);
        set.uid(tags::AFFECTED_SOP_INSTANCE_UID, self.affected_sop_instance_uid.as_ref());
        if let Some(event) = self.event_type_id {
            set.integer(tags::EVENT_TYPE_ID, event);
        }
    }
}

/// What `status` means in an N-EVENT-REPORT-RSP.
pub fn meaning(status: Status) -> &'static str {
    super::meaning(STATUSES, status)
}

/// PS3.7 §10.1.1.1.8; PS3.4 §J.3.3 adds none.
pub(super) const STATUSES: &[StatusRow] = &[
    (0x0110..=0x0110, "failed: processing failure"),
    (0x0112..=0x0112, "failed: no such SOP instance"),
    (0x0113..=0x0113, "failed: no such event type"),
    (0x0114..=0x0114, "failed: no such argument"),
    (0x0115..=0x0115, "failed: invalid argument value"),
    (0x0117..=0x0117, "failed: invalid SOP instance"),
    (0x0118..=0x0118, "failed: no such SOP class"),
    (0x0119..=0x0119, "failed: class-instance conflict"),
    (0x0210..=0x0210, "failed: duplicate invocation"),
    (0x0211..=0x0211, "failed: unrecognized operation"),
    (0x0212..=0x0212, "failed: mistyped argument"),
    (0x0213..=0x0213, "failed: resource limitation"),
];

impl From<NEventReportRq> for Command {
    fn from(request: NEventReportRq) -> Self {
        Self::NEventReportRq(request)
    }
}

impl From<NEventReportRsp> for Command {
    fn from(response: NEventReportRsp) -> Self {
        Self::NEventReportRsp(response)
    }
}
