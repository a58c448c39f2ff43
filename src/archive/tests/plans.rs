//! SQLite goes through the index that a query is meant to go through, and stays in its order.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};

use model::query::Zone;

use super::*;
use crate::objects::{FIRST_OF_PATIENT, FIRST_OF_SERIES, FIRST_OF_STUDY};
use crate::query::statement;
use crate::store::{LATEST_VERSION, VERSION_BY_CONTENT};
use crate::{claim, desk, fanout, lanes, resume, stored, trace, turn};

const BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const STUDY_ID: Tag = Tag(0x0020, 0x0010);

fn plan(index: &Connection, query: &Query, after: Option<&Cursor>) -> String {
    let statement = statement(index, query, after).unwrap();
    let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
    let lines = explained
        .query_map(rusqlite::params_from_iter(statement.values), |row| row.get::<_, String>(3))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    lines.join("; ")
}

/// Checks the plans of the first and of a later page.
fn check(level: QueryRetrieveLevel, keys: &[(Tag, &str)], expected: &[&str], is_sorted: bool) {
    let home = Home::new();
    run(async {
        for n in 1..=30 {
            home.store_new(&Sample::new(n, 1, 1).with(ACCESSION, &format!("A{n}"))).await;
        }
    });
    check_of(&home, &query_for(level, keys), expected, is_sorted);
}

fn check_of(home: &Home, query: &Query, expected: &[&str], is_sorted: bool) {
    let (level, keys) = (query.level, &query.keys);
    let index = home.index();
    let cursor = Cursor { date: "20200101".into(), outer: 7, inner: 7, taken: 0 };
    {
        for after in [None, Some(&cursor)] {
            let plan = plan(&index, query, after);
            for part in expected {
                assert!(plan.contains(part), "{level:?} {keys:?}: {plan}");
            }
            assert_eq!(plan.contains("TEMP B-TREE FOR ORDER BY"), is_sorted, "{level:?} {keys:?}: {plan}");
            // Only a query for everything reads a table, in the order of the answer.
            let lines = plan.split("; ");
            let mut whole =
                lines.filter(|line| line.starts_with("SCAN ") && !line.contains(" VIRTUAL TABLE "));
            assert!(keys.is_empty() || whole.next().is_none(), "{level:?} {keys:?}: {plan}");
        }
    }
}

#[test]
fn studies_come_from_their_indexes() {
    check(Study, &[], &["study_by_date"], false);
    check(Study, &[(STUDY, "2.25.1")], &["study_by_uid (study_instance_uid=?)"], false);
    check(Study, &[(STUDY, "2.25.1\\2.25.2")], &["study_by_uid (study_instance_uid=?)"], true);
    check(Study, &[(PATIENT_ID, "P1")], &["study_by_patient_id (patient_id=?"], false);
    check(Study, &[(ACCESSION, "A1")], &["study_by_accession_number (accession_number=?"], false);
    check(Study, &[(BIRTH_DATE, "19700101")], &["study_by_birth_date (patient_birth_date=?"], false);
    check(Study, &[(DATE, "20200101-20200131")], &["study_by_date (study_date>?"], false);
    check(
        Study,
        &[(NAME, "doe*")],
        &["SCAN chosen VIRTUAL TABLE", "SEARCH study USING INTEGER PRIMARY KEY"],
        true,
    );
    check(Study, &[(NAME, "doe*"), (PATIENT_ID, "P1")], &["study_by_patient_id (patient_id=?"], false);
    check(Study, &[(ACCESSION, "A1*")], &["study_by_accession_number (accession_number>?"], true);
    check(Study, &[(ACCESSION, "A1\\A2")], &["study_by_accession_number (accession_number=?"], true);
    check(Study, &[(ACCESSION, "\"\"")], &["study_by_accession_number (accession_number=?"], false);
    check(Study, &[(DATE, "\"\"")], &["study_by_date (study_date=?"], false);
    check(Study, &[(DATE, "20200101\\20200102")], &["study_by_date"], false);
    check(Study, &[(NAME, "doe*\\roe")], &["SCAN chosen VIRTUAL TABLE"], true);
    check(Study, &[(NAME, "=doe*")], &["SCAN chosen VIRTUAL TABLE"], true);
    check(
        Study,
        &[(MODALITIES, "CT"), (DATE, "20200101-20200131")],
        &["SCAN chosen VIRTUAL TABLE", "SEARCH study USING INTEGER PRIMARY KEY"],
        true,
    );
}

