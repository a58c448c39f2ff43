//! N-ACTION and N-EVENT-REPORT: as another implementation writes them, and the statuses that each may have.

use model::{SopClassUid, SopInstanceUid, sop};

use super::action::{self, NActionRq, NActionRsp};
use super::event_report::{self, NEventReportRq, NEventReportRsp};
use crate::tests::golden;
use crate::{Command, Outcome, Status};

fn class() -> Option<SopClassUid> {
    SopClassUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL)
}

fn instance() -> Option<SopInstanceUid> {
    SopInstanceUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE)
}

fn action() -> NActionRq {
    NActionRq {
        message_id: 5,
        requested_sop_class_uid: class(),
        requested_sop_instance_uid: instance(),
        action_type_id: Some(1),
    }
}

fn event_report() -> NEventReportRq {
    NEventReportRq {
        message_id: 6,
        affected_sop_class_uid: class(),
        affected_sop_instance_uid: instance(),
        event_type_id: Some(2),
    }
}

#[test]
fn both_directions_are_read_and_written_as_another_implementation_does() {
    let refused = Outcome::because(Status::INVALID_ARGUMENT_VALUE, "no Transaction UID");
    let done = Outcome::from(Status::SUCCESS);
    for (name, command, has_data_set) in [
        ("n-action-rq-pynetdicom", Command::from(action()), true),
        ("n-action-rsp-pynetdicom", action().answer(refused).into(), false),
        ("n-event-report-rq-pynetdicom", event_report().into(), true),
        ("n-event-report-rsp-pynetdicom", event_report().answer(done).into(), false),
    ] {
        assert_eq!(Command::decode(&golden(name)), Ok((command.clone(), has_data_set)), "{name}");
        assert_eq!(command.to_bytes(), golden(name), "{name}");
    }
}

#[test]
fn what_a_peer_leaves_out_is_none() {
    let bare = NActionRq {
        message_id: 1,
        requested_sop_class_uid: None,
        requested_sop_instance_uid: None,
        action_type_id: None,
    };
    let response = NEventReportRsp {
        message_id_being_responded_to: 9,
        affected_sop_class_uid: None,
        affected_sop_instance_uid: None,
        event_type_id: None,
        outcome: Status::SUCCESS.into(),
    };
    for command in [Command::from(bare), response.into()] {
        assert_eq!(Command::decode(&command.to_bytes()), Ok((command.clone(), command.has_data_set())));
    }
}

#[test]
fn answers_carry_what_the_request_said() {
    let Some(Command::NActionRsp(answer)) = Command::from(action()).answer(Status::SUCCESS.into()) else {
        panic!("no answer")
    };
    let NActionRsp { message_id_being_responded_to, action_type_id, .. } = answer;
    assert_eq!((message_id_being_responded_to, action_type_id), (5, Some(1)));
    let Some(Command::NEventReportRsp(answer)) = Command::from(event_report()).answer(Status::SUCCESS.into())
    else {
        panic!("no answer")
    };
    let NEventReportRsp { message_id_being_responded_to, event_type_id, affected_sop_instance_uid, .. } =
        answer;
    assert_eq!((message_id_being_responded_to, event_type_id), (6, Some(2)));
    assert_eq!(affected_sop_instance_uid, instance());
}

/// PS3.7 §10.1.4.1.10, §10.1.1.1.8: the code, and whether N-ACTION and N-EVENT-REPORT have it.
const STATUSES: &[(u16, bool, bool)] = &[
    (0x0105, false, false),
    (0x0110, true, true),
    (0x0111, false, false),
    (0x0112, true, true),
    (0x0113, false, true),
    (0x0114, true, true),
    (0x0115, true, true),
    (0x0117, true, true),
    (0x0118, true, true),
    (0x0119, true, true),
    (0x0120, false, false),
    (0x0123, true, false),
    (0x0124, true, false),
    (0x0210, true, true),
    (0x0211, true, true),
    (0x0212, true, true),
    (0x0213, true, true),
    (0xA700, false, false),
];

#[test]
fn each_service_knows_its_own_statuses() {
    let knows = |table: &[super::StatusRow], code: u16| table.iter().any(|(codes, _)| codes.contains(&code));
    for (code, of_action, of_event_report) in STATUSES {
        assert_eq!(knows(action::STATUSES, *code), *of_action, "N-ACTION {code:04X}");
        assert_eq!(knows(event_report::STATUSES, *code), *of_event_report, "N-EVENT-REPORT {code:04X}");
    }
    let count = |pick: fn(&(u16, bool, bool)) -> bool| STATUSES.iter().filter(|row| pick(row)).count();
    assert_eq!(
        (action::STATUSES.len(), event_report::STATUSES.len()),
        (count(|row| row.1), count(|row| row.2))
    );
}

#[test]
fn statuses_have_words() {
    let said = |command: Command, status: u16| {
        command.answer(Status(status).into()).map(|answer| answer.meaning().to_owned()).unwrap()
    };
    assert_eq!(said(action().into(), 0x0000), "success");
    assert_eq!(said(action().into(), 0x0213), "failed: resource limitation");
    assert_eq!(said(event_report().into(), 0x0113), "failed: no such event type");
    assert_eq!(said(event_report().into(), 0x0124), "not authorized", "in no table of its own");
}
