//! Sequence matching, and what becomes of items when studies change hands.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};

use model::query::Include;

use super::*;
use crate::{Support, support, support_within};

const REQUESTS: Tag = Tag(0x0040, 0x0275);
const STEP_ID: Tag = Tag(0x0040, 0x0009);
const PROCEDURE_ID: Tag = Tag(0x0040, 0x1001);
const CODES: Tag = Tag(0x0008, 0x1032);
const CODE_VALUE: Tag = Tag(0x0008, 0x0100);
const SCHEME: Tag = Tag(0x0008, 0x0102);
const MEANING: Tag = Tag(0x0008, 0x0104);
const OTHER_IDS: Tag = Tag(0x0010, 0x1002);
const CONCEPT: Tag = Tag(0x0040, 0xA043);
const CONTAINER: Tag = Tag(0x0040, 0x0512);
const GENERAL_CLASS: Tag = Tag(0x0008, 0x001A);
const SPECIMENS: Tag = Tag(0x0040, 0x0560);
const SPECIMEN_ID: Tag = Tag(0x0040, 0x0551);
const SPECIMEN_UID: Tag = Tag(0x0040, 0x0554);
const REGION: Tag = Tag(0x0008, 0x2218);
const REGIONS: Tag = Tag(0x0008, 0x0063);

/// Three studies of two patients.
async fn stored() -> Home {
    let home = Home::new();
    let first = Sample::new(1, 1, 1)
        .with_item(REQUESTS, &[(STEP_ID, "S1"), (PROCEDURE_ID, "P1 ")])
        .with_item(REQUESTS, &[(STEP_ID, "S2"), (PROCEDURE_ID, "P2"), (ACCESSION, "A2")])
        .with_item(CODES, &[(CODE_VALUE, "C1"), (SCHEME, "DCM"), (MEANING, "Schädel")])
        .with_item(CODES, &[(CODE_VALUE, "C2"), (SCHEME, "99X")])
        .with_item(OTHER_IDS, &[(PATIENT_ID, "OTHER1"), (ISSUER, "H")]);
    let second_series = Sample::new(1, 2, 1)
        .with_item(REQUESTS, &[(STEP_ID, "S3"), (PROCEDURE_ID, "P1")])
        .with_item(CODES, &[(CODE_VALUE, "C9"), (SCHEME, "DCM")]);
    let second = Sample::new(2, 1, 1)
        .with_item(CODES, &[(CODE_VALUE, "C1"), (SCHEME, "99X")])
        .with_item(CONCEPT, &[(CODE_VALUE, "113701"), (SCHEME, "DCM")]);
    let third = Sample::new(3, 1, 1)
        .with(PATIENT_ID, "P2")
        .with_item(REQUESTS, &[(STEP_ID, "S1")])
        .with_item(OTHER_IDS, &[(PATIENT_ID, "OTHER2")]);
    for sample in [first, second_series, second, third] {
        home.store_new(&sample).await;
    }
    home
}

async fn found(home: &Home, level: QueryRetrieveLevel, sequence: Tag, keys: &[(Tag, &str)]) -> String {
    let uids = home.uids(&query_within(level, sequence, keys)).await;
    uids.iter().map(|uid| uid.trim_start_matches("2.25.")).collect::<Vec<_>>().join(" ")
}

