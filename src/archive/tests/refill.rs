//! An index that an earlier version of the schema wrote, made into one of the present version.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};

use super::*;
use crate::refill::Step;

const REQUESTS: Tag = Tag(0x0040, 0x0275);
const STEP_ID: Tag = Tag(0x0040, 0x0009);
const OTHER_IDS: Tag = Tag(0x0010, 0x1000);
const OTHER_NAMES: Tag = Tag(0x0010, 0x1001);
const OTHER_ID_ITEMS: Tag = Tag(0x0010, 0x1002);
const CONCEPT: Tag = Tag(0x0040, 0xA043);
const CODE_VALUE: Tag = Tag(0x0008, 0x0100);
const CONTAINER: Tag = Tag(0x0040, 0x0512);
const GENERAL_CLASS: Tag = Tag(0x0008, 0x001A);
const SPECIMENS: Tag = Tag(0x0040, 0x0560);
const SPECIMEN_ID: Tag = Tag(0x0040, 0x0551);
const REGION: Tag = Tag(0x0008, 0x2218);
const REGIONS: Tag = Tag(0x0008, 0x0063);
const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.22";

/// Takes from an index what came with the eighth file of its schema, and with those after it.
fn undo(index: &Connection) {
    for sql in [
        "DROP TABLE kind",
        "ALTER TABLE instance DROP COLUMN crc64",
        "ALTER TABLE instance DROP COLUMN container_identifier",
        "ALTER TABLE instance DROP COLUMN related_general_sop_class_uid",
        "ALTER TABLE conflict DROP COLUMN crc64",
        "DROP TABLE refill",
        "DROP TABLE item",
        "ALTER TABLE patient DROP COLUMN other_patient_ids",
        "ALTER TABLE patient DROP COLUMN other_patient_names",
        "ALTER TABLE study DROP COLUMN other_patient_ids",
        "ALTER TABLE study DROP COLUMN other_patient_names",
        "ALTER TABLE study DROP COLUMN other_study_numbers",
        "DROP TABLE beginning",
        "CREATE TABLE former (kind INTEGER NOT NULL, value TEXT NOT NULL, owner INTEGER NOT NULL,
            PRIMARY KEY (kind, value, owner)) STRICT, WITHOUT ROWID",
        "INSERT INTO former SELECT kind, value, owner FROM term WHERE kind < 9",
        "DROP TABLE term",
        "ALTER TABLE former RENAME TO term",
        "CREATE UNIQUE INDEX term_by_owner ON term (kind, owner, value)",
        "DROP TABLE peer_called",
        "DROP TABLE peer_context",
        "DROP TABLE peer_caller",
        "DROP TABLE peer_forgotten",
        "PRAGMA user_version = 6",
    ] {
        index.execute_batch(sql).unwrap();
    }
}

/// All rows of the tables that are filled.
fn filled(home: &Home) -> Vec<String> {
    let index = home.index();
    let rows = |sql: &str| {
        let mut statement = index.prepare(sql).unwrap();
        statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
    };
    [
        rows("SELECT concat_ws('|', 'term', kind, value, study_date, owner) FROM term ORDER BY 1"),
        rows("SELECT concat_ws('|', 'beginning', kind, value, study_date, owner) FROM beginning ORDER BY 1"),
        rows("SELECT concat_ws('|', 'kind', sop_class_uid, transfer_syntax_uid, instances) FROM kind ORDER BY 1"),
        rows("SELECT concat_ws('|', 'item', kind, value, owner, number) FROM item ORDER BY 1"),
        rows("SELECT concat_ws('|', 'patient', patient_pk, other_patient_ids, other_patient_names) FROM patient ORDER BY 1"),
        rows(
            "SELECT concat_ws('|', 'study', study_pk, other_patient_ids, other_patient_names, other_study_numbers)
             FROM study ORDER BY 1",
        ),
    ]
    .concat()
}

