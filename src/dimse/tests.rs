//! Command sets as other implementations write them, and whatever else bytes may be.

use model::{AeTitle, SopClassUid, SopInstanceUid, Tag};
use proptest::prelude::*;

use crate::service::echo::{CEchoRq, CEchoRsp};
use crate::service::find::{CCancelRq, CFindRq, CFindRsp};
use crate::service::get::{self, CGetRq};
use crate::service::mechanisms::fuzz_mechanisms;
use crate::service::move_::{self, CMoveRq};
use crate::service::retrieve::SubOperations;
use crate::service::store::{CStoreRq, CStoreRsp, MoveOriginator};
use crate::{Command, CommandError, ErrorComment, OtherRq, Outcome, Status, fuzz_assembler, fuzz_command};

/// The bytes of an annotated hex file: `#` begins a comment.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/../../testdata/dimse/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let digits: String = text.lines().flat_map(|line| line.split('#').next()).collect();
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

fn class(text: &str) -> Option<SopClassUid> {
    SopClassUid::lenient(text)
}

fn ct_store() -> CStoreRq {
    CStoreRq {
        message_id: 1,
        affected_sop_class_uid: class("1.2.840.10008.5.1.4.1.1.2"),
        affected_sop_instance_uid: SopInstanceUid::lenient("1.2.826.0.1.3680043.10.999.3.1.1.1"),
        move_originator: None,
    }
}

fn title(text: &str) -> AeTitle {
    AeTitle::parse(text).unwrap()
}

fn study_move() -> CMoveRq {
    CMoveRq {
        message_id: 4,
        affected_sop_class_uid: class("1.2.840.10008.5.1.4.1.2.2.2"),
        destination: Some(title("STORESCP")),
    }
}

fn study_get() -> CGetRq {
    CGetRq { message_id: 1, affected_sop_class_uid: class("1.2.840.10008.5.1.4.1.2.2.3") }
}

fn counted(remaining: u16, completed: u16, failed: u16, warning: u16) -> SubOperations {
    let [remaining, completed, failed, warning] = [remaining, completed, failed, warning].map(Some);
    SubOperations { remaining, completed, failed, warning }
}

#[test]
fn reads_what_other_implementations_write() {
    let refused = Outcome {
        status: Status(0xA900),
        offending_elements: vec![Tag(0x0008, 0x0052)],
        error_comment: Some(ErrorComment::from("level is missing")),
    };
    for (name, expected, has_data_set) in [
        ("c-echo-rq-dcmtk", CEchoRq { message_id: 1 }.into(), false),
        ("c-store-rq-dcmtk", ct_store().into(), true),
        (
            "c-find-rq-dcmtk",
            CFindRq { message_id: 1, affected_sop_class_uid: class("1.2.840.10008.5.1.4.1.2.2.1") }.into(),
            true,
        ),
        ("c-cancel-rq", CCancelRq { message_id_being_responded_to: 9 }.into(), false),
        (
            "c-find-rsp-refused",
            CFindRsp {
                message_id_being_responded_to: 2,
                affected_sop_class_uid: class("1.2.840.10008.5.1.4.1.2.2.1"),
                outcome: refused,
            }
            .into(),
            false,
        ),
        ("c-get-rq-dcmtk", study_get().into(), true),
        (
            "c-get-rsp-pynetdicom",
            study_get().answer(Status::PENDING.into(), counted(1, 1, 0, 0)).into(),
            false,
        ),
        ("c-move-rq", study_move().into(), true),
        (
            "c-move-rsp-pynetdicom",
            move_::CMoveRsp {
                message_id_being_responded_to: 1,
                has_identifier: true,
                ..study_move().answer(Status(0xB000).into(), counted(0, 1, 1, 0))
            }
            .into(),
            true,
        ),
        (
            "c-store-rq-move-pynetdicom",
            CStoreRq {
                message_id: 2,
                affected_sop_instance_uid: SopInstanceUid::lenient("2.25.7412960331.1.1"),
                move_originator: Some(MoveOriginator { ae_title: title("PYSCP"), message_id: 1 }),
                ..ct_store()
            }
            .into(),
            true,
        ),
        // Elements out of order, no group length, UIDs padded with spaces and of odd length, a group 0008 element, US of 4 bytes.
        ("c-store-rq-untidy", ct_store().into(), true),
    ] {
        assert_eq!(Command::decode(&golden(name)), Ok((expected, has_data_set)), "{name}");
    }
}