#[test]
fn one_item_meets_all_keys_of_a_sequence() {
    run(async {
        let home = stored().await;
        let check = async |level, sequence, keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, level, sequence, keys).await, expected, "{level:?} {keys:?}");
        };
        check(Series, REQUESTS, &[(STEP_ID, "S1")], "1.1 3.1").await;
        check(Series, REQUESTS, &[(STEP_ID, "S1"), (PROCEDURE_ID, "P1")], "1.1").await;
        check(Series, REQUESTS, &[(STEP_ID, "S1"), (PROCEDURE_ID, "P2")], "").await;
        check(Series, REQUESTS, &[(STEP_ID, "S?"), (PROCEDURE_ID, "P1")], "1.1 1.2").await;
        check(Series, REQUESTS, &[(STEP_ID, "S2\\S3")], "1.1 1.2").await;
        check(Series, REQUESTS, &[(STEP_ID, "S1"), (PROCEDURE_ID, "\"\"")], "3.1").await;
        check(Series, REQUESTS, &[(STEP_ID, "\"\"")], "2.1").await;
        check(Series, REQUESTS, &[(PROCEDURE_ID, "\"\"\\P2")], "1.1 2.1 3.1").await;
        check(Series, REQUESTS, &[(ACCESSION, "A2")], "1.1").await;
        check(Image, REQUESTS, &[(STEP_ID, "S3")], "1.2.1").await;
        check(Study, CODES, &[(CODE_VALUE, "C1"), (SCHEME, "DCM")], "1").await;
        check(Study, CODES, &[(CODE_VALUE, "C1"), (SCHEME, "99X")], "2").await;
        check(Study, CODES, &[(CODE_VALUE, "C9")], "").await;
        check(Study, CODES, &[(MEANING, "Sch*")], "1").await;
        check(Series, CODES, &[(CODE_VALUE, "C1")], "1.1 1.2 2.1").await;
        check(Image, CODES, &[(CODE_VALUE, "C2")], "1.1.1 1.2.1").await;
        check(Study, OTHER_IDS, &[(PATIENT_ID, "OTHER1"), (ISSUER, "H")], "1").await;
        check(Study, OTHER_IDS, &[(PATIENT_ID, "OTHER*")], "3 1").await;
        check(Image, CONCEPT, &[(CODE_VALUE, "113701")], "2.1.1").await;
        let patients = home.all(&query_within(Patient, OTHER_IDS, &[(PATIENT_ID, "OTHER2")])).await;
        assert_eq!(patients.len(), 1);
        // What is not indexed is passed over.
        check(Series, REQUESTS, &[(STEP_ID, "S3"), (Tag(0x0040, 0x1003), "x")], "1.2").await;
        check(Series, REQUESTS, &[(Tag(0x0040, 0x1003), "x")], "1.1 1.2 2.1 3.1").await;
    });
}

#[test]
fn the_items_that_a_row_was_found_by_are_returned_whichever_instance_has_them() {
    run(async {
        let home = Home::new();
        home.store_new(&Sample::new(1, 1, 1)).await;
        let later = Sample::new(1, 1, 2)
            .with_item(REQUESTS, &[(STEP_ID, "S1"), (PROCEDURE_ID, "P1")])
            .with_item(CODES, &[(CODE_VALUE, "C1"), (SCHEME, "DCM")])
            .with_item(CODES, &[(CODE_VALUE, "C2")])
            .with_item(OTHER_IDS, &[(PATIENT_ID, "X")]);
        home.store_new(&later).await;
        for (level, sequence, tag, value, items) in [
            (Patient, OTHER_IDS, PATIENT_ID, "X", 1),
            (Study, OTHER_IDS, PATIENT_ID, "X", 1),
            (Series, OTHER_IDS, PATIENT_ID, "X", 1),
            (Study, CODES, CODE_VALUE, "C2", 2),
            (Series, CODES, CODE_VALUE, "C1", 2),
            (Series, REQUESTS, STEP_ID, "S1", 1),
        ] {
            let mut asked = query_within(level, sequence, &[(tag, value)]);
            asked.include.tags.insert(sequence);
            let rows = home.all(&asked).await;
            let found = &rows[0].attributes.get(sequence).unwrap().items;
            assert_eq!(found.len(), items, "{level:?} {sequence}");
            assert!(found.iter().any(|item| item.first(tag) == Some(value)), "{level:?} {sequence}");
            assert!(rows[0].attributes.get(REQUESTS).is_none() || sequence == REQUESTS, "not asked for");
        }
        // An object that has the sequence itself stands for its row.
        let mut asked = query_within(Image, REQUESTS, &[(STEP_ID, "S1")]);
        asked.include.tags.insert(REQUESTS);
        let rows = home.all(&asked).await;
        assert_eq!(rows.len(), 2, "of the series");
        assert!(rows[0].attributes.get(REQUESTS).is_some() && rows[1].attributes.get(REQUESTS).is_none());
        let series = Query { include: Include { defaults: true, ..Include::default() }, ..query(Series) };
        let unasked = &home.all(&series).await[0];
        assert!(crate::needs_objects(&series) && unasked.attributes.get(REQUESTS).is_some());
    });
}