#[test]
fn moments_and_items_come_from_their_indexes() {
    let range = &[(DATE, "20200101-20200131"), (TIME, "10-11")];
    check(Study, range, &["study_by_date (study_date>?"], false);
    check(Series, range, &["SEARCH study USING INDEX study_by_date (study_date>?", "series_by_study"], true);
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    for (level, sequence, tag, expected) in [
        (Series, Tag(0x0040, 0x0275), Tag(0x0040, 0x0009), "SEARCH series USING INTEGER PRIMARY KEY"),
        (Study, Tag(0x0008, 0x1032), Tag(0x0008, 0x0100), "SEARCH study USING INTEGER PRIMARY KEY"),
        (Image, Tag(0x0040, 0xA043), Tag(0x0008, 0x0100), "SEARCH instance USING INTEGER PRIMARY KEY"),
        (Patient, Tag(0x0010, 0x1002), PATIENT_ID, "SEARCH patient USING INTEGER PRIMARY KEY"),
    ] {
        check_of(&home, &query_within(level, sequence, &[(tag, "x")]), &["SCAN chosen", expected], true);
    }
    let none = query_within(Series, Tag(0x0040, 0x0275), &[(Tag(0x0040, 0x0009), "\"\"")]);
    assert!(plan(&home.index(), &none, None).contains("item_by_owner (kind=? AND owner=?)"));
    for sql in [
        "SELECT owner FROM item WHERE kind = 1 AND value = 'x'",
        "SELECT owner FROM item WHERE kind = 1 AND value > 'x'",
    ] {
        let plan: String =
            home.index().query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get(3)).unwrap();
        assert!(plan.contains("SEARCH item USING PRIMARY KEY (kind=? AND value"), "{plan}");
    }
}

#[test]
fn sounds_and_zones_come_from_their_indexes() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let fuzzy = |level, name| Query { fuzzy: true, ..query_for(level, &[(NAME, name)]) };
    let chosen = ["SCAN chosen", "SEARCH study USING INTEGER PRIMARY KEY"];
    check_of(&home, &fuzzy(Study, "jayne"), &chosen, true);
    check_of(&home, &fuzzy(Study, "schmid*"), &chosen, true);
    check_of(&home, &fuzzy(Series, "jayne"), &chosen, true);
    check_of(
        &home,
        &fuzzy(Patient, "jayne"),
        &["SCAN chosen", "SEARCH patient USING INTEGER PRIMARY KEY"],
        true,
    );
    for date in ["20200101", "20200101-20200131"] {
        let zoned = Query { zone: Zone::parse("+0100"), ..query_for(Study, &[(DATE, date)]) };
        check_of(&home, &zoned, &["study_by_date (study_date>?"], false);
        let of_series = Query { level: Series, ..zoned };
        check_of(&home, &of_series, &["SEARCH study USING INDEX study_by_date (study_date>?"], true);
    }
}

/// Terms of more studies than are sorted, as if so many were stored.
pub(super) fn crowded() -> Home {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let crowd = |columns: &str, table: &str| {
        let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)";
        let sql = format!("{numbers} INSERT INTO {table} SELECT {columns}, '20200101', 1000 + n FROM n");
        home.index().execute_batch(&sql).unwrap();
    };
    for columns in ["2, 'smith^' || n", "5, 'CT'", "6, '1.2.840'", "102, 'smt'"] {
        crowd(columns, "term");
    }
    for columns in ["2, 's'", "2, 'sm'", "2, 'smi'"] {
        crowd(columns, "beginning");
    }
    for columns in ["1, 'smith^' || n", "1, 'smi'"] {
        let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)";
        let table = if columns.contains("^") { "term" } else { "beginning" };
        let sql = format!("{numbers} INSERT INTO {table} SELECT {columns}, '', 1000 + n FROM n");
        home.index().execute_batch(&sql).unwrap();
    }
    home
}

