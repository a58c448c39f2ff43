//! Matching and return keys at every level.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};

use model::query::Zone;

use super::*;
use crate::{RowIds, Support, support};

const REFERRING: Tag = Tag(0x0008, 0x0090);
const SOP_CLASSES: Tag = Tag(0x0008, 0x0062);
const OPERATORS: Tag = Tag(0x0008, 0x1070);
const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
const ROWS: Tag = Tag(0x0028, 0x0010);
const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

/// Four studies of three patients.
async fn stored() -> Home {
    let home = Home::new();
    let samples = [
        Sample::new(1, 1, 1)
            .with(TIME, "1015")
            .with(REFERRING, "Müller^Hans")
            .with(ACCESSION, "A[1]")
            .with(ROWS, "512"),
        Sample::new(1, 1, 2)
            .with(TIME, "1015")
            .with(IMAGE_TYPE, "DERIVED\\SECONDARY")
            .with(ACCESSION, "A[1]"),
        Sample::new(1, 2, 1)
            .with(TIME, "1015")
            .with(MODALITY, "SR")
            .with(SERIES_NUMBER, "007")
            .with(Tag(0x0018, 0x0050), "5.0")
            .with(OPERATORS, "Ada\\Bob"),
        Sample::new(2, 1, 1)
            .with(DATE, "20200215")
            .with(TIME, "235959.5")
            .with(MODALITY, "MR")
            .with(Tag(0x0008, 0x0016), MR),
        Sample::new(3, 1, 1)
            .with(PATIENT_ID, "P2")
            .with(NAME, "Yamada^Tarou=山田^太郎=やまだ^たろう")
            .with(Tag(0x0008, 0x1048), "Record^A")
            .with(Tag(0x0018, 0x0050), "2.5")
            .with(Tag(0x0018, 0x1000), "SN1")
            .with(DATE, "20210101"),
        Sample::new(4, 1, 1)
            .without(PATIENT_ID)
            .with(NAME, "Buc^Jérôme")
            .with(DATE, "")
            .with(ACCESSION, "a1"),
    ];
    for sample in samples {
        home.store_new(&sample).await;
    }
    home
}

/// What is found by keys at a level: the last numbers of the UIDs.
async fn found(home: &Home, level: QueryRetrieveLevel, keys: &[(Tag, &str)]) -> String {
    let uids = home.uids(&query_for(level, keys)).await;
    uids.iter().map(|uid| uid.trim_start_matches("2.25.")).collect::<Vec<_>>().join(" ")
}

#[test]
fn finds_studies_by_every_kind_of_matching() {
    run(async {
        let home = stored().await;
        let check = async |keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, Study, keys).await, expected, "{keys:?}");
        };
        check(&[], "3 2 1 4").await;
        check(&[(STUDY, "2.25.2")], "2").await;
        check(&[(STUDY, "2.25.2\\2.25.1\\2.25.9")], "2 1").await;
        check(&[(NAME, "DOE^JANE")], "2 1").await;
        check(&[(NAME, "doe")], "").await;
        check(&[(NAME, "doe*")], "2 1").await;
        check(&[(NAME, "*jane")], "2 1").await;
        check(&[(NAME, "b?c^jerome")], "4").await;
        check(&[(NAME, "山*")], "3").await;
        check(&[(NAME, "yamada*=山田*")], "3").await;
        check(&[(NAME, "*山田*")], "3").await;
        check(&[(NAME, "=山田*")], "3").await;
        check(&[(NAME, "=yamada*")], "").await;
        check(&[(NAME, "yamada*=*=や*")], "3").await;
        check(&[(NAME, "*")], "3 2 1 4").await;
        check(&[(REFERRING, "muller*")], "1").await;
        check(&[(PATIENT_ID, "P1")], "2 1").await;
        check(&[(PATIENT_ID, "p1")], "").await;
        check(&[(PATIENT_ID, "P?")], "3 2 1").await;
        check(&[(ACCESSION, "A[1]")], "1").await;
        check(&[(ACCESSION, "A[*")], "1").await;
        check(&[(ACCESSION, "?1")], "4").await;
        check(&[(DATE, "20200101")], "1").await;
        check(&[(DATE, "20200101-20200215")], "2 1").await;
        check(&[(DATE, "20200102-")], "3 2").await;
        check(&[(DATE, "-20200214")], "1").await;
        check(&[(TIME, "1015")], "1").await;
        check(&[(TIME, "10-11")], "1").await;
        check(&[(TIME, "235959-")], "2").await;
        check(&[(MODALITIES, "MR")], "2").await;
        check(&[(MODALITIES, "SR\\MR")], "2 1").await;
        check(&[(MODALITIES, "S*")], "1").await;
        check(&[(SOP_CLASSES, MR)], "2").await;
        check(&[(NAME, "doe*"), (MODALITIES, "CT"), (DATE, "2020.01.01-20200131")], "1").await;
        check(&[(NAME, "doe*"), (PATIENT_ID, "P2")], "").await;
    });
}