#[test]
fn specimens_and_their_containers_are_keys_of_instances() {
    run(async {
        let home = Home::new();
        home.store_new(
            &Sample::new(1, 1, 1)
                .with(CONTAINER, "C-1")
                .with(GENERAL_CLASS, "1.2.3\\1.2.4")
                .with_item(SPECIMENS, &[(SPECIMEN_ID, "S-1"), (SPECIMEN_UID, "2.25.9")])
                .with_item(SPECIMENS, &[(SPECIMEN_ID, "S-2"), (SPECIMEN_UID, "2.25.8")]),
        )
        .await;
        home.store_new(&Sample::new(1, 1, 2)).await;
        for (tag, value) in [(CONTAINER, "C-?"), (GENERAL_CLASS, "1.2.4"), (GENERAL_CLASS, "1.9\\1.2.3")] {
            assert_eq!(home.uids(&query_for(Image, &[(tag, value)])).await, ["2.25.1.1.1"], "{tag} {value}");
        }
        for (tag, value) in [(CONTAINER, "C-2"), (GENERAL_CLASS, "1.2")] {
            assert!(home.uids(&query_for(Image, &[(tag, value)])).await.is_empty(), "{tag} {value}");
        }
        let specimen = async |keys| found(&home, Image, SPECIMENS, keys).await;
        assert_eq!(specimen(&[(SPECIMEN_ID, "S-2")]).await, "1.1.1");
        assert_eq!(specimen(&[(SPECIMEN_ID, "S-2"), (SPECIMEN_UID, "2.25.8\\2.25.7")]).await, "1.1.1");
        assert_eq!(specimen(&[(SPECIMEN_ID, "S-2"), (SPECIMEN_UID, "2.25.9")]).await, "");
    });
}

#[test]
fn a_study_has_the_anatomic_regions_of_all_its_instances() {
    run(async {
        let home = Home::new();
        let of = |series, n, regions: &[&str]| {
            let region = |sample: Sample, code| {
                sample.with_item(REGION, &[(CODE_VALUE, code), (SCHEME, "SCT"), (MEANING, "A region")])
            };
            regions.iter().fold(Sample::new(1, series, n), |sample, code| region(sample, code))
        };
        home.store_new(&of(1, 1, &["69536005"])).await;
        home.store_new(&of(1, 2, &["69536005", "51185008"])).await;
        home.store_new(&of(2, 1, &["818983003"])).await;
        home.store_new(&Sample::new(2, 1, 1)).await;
        let mut query = query_within(Study, REGIONS, &[(CODE_VALUE, "51185008"), (SCHEME, "SCT")]);
        query.include.tags.insert(REGIONS);
        let rows = home.all(&query).await;
        let codes = rows[0].attributes.get(REGIONS).unwrap().items.iter().map(|item| item.first(CODE_VALUE));
        assert_eq!(codes.collect::<Vec<_>>(), [Some("69536005"), Some("51185008"), Some("818983003")]);
        assert_eq!(
            (rows.len(), support(Study, REGIONS), support(Patient, REGIONS)),
            (1, Support::Match, Support::No)
        );
        for (code, scheme) in [("51185008", "99X"), ("1", "SCT")] {
            assert_eq!(found(&home, Study, REGIONS, &[(CODE_VALUE, code), (SCHEME, scheme)]).await, "");
        }
        // So many, and no more.
        let codes: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        for (n, codes) in (3..).zip(codes.chunks(10)) {
            home.store_new(&of(1, n, &codes.iter().map(String::as_str).collect::<Vec<_>>())).await;
        }
        let items = home.all(&query).await[0].attributes.get(REGIONS).unwrap().items.len();
        assert_eq!(items, model::limits::INDEXED_ITEMS);
    });
}

#[test]
fn requests_are_returned_unasked_where_there_are_any() {
    run(async {
        let home = stored().await;
        let json = async |query: Query| {
            let query = Query { include: Include { defaults: true, ..Include::default() }, ..query };
            let rows = home.all(&query).await;
            rows.iter()
                .map(|row| row.json.as_ref().map(|json| String::from_utf8_lossy(json).into_owned()))
                .collect::<Vec<_>>()
        };
        let of_series = json(query(Series)).await;
        assert_eq!(of_series.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true]);
        let requests = of_series[1].as_deref().unwrap();
        assert!(
            requests.starts_with("{\"00400275\":{\"vr\":\"SQ\"") && requests.contains("S3"),
            "{requests}"
        );
        assert!(json(query(Study)).await.iter().all(Option::is_none));
    });
}