#[test]
fn what_many_studies_have_comes_in_the_order_of_the_answer() {
    let home = crowded();
    let by = |of: &str| format!("SEARCH stream USING PRIMARY KEY (kind=? AND value=?{of}");
    let range = (DATE, "20200101-20200131");
    let check = |query: &Query, expected: &[&str]| {
        let expected = [expected, &["SEARCH study USING INTEGER PRIMARY KEY"]].concat();
        check_of(&home, query, &expected, false);
    };
    let (stream, dated) = (by(""), by(" AND study_date>?"));
    for name in ["s*", "sm*", "smi*", "smith*", "smith^?*"] {
        check(&query_for(Study, &[(NAME, name)]), &[&stream]);
        check(&query_for(Study, &[(NAME, name), range]), &[&dated]);
        check(&query_for(Study, &[(NAME, name), (DATE, "20200101")]), &[&dated]);
    }
    check(&query_for(Study, &[(MODALITIES, "CT")]), &[&stream]);
    check(&query_for(Study, &[(MODALITIES, "CT"), range]), &[&dated]);
    check(&query_for(Study, &[(MODALITIES, "CT"), range, (TIME, "10-11")]), &[&dated]);
    check(&query_for(Study, &[(Tag(0x0008, 0x0062), "1.2.840"), range]), &[&dated]);
    check(&Query { fuzzy: true, ..query_for(Study, &[(NAME, "schmidt"), range]) }, &[&dated]);
    check(&Query { zone: Zone::parse("+0100"), ..query_for(Study, &[(NAME, "smith*"), range]) }, &[&dated]);
    // The shorter of two streams; what it does not decide is looked up for each row.
    let both = query_for(Study, &[(MODALITIES, "CT"), (NAME, "smith*"), range]);
    check(&both, &[&dated, "term_by_owner (kind=? AND owner=?"]);
    // An index that leaves fewer goes first.
    check_of(
        &home,
        &query_for(Study, &[(NAME, "smith*"), (ACCESSION, "A1")]),
        &["study_by_accession_number"],
        false,
    );
    check_of(
        &home,
        &query_for(Patient, &[(NAME, "smith*")]),
        &[&by(" AND study_date=?"), "SEARCH patient USING INTEGER PRIMARY KEY"],
        false,
    );
    // Few of the days that are asked for are few.
    let few = query_for(Study, &[(MODALITIES, "CT"), (DATE, "20190101")]);
    assert!(plan(&home.index(), &few, None).contains("SCAN chosen"));
}

#[test]
fn patients_come_from_their_indexes() {
    check(Patient, &[(PATIENT_ID, "P1")], &["patient_by_id (patient_id=?"], true);
    check(Patient, &[(NAME, "doe*")], &["SCAN chosen", "SEARCH patient USING INTEGER PRIMARY KEY"], true);
}

#[test]
fn series_come_from_their_indexes() {
    check(Series, &[(STUDY, "2.25.1")], &["study_by_uid", "series_by_study (study_pk=?"], false);
    check(Series, &[(SERIES, "2.25.1.1")], &["series_by_uid", "study USING INTEGER PRIMARY KEY"], true);
    check(Series, &[(MODALITY, "CT")], &["series_by_modality (modality=?"], false);
    check(
        Series,
        &[(NAME, "doe*")],
        &["SCAN chosen", "SEARCH study USING INTEGER PRIMARY KEY", "series_by_study"],
        true,
    );
}

#[test]
fn instances_come_from_their_indexes() {
    check(Image, &[(INSTANCE, "2.25.1.1.1")], &["instance_by_uid (sop_instance_uid=?)"], false);
    check(
        Image,
        &[(STUDY, "2.25.1")],
        &["study_by_uid", "series_by_study", "instance_by_series (series_pk=?"],
        false,
    );
    check(Image, &[(STUDY, "2.25.1"), (SERIES, "2.25.1.1")], &["series_by_uid", "instance_by_series"], true);
    check(Image, &[(MODALITY, "CT")], &["series_by_modality", "instance_by_series"], false);
}

#[test]
fn what_many_studies_have_does_not_make_their_series_and_instances_be_sorted() {
    let home = Home::new();
    run(async {
        for n in 1..=60 {
            let sample = Sample::new(n, 1, 1).with(STUDY_ID, "1").with(BIRTH_DATE, "19700101");
            home.store_new(&sample.with(ACCESSION, if n <= 50 { "few" } else { "none" })).await;
            let many = Sample::new(n + 100, 1, 1).with(STUDY_ID, "2").with(BIRTH_DATE, "19800101");
            home.store_new(&many.with(ACCESSION, "many")).await;
        }
    });
    let index = home.index();
    let plan = |level, tag, value| plan(&index, &query_for(level, &[(tag, value)]), None);
    for (tag, value) in [(STUDY_ID, "1"), (BIRTH_DATE, "19700101"), (ACCESSION, "many")] {
        let of_instances = plan(Image, tag, value);
        assert!(of_instances.starts_with("SCAN instance USING INDEX instance_by_series"), "{of_instances}");
        assert!(!of_instances.contains("TEMP B-TREE"), "{of_instances}");
        assert!(!plan(Study, tag, value).contains("TEMP B-TREE"));
        assert!(plan(Study, tag, value).starts_with("SEARCH study USING INDEX study_by_"));
        // Their series are few enough.
        assert!(plan(Series, tag, value).starts_with("SEARCH study USING INDEX study_by_"));
    }
    let of_few = plan(Image, ACCESSION, "few");
    assert!(of_few.starts_with("SEARCH study USING INDEX study_by_accession_number"), "{of_few}");
}

