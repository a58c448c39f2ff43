use model::header::{Header, Value};

use super::*;

/// What `given` makes, or its findings.
fn make(text: &str) -> Result<Given, Vec<String>> {
    let root = DeTable::parse(text).unwrap();
    let mut finder = Finder::new("x.toml", text);
    let given = read(root.get_ref(), &(0..text.len()), &mut finder);
    let findings: Vec<String> = finder.finish().iter().map(ToString::to_string).collect();
    assert_eq!(given.is_none(), !findings.is_empty(), "{findings:?}");
    given.ok_or(findings)
}

fn header(text: &str) -> Header {
    make(text).map_err(|findings| findings.join("\n")).unwrap().header
}

/// The element has this VR and these bytes.
fn check(text: &str, tag: Tag, vr: Vr, bytes: &[u8]) {
    let header = header(text);
    let element = header.element(tag).unwrap();
    assert_eq!((element.vr, element.bytes()), (vr, Some(bytes)), "{text}");
}

/// The only finding.
fn refuse(text: &str, expected: &str) {
    let findings = make(text).map(|_| ()).unwrap_err();
    assert_eq!(findings, [format!("x.toml:{expected}")], "{text}");
}

#[test]
fn values_are_coded_by_the_vr_of_their_element() {
    check("Modality = \"CT\"", Tag(0x0008, 0x0060), Vr::CS, b"CT");
    check("ImageType = ['ORIGINAL', 'PRIMARY']", Tag(0x0008, 0x0008), Vr::CS, b"ORIGINAL\\PRIMARY");
    check("ImageType = 'ORIGINAL\\PRIMARY'", Tag(0x0008, 0x0008), Vr::CS, b"ORIGINAL\\PRIMARY");
    check("PatientName = 'Müller'", Tag(0x0010, 0x0010), Vr::PN, "Müller ".as_bytes());
    check("StudyDescription = ''", Tag(0x0008, 0x1030), Vr::LO, b"");
    check("ImageType = []", Tag(0x0008, 0x0008), Vr::CS, b"");
    check("InstanceNumber = 0x10", Tag(0x0020, 0x0013), Vr::IS, b"16");
    check("SliceThickness = 1.50", Tag(0x0018, 0x0050), Vr::DS, b"1.50");
    check("SliceThickness = '1.5'", Tag(0x0018, 0x0050), Vr::DS, b"1.5 ");
    check("PixelSpacing = [1, 0.5]", Tag(0x0028, 0x0030), Vr::DS, b"1\\0.5 ");
    check("Rows = 512", Tag(0x0028, 0x0010), Vr::US, &[0, 2]);
    check(
        "PixelRepresentation = 1\nSmallestImagePixelValue = -2",
        Tag(0x0028, 0x0106),
        Vr::SS,
        &[0xFE, 0xFF],
    );
    check("ReferencePixelX0 = -1", Tag(0x0018, 0x6020), Vr::SL, &[0xFF; 4]);
    check("RecommendedDisplayFrameRateInFloat = 1", Tag(0x0008, 0x9459), Vr::FL, &1f32.to_le_bytes());
    check("FrameIncrementPointer = '0018,1063'", Tag(0x0028, 0x0009), Vr::AT, &[0x18, 0, 0x63, 0x10]);
    check("FrameIncrementPointer = 'FrameTime'", Tag(0x0028, 0x0009), Vr::AT, &[0x18, 0, 0x63, 0x10]);
    check("FrameIncrementPointer = '00181063'", Tag(0x0028, 0x0009), Vr::AT, &[0x18, 0, 0x63, 0x10]);
}

#[test]
fn dates_and_times_may_be_written_as_toml_or_dicom_has_them() {
    for date in ["2026-03-31", "'2026-03-31'", "'20260331'"] {
        check(&format!("StudyDate = {date}"), Tag(0x0008, 0x0020), Vr::DA, b"20260331");
    }
    check("StudyTime = 10:30:00", Tag(0x0008, 0x0030), Vr::TM, b"103000");
    check("StudyTime = '10:30'", Tag(0x0008, 0x0030), Vr::TM, b"1030");
    check("StudyTime = '103000.25'", Tag(0x0008, 0x0030), Vr::TM, b"103000.25 ");
    let at = Tag(0x0008, 0x002A);
    check("AcquisitionDateTime = 2026-03-31T10:30:00.5", at, Vr::DT, b"20260331103000.500000 ");
    check("AcquisitionDateTime = 2026-03-31T10:30:00-02:30", at, Vr::DT, b"20260331103000-0230 ");
    check("AcquisitionDateTime = 2026-03-31T10:30:00Z", at, Vr::DT, b"20260331103000+0000 ");
    check("StudyDate = 'yesterday'", Tag(0x0008, 0x0020), Vr::DA, b"yesterday ");
}

#[test]
fn elements_may_be_named_by_tag() {
    check("'tag(0008,103e)' = 'Chest'", Tag(0x0008, 0x103E), Vr::LO, b"Chest ");
    check("'tag( 0009 , 1001 )' = 'x'", Tag(0x0009, 0x1001), Vr::LO, b"x ");
    check("'tag(0009,1001)' = 70000", Tag(0x0009, 0x1001), Vr::SL, &70_000i32.to_le_bytes());
    check("'tag(0009,1001)' = [1, 5000000000]", Tag(0x0009, 0x1001), Vr::SV, &{
        let mut both = 1i64.to_le_bytes().to_vec();
        both.extend(5_000_000_000i64.to_le_bytes());
        both
    });
    check("'tag(0009,1001)' = 1.5", Tag(0x0009, 0x1001), Vr::FD, &1.5f64.to_le_bytes());
    check("'tag(0009,1001)' = 2026-03-31", Tag(0x0009, 0x1001), Vr::DA, b"20260331");
}