#[test]
fn what_stored_objects_say_is_filled_in() {
    let home = Home::new();
    run(async {
        home.store_new(
            &Sample::new(1, 1, 1)
                .with(OTHER_IDS, "X1\\X2")
                .with(Tag(0x0008, 0x1070), "Kovács^A")
                .with(OTHER_NAMES, "Mädchen^Name\\Künstler")
                .with_item(OTHER_ID_ITEMS, &[(PATIENT_ID, "OTHER")])
                .with_item(REQUESTS, &[(STEP_ID, "S1")]),
        )
        .await;
        home.store_new(&Sample::new(1, 2, 1).with_item(REQUESTS, &[(STEP_ID, "S2")])).await;
        home.store_new(
            &Sample::new(2, 1, 1)
                .with(Tag(0x0008, 0x0016), REPORT)
                .with_item(CONCEPT, &[(CODE_VALUE, "113701")]),
        )
        .await;
        let slide = |n| Sample::new(2, 2, n).with(Tag(0x0008, 0x0016), "1.2.840.10008.5.1.4.1.1.77.1.6");
        home.store_new(&slide(1).with_item(REGION, &[(CODE_VALUE, "69536005")])).await;
        let other = slide(2).with(CONTAINER, "C-1").with_item(SPECIMENS, &[(SPECIMEN_ID, "S-1")]);
        home.store_new(&other.with_item(REGION, &[(CODE_VALUE, "51185008")])).await;
        let private = Sample::new(2, 3, 1).with(Tag(0x0008, 0x0016), "1.2.3").with(GENERAL_CLASS, "1.2.4");
        home.store_new(&private).await;
    });
    let before = filled(&home);
    let home = home.reopen_after(|folder| undo(&Connection::open(folder.join("index.sqlite")).unwrap()));
    assert_eq!(filled(&home), before, "as if it had always been so");
    run(async {
        assert_eq!(home.uids(&query_within(Series, REQUESTS, &[(STEP_ID, "S2")])).await, ["2.25.1.2"]);
        assert_eq!(
            home.uids(&query_within(Study, OTHER_ID_ITEMS, &[(PATIENT_ID, "OTHER")])).await,
            ["2.25.1"]
        );
        assert_eq!(home.all(&query_within(Patient, OTHER_ID_ITEMS, &[(PATIENT_ID, "OTHER")])).await.len(), 1);
        assert_eq!(home.uids(&query_within(Image, CONCEPT, &[(CODE_VALUE, "113701")])).await, ["2.25.2.1.1"]);
        assert_eq!(home.uids(&query_within(Study, REGIONS, &[(CODE_VALUE, "69536005")])).await, ["2.25.2"]);
        assert_eq!(home.uids(&query_within(Image, SPECIMENS, &[(SPECIMEN_ID, "S-1")])).await, ["2.25.2.2.2"]);
        assert_eq!(home.uids(&query_for(Image, &[(CONTAINER, "C-1")])).await, ["2.25.2.2.2"]);
        assert_eq!(home.uids(&query_for(Image, &[(GENERAL_CLASS, "1.2.4")])).await, ["2.25.2.3.1"]);
        assert_eq!(home.uids(&query_for(Study, &[(OTHER_IDS, "X2")])).await, ["2.25.1"]);
        assert_eq!(home.uids(&query_for(Study, &[(OTHER_NAMES, "kunstler")])).await, ["2.25.1"]);
        assert_eq!(home.all(&query_for(Patient, &[(OTHER_NAMES, "madchen*")])).await.len(), 1);
        let fuzzy = |level, key| Query { fuzzy: true, ..query_for(level, &[key]) };
        assert_eq!(home.all(&fuzzy(Patient, (NAME, "Jayne"))).await.len(), 1);
        assert_eq!(home.uids(&fuzzy(Study, (OTHER_NAMES, "Kinstler"))).await, ["2.25.1"]);
        assert_eq!(home.uids(&fuzzy(Series, (Tag(0x0008, 0x1070), "Kowatz"))).await, ["2.25.1.1"]);
        assert_eq!(home.store(&Sample::new(3, 1, 1)).await, Committed::New);
    });
}

#[test]
fn damaged_json_of_one_instance_does_not_keep_an_archive_from_starting() {
    let home = Home::new();
    run(async {
        for study in [1, 2] {
            home.store_new(&Sample::new(study, 1, 1).with_item(REQUESTS, &[(STEP_ID, "S1")])).await;
        }
    });
    let home = home.reopen_after(|folder| {
        let index = Connection::open(folder.join("index.sqlite")).unwrap();
        undo(&index);
        index.execute("UPDATE metadata SET json = x'00' WHERE instance_pk = 1", []).unwrap();
    });
    run(async {
        assert_eq!(home.uids(&query_within(Series, REQUESTS, &[(STEP_ID, "S1")])).await, ["2.25.2.1"]);
        assert_eq!(home.uids(&query_for(Study, &[(NAME, "doe*")])).await, ["2.25.2", "2.25.1"]);
    });
}

