//! Whatever a query runs, looks before the page included, goes through an index and reads no table or index from end to end.

use std::sync::{Arc, Mutex};

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};
use rusqlite::StatementStatus;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::plans::crowded;
use super::*;

const REFERRING: Tag = Tag(0x0008, 0x0090);
const OPERATORS: Tag = Tag(0x0008, 0x1070);
const BIRTH_DATE: Tag = Tag(0x0010, 0x0030);
const STUDY_ID: Tag = Tag(0x0020, 0x0010);
const DESCRIPTION: Tag = Tag(0x0008, 0x1030);
const SOP_CLASSES: Tag = Tag(0x0008, 0x0062);
const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const REQUESTS: Tag = Tag(0x0040, 0x0275);
const STEP_ID: Tag = Tag(0x0040, 0x0009);

/// The plans of the statements that a page takes, the page itself last.
pub(super) fn plans_of(home: &Home, query: &Query, after: Option<&Cursor>) -> Vec<Vec<String>> {
    let mut index = home.index();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let taken = seen.clone();
    let take = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            taken.lock().unwrap().push(statement.expanded_sql().unwrap());
        }
    };
    index.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(take)).unwrap();
    crate::find::find(&index, query, after).unwrap();
    index.trace_v2(TraceEventCodes::empty(), None::<fn(TraceEvent<'_>)>).unwrap();
    let explain = |sql: &String| {
        let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = explained.query_map([], |row| row.get(3)).unwrap();
        lines.collect::<Result<Vec<String>, _>>().unwrap()
    };
    seen.lock().unwrap().iter().map(explain).collect()
}

/// Whether a line of a plan reads a table or index, or all terms or items of a kind, from end to end.
pub(super) fn is_whole(line: &str) -> bool {
    const READ_BEFORE: [&str; 4] =
        ["SCAN chosen VIRTUAL TABLE", "SCAN json_each VIRTUAL TABLE", "SCAN (subquery", "SCAN CONSTANT ROW"];
    match line.starts_with("SCAN ") {
        // Of a merged stream: its parts have lines of their own.
        true if line == "SCAN stream" => false,
        true => !READ_BEFORE.iter().any(|known| line.starts_with(known)),
        false => line.ends_with("(kind=?)"),
    }
}

fn cursor() -> Cursor {
    Cursor { date: "20200101".into(), outer: 7, inner: 7, taken: 0 }
}

fn check(home: &Home, query: &Query) {
    for after in [None, Some(&cursor())] {
        for plan in plans_of(home, query, after) {
            assert!(!plan.iter().any(|line| is_whole(line)), "{:?} {:?}: {plan:?}", query.level, query.keys);
        }
    }
}

#[test]
fn a_query_with_an_indexed_key_reads_nothing_from_end_to_end() {
    let home = crowded();
    let many: &str = &(1..=40).map(|n| format!("2.25.{n}")).collect::<Vec<_>>().join("\\");
    for (levels, tag, values) in [
        (
            &[Patient, Study, Series, Image][..],
            PATIENT_ID,
            &["A", "ABC*", "A?C*", "A\\B", "A*\\B", "A*\\B*"][..],
        ),
        (&[Patient, Study], NAME, &["doe*", "doe^*", "d*e", "doe\\roe", "doe*\\roe", "doe*\\roe*", "=doe*"]),
        (&[Patient, Study], NAME, &["s*", "smith*", "s*\\t*", "smith*\\smith^1*\\roe", "smith^1"]),
        (&[Series, Image], NAME, &["doe*", "doe*\\roe*", "doe\\roe"]),
        (&[Patient, Study, Series], BIRTH_DATE, &["19700101", "1970.01.01-", "19700101\\19710101-19720101"]),
        (&[Study, Series, Image], ACCESSION, &["A", "A*", "A\\B", "A*\\B*", "A\\B*\\C?D"]),
        (&[Study, Series], STUDY_ID, &["1", "1*", "1\\2", "1*\\2*"]),
        (&[Study, Series, Image], DATE, &["20200101", "20190101-20200101", "20190101\\20200101"]),
        (&[Study, Series, Image], DATE, &["20190101\\20200101-20200201", "20190101\\-20180101"]),
        (&[Study, Series, Image], REFERRING, &["doe", "doe*", "doe*\\roe*", "doe*\\r"]),
        (&[Series, Image], OPERATORS, &["doe", "doe*", "doe*\\roe*"]),
        (&[Study, Series], MODALITIES, &["MR", "MR\\PT", "M*\\PT", "M*\\P*"]),
        (&[Study], MODALITIES, &["CT", "CT\\MR", "CT\\MR\\PT"]),
        (&[Study], SOP_CLASSES, &["1.2.840", "1.2.840\\1.2.3"]),
        (&[Series, Image], MODALITY, &["CT", "CT\\MR", "C*", "C*\\M*"]),
        (&[Study, Series, Image], STUDY, &["2.25.1", "2.25.1\\2.25.2", many]),
        (&[Series, Image], SERIES, &["2.25.1.1", many]),
        (&[Image], INSTANCE, &["2.25.1.1.1", many]),
    ] {
        for (level, value) in levels.iter().flat_map(|level| values.iter().map(move |value| (*level, *value)))
        {
            check(&home, &query_for(level, &[(tag, value)]));
        }
    }
    for fuzzy in ["smith", "jayne doe", "jayne\\roe", "meyer*\\doe", "meyer smith\\doe jayne"] {
        for level in [Patient, Study, Series] {
            let smiths_are_many = level != Study && fuzzy == "smith";
            if !smiths_are_many || level == Patient {
                check(&home, &Query { fuzzy: true, ..query_for(level, &[(NAME, fuzzy)]) });
            }
        }
    }
    for value in ["S1", "S*", "S1\\S2", "S*\\T*"] {
        check(&home, &query_within(Series, REQUESTS, &[(STEP_ID, value)]));
    }
}

#[test]
fn what_no_index_has_is_looked_for_in_the_order_of_the_answer() {
    let home = crowded();
    for (level, tag, value, walk) in [
        (Study, DESCRIPTION, "*head*", "SCAN study USING INDEX study_by_date"),
        (Study, PATIENT_ID, "*1", "SCAN study USING INDEX study_by_date"),
        (Study, PATIENT_ID, "A*\\*1", "SCAN study USING INDEX study_by_date"),
        (Study, NAME, "\"\"", "SCAN study USING INDEX study_by_date"),
        (Patient, PATIENT_ID, "\"\"\\A", "SCAN patient"),
        (Series, DESCRIPTION, "x", "SCAN series"),
        (Series, NAME, "smith*", "SCAN series"),
        (Image, IMAGE_TYPE, "A\\B", "SCAN instance USING INDEX instance_by_series"),
    ] {
        let plans = plans_of(&home, &query_for(level, &[(tag, value)]), None);
        let (page, looks) = plans.split_last().unwrap();
        assert!(!looks.iter().flatten().any(|line| is_whole(line)), "{level:?} {tag} {value}: {looks:?}");
        assert_eq!(page[0], walk, "{level:?} {tag} {value}: {page:?}");
        assert!(!page.iter().any(|line| line.contains("TEMP B-TREE")), "{level:?} {tag} {value}: {page:?}");
    }
    // A name that begins with a wildcard is looked for among all names once, by one pass for all alternatives.
    for name in ["*oe", "*oe\\*ee\\?x"] {
        let plans = plans_of(&home, &query_for(Study, &[(NAME, name)]), None);
        assert_eq!(plans.iter().flatten().filter(|line| is_whole(line)).count(), 1, "{plans:?}");
    }
}

#[test]
fn several_common_values_are_merged_in_the_order_of_the_answer() {
    let home = crowded();
    for (level, tag, value) in [
        (Study, MODALITIES, "CT\\MR"),
        (Study, SOP_CLASSES, "1.2.840\\1.2.3"),
        (Study, NAME, "smith*\\roe*"),
        (Patient, NAME, "smith*\\roe*"),
    ] {
        for after in [None, Some(&cursor())] {
            let plans = plans_of(&home, &query_for(level, &[(tag, value)]), after);
            let page = plans.last().unwrap().join("; ");
            assert!(
                page.starts_with("CO-ROUTINE stream; MERGE (UNION); LEFT; SEARCH stream USING PRIMARY KEY"),
                "{page}"
            );
            assert!(!page.contains("TEMP B-TREE"), "{page}");
            let is_bound = page.contains(if level == Study { "study_date<?" } else { "owner>?" });
            assert_eq!(is_bound, after.is_some(), "{page}");
        }
    }
}

#[test]
fn with_a_unique_key_nothing_is_looked_at_before() {
    let home = crowded();
    for (level, key) in [(Study, STUDY), (Series, SERIES), (Image, INSTANCE), (Image, STUDY)] {
        let keys = [
            (key, "2.25.1"),
            (NAME, "smith*"),
            (MODALITIES, "CT\\MR"),
            (ACCESSION, "A*"),
            (BIRTH_DATE, "1970.01.01-"),
        ];
        assert_eq!(plans_of(&home, &query_for(level, &keys), None).len(), 1, "{level:?}");
        let fuzzy = Query { fuzzy: true, ..query_for(level, &[(NAME, "smith"), (key, "2.25.1")]) };
        assert_eq!(plans_of(&home, &fuzzy, None).len(), 1, "{level:?}");
    }
}

#[test]
fn a_list_is_read_once_whatever_the_rows() {
    let home = Home::new();
    run(async {
        for instance in 1..=40 {
            home.store_new(&Sample::new(1, 1, instance).with(IMAGE_TYPE, "ORIGINAL\\PRIMARY")).await;
        }
    });
    let list = (0..1000).map(|n| format!("V{n}")).collect::<Vec<_>>().join("\\");
    let index = home.index();
    for (level, tag) in
        [(Image, IMAGE_TYPE), (Image, MODALITIES), (Image, DESCRIPTION), (Image, Tag(0x0008, 0x0016))]
    {
        let value = if tag == Tag(0x0008, 0x0016) { list.replace('V', "1.2.") } else { list.clone() };
        let page = crate::query::statement(&index, &query_for(level, &[(tag, &value)]), None).unwrap();
        let mut statement = index.prepare(&page.sql).unwrap();
        let mut rows = statement.query(rusqlite::params_from_iter(page.values)).unwrap();
        assert!(rows.next().unwrap().is_none());
        drop(rows);
        // Each step of SQLite's is about one thing that it does with one row, or one value of the list.
        let steps = statement.get_status(StatementStatus::VmStep);
        assert!(steps < 20 * 1000, "{tag}: {steps}");
    }
}