#[test]
fn finds_what_has_no_value_and_any_of_several_values() {
    run(async {
        let home = stored().await;
        home.store_new(&Sample::new(5, 1, 1).with(NAME, "").with(MODALITY, "").with(REFERRING, "Roe")).await;
        let check = async |level, keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, level, keys).await, expected, "{keys:?}");
        };
        check(Study, &[(NAME, "\"\"")], "5").await;
        check(Study, &[(DATE, "\"\"")], "4").await;
        check(Study, &[(PATIENT_ID, "\"\"")], "4").await;
        check(Study, &[(ACCESSION, "\"\"")], "3 2 5").await;
        check(Study, &[(MODALITIES, "\"\"")], "5").await;
        check(Study, &[(MODALITIES, "\"\"\\SR\\M*")], "2 5 1").await;
        check(Study, &[(NAME, "\"\"\\yamada*\\buc^jerome")], "3 5 4").await;
        check(Study, &[(NAME, "=山*\\doe^jane")], "3 2 1").await;
        check(Study, &[(NAME, "=山*\\\"\"")], "3 5").await;
        check(Study, &[(REFERRING, "roe\\mull*")], "5 1").await;
        check(Study, &[(ACCESSION, "a1\\A[1]\\x")], "1 4").await;
        check(Study, &[(ACCESSION, "a*\\A[*")], "1 4").await;
        check(Study, &[(DATE, "20210101\\20200201-20200301")], "3 2").await;
        check(Study, &[(TIME, "1015\\2359-")], "2 1").await;
        check(Study, &[(PATIENT_ID, "P1\\P2"), (DATE, "2020.02.15\\20210101")], "3 2").await;
        check(Study, &[(Tag(0x0008, 0x0056), "ONLINE")], "3 2 5 1 4").await;
        check(Study, &[(Tag(0x0008, 0x0056), "N*\\OFFLINE")], "").await;
        check(Series, &[(MODALITY, "SR\\MR")], "1.2 2.1").await;
        check(Series, &[(OPERATORS, "\"\""), (STUDY, "2.25.1")], "1.1").await;
        check(Series, &[(OPERATORS, "ada\\x")], "1.2").await;
        check(Image, &[(IMAGE_TYPE, "\"\""), (STUDY, "2.25.1\\2.25.2")], "1.1.1 1.2.1 2.1.1").await;
        check(Image, &[(Tag(0x0020, 0x0013), "2\\3")], "1.1.2").await;
        let patients = async |key| home.all(&query_for(Patient, &[key])).await.len();
        assert_eq!(patients((PATIENT_ID, "\"\"")).await, 1);
        assert_eq!(patients((NAME, "buc*\\yam*")).await, 2);
        assert_eq!(patients((NAME, "=山*")).await, 1);
    });
}

#[test]
fn a_date_range_and_its_time_range_are_one_range_of_moments() {
    run(async {
        let home = stored().await;
        let check = async |level, keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, level, keys).await, expected, "{keys:?}");
        };
        check(Study, &[(DATE, "20200101-20200215"), (TIME, "1015-2359")], "2 1").await;
        check(Study, &[(DATE, "20200101-20200215"), (TIME, "1016-2358")], "").await;
        check(Study, &[(DATE, "20200101-20200216"), (TIME, "1016-00")], "2").await;
        check(Study, &[(DATE, "20200215-"), (TIME, "235959-")], "3 2").await;
        check(Study, &[(DATE, "-20210101"), (TIME, "-00")], "3 2 1").await;
        check(Study, &[(DATE, "20200101-20200215"), (TIME, "1015")], "1").await;
        check(Series, &[(DATE, "20200101-20200216"), (TIME, "1016-00")], "2.1").await;
        check(Image, &[(DATE, "20200215-"), (TIME, "235959-")], "2.1.1 3.1.1").await;
    });
}