#[test]
fn writes_what_other_implementations_write() {
    for (command, name) in [
        (CEchoRq { message_id: 1 }.into(), "c-echo-rq-dcmtk"),
        (Command::from(ct_store()), "c-store-rq-dcmtk"),
        (CCancelRq { message_id_being_responded_to: 9 }.into(), "c-cancel-rq"),
        (study_get().into(), "c-get-rq-dcmtk"),
        (study_get().answer(Status::PENDING.into(), counted(1, 1, 0, 0)).into(), "c-get-rsp-pynetdicom"),
        (study_move().into(), "c-move-rq"),
    ] {
        assert_eq!(command.to_bytes(), golden(name), "{name}");
    }
}

#[test]
fn answers_carry_what_the_request_said() {
    let answer = Command::from(ct_store().answer(Outcome::because(Status(0xA700), "not enough disk space")));
    let (read, has_data_set) = Command::decode(&answer.to_bytes()).unwrap();
    assert_eq!((&read, has_data_set), (&answer, false));
    let Command::CStoreRsp(CStoreRsp { message_id_being_responded_to, outcome, .. }) = read else { panic!() };
    assert_eq!((message_id_being_responded_to, outcome.status), (1, Status(0xA700)));
    assert_eq!(answer.meaning(), "refused: out of resources");

    let request = OtherRq { command_field: 0x0140, message_id: 4, affected_sop_class_uid: class("1.2") };
    let (Command::OtherRq(request), _) = Command::decode(&Command::OtherRq(request).to_bytes()).unwrap()
    else {
        panic!()
    };
    let answer = request.answer(Outcome::from(Status::UNRECOGNIZED_OPERATION));
    assert_eq!((answer.command_field, answer.message_id_being_responded_to), (0x8140, 4));

    let request = CFindRq { message_id: 6, affected_sop_class_uid: class("1.2") };
    for (status, has_identifier) in [
        (Status::PENDING, true),
        (Status::PENDING_UNSUPPORTED_KEYS, true),
        (Status::SUCCESS, false),
        (Status::CANCEL, false),
    ] {
        let (_, has_data_set) =
            Command::decode(&Command::from(request.answer(status.into())).to_bytes()).unwrap();
        assert_eq!(has_data_set, has_identifier, "{status}");
    }
}

#[test]
fn the_answers_to_a_retrieve_say_what_they_know() {
    let sub_operations = SubOperations { completed: Some(7), ..SubOperations::default() };
    for has_identifier in [false, true] {
        let response = get::CGetRsp {
            has_identifier,
            ..study_get().answer(Outcome::because(Status(0xA702), "no context"), sub_operations)
        };
        let (read, has_data_set) = Command::decode(&Command::from(response.clone()).to_bytes()).unwrap();
        assert_eq!((read, has_data_set), (response.into(), has_identifier));
    }
    let refused = Command::from(study_move()).answer(Status(0xA801).into()).unwrap();
    let (read, has_data_set) = Command::decode(&refused.to_bytes()).unwrap();
    let Command::CMoveRsp(read) = read else { panic!("{read:?}") };
    assert_eq!((read.sub_operations, has_data_set), (SubOperations::default(), false));

    for (destination, expected) in [
        (&b"STORESCP"[..], Some("STORESCP")),
        (b" A \0", Some("A")),
        (b"  ", None),
        (b"A\\", None),
        (b"\xE4 ", None),
    ] {
        let mut bytes = golden("c-move-rq");
        let at = bytes.windows(8).position(|window| window == b"STORESCP").unwrap();
        bytes.splice(at..at + 8, destination.iter().copied());
        bytes[at - 4] = u8::try_from(destination.len()).unwrap();
        let (Command::CMoveRq(request), _) = Command::decode(&bytes).unwrap() else { panic!() };
        assert_eq!(request.destination.as_ref().map(AeTitle::as_str), expected);
    }
}

