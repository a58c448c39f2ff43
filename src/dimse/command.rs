use dicom_dictionary_std::tags;
use model::{SopClassUid, limits};

use crate::service::action::{self, NActionRq, NActionRsp};
use crate::service::echo::{self, CEchoRq, CEchoRsp};
use crate::service::event_report::{self, NEventReportRq, NEventReportRsp};
use crate::service::find::{self, CCancelRq, CFindRq, CFindRsp};
use crate::service::get::{self, CGetRq, CGetRsp};
use crate::service::move_::{self, CMoveRq, CMoveRsp};
use crate::service::retrieve::SubOperations;
use crate::service::store::{self, CStoreRq, CStoreRsp};
use crate::wire::{CommandError, Elements, NO_DATA_SET, Writer};
use crate::{Class, Outcome};

/// A DIMSE message less its data set (PS3.7 §9.3, Annex E).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// C-STORE-RQ.
    CStoreRq(CStoreRq),
    /// C-STORE-RSP.
    CStoreRsp(CStoreRsp),
    /// C-FIND-RQ.
    CFindRq(CFindRq),
    /// C-FIND-RSP.
    CFindRsp(CFindRsp),
    /// C-GET-RQ.
    CGetRq(CGetRq),
    /// C-GET-RSP.
    CGetRsp(CGetRsp),
    /// C-MOVE-RQ.
    CMoveRq(CMoveRq),
    /// C-MOVE-RSP.
    CMoveRsp(CMoveRsp),
    /// C-CANCEL-RQ.
    CCancelRq(CCancelRq),
    /// C-ECHO-RQ.
    CEchoRq(CEchoRq),
    /// C-ECHO-RSP.
    CEchoRsp(CEchoRsp),
    /// N-EVENT-REPORT-RQ.
    NEventReportRq(NEventReportRq),
    /// N-EVENT-REPORT-RSP.
    NEventReportRsp(NEventReportRsp),
    /// N-ACTION-RQ.
    NActionRq(NActionRq),
    /// N-ACTION-RSP.
    NActionRsp(NActionRsp),
    /// A request of no service here.
    OtherRq(OtherRq),
    /// A response of no service here: an answer to an [`OtherRq`].
    OtherRsp(OtherRsp),
}

/// What must be known of a request to refuse it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRq {
    /// Command Field (0000,0100), bit 15 clear.
    pub command_field: u16,
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002).
    pub affected_sop_class_uid: Option<SopClassUid>,
}