#[test]
fn names_are_found_by_their_sound() {
    run(async {
        let home = stored().await;
        home.store_new(&Sample::new(5, 1, 1).with(PATIENT_ID, "P5").with(NAME, "Meyer-Schmidt^Philipp"))
            .await;
        home.store_new(
            &Sample::new(6, 1, 1).with(PATIENT_ID, "P6").with(NAME, "Maier^Anna").with(OPERATORS, "Kovács"),
        )
        .await;
        let check = async |level, keys: &[(Tag, &str)], expected: &str| {
            let query = Query { fuzzy: true, ..query_for(level, keys) };
            let uids = home.uids(&query).await;
            let uids: Vec<_> = uids.iter().map(|uid| uid.trim_start_matches("2.25.")).collect();
            assert_eq!(uids.join(" "), expected, "{keys:?}");
        };
        check(Study, &[(NAME, "MAYR")], "6 5").await;
        check(Study, &[(NAME, "Filip^Smith")], "5").await;
        check(Study, &[(NAME, "mayer schmitt")], "5").await;
        check(Study, &[(NAME, "mayer^roe")], "").await;
        check(Study, &[(NAME, "Jain^Do")], "2 1").await;
        check(Study, &[(NAME, "Jain^Poe")], "").await;
        check(Study, &[(NAME, "Jayne^Doe")], "2 1").await;
        check(Study, &[(NAME, "schmied*")], "5").await;
        check(Study, &[(NAME, "*meyer*")], "5").await;
        check(Study, &[(NAME, "山田")], "3").await;
        check(Study, &[(NAME, "mayr\\jerome")], "6 5 4").await;
        check(Study, &[(REFERRING, "Mueller")], "1").await;
        check(Study, &[(NAME, "mayr"), (PATIENT_ID, "P6")], "6").await;
        check(Series, &[(OPERATORS, "kowatsch\\kowatz")], "6.1").await;
        check(Image, &[(NAME, "smith")], "5.1.1").await;
        let patients = Query { fuzzy: true, ..query_for(Patient, &[(NAME, "mayr")]) };
        assert_eq!(home.all(&patients).await.len(), 2);
        assert_eq!(found(&home, Study, &[(NAME, "MAYR")]).await, "", "not unasked");
    });
}

#[test]
fn dates_and_times_are_those_of_the_zone_that_is_asked_in() {
    run(async {
        let home = Home::new();
        let at = |study, date: &str, time: &str, offset: &str| {
            Sample::new(study, 1, 1).with(DATE, date).with(TIME, time).with(Tag(0x0008, 0x0201), offset)
        };
        for sample in [
            at(1, "20200101", "0500", "+0900"),
            at(2, "20200101", "0500", ""),
            at(3, "20200101", "", "+0900"),
            at(4, "20191231", "2330", "-0100"),
        ] {
            home.store_new(&sample).await;
        }
        let check = async |zone: &str, keys: &[(Tag, &str)], expected: &str| {
            for level in [Study, Series] {
                let query = Query { zone: Zone::parse(zone), ..query_for(level, keys) };
                let mut uids = home.uids(&query).await;
                uids.sort();
                let uids: Vec<_> = uids.iter().map(|uid| &uid["2.25.".len()..][..1]).collect();
                assert_eq!(uids.join(" "), expected, "{level:?} {zone} {keys:?}");
            }
        };
        // In UTC, the first is at 20:00 of the day before, and the fourth at half past midnight of the day after.
        check("+0000", &[(DATE, "20191231")], "1").await;
        check("+0000", &[(DATE, "20200101")], "2 3 4").await;
        check("+0000", &[(DATE, "20191230-20191231")], "1").await;
        check("+0000", &[(DATE, "20191231"), (TIME, "2000")], "1").await;
        check("+0000", &[(TIME, "05")], "2").await;
        check("+0000", &[(TIME, "0030")], "4").await;
        check("+0000", &[(DATE, "20191231-20200101"), (TIME, "19-0030")], "1 3 4").await;
        check("+0000", &[(DATE, "20191231\\20180101")], "1").await;
        check("-0100", &[(DATE, "20191231"), (TIME, "2330")], "4").await;
        check("", &[(DATE, "20191231")], "4").await;
        let page = Query { zone: Zone::parse("+0000"), ..query_for(Study, &[(DATE, "20191231-")]) };
        assert_eq!(home.all(&page).await.len(), 4);
    });
}