#[test]
fn the_rules_are_those_by_which_instances_come_in() {
    let home = Home::new();
    run(async {
        let other = |sample: Sample, id: &str| {
            sample.with_item(OTHER_ID_ITEMS, &[(PATIENT_ID, id)]).with(OTHER_IDS, id)
        };
        home.store_new(&Sample::new(1, 1, 1)).await;
        // The same study says that it is of someone else, and the next one of that patient too.
        let strange =
            other(Sample::new(1, 2, 1), "STRANGER").with(PATIENT_ID, "P2").with(OTHER_NAMES, "Stranger");
        home.store_new(&strange.with(Tag(0x0020, 0x1070), "01\\02").with_item(REQUESTS, &[(STEP_ID, "S1")]))
            .await;
        home.store_new(&other(Sample::new(1, 3, 1), "FIRST")).await;
        home.store_new(&other(Sample::new(1, 4, 1), "SECOND").with(OTHER_NAMES, "Second")).await;
        home.store_new(&other(Sample::new(2, 1, 1), "OF ANOTHER STUDY")).await;
    });
    let before = filled(&home);
    assert!(!before.iter().any(|row| row.contains("STRANGER")), "{before:?}");
    let home = home.reopen_after(|folder| undo(&Connection::open(folder.join("index.sqlite")).unwrap()));
    assert_eq!(filled(&home), before);
}

#[test]
fn a_start_goes_on_where_the_last_one_ended_and_does_no_harm_again() {
    let home = Home::new();
    run(async {
        for study in 1..=4 {
            let sample = Sample::new(study, 1, 1).with(OTHER_NAMES, &format!("Name{study}"));
            home.store_new(&sample.with_item(REQUESTS, &[(STEP_ID, "S1")])).await;
        }
    });
    let before = filled(&home);
    let home = home.reopen_after(|folder| {
        let path = folder.join("index.sqlite");
        let mut index = Connection::open(&path).unwrap();
        undo(&index);
        // As far as a start comes that is killed: the schema, and then a row at a time.
        index.execute_batch(include_str!("../schema/008_query.sql")).unwrap();
        index.pragma_update(None, "user_version", 7).unwrap();
        let mut steps = 0;
        for _ in 0..6 {
            steps += usize::from(crate::refill::chunk(&mut index, 1).unwrap().is_some());
        }
        assert_eq!(steps, 6, "there is more to do");
        let reached: (i64, i64) = index
            .query_row("SELECT step, after FROM refill", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(reached, (2, 1), "all series, and a patient");
        let items: i64 = index.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
        assert_eq!(items, 4);
    });
    assert_eq!(filled(&home), before);
    assert_eq!(home.count("SELECT count(*) FROM refill"), 0);
    let home = home.reopen_after(|folder| {
        let index = Connection::open(folder.join("index.sqlite")).unwrap();
        index
            .execute_batch("INSERT INTO refill VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)")
            .unwrap();
    });
    assert_eq!(filled(&home), before, "done once more");
}

#[test]
fn many_reports_of_one_series_are_done_in_several_transactions() {
    let home = Home::new();
    run(async {
        for instance in 1..=25 {
            let report = Sample::new(1, 1, instance).with(Tag(0x0008, 0x0016), REPORT);
            home.store_new(&report.with_item(CONCEPT, &[(CODE_VALUE, &format!("C{instance}"))])).await;
        }
    });
    let before = filled(&home);
    let home = home.reopen_after(|folder| {
        let mut index = Connection::open(folder.join("index.sqlite")).unwrap();
        index
            .execute_batch("DELETE FROM item; DELETE FROM kind; INSERT INTO refill VALUES (5, 0), (6, 0)")
            .unwrap();
        let reached: Vec<_> = (0..9).map(|_| crate::refill::chunk(&mut index, 1).unwrap()).collect();
        let at = |step, after| Some((step, after));
        assert_eq!(
            reached,
            [
                at(Step::Reports, 10),
                at(Step::Reports, 20),
                at(Step::Reports, 25),
                at(Step::Kinds, 0),
                at(Step::Kinds, 10),
                at(Step::Kinds, 20),
                at(Step::Kinds, 25),
                None,
                None
            ]
        );
    });
    assert_eq!(filled(&home), before);
}
