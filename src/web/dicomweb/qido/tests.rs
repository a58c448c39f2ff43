use model::query::{Include, Key, Matching, Zone};
use model::{QueryRetrieveLevel, Tag, Uid, Vr};
use pipeline::Support;

use super::params::{Search, fuzz_qido, parse};
use crate::dicomweb::target::Target;
use crate::problem::Problem;

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
const CODES: Tag = Tag(0x0008, 0x1032);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);

fn support(path: &[Tag]) -> Support {
    match *path {
        [PATIENT_NAME | STUDY_DATE | STUDY_TIME | STUDY_INSTANCE_UID] => Support::Match,
        [CODES, Tag(0x0008, 0x0100 | 0x0102)] => Support::Match,
        [Tag(0x0008, 0x1030)] => Support::Return,
        _ => Support::No,
    }
}

fn search(query: &str) -> Result<Search, Problem> {
    parse(QueryRetrieveLevel::Study, &Target::default(), query, support)
}

fn keys(query: &str) -> Vec<(Tag, Matching)> {
    search(query).unwrap().query.keys.into_iter().map(|key| (key.tag, key.matching)).collect()
}

fn include(query: &str) -> Include {
    search(query).unwrap().query.include
}

fn single(text: &str) -> Matching {
    Matching::Single(text.to_owned())
}

#[test]
fn nothing_asked_is_everything_with_defaults() {
    let Search { query, warnings, .. } = search("").unwrap();
    assert!(query.keys.is_empty() && warnings.is_empty());
    assert_eq!((query.limit, query.offset), (None, 0));
    assert_eq!(query.include, Include { defaults: true, ..Include::default() });
}

#[test]
fn keys_come_by_keyword_and_by_tag() {
    for query in ["PatientName=Doe*", "00100010=Doe*", "PatientName=Doe%2A", "&&PatientName=Doe*&"] {
        assert_eq!(keys(query), [(PATIENT_NAME, Matching::Wildcard("Doe*".into()))], "{query}");
    }
    assert!(include("PatientName=Doe*").tags.contains(&PATIENT_NAME));
}

#[test]
fn values_are_decoded_from_percent_encoding_and_forms() {
    assert_eq!(keys("PatientName=M%C3%BCller%5EJ"), [(PATIENT_NAME, single("Müller^J"))]);
    assert_eq!(keys("PatientName=van+Dyke%2BX"), [(PATIENT_NAME, single("van Dyke+X"))]);
    assert_eq!(keys("PatientName=%E5%B1%B1=1"), [(PATIENT_NAME, single("山=1"))]);
}

#[test]
fn uid_lists_have_commas_or_backslashes() {
    let list = Matching::UidList(vec!["1.2".into(), "1.3".into()]);
    for query in ["StudyInstanceUID=1.2,1.3", "StudyInstanceUID=1.2%5C1.3", "0020000D=1.2%2C1.3"] {
        assert_eq!(keys(query), [(STUDY_INSTANCE_UID, list.clone())], "{query}");
    }
}

#[test]
fn empty_and_multiple_value_matching_are_done_where_they_are_asked_for() {
    let empty = Matching::Empty;
    let either = Matching::AnyOf(vec![Matching::Empty, Matching::Wildcard("A*".into())]);
    let many = "a*%5C".repeat(65);
    assert_eq!(keys("PatientName=%22%22"), [(PATIENT_NAME, single("\"\""))]);
    assert_eq!(keys("PatientName=%22%22&emptyvaluematching=true"), [(PATIENT_NAME, empty)]);
    let both = "emptyvaluematching=true&multiplevaluematching=true";
    assert_eq!(keys(&format!("{both}&PatientName=%22%22%5CA*")), [(PATIENT_NAME, either)]);
    for refused in ["PatientName=A%5CB", "PatientName=A%5CB&multiplevaluematching=false"] {
        assert_eq!(search(refused).unwrap_err().status(), 400, "{refused}");
    }
    let problem = search(&format!("{both}&PatientName={many}")).unwrap_err();
    assert!(problem.status() == 400 && format!("{problem:?}").contains("too many patterns"));
}

#[test]
fn attributes_of_a_sequence_are_asked_of_one_item() {
    let inner = |element, value: &str| Key { tag: Tag(0x0008, element), vr: Vr::SH, matching: single(value) };
    let expected = Matching::Item(vec![inner(0x0100, "C1"), inner(0x0102, "DCM")]);
    for query in [
        "ProcedureCodeSequence.CodeValue=C1&PatientName=&00081032.00080102=DCM",
        "00081032.00080100=C1&ProcedureCodeSequence.CodingSchemeDesignator=DCM",
    ] {
        assert_eq!(keys(query), [(CODES, expected.clone())], "{query}");
        assert!(include(query).tags.contains(&CODES));
    }
    assert!(keys("ProcedureCodeSequence.CodeValue=").is_empty());
    assert_eq!(search("ProcedureCodeSequence.CodeMeaning=x").unwrap().warnings.len(), 1);
    assert_eq!(
        search("ProcedureCodeSequence.ContextGroupExtensionFlag.CodeValue=x").unwrap().warnings.len(),
        1
    );
}

#[test]
fn a_date_range_and_its_time_range_are_one() {
    let keys = keys("StudyTime=10-11&StudyDate=20260101-20260102");
    assert!(matches!(&keys[..], [(STUDY_DATE, Matching::Moments { time: STUDY_TIME, .. })]), "{keys:?}");
}

