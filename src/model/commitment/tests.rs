use proptest::prelude::*;

use super::*;
use crate::header::Header;
use crate::{AeTitle, TransactionUid, limits};

const ENCODINGS: [Encoding; 3] = [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig];

fn reference(number: usize) -> Reference {
    Reference {
        sop_class: SopClassUid::lenient("1.2.840.10008.5.1.4.1.1.2").unwrap(),
        sop_instance: SopInstanceUid::lenient(&format!("2.25.{number}")).unwrap(),
    }
}

fn transaction() -> TransactionUid {
    TransactionUid::lenient("2.25.77").unwrap()
}

fn scanned(encoding: Encoding, data_set: &[u8]) -> Header {
    scan::scan(Form { encoding, deflated: false }, data_set).unwrap()
}

fn read(data_set: &[u8]) -> Result<Request, RequestError> {
    Request::read(&scanned(Encoding::ExplicitLittle, data_set))
}

#[test]
fn a_request_is_read_as_it_was_written_in_each_encoding() {
    for encoding in ENCODINGS {
        for count in [1, 2, limits::COMMITMENT_REFERENCES] {
            let request =
                Request { transaction: transaction(), references: (0..count).map(reference).collect() };
            assert_eq!(Request::read(&scanned(encoding, &request.to_data_set(encoding))), Ok(request));
        }
    }
}

#[test]
fn requests_that_cannot_be_carried_out_say_why() {
    let encoding = Encoding::ExplicitLittle;
    let with = |transaction: &[u8], references: Option<&[Reference]>| {
        let mut out = Vec::new();
        put(&mut out, encoding, TRANSACTION_UID, Vr::UI, transaction);
        if let Some(references) = references {
            put_sequence(&mut out, encoding, REFERENCED_SOP_SEQUENCE, references, |one, out| {
                one.put(out, encoding)
            });
        }
        out
    };
    let one = [reference(1)];
    let too_many: Vec<Reference> = (0..=limits::COMMITMENT_REFERENCES).map(reference).collect();
    let mut lacking = with(b"2.25.77", None);
    put_sequence(&mut lacking, encoding, REFERENCED_SOP_SEQUENCE, &[0, 1], |number, out| {
        put(out, encoding, REFERENCED_SOP_CLASS, Vr::UI, b"1.2");
        put(out, encoding, REFERENCED_SOP_INSTANCE, Vr::UI, if *number == 0 { b"1.2.3" } else { b"" });
    });
    for (data_set, expected) in [
        (Vec::new(), RequestError::TransactionUid),
        (with(b"", Some(&one)), RequestError::TransactionUid),
        (with(&[b'1'; 65], Some(&one)), RequestError::TransactionUid),
        (with(b"2.25.77", None), RequestError::ReferencedSopSequence),
        (with(b"2.25.77", Some(&[])), RequestError::ReferencedSopSequence),
        (lacking, RequestError::Reference(2)),
        (with(b"2.25.77", Some(&too_many)), RequestError::TooMany),
    ] {
        assert_eq!(read(&data_set), Err(expected));
    }
    assert!(read(&with(&[b'1'; 64], Some(&one))).is_ok(), "as long as a UID may be");
}

#[test]
fn a_report_tells_all_or_what_failed() {
    let failed = vec![
        (reference(3), FailureReason::NO_SUCH_OBJECT_INSTANCE),
        (reference(4), FailureReason::CLASS_INSTANCE_CONFLICT),
    ];
    for (committed, failed, event_type_id) in [
        (vec![reference(1), reference(2)], vec![], 1),
        (vec![reference(1)], failed.clone(), 2),
        (vec![], failed, 2),
    ] {
        let retrieve_ae_title = AeTitle::parse("GANTRY").unwrap();
        let report = Report { transaction: transaction(), retrieve_ae_title, committed, failed };
        assert_eq!(report.event_type_id(), event_type_id);
        let expected = ReceivedReport {
            transaction: transaction(),
            committed: report.committed.iter().map(|one| one.sop_instance.clone()).collect(),
            failed: report.failed.iter().map(|(one, reason)| (one.sop_instance.clone(), *reason)).collect(),
        };
        for encoding in ENCODINGS {
            let header = scanned(encoding, &report.to_data_set(encoding));
            assert_eq!(header.text(RETRIEVE_AE_TITLE).as_deref(), Some("GANTRY"));
            assert_eq!(header.element(REFERENCED_SOP_SEQUENCE).is_some(), !report.committed.is_empty());
            assert_eq!(header.element(FAILED_SOP_SEQUENCE).is_some(), !report.failed.is_empty());
            assert_eq!(ReceivedReport::read(&header), Ok(expected.clone()));
        }
    }
}

#[test]
fn untidy_reports_are_read_for_what_they_tell() {
    let encoding = Encoding::ImplicitLittle;
    let mut out = Vec::new();
    put(&mut out, encoding, TRANSACTION_UID, Vr::UI, b"2.25.77");
    put_sequence(&mut out, encoding, FAILED_SOP_SEQUENCE, &[b"2.25.1", b"      "], |uid, out| {
        put(out, encoding, REFERENCED_SOP_INSTANCE, Vr::UI, *uid);
    });
    put_sequence(&mut out, encoding, REFERENCED_SOP_SEQUENCE, &[b"2.25.1", b"2.25.2"], |uid, out| {
        put(out, encoding, REFERENCED_SOP_INSTANCE, Vr::UI, *uid);
    });
    let expected = ReceivedReport {
        transaction: transaction(),
        committed: vec![reference(2).sop_instance],
        failed: vec![(reference(1).sop_instance, FailureReason::PROCESSING_FAILURE)],
    };
    assert_eq!(ReceivedReport::read(&scanned(encoding, &out)), Ok(expected));
    assert_eq!(ReceivedReport::read(&scanned(encoding, b"")), Err(ReportError::TransactionUid));
}

#[test]
fn a_report_larger_than_any_answer_is_refused() {
    let encoding = Encoding::ImplicitLittle;
    let committed = (0..=limits::COMMITMENT_REFERENCES).map(reference).collect();
    let retrieve_ae_title = AeTitle::parse("PACS").unwrap();
    let report = Report { transaction: transaction(), retrieve_ae_title, committed, failed: Vec::new() };
    let header = scanned(encoding, &report.to_data_set(encoding));
    assert_eq!(ReceivedReport::read(&header), Err(ReportError::TooMany));
}

#[test]
fn every_reason_has_words() {
    for (code, words) in [
        (0x0110, "0110H processing failure"),
        (0x0112, "0112H no such object instance"),
        (0x0119, "0119H class/instance conflict"),
        (0x0122, "0122H referenced SOP class not supported"),
        (0x0131, "0131H duplicate Transaction UID"),
        (0x0213, "0213H resource limitation"),
        (0xC001, "C001H a reason that the standard does not know"),
    ] {
        assert_eq!(FailureReason(code).to_string(), words);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzz_commitment(&bytes);
    }

    #[test]
    fn damaged_requests_are_read_without_panic(
        form in 0_usize..3,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let request = Request { transaction: transaction(), references: (0..3).map(reference).collect() };
        let mut bytes = vec![u8::try_from(form).unwrap()];
        bytes.extend(request.to_data_set(ENCODINGS[form]));
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz_commitment(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        fuzz_commitment(&bytes);
    }
}