#[test]
fn finds_patients_series_and_instances() {
    run(async {
        let home = stored().await;
        assert_eq!(home.all(&query(Patient)).await.len(), 3);
        assert_eq!(home.all(&query_for(Patient, &[(PATIENT_ID, "P1")])).await.len(), 1);
        assert_eq!(home.all(&query_for(Patient, &[(PATIENT_ID, "P*"), (NAME, "*e*")])).await.len(), 1);
        assert_eq!(home.all(&query_for(Patient, &[(NAME, "BUC^*")])).await.len(), 1);

        let check = async |level, keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, level, keys).await, expected, "{keys:?}");
        };
        check(Series, &[], "1.1 1.2 2.1 3.1 4.1").await;
        check(Series, &[(STUDY, "2.25.1")], "1.1 1.2").await;
        check(Series, &[(STUDY, "2.25.1"), (MODALITY, "SR")], "1.2").await;
        check(Series, &[(MODALITY, "CT")], "1.1 3.1 4.1").await;
        check(Series, &[(SERIES_NUMBER, "7")], "1.2").await;
        check(Series, &[(SERIES, "2.25.1.2\\2.25.2.1")], "1.2 2.1").await;
        check(Series, &[(OPERATORS, "bob")], "1.2").await;
        check(Series, &[(NAME, "doe*"), (DATE, "20200101")], "1.1 1.2").await;
        check(Series, &[(MODALITIES, "SR")], "1.1 1.2").await;

        check(Image, &[], "1.1.1 1.1.2 1.2.1 2.1.1 3.1.1 4.1.1").await;
        check(Image, &[(STUDY, "2.25.1"), (SERIES, "2.25.1.1")], "1.1.1 1.1.2").await;
        check(Image, &[(SERIES, "2.25.1.1"), (Tag(0x0020, 0x0013), "02")], "1.1.2").await;
        check(Image, &[(INSTANCE, "2.25.2.1.1\\2.25.1.2.1")], "1.2.1 2.1.1").await;
        check(Image, &[(Tag(0x0008, 0x0016), MR)], "2.1.1").await;
        check(Image, &[(ROWS, "512")], "1.1.1").await;
        check(Image, &[(IMAGE_TYPE, "SECONDARY")], "1.1.2").await;
        check(Image, &[(PATIENT_ID, "P1"), (MODALITY, "MR")], "2.1.1").await;
        check(Image, &[(MODALITY, "CT")], "1.1.1 1.1.2 3.1.1 4.1.1").await;
        check(Image, &[(STUDY, "2.25.2"), (SERIES, "2.25.1.1")], "").await;
    });
}

/// Of the archive that follows: lists of values that many have, over many pages, each row once.
async fn check_lists(home: &Home) {
    for level in [Study, Series] {
        let of = async |tag, value| home.all(&query_for(level, &[(tag, value)])).await.len();
        assert_eq!([of(MODALITIES, "CT\\MR").await, of(NAME, "com*\\r*").await], [2050; 2]);
        assert_eq!([of(NAME, "common\\rare").await, of(NAME, "c*\\co*\\*m*").await], [2050, 2048]);
        assert_eq!([of(ACCESSION, "A*\\B*").await, of(ACCESSION, "A2*\\A100").await], [2050, 163]);
        assert_eq!(
            [of(DATE, "20200101-\\20190101").await, of(DATE, "20190101\\20190102-20190103").await],
            [2050, 0]
        );
    }
    let merged = home.uids(&query_for(Study, &[(NAME, "com*\\r*")])).await;
    assert_eq!(merged, home.uids(&query(Study)).await, "in the order of the answer");
    assert_eq!(home.all(&query_for(Patient, &[(NAME, "com*\\r*")])).await.len(), 2050);
    assert_eq!(home.all(&query_for(Patient, &[(PATIENT_ID, "P*\\Q*")])).await.len(), 2050);
    let fuzzy = Query { fuzzy: true, ..query_for(Study, &[(NAME, "komon\\reyr")]) };
    assert_eq!(home.all(&fuzzy).await.len(), 2050);
}