#[test]
fn private_elements_stand_in_the_block_of_their_creator() {
    let text = "'private(\"A\", 0x29, 0x10)' = 'a'\n\"private('B', 41, 16)\" = 'b'\n'private(\"A\",0x29,0x11)' = 'c'";
    let header = header(text);
    let text = |tag| header.text(tag).unwrap();
    assert_eq!([text(Tag(0x29, 0x10)), text(Tag(0x29, 0x11))], ["A", "B"]);
    assert_eq!([text(Tag(0x29, 0x1010)), text(Tag(0x29, 0x1011)), text(Tag(0x29, 0x1110))], ["a", "c", "b"]);
}

#[test]
fn private_blocks_that_are_taken_stay_so() {
    let text = "'tag(0029,1005)' = 'raw'\n'tag(0029,0012)' = 'B '\n\
                'private(\"A\", 0x29, 0x10)' = 'a'\n'private(\"B\", 0x29, 0x10)' = 'b'";
    let header = header(text);
    let text = |tag| header.text(tag).unwrap();
    assert_eq!([text(Tag(0x29, 0x11)), text(Tag(0x29, 0x1110)), text(Tag(0x29, 0x1210))], ["A", "a", "b"]);
}

#[test]
fn sequences_are_lists_of_tables() {
    let header = header(
        "RequestAttributesSequence = [{ ScheduledProcedureStepID = '1', 'private(\"A\", 9, 1)' = 'x' }, {}]\n\
         ProcedureCodeSequence = []",
    );
    let Value::Items(items) = header.element(Tag(0x0040, 0x0275)).unwrap().value() else { panic!() };
    let items: Vec<_> = items.collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].element(Tag(0x0040, 0x0009)).unwrap().bytes(), Some(&b"1 "[..]));
    assert_eq!(items[0].element(Tag(0x0009, 0x1001)).unwrap().bytes(), Some(&b"x "[..]));
    assert_eq!(items[1].elements().count(), 0);
    let Value::Items(mut none) = header.element(Tag(0x0008, 0x1032)).unwrap().value() else { panic!() };
    assert!(none.next().is_none());
}

#[test]
fn where_it_came_from_may_be_written_in_two_ways() {
    for text in [
        "'from.aet' = 'CT1'\n'from.ip' = '::1'\n'from.called' = 'GANTRY'\n'from.peer' = 'ct'\n'from.via' = 'dimse'",
        "from.aet = 'CT1'\nfrom.ip = '::1'\nfrom.called = 'GANTRY'\nfrom.peer = 'ct'\nfrom.via = 'dimse'",
    ] {
        let given = make(text).map_err(|findings| findings.join("\n")).unwrap();
        let expected = Arrival {
            aet: Some(model::AeTitle::parse("CT1").unwrap()),
            ip: Some("::1".parse().unwrap()),
            called: Some(model::AeTitle::parse("GANTRY").unwrap()),
            peer: Some(model::PeerName::new("ct")),
            via: Some(crate::Via::Dimse),
        };
        assert_eq!(given.arrival, expected);
        assert_eq!(given.header.elements().count(), 1, "only the character set");
    }
    assert_eq!(make("from.via = 'dicomweb'").ok().unwrap().arrival.via, Some(crate::Via::Dicomweb));
}

#[test]
fn what_no_instance_can_have_is_refused() {
    refuse(
        "PatientID = 7",
        "1:13: PatientID (LO) needs a text, not a whole number\n    write \"7\" in quotes",
    );
    refuse("Rows = 70000", "1:8: Rows (US) holds numbers from 0 to 65535");
    refuse("Rows = '512'", "1:8: Rows (US) needs a number, not a text\n    write 512 without quotes");
    refuse("Rows = 1.5", "1:8: Rows (US) needs a whole number, not a number with a fraction");
    refuse("SliceThickness = nan", "1:18: SliceThickness (DS) needs a number");
    refuse("Modality = ['CT', true]", "1:19: Modality (CS) needs a text, not true or false");
    refuse("Modality = 'Ü'", "1:12: Modality (CS) has ASCII only");
    refuse("StudyDate = 10:30:00", "1:13: StudyDate (DA) needs a date, not 10:30:00");
    refuse("PixelData = 'x'", "1:13: PixelData holds bytes, which a test cannot give");
    refuse("AdditionalPatientHistory = ['a', 'b']", "1:28: AdditionalPatientHistory (LT) has one value");
    refuse(
        "FrameIncrementPointer = 'x'",
        "1:25: FrameIncrementPointer (AT) needs a tag, not \"x\"\n    for example \"00181063\"",
    );
    refuse("PatientID = 'a'\n'tag(0010,0020)' = 'a'", "2:1: (0010,0020) is given twice");
    refuse("'tag(8,103E)' = 'x'", "1:1: no tag in \"tag(8,103E)\"\n    for example \"tag(0008,103E)\"");
    refuse(
        "TransferSyntaxUID = '1.2'",
        "1:1: (0002,0010) is in the file meta information, and cannot be given",
    );
    refuse("'tag(FFFE,E00D)' = ''", "1:1: (FFFE,E00D) delimits items, and cannot be given");
    refuse("Rows = -1", "1:8: Rows (US) holds numbers from 0 to 65535");
    refuse(
        "PatientName.family = 'x'",
        "1:1: PatientName (PN) needs a text, not a table\n    the whole name: \"Family^Given\"",
    );
    refuse(
        "'PatientName.family' = 'x'",
        "1:1: unknown keyword \"PatientName.family\"\n    give the whole element: PatientName = \"Family^Given\"",
    );
}