#[test]
fn later_pages_begin_where_the_last_one_ended() {
    let home = Home::new();
    let index = home.index();
    let cursor = Cursor { date: "20200101".into(), outer: 7, inner: 7, taken: 0 };
    let check = |level, keys: &[(Tag, &str)], part: &str| {
        let plan = plan(&index, &query_for(level, keys), Some(&cursor));
        assert!(plan.contains(part), "{plan}");
    };
    check(Patient, &[], "SEARCH patient USING INTEGER PRIMARY KEY (rowid>?)");
    check(Study, &[], "SEARCH study USING INDEX study_by_date (study_date<?");
    check(Study, &[(DATE, "20190101-20210101")], "study_by_date (study_date>? AND study_date<?");
    check(Study, &[(PATIENT_ID, "P1")], "study_by_patient_id (patient_id=? AND study_date<?");
    check(Series, &[], "SEARCH series USING INTEGER PRIMARY KEY (rowid>?)");
    check(Image, &[], "SEARCH instance USING INDEX instance_by_series (series_pk>?");
}

#[test]
fn the_instance_that_stands_for_a_row_is_the_first_of_its_indexes() {
    let home = Home::new();
    let index = home.index();
    for sql in [FIRST_OF_PATIENT, FIRST_OF_STUDY, FIRST_OF_SERIES] {
        let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines: Vec<String> =
            explained.query_map([1], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(lines.iter().all(|line| line.starts_with("SEARCH") && line.contains("INDEX")), "{lines:?}");
    }
}

/// Each statement goes by this way, and reads no table or index from end to end. Gives the plans.
fn check_statements(statements: &[(&str, &str)]) -> Vec<String> {
    let home = Home::new();
    let index = home.index();
    let check = |(sql, expected): &(&str, &str)| {
        let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = rusqlite::params_from_iter(vec![1; explained.parameter_count()]);
        let lines = explained.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        let plan = lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ");
        assert!(plan.contains(expected) && !plan.contains("SCAN"), "{sql}: {plan}");
        plan
    };
    statements.iter().map(check).collect()
}

#[test]
fn the_writer_looks_up_by_index() {
    check_statements(&[
        ("SELECT instance_pk FROM instance WHERE sop_instance_uid = ?1", "instance_by_uid"),
        (VERSION_BY_CONTENT, "conflict_by_content (instance_pk=? AND sha256=? AND transfer_syntax_uid=?)"),
        (LATEST_VERSION, "conflict_by_version (instance_pk=?)"),
        ("SELECT file FROM instance WHERE file BETWEEN ?1 AND ?2 ORDER BY file DESC", "instance_by_file"),
        (
            "SELECT patient_pk FROM patient WHERE patient_id = ?1 AND patient_id <> '' AND issuer_of_patient_id = ?2",
            "patient_by_id",
        ),
        ("DELETE FROM term WHERE kind = ?1 AND owner = ?2", "term_by_owner"),
    ]);
}

#[test]
fn the_queue_takes_as_long_as_what_is_done_with_it_however_much_waits() {
    let by_version = "delivery_by_version (instance_pk=? AND version=? AND destination_pk=?)";
    let plans = check_statements(&[
        (fanout::WAS_SENT, by_version),
        (desk::STATE, by_version),
        (claim::DUE, "delivery_open (destination_pk=? AND state=? AND due<?)"),
        (turn::HASTEN, "delivery_open (destination_pk=? AND state=? AND due>?)"),
        (turn::OLD, "delivery_age (destination_pk=? AND queued<?)"),
        (turn::FIRST_DUE, "delivery_open (destination_pk=? AND state=?)"),
        (resume::END_LEASES, "delivery_open (destination_pk=? AND state=?)"),
        (desk::REVIVE, "delivery_open (destination_pk=? AND state=? AND due<?)"),
        (lanes::OLDEST, "delivery_age (destination_pk=?)"),
        (lanes::DEAD, "delivery_open (destination_pk=? AND state=?)"),
    ]);
    assert!(plans.iter().all(|plan| !plan.contains("TEMP B-TREE")), "nothing is sorted: {plans:?}");
}

#[test]
fn traces_are_looked_up_by_index() {
    check_statements(&[
        (trace::OF_STUDY, "instance_by_series (series_pk=?)"),
        (trace::OF_SERIES, "instance_by_series (series_pk=?)"),
        (trace::OF_INSTANCE, "instance_by_uid (sop_instance_uid=?)"),
        (trace::VERSIONS, "conflict_by_version (instance_pk=?)"),
        (trace::DELIVERIES, "delivery_by_version (instance_pk=? AND version=?)"),
        (stored::FIRST, "instance USING INTEGER PRIMARY KEY"),
        (stored::LATER, "conflict_by_version (instance_pk=? AND version=?)"),
    ]);
}