/// An answer to an [`OtherRq`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRsp {
    /// Command Field (0000,0100), bit 15 set.
    pub command_field: u16,
    /// Message ID Being Responded To (0000,0120).
    pub message_id_being_responded_to: u16,
    /// Affected SOP Class UID (0000,0002), as in the request.
    pub affected_sop_class_uid: Option<SopClassUid>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Command {
    /// Reads a command set, and whether a data set follows it (Command Data Set Type is anything but 0101H).
    ///
    /// Taken as well: any order of elements, a wrong Command Group Length, odd lengths, NUL and space as padding, elements that
    /// the message does not have. Where Command Data Set Type is absent, the message says whether it has one.
    ///
    /// # Errors
    /// [`CommandError`]: there is nothing that could be answered; the caller aborts the association.
    ///
    /// PS3.7 §6.3, §9.3.
    pub fn decode(bytes: &[u8]) -> Result<(Self, bool), CommandError> {
        let set = Elements::parse(bytes)?;
        let command = match set.required(tags::COMMAND_FIELD, "Command Field")? {
            store::C_STORE_RQ => CStoreRq::read(set)?.into(),
            store::C_STORE_RSP => CStoreRsp::read(set)?.into(),
            find::C_FIND_RQ => CFindRq::read(set)?.into(),
            find::C_FIND_RSP => CFindRsp::read(set)?.into(),
            get::C_GET_RQ => CGetRq::read(set)?.into(),
            get::C_GET_RSP => CGetRsp::read(set)?.into(),
            move_::C_MOVE_RQ => CMoveRq::read(set)?.into(),
            move_::C_MOVE_RSP => CMoveRsp::read(set)?.into(),
            find::C_CANCEL_RQ => CCancelRq::read(set)?.into(),
            echo::C_ECHO_RQ => CEchoRq::read(set)?.into(),
            echo::C_ECHO_RSP => CEchoRsp::read(set)?.into(),
            event_report::N_EVENT_REPORT_RQ => NEventReportRq::read(set)?.into(),
            event_report::N_EVENT_REPORT_RSP => NEventReportRsp::read(set)?.into(),
            action::N_ACTION_RQ => NActionRq::read(set)?.into(),
            action::N_ACTION_RSP => NActionRsp::read(set)?.into(),
            command_field if command_field & RESPONSE == 0 => {
                Self::OtherRq(OtherRq::read(command_field, set)?)
            }
            command_field => Self::OtherRsp(OtherRsp::read(command_field, set)?),
        };
        let has_data_set = match set.integer(tags::COMMAND_DATA_SET_TYPE) {
            Some(kind) => kind != NO_DATA_SET,
            None => command.has_data_set(),
        };
        Ok((command, has_data_set))
    }

    /// Writes the command set, Command Data Set Type as [`Command::has_data_set`] says.
    ///
    /// PS3.7 §6.3.1, §9.3.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut set = Writer::new();
        match self {
            Self::CStoreRq(request) => request.write(&mut set),
            Self::CStoreRsp(response) => response.write(&mut set),
            Self::CFindRq(request) => request.write(&mut set),
            Self::CFindRsp(response) => response.write(&mut set),
            Self::CGetRq(request) => request.write(&mut set),
            Self::CGetRsp(response) => response.write(&mut set),
            Self::CMoveRq(request) => request.write(&mut set),
            Self::CMoveRsp(response) => response.write(&mut set),
            Self::CCancelRq(request) => request.write(&mut set),
            Self::CEchoRq(request) => request.write(&mut set),
            Self::CEchoRsp(response) => response.write(&mut set),
            Self::NEventReportRq(request) => request.write(&mut set),
            Self::NEventReportRsp(response) => response.write(&mut set),
            Self::NActionRq(request) => request.write(&mut set),
            Self::NActionRsp(response) => response.write(&mut set),
            Self::OtherRq(request) => request.write(&mut set),
            Self::OtherRsp(response) => response.write(&mut set),
        }
        set.finish()
    }

    /// Whether a data set belongs to this message.
    pub fn has_data_set(&self) -> bool {
        match self {
            Self::NEventReportRq(_) | Self::NActionRq(_) => true,
            Self::CStoreRq(_) | Self::CFindRq(_) | Self::CGetRq(_) | Self::CMoveRq(_) => true,
            Self::CFindRsp(response) => response.outcome.status.class() == Class::Pending,
            Self::CGetRsp(response) => response.has_identifier,
            Self::CMoveRsp(response) => response.has_identifier,
            Self::CStoreRsp(_)
            | Self::CCancelRq(_)
            | Self::CEchoRq(_)
            | Self::CEchoRsp(_)
            | Self::NEventReportRsp(_)
            | Self::NActionRsp(_)
            | Self::OtherRq(_)
            | Self::OtherRsp(_) => false,
        }
    }

    /// The answer to a request that its operation ended so; `None` for what is not answered.
    pub fn answer(self, outcome: Outcome) -> Option<Self> {
        Some(match self {
            Self::CStoreRq(request) => request.answer(outcome).into(),
            Self::CFindRq(request) => request.answer(outcome).into(),
            Self::CGetRq(request) => request.answer(outcome, SubOperations::default()).into(),
            Self::CMoveRq(request) => request.answer(outcome, SubOperations::default()).into(),
            Self::CEchoRq(request) => request.answer(outcome).into(),
            Self::NEventReportRq(request) => request.answer(outcome).into(),
            Self::NActionRq(request) => request.answer(outcome).into(),
            Self::OtherRq(request) => request.answer(outcome).into(),
            Self::CStoreRsp(_)
            | Self::CFindRsp(_)
            | Self::CGetRsp(_)
            | Self::CMoveRsp(_)
            | Self::CEchoRsp(_)
            | Self::NEventReportRsp(_)
            | Self::NActionRsp(_)
            | Self::CCancelRq(_)
            | Self::OtherRsp(_) => return None,
        })
    }

    /// The outcome that a response tells.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::CStoreRsp(response) => Some(&response.outcome),
            Self::CFindRsp(response) => Some(&response.outcome),
            Self::CGetRsp(response) => Some(&response.outcome),
            Self::CMoveRsp(response) => Some(&response.outcome),
            Self::CEchoRsp(response) => Some(&response.outcome),
            Self::NEventReportRsp(response) => Some(&response.outcome),
            Self::NActionRsp(response) => Some(&response.outcome),
            Self::OtherRsp(response) => Some(&response.outcome),
            Self::CStoreRq(_)
            | Self::CFindRq(_)
            | Self::CGetRq(_)
            | Self::CMoveRq(_)
            | Self::CCancelRq(_)
            | Self::CEchoRq(_)
            | Self::NEventReportRq(_)
            | Self::NActionRq(_)
            | Self::OtherRq(_) => None,
        }
    }

    /// What the status of a response means in its service; nothing for a request.
    pub fn meaning(&self) -> &'static str {
        match (self, self.outcome()) {
            (Self::CStoreRsp(_), Some(outcome)) => store::meaning(outcome.status),
            (Self::CFindRsp(_), Some(outcome)) => find::meaning(outcome.status),
            (Self::NEventReportRsp(_), Some(outcome)) => event_report::meaning(outcome.status),
            (Self::NActionRsp(_), Some(outcome)) => action::meaning(outcome.status),
            (Self::CGetRsp(_), Some(outcome)) => get::meaning(outcome.status),
            (Self::CMoveRsp(_), Some(outcome)) => move_::meaning(outcome.status),
            (_, Some(outcome)) => outcome.status.meaning(),
            (_, None) => "",
        }
    }

    /// The message's name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CStoreRq(_) => "C-STORE-RQ",
            Self::CStoreRsp(_) => "C-STORE-RSP",
            Self::CFindRq(_) => "C-FIND-RQ",
            Self::CFindRsp(_) => "C-FIND-RSP",
            Self::CGetRq(_) => "C-GET-RQ",
            Self::CGetRsp(_) => "C-GET-RSP",
            Self::CMoveRq(_) => "C-MOVE-RQ",
            Self::CMoveRsp(_) => "C-MOVE-RSP",
            Self::CCancelRq(_) => "C-CANCEL-RQ",
            Self::CEchoRq(_) => "C-ECHO-RQ",
            Self::CEchoRsp(_) => "C-ECHO-RSP",
            Self::NEventReportRq(_) => "N-EVENT-REPORT-RQ",
            Self::NEventReportRsp(_) => "N-EVENT-REPORT-RSP",
            Self::NActionRq(_) => "N-ACTION-RQ",
            Self::NActionRsp(_) => "N-ACTION-RSP",
            Self::OtherRq(_) => "request of another service",
            Self::OtherRsp(_) => "response of another service",
        }
    }
}