#[test]
fn many_matches_are_found_as_few_are() {
    let home = Home::new();
    let studies = 2050;
    run(async {
        let commits = (1..=studies).map(|study| {
            let name = if study % 1000 == 0 { "Rare" } else { "Common" };
            let sample = Sample::new(study, 1, 1).with(NAME, name).with(PATIENT_ID, &format!("P{study}"));
            (home.archive.clone(), sample.with(ACCESSION, &format!("A{study}")).prepared(&home.archive))
        });
        let mut tasks = tokio::task::JoinSet::new();
        for (archive, prepared) in commits.collect::<Vec<_>>() {
            tasks.spawn(async move { archive.commit(prepared).await.unwrap() });
        }
        tasks.join_all().await;
        let count = async |level, keys: &[(Tag, &str)]| home.all(&query_for(level, keys)).await.len();
        for level in [Study, Series, Image] {
            assert_eq!(count(level, &[(NAME, "com*")]).await, 2048);
            assert_eq!(count(level, &[(NAME, "*OMMON")]).await, 2048);
            assert_eq!(count(level, &[(NAME, "r*"), (MODALITIES, "CT")]).await, 2);
            assert_eq!(count(level, &[(ACCESSION, "A*"), (MODALITIES, "CT")]).await, 2050);
            assert_eq!(count(level, &[(ACCESSION, "A2*"), (DATE, "20200101-20201231")]).await, 162);
            assert_eq!(count(level, &[(PATIENT_ID, "P*5"), (DATE, "20200101")]).await, 205);
            let names = ["c*", "co*", "comm*", "common", "common^*", "?ommon"];
            for name in if level == Study { &names[..] } else { &names[3..4] } {
                assert_eq!(count(level, &[(NAME, name)]).await, 2048, "{name}");
                assert_eq!(count(level, &[(NAME, name), (DATE, "20200101-")]).await, 2048, "{name}");
                assert_eq!(count(level, &[(NAME, name), (DATE, "20200102-")]).await, 0, "{name}");
            }
            assert_eq!(count(level, &[(NAME, "common=")]).await, 2048);
            assert_eq!(count(level, &[(NAME, "=common")]).await, 0);
            assert_eq!(count(level, &[(MODALITIES, "CT")]).await, 2050);
            assert_eq!(
                count(level, &[(MODALITIES, "CT"), (DATE, "20200101"), (ACCESSION, "A20*")]).await,
                62
            );
            assert_eq!(count(level, &[(SOP_CLASSES, CT), (NAME, "co*")]).await, 2048);
            let fuzzy = |name| Query { fuzzy: true, ..query_for(level, &[(NAME, name), (MODALITIES, "CT")]) };
            assert_eq!(home.all(&fuzzy("komon")).await.len(), 2048);
            assert_eq!(home.all(&fuzzy("reyr")).await.len(), 2);
        }
        for name in ["c*", "com*", "common"] {
            assert_eq!(count(Patient, &[(NAME, name)]).await, 2048);
        }
        check_lists(&home).await;
        let sorted = home.all(&query_for(Study, &[(NAME, "co*")])).await;
        let walked = home.all(&query_for(Study, &[(NAME, "?ommon")])).await;
        let uids = |rows: &[Row]| rows.iter().map(|row| row.ids.study.clone()).collect::<Vec<_>>();
        assert_eq!(uids(&sorted), uids(&walked), "one order, whichever way it comes");
    });
}

#[test]
fn terms_of_a_study_have_its_date_also_when_that_comes_later() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1).without(DATE).with(REFERRING, "Müller")).await;
        home.store_new(
            &Sample::new(1, 1, 2).with(DATE, "20200101").with(Tag(0x0008, 0x1060), "Later^Reader"),
        )
        .await;
        home.store_new(&Sample::new(1, 2, 1).with(MODALITY, "SR").with(Tag(0x0008, 0x0016), MR)).await;
    });
    for (table, expected) in [("term", 12), ("beginning", 9)] {
        let of_study = "kind IN (2, 3, 4, 5, 6, 10, 102, 103, 104, 110)";
        let sql = format!("SELECT count(*) FROM {table} WHERE {of_study} AND study_date = '20200101'");
        assert_eq!(home.count(&sql), expected, "{table}");
        let sql = format!("SELECT count(*) FROM {table} WHERE {of_study} AND study_date <> '20200101'");
        assert_eq!(home.count(&sql), 0, "{table}");
    }
}