#[test]
fn names_match_by_sound_and_times_in_a_zone_where_that_is_asked_for() {
    let query = |text: &str| search(text).unwrap().query;
    assert!(query("PatientName=Meyer&fuzzymatching=true").fuzzy);
    assert!(!query("PatientName=Meyer&fuzzymatching=false").fuzzy && !query("").fuzzy);
    for zone in ["TimezoneOffsetFromUTC=%2B0130", "00080201=+0130", "StudyDate=20260101&00080201=+0130"] {
        let query = query(zone);
        assert_eq!(query.zone.map(Zone::minutes), Some(90), "{zone}");
        assert!(query.include.tags.contains(&Tag(0x0008, 0x0201)));
    }
    assert_eq!(query("TimezoneOffsetFromUTC=").zone, None);
    assert_eq!(search("TimezoneOffsetFromUTC=CET").unwrap_err().status(), 400);
}

#[test]
fn an_empty_value_matches_all_and_is_returned() {
    assert!(keys("StudyDate=").is_empty());
    assert!(keys("StudyDate").is_empty());
    assert!(include("StudyDate=").tags.contains(&STUDY_DATE));
}

#[test]
fn the_path_restricts_too() {
    let target = Target { study: Uid::lenient("1.2"), series: Uid::lenient("1.3"), ..Target::default() };
    let search = parse(QueryRetrieveLevel::Image, &target, "PatientName=Doe", support).unwrap();
    let tags: Vec<_> = search.query.keys.iter().map(|key| key.tag).collect();
    assert_eq!(tags, [STUDY_INSTANCE_UID, Tag(0x0020, 0x000E), PATIENT_NAME]);
}

#[test]
fn include_fields_come_by_comma_and_by_repetition() {
    let include = include("includefield=StudyDescription,00100010&includefield=00400275.00400007");
    let tags: Vec<_> = include.tags.into_iter().collect();
    assert_eq!(tags, [Tag(0x0008, 0x1030), PATIENT_NAME, Tag(0x0040, 0x0275)]);
    assert!(include.defaults && !include.all);
    assert!(self::include("includefield=all").all);
    let place = search("includefield=RetrieveAETitle").unwrap();
    assert!(place.tells_ae_titles && place.warnings.is_empty() && !search("").unwrap().tells_ae_titles);
    assert!(!place.query.include.tags.contains(&Tag(0x0008, 0x0054)), "it is of no object");
}

#[test]
fn limit_and_offset_are_numbers() {
    let query = search("limit=10&offset=20").unwrap().query;
    assert_eq!((query.limit, query.offset), (Some(10), 20));
    assert_eq!(search("limit=99999999999").unwrap().query.limit, Some(u32::MAX));
}

#[test]
fn what_is_not_done_is_said() {
    let warnings = |query: &str| search(query).unwrap().warnings.len();
    assert_eq!(warnings("fuzzymatching=true&emptyvaluematching=true&multiplevaluematching=true"), 0);
    assert_eq!(warnings("BodyPartExamined=HEAD"), 1);
    assert_eq!(warnings("BodyPartExamined=HEAD&00091001=a&includefield=PixelSpacing&SeriesNumber=1"), 2);
    assert_eq!(warnings("RequestAttributesSequence.ScheduledProcedureStepID=1"), 1);
    assert_eq!(warnings("includefield=PixelSpacing"), 1);
    assert!(keys("BodyPartExamined=HEAD").is_empty());
}

#[test]
fn refusals_name_the_parameter_and_never_its_value() {
    for (query, name) in [
        ("Nonsense=secret", "Nonsense"),
        ("patientname=secret", "patientname"),
        ("0010001=secret", "0010001"),
        ("StudyDate=secret", "StudyDate"),
        ("StudyDate=20201332", "StudyDate"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=1", "limit"),
        ("offset=1.5", "offset"),
        ("fuzzymatching=secret", "fuzzymatching"),
        ("emptyvaluematching=", "emptyvaluematching"),
        ("multiplevaluematching=1", "multiplevaluematching"),
        ("includefield=secret", "includefield"),
        ("PatientName=%FFsecret", "PatientName"),
        ("PatientName=secret%2", "PatientName"),
        ("PatientName=secret%zz", "PatientName"),
        ("RequestAttributesSequence.Nonsense=secret", "RequestAttributesSequence"),
    ] {
        let problem = search(query).unwrap_err();
        let text = format!("{problem:?}");
        assert_eq!(problem.status(), 400, "{query}");
        assert!(text.contains(name) && !text.contains("secret"), "{text}");
    }
}

#[test]
fn a_value_in_the_place_of_a_name_is_not_repeated() {
    let problem = search("PatientName%3DDoe%5EJane").unwrap_err();
    assert_eq!(problem.status(), 400);
    assert!(!format!("{problem:?}").contains("Doe"));
}

#[test]
fn there_is_an_end_to_keys() {
    assert!(search(&"PatientName=a&".repeat(64)).is_ok());
    assert_eq!(search(&"PatientName=a&".repeat(65)).unwrap_err().status(), 400);
}

#[test]
fn takes_any_bytes() {
    for query in
        ["%", "=", "a=%", "\u{e9}=\u{e9}", "limit", "00080018=\\,", "....=.", "%00=%00", "StudyDate=-"]
    {
        fuzz_qido(query.as_bytes());
    }
    fuzz_qido(&[0xFF, 0xFE]);
}