impl OtherRq {
    /// The answer that this operation ended so.
    pub fn answer(self, outcome: Outcome) -> OtherRsp {
        OtherRsp {
            command_field: self.command_field | RESPONSE,
            message_id_being_responded_to: self.message_id,
            affected_sop_class_uid: self.affected_sop_class_uid,
            outcome,
        }
    }

    fn read(command_field: u16, set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self { command_field, message_id: set.message_id()?, affected_sop_class_uid: set.sop_class() })
    }

    fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, self.command_field);
        set.integer(tags::MESSAGE_ID, self.message_id);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
    }
}

impl OtherRsp {
    fn read(command_field: u16, set: Elements<'_>) -> Result<Self, CommandError> {
        Ok(Self {
            command_field,
            message_id_being_responded_to: set.responded_to()?,
            affected_sop_class_uid: set.sop_class(),
            outcome: set.outcome()?,
        })
    }

    fn write(&self, set: &mut Writer) {
        set.uid(tags::AFFECTED_SOP_CLASS_UID, self.affected_sop_class_uid.as_ref());
        set.integer(tags::COMMAND_FIELD, self.command_field);
        set.integer(tags::MESSAGE_ID_BEING_RESPONDED_TO, self.message_id_being_responded_to);
        set.integer(tags::COMMAND_DATA_SET_TYPE, NO_DATA_SET);
        set.outcome(&self.outcome);
    }
}

impl From<OtherRsp> for Command {
    fn from(response: OtherRsp) -> Self {
        Self::OtherRsp(response)
    }
}

/// Bit 15 of Command Field tells a response from a request (PS3.7 Table E.1-1).
const RESPONSE: u16 = 0x8000;

/// Reads any bytes as a command set: never panics, and what it reads it writes and reads again the same.
pub fn fuzz_command(bytes: &[u8]) {
    if let Ok((command, _)) = Command::decode(bytes) {
        let written = command.to_bytes();
        if written.len() > limits::COMMAND_SET_BYTES {
            return;
        }
        assert_eq!(Command::decode(&written).as_ref().map(|(again, _)| again), Ok(&command));
    }
}