#[test]
fn returns_what_qido_returns_unasked() {
    run(async {
        let home = stored().await;
        let row = async |mut query: Query| {
            query.include.defaults = true;
            let row = home.all(&query).await.remove(0);
            let tags: Vec<String> =
                row.attributes.iter().filter_map(|(tag, _)| vr::keyword(*tag)).map(str::to_owned).collect();
            (row, tags.join(" "))
        };
        let study_tags = "StudyDate StudyTime AccessionNumber InstanceAvailability ModalitiesInStudy ReferringPhysicianName \
             TimezoneOffsetFromUTC PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID \
             NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances";
        let (study, tags) = row(query_for(Study, &[(STUDY, "2.25.1")])).await;
        assert_eq!(tags, study_tags);
        let values = |tag: Tag| study.attributes.get(tag).unwrap().values.join("|");
        assert_eq!(values(MODALITIES), "CT|SR");
        assert_eq!(values(TIME), "1015");
        assert_eq!(values(Tag(0x0020, 0x1208)), "3");
        assert_eq!(values(Tag(0x0008, 0x0056)), "ONLINE");
        assert_eq!(values(Tag(0x0010, 0x0030)), "");
        assert_eq!(
            study.ids,
            RowIds { study: StudyInstanceUid::lenient("2.25.1"), series: None, instance: None }
        );

        let (series, tags) = row(query_for(Series, &[(STUDY, "2.25.1")])).await;
        assert_eq!(
            tags,
            "Modality TimezoneOffsetFromUTC SeriesDescription StudyInstanceUID SeriesInstanceUID SeriesNumber \
             NumberOfSeriesRelatedInstances PerformedProcedureStepStartDate PerformedProcedureStepStartTime"
        );
        assert_eq!(series.attributes.first(Tag(0x0020, 0x1209)), Some("2"));
        let (_, tags) = row(query(Series)).await;
        assert!(tags.contains("PatientName") && tags.contains("SeriesNumber"));

        let (instance, tags) = row(query_for(Image, &[(STUDY, "2.25.1"), (SERIES, "2.25.1.1")])).await;
        assert_eq!(
            tags,
            "SOPClassUID SOPInstanceUID InstanceAvailability TimezoneOffsetFromUTC StudyInstanceUID SeriesInstanceUID \
             InstanceNumber NumberOfFrames Rows Columns BitsAllocated"
        );
        assert_eq!(instance.attributes.get(ROWS).unwrap().values, ["512"]);
        assert!(instance.json.is_none());
        assert_eq!(instance.ids.instance, SopInstanceUid::lenient("2.25.1.1.1"));
    });
}

#[test]
fn returns_what_is_asked_for_and_the_keys() {
    run(async {
        let home = stored().await;
        let mut asked = query_for(Image, &[(SERIES, "2.25.1.2")]);
        asked.include.tags.extend([NAME, SOP_CLASSES, OPERATORS, Tag(0x0020, 0x1200), Tag(0x0008, 0x0005)]);
        let row = home.all(&asked).await.remove(0);
        let values = |tag: Tag| row.attributes.get(tag).unwrap().values.join("|");
        assert_eq!(row.attributes.len(), 5);
        assert_eq!([values(NAME), values(SOP_CLASSES), values(OPERATORS)], ["Doe^Jane", CT, "Ada|Bob"]);
        assert_eq!([values(Tag(0x0020, 0x1200)), values(SERIES)], ["2", "2.25.1.2"]);
        assert!(row.json.is_none());

        // Slice Thickness is of instances only.
        asked.include.tags.insert(Tag(0x0018, 0x0050));
        let row = home.all(&asked).await.remove(0);
        assert_eq!(row.json.unwrap(), b"{\"00180050\":{\"vr\":\"DS\",\"Value\":[5.0]}}");
        asked.level = Series;
        assert!(home.all(&asked).await[0].json.is_none());

        let mut all = query(Study);
        all.include.all = true;
        let row = home.all(&all).await.remove(0);
        assert_eq!(row.attributes.first(NAME), Some("Yamada^Tarou=山田^太郎=やまだ^たろう"));
        assert!(row.attributes.get(MODALITY).is_none() && row.attributes.len() > 25);
        let study = json_of(&row);
        assert_eq!(study["00081048"]["Value"][0]["Alphabetic"], "Record^A");
        assert!(study.get("00181000").is_none() && study.get("00180050").is_none());
        all.level = Image;
        let instances = home.all(&all).await;
        let instance = json_of(
            instances.iter().find(|row| row.ids.study == StudyInstanceUid::lenient("2.25.3")).unwrap(),
        );
        assert_eq!((&instance["00180050"]["vr"], &instance["00181000"]["vr"]), (&"DS".into(), &"LO".into()));
        assert!(instance.get("00080018").is_none(), "the index has it");
    });
}