#[test]
fn retrieves_have_the_statuses_of_their_tables() {
    for (code, of_move, of_get) in [
        (0x0000, "success", "success"),
        (0x0122, "SOP class not supported", "SOP class not supported"),
        (0xA701, "refused: out of resources, unable to calculate number of matches", ""),
        (0xA702, "refused: out of resources, unable to perform sub-operations", ""),
        (0xA801, "refused: move destination unknown", "failure"),
        (0xA9FF, "failed: identifier does not match SOP class", ""),
        (0xAA04, "failed: invalid request", ""),
        (0xB000, "warning: sub-operations complete, one or more failures or warnings", ""),
        (0xC123, "failed: unable to process", ""),
        (0xFE00, "cancelled", ""),
        (0xFF00, "pending", ""),
    ] {
        let of_get = if of_get.is_empty() { of_move } else { of_get };
        assert_eq!(
            (move_::meaning(Status(code)), get::meaning(Status(code))),
            (of_move, of_get),
            "{code:04X}"
        );
    }
}

#[test]
fn refuses_what_cannot_be_answered() {
    let echo = Command::from(CEchoRsp { message_id_being_responded_to: 1, outcome: Status::SUCCESS.into() });
    let bytes = echo.to_bytes();
    let status_at = bytes.len() - 10;
    for (bytes, expected) in [
        (&b""[..], CommandError::Missing("Command Field")),
        (&bytes[..status_at], CommandError::Missing("Status")),
        (&bytes[..bytes.len() - 1], CommandError::Truncated(Tag(0x0000, 0x0900))),
        (b"\0\0\0\x01\xff\xff\xff\xff", CommandError::Truncated(Tag(0x0000, 0x0100))),
        (b"\0\0\0\x01\x02\0\0\0\x30\0", CommandError::Missing("Message ID")),
        (&[0; 65_537], CommandError::TooLarge),
    ] {
        assert_eq!(Command::decode(bytes), Err(expected));
    }
}

#[test]
fn takes_padding_after_the_last_element() {
    let mut bytes = Command::from(CEchoRq { message_id: 1 }).to_bytes();
    bytes.extend_from_slice(&[0; 7]);
    assert_eq!(Command::decode(&bytes), Ok((CEchoRq { message_id: 1 }.into(), false)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzz_command(&bytes);
        fuzz_assembler(&bytes);
        fuzz_mechanisms(&bytes);
    }

    #[test]
    fn damaged_commands_are_read_without_panic(
        which in 0_usize..6,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let names = [
            "c-store-rq-dcmtk",
            "c-find-rsp-refused",
            "c-store-rq-untidy",
            "c-move-rq",
            "c-move-rsp-pynetdicom",
            "c-store-rq-move-pynetdicom",
        ];
        let mut bytes = golden(names[which]);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz_command(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        fuzz_command(&bytes);
        let fragments: Vec<u8> = bytes.chunks(40).flat_map(|part| [&[5, part.len() as u8][..], part].concat()).collect();
        fuzz_assembler(&fragments);
    }

    #[test]
    fn what_is_written_is_read_again(
        message_id in any::<u16>(),
        uid in "[0-9.]{1,64}",
        status in any::<u16>(),
        comment in "[ -~]{0,80}",
        tags in proptest::collection::vec((any::<u16>(), any::<u16>()), 0..4),
        ae_title in "[A-Z0-9_]{1,16}",
        counts in any::<[Option<u16>; 4]>(),
        has_identifier in any::<bool>(),
    ) {
        let destination = AeTitle::parse(&ae_title).ok();
        let move_originator = destination.clone().map(|ae_title| MoveOriginator { ae_title, message_id: !message_id });
        let [remaining, completed, failed, warning] = counts;
        let sub_operations = SubOperations { remaining, completed, failed, warning };
        let outcome = Outcome {
            status: Status(status),
            offending_elements: tags.into_iter().map(|(group, element)| Tag(group, element)).collect(),
            error_comment: Some(ErrorComment::from(comment)).filter(|comment| !comment.as_str().is_empty()),
        };
        let request =
            CStoreRq { affected_sop_class_uid: class(&uid), affected_sop_instance_uid: None, message_id, move_originator };
        let retrieve = CMoveRq { message_id, affected_sop_class_uid: class(&uid), destination };
        let moved = move_::CMoveRsp { has_identifier, ..retrieve.answer(outcome.clone(), sub_operations) };
        for command in [
            Command::from(request.clone()),
            request.answer(outcome).into(),
            retrieve.into(),
            moved.into(),
        ] {
            let bytes = command.to_bytes();
            prop_assert_eq!(bytes.len() % 2, 0);
            prop_assert_eq!(Command::decode(&bytes), Ok((command.clone(), command.has_data_set())));
        }
    }
}
