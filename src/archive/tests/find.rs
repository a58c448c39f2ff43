//! Matching and return keys at every level.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};

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
            .with(OPERATORS, "Ada\\Bob"),
        Sample::new(2, 1, 1)
            .with(DATE, "20200215")
            .with(TIME, "235959.5")
            .with(MODALITY, "MR")
            .with(Tag(0x0008, 0x0016), MR),
        Sample::new(3, 1, 1)
            .with(PATIENT_ID, "P2")
            .with(NAME, "Yamada^Tarou=山田^太郎=やまだ^たろう")
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
        }
        assert_eq!(count(Patient, &[(NAME, "com*")]).await, 2048);
    });
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

        asked.include.tags.insert(Tag(0x0018, 0x0050));
        let json: serde_json::Value =
            serde_json::from_slice(home.all(&asked).await[0].json.as_ref().unwrap()).unwrap();
        assert_eq!(json["00080018"]["Value"][0], "2.25.1.2.1");
        asked.level = Series;
        assert!(home.all(&asked).await[0].json.is_none());

        let mut all = query(Study);
        all.include.all = true;
        let row = home.all(&all).await.remove(0);
        assert_eq!(row.attributes.first(NAME), Some("Yamada^Tarou=山田^太郎=やまだ^たろう"));
        assert!(row.attributes.get(MODALITY).is_none() && row.attributes.len() > 25);
        all.level = Image;
        assert!(home.all(&all).await[0].json.is_some());
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
    check(Study, Tag(0x0020, 0x1206), Support::Return);
    check(Study, Tag(0x0008, 0x0056), Support::Return);
    check(Image, ROWS, Support::Match);
    check(Image, Tag(0x0018, 0x0050), Support::No);
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