#[test]
fn many_owners_are_matched_as_few_are() {
    let home = Home::new();
    run(async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 1..=2050 {
            let step = if n % 1000 == 0 { "RARE" } else { "COMMON" };
            let sample = Sample::new(n, 1, 1)
                .with_item(REQUESTS, &[(STEP_ID, step), (PROCEDURE_ID, &format!("P{}", n % 10))])
                .with_item(CODES, &[(CODE_VALUE, "ALL"), (SCHEME, "DCM")]);
            let (archive, prepared) = (home.archive.clone(), sample.prepared(&home.archive));
            tasks.spawn(async move { archive.commit(prepared).await.unwrap() });
        }
        tasks.join_all().await;
        let count = async |level, sequence, keys: &[(Tag, &str)]| {
            home.all(&query_within(level, sequence, keys)).await.len()
        };
        for level in [Series, Image] {
            assert_eq!(count(level, REQUESTS, &[(STEP_ID, "RARE")]).await, 2);
            assert_eq!(count(level, REQUESTS, &[(STEP_ID, "COMMON")]).await, 2048);
            assert_eq!(count(level, REQUESTS, &[(STEP_ID, "COMMON"), (PROCEDURE_ID, "P0")]).await, 203);
            assert_eq!(count(level, REQUESTS, &[(STEP_ID, "C*"), (PROCEDURE_ID, "P1")]).await, 205);
            assert_eq!(count(level, CODES, &[(CODE_VALUE, "ALL"), (SCHEME, "DCM")]).await, 2050);
        }
        assert_eq!(count(Study, CODES, &[(CODE_VALUE, "ALL")]).await, 2050);
    });
}

#[test]
fn items_go_with_their_study_to_another_patient() {
    let home = Home::new();
    run(async {
        let other = |sample: Sample, id: &str| sample.with_item(OTHER_IDS, &[(PATIENT_ID, id)]);
        home.store_new(&other(Sample::new(1, 1, 1).without(PATIENT_ID), "X")).await;
        home.store_new(&other(Sample::new(2, 1, 1), "Y")).await;
        // It turns out to be of P1.
        home.store_new(&Sample::new(1, 1, 2)).await;
        let count = async |level, id: &str| {
            home.all(&query_within(level, OTHER_IDS, &[(PATIENT_ID, id)])).await.len()
        };
        assert_eq!([count(Patient, "X").await, count(Patient, "Y").await], [0, 1]);
        assert_eq!([count(Study, "X").await, count(Study, "Y").await], [1, 1]);
        assert_eq!(home.count("SELECT count(*) FROM item"), 3, "none of the patient that is no more");
        for table in ["term", "beginning"] {
            let left = format!(
                "SELECT count(*) FROM {table} WHERE kind IN (1, 9, 101, 109) AND owner NOT IN (SELECT patient_pk FROM patient)"
            );
            assert_eq!(home.count(&left), 0, "{table}");
        }
    });
}

#[test]
fn items_have_an_end() {
    let home = Home::new();
    run(async {
        let mut sample = Sample::new(1, 1, 1);
        for n in 0..100 {
            sample = sample.with_item(REQUESTS, &[(STEP_ID, &format!("S{n}"))]);
        }
        home.store_new(&sample.with_item(REQUESTS, &[(STEP_ID, &"x".repeat(5000))])).await;
    });
    assert_eq!(home.count("SELECT count(*) FROM item"), 32);
}

#[test]
fn says_what_it_supports() {
    assert_eq!(support(Series, REQUESTS), Support::Match);
    assert_eq!(support(Study, REQUESTS), Support::No);
    assert_eq!(support_within(Series, REQUESTS, STEP_ID), Support::Match);
    assert_eq!(support_within(Image, CODES, CODE_VALUE), Support::Match);
    assert_eq!(support_within(Series, REQUESTS, Tag(0x0040, 0x0008)), Support::Return);
    assert_eq!(support_within(Study, REQUESTS, STEP_ID), Support::No);
    assert_eq!(support_within(Image, Tag(0x0008, 0x1140), Tag(0x0008, 0x1155)), Support::Return);
}