fn json_of(row: &Row) -> serde_json::Value {
    serde_json::from_slice(row.json.as_deref().unwrap()).unwrap()
}

#[test]
fn attributes_beyond_the_index_come_from_the_first_object_of_the_row() {
    run(async {
        let home = Home::new();
        let sample = |study, series, instance, serial: &str, species: &str, record: &str| {
            Sample::new(study, series, instance)
                .with(Tag(0x0018, 0x1000), serial)
                .with(Tag(0x0010, 0x2201), species)
                .with(Tag(0x0008, 0x1048), record)
        };
        home.store_new(&sample(2, 1, 1, "first", "dog", "Doe")).await;
        home.store_new(&sample(2, 1, 2, "second", "cat", "Roe")).await;
        home.store_new(&sample(2, 2, 1, "third", "owl", "Poe")).await;
        home.store_new(&sample(1, 1, 1, "fourth", "bat", "Foe")).await;
        let ask = async |level, keys: &[(Tag, &str)]| {
            let mut asked = query_for(level, keys);
            asked.include.tags.extend([Tag(0x0018, 0x1000), Tag(0x0010, 0x2201), Tag(0x0008, 0x1048)]);
            let rows = home.all(&asked).await;
            let text = |row: &Row| {
                let json = json_of(row);
                let value = |tag: &str| {
                    let value = &json[tag]["Value"][0];
                    value.as_str().or(value["Alphabetic"].as_str()).unwrap_or("-").to_owned()
                };
                [value("00181000"), value("00102201"), value("00081048")].join(" ")
            };
            rows.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(ask(Patient, &[]).await, ["- dog -"]);
        assert_eq!(ask(Study, &[]).await, ["- bat Foe", "- dog Doe"]);
        assert_eq!(ask(Series, &[(STUDY, "2.25.2")]).await, ["first dog Doe", "third owl Poe"]);
        assert_eq!(ask(Image, &[(SERIES, "2.25.2.1")]).await, ["first dog Doe", "second cat Roe"]);
    });
}

#[test]
fn says_what_it_supports() {
    let check = |level, tag, expected| assert_eq!(support(level, tag), expected, "{level:?} {tag}");
    for level in [Study, Series, Image] {
        check(level, NAME, Support::Match);
        check(level, STUDY, Support::Match);
    }
    check(Patient, PATIENT_ID, Support::Match);
    check(Patient, STUDY, Support::No);
    check(Study, MODALITIES, Support::Match);
    check(Study, MODALITY, Support::No);
    check(Study, Tag(0x0008, 0x1048), Support::Return);
    check(Study, Tag(0x0018, 0x1000), Support::No);
    check(Series, Tag(0x0018, 0x1000), Support::Return);
    check(Patient, Tag(0x0008, 0x1048), Support::No);
    check(Image, Tag(0x0009, 0x1001), Support::Return);
    for none in [Tag(0x0008, 0x0054), Tag(0x0008, 0x0005), Tag(0x0009, 0x0000)] {
        check(Image, none, Support::No);
    }
    check(Study, Tag(0x0020, 0x1206), Support::Return);
    check(Study, Tag(0x0008, 0x0056), Support::Match);
    check(Image, ROWS, Support::Match);
    check(Image, Tag(0x0018, 0x0050), Support::Return);
}

/// What the index takes for an attribute of a level, the modules of the standard do, too.
#[test]
fn levels_are_those_of_the_modules() {
    for attribute in crate::attribute::ATTRIBUTES.iter().filter(|attribute| attribute.is_from_header()) {
        assert_eq!(QueryRetrieveLevel::of_attribute(attribute.tag), attribute.level, "{}", attribute.column);
    }
}

#[test]
fn keys_that_are_not_supported_match_everything() {
    run(async {
        let home = stored().await;
        assert_eq!(
            found(&home, Study, &[(Tag(0x0018, 0x0050), "5"), (Tag(0x0020, 0x1206), "9")]).await,
            "3 2 1 4"
        );
    });
}
