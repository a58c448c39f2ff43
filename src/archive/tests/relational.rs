//! Keys of the levels below that of a query.

use std::collections::BTreeSet;

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};
use model::query::Zone;
use rusqlite::StatementStatus;

use super::lookups::{is_whole, plans_of};
use super::plans::crowded;
use super::*;
use crate::below::without_keys_below;

const DESCRIPTION: Tag = Tag(0x0008, 0x103E);
const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
const SERIES_DATE: Tag = Tag(0x0008, 0x0021);
const SERIES_TIME: Tag = Tag(0x0008, 0x0031);
const OPERATORS: Tag = Tag(0x0008, 0x1070);
const REQUESTS: Tag = Tag(0x0040, 0x0275);
const STEP_ID: Tag = Tag(0x0040, 0x0009);
const REQUEST_ID: Tag = Tag(0x0040, 0x1001);
const SOP_CLASS: Tag = Tag(0x0008, 0x0016);
const INSTANCE_NUMBER: Tag = Tag(0x0020, 0x0013);
const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const SLICE_THICKNESS: Tag = Tag(0x0018, 0x0050);
const STUDY_DESCRIPTION: Tag = Tag(0x0008, 0x1030);
const ZONE: Tag = Tag(0x0008, 0x0201);
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

pub(super) fn relational(level: QueryRetrieveLevel, keys: &[(Tag, &str)]) -> Query {
    Query { relational: true, ..query_for(level, keys) }
}

async fn found(home: &Home, query: &Query) -> String {
    if query.level == Patient {
        let query = Query { include: with(PATIENT_ID), ..query.clone() };
        let rows = home.all(&query).await;
        return rows.iter().filter_map(|row| row.attributes.first(PATIENT_ID)).collect::<Vec<_>>().join(" ");
    }
    let uids = home.uids(query).await;
    uids.iter().map(|uid| uid.trim_start_matches("2.25.")).collect::<Vec<_>>().join(" ")
}

fn with(tag: Tag) -> model::query::Include {
    model::query::Include { tags: [tag].into(), ..Default::default() }
}

/// Three studies of two patients.
async fn stored() -> Home {
    let home = Home::new();
    let samples = [
        Sample::new(1, 1, 1)
            .with(DESCRIPTION, "Thorax axial")
            .with(SERIES_NUMBER, "1")
            .with(SERIES_DATE, "20200101")
            .with(SERIES_TIME, "0900")
            .with(OPERATORS, "Meyer^A")
            .with_item(REQUESTS, &[(STEP_ID, "S1"), (REQUEST_ID, "R1")])
            .with_item(REQUESTS, &[(STEP_ID, "S2"), (REQUEST_ID, "R2")]),
        Sample::new(1, 1, 2).with(IMAGE_TYPE, "DERIVED\\SECONDARY").with(SERIES_NUMBER, "1"),
        Sample::new(1, 2, 1)
            .with(MODALITY, "MR")
            .with(SOP_CLASS, MR)
            .with(DESCRIPTION, "Head")
            .with(SERIES_NUMBER, "2")
            .with(SERIES_DATE, "20200102")
            .with(SERIES_TIME, "2300")
            .with(ZONE, "+0000"),
        Sample::new(2, 1, 1).with(DATE, "20200102").with(MODALITY, "").with(DESCRIPTION, "Thorax"),
        Sample::new(3, 1, 1)
            .with(DATE, "20200103")
            .with(PATIENT_ID, "P2")
            .with(NAME, "Roe")
            .with(STUDY_DESCRIPTION, "Knee")
            .with(MODALITY, "MR")
            .with(SOP_CLASS, MR)
            .with(SERIES_NUMBER, "1")
            .with(OPERATORS, "Bob"),
        Sample::new(3, 1, 2)
            .with(DATE, "20200103")
            .with(PATIENT_ID, "P2")
            .with(NAME, "Roe")
            .with(SOP_CLASS, MR),
    ];
    for sample in samples {
        home.store_new(&sample).await;
    }
    home
}

#[test]
fn every_kind_of_matching_goes_for_what_is_below() {
    run(async {
        let home = stored().await;
        let check = async |level, keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, &relational(level, keys)).await, expected, "{level:?} {keys:?}");
        };
        check(Study, &[(MODALITY, "MR")], "3 1").await;
        check(Study, &[(MODALITY, "US")], "").await;
        check(Study, &[(MODALITY, "CT\\US")], "1").await;
        check(Study, &[(MODALITY, "\"\"")], "2").await;
        check(Study, &[(MODALITY, "\"\"\\M*")], "3 2 1").await;
        check(Study, &[(DESCRIPTION, "Thorax*")], "2 1").await;
        check(Study, &[(DESCRIPTION, "thorax*")], "").await;
        check(Study, &[(SERIES, "2.25.1.2\\2.25.3.1")], "3 1").await;
        check(Study, &[(INSTANCE, "2.25.1.1.2")], "1").await;
        check(Study, &[(INSTANCE, "2.25.1.1.2\\2.25.2.1.1\\2.25.9")], "2 1").await;
        check(Study, &[(SERIES_DATE, "20200102-")], "1").await;
        check(Study, &[(SERIES_DATE, "20200101-20200102"), (SERIES_TIME, "1000-2200")], "").await;
        check(Study, &[(SERIES_DATE, "20191231-20200101"), (SERIES_TIME, "1000-0930")], "1").await;
        check(Study, &[(SERIES_DATE, "20200103-20200104"), (SERIES_TIME, "1000-2200")], "").await;
        check(Study, &[(OPERATORS, "MEYER*")], "1").await;
        check(Study, &[(OPERATORS, "meyer*\\bob")], "3 1").await;
        check(Study, &[(IMAGE_TYPE, "DERIVED")], "1").await;
        check(Study, &[(SOP_CLASS, MR)], "3 1").await;
        check(Patient, &[(MODALITY, "CT")], "P1").await;
        check(Patient, &[(DATE, "20200103")], "P2").await;
        check(Patient, &[(MODALITIES, "MR")], "P1 P2").await;
        check(Patient, &[(STUDY, "2.25.3")], "P2").await;
        check(Patient, &[(STUDY_DESCRIPTION, "K*")], "P2").await;
        check(Patient, &[(INSTANCE, "2.25.3.1.2")], "P2").await;
        check(Series, &[(INSTANCE, "2.25.3.1.2")], "3.1").await;
        check(Series, &[(INSTANCE_NUMBER, "2")], "1.1 3.1").await;
        check(Image, &[(INSTANCE_NUMBER, "2"), (MODALITY, "CT")], "1.1.2").await;
        let within = |keys| Query { relational: true, ..query_within(Study, REQUESTS, keys) };
        assert_eq!(found(&home, &within(&[(STEP_ID, "S1"), (REQUEST_ID, "R1")])).await, "1");
        assert_eq!(found(&home, &within(&[(STEP_ID, "S1"), (REQUEST_ID, "R2")])).await, "");
        let fuzzy = Query { fuzzy: true, ..relational(Study, &[(OPERATORS, "maier")]) };
        assert_eq!(found(&home, &fuzzy).await, "1");
        let zoned =
            |zone| Query { zone: Zone::parse(zone), ..relational(Study, &[(SERIES_DATE, "20200103")]) };
        assert_eq!(found(&home, &zoned("+0200")).await, "1");
        assert_eq!(found(&home, &zoned("-0200")).await, "");
    });
}

#[test]
fn one_series_and_one_instance_of_it_meet_all_keys() {
    run(async {
        let home = stored().await;
        let check = async |level, keys: &[(Tag, &str)], expected: &str| {
            assert_eq!(found(&home, &relational(level, keys)).await, expected, "{level:?} {keys:?}");
        };
        check(Study, &[(MODALITY, "MR"), (DESCRIPTION, "Head")], "1").await;
        check(Study, &[(MODALITY, "CT"), (DESCRIPTION, "Head")], "").await;
        check(Study, &[(MODALITY, "MR"), (SERIES_NUMBER, "1")], "3").await;
        check(Study, &[(MODALITY, "MR"), (IMAGE_TYPE, "DERIVED")], "").await;
        check(Study, &[(INSTANCE_NUMBER, "1"), (IMAGE_TYPE, "DERIVED")], "").await;
        check(Study, &[(INSTANCE_NUMBER, "2"), (IMAGE_TYPE, "DERIVED")], "1").await;
        check(Study, &[(INSTANCE, "2.25.1.1.1"), (SERIES, "2.25.1.2")], "").await;
        check(Patient, &[(DATE, "20200101"), (DESCRIPTION, "Thorax")], "").await;
        check(Patient, &[(DATE, "20200102"), (DESCRIPTION, "Thorax")], "P1").await;
        check(Study, &[(PATIENT_ID, "P2"), (MODALITY, "MR")], "3").await;
        check(Study, &[(STUDY, "2.25.1"), (MODALITY, "MR"), (INSTANCE, "2.25.1.2.1")], "1").await;
        check(Study, &[(STUDY, "2.25.2"), (MODALITY, "MR")], "").await;
        // What the index does not have is ignored; counts are no keys.
        check(Study, &[(SLICE_THICKNESS, "9"), (Tag(0x0020, 0x1209), "9"), (MODALITY, "MR")], "3 1").await;
    });
}

#[test]
fn without_the_agreement_keys_below_say_nothing() {
    run(async {
        let home = stored().await;
        let query = relational(Study, &[(MODALITY, "MR"), (PATIENT_ID, "P1"), (INSTANCE, "2.25.3.1.1")]);
        let unagreed = Query { relational: false, ..query.clone() };
        assert_eq!(found(&home, &unagreed).await, "2 1");
        let (own, had_any) = without_keys_below(&query);
        assert_eq!((own.keys.len(), had_any, own.relational), (1, true, false));
        assert_eq!(without_keys_below(&unagreed), (unagreed, false));
    });
}

/// What instances have and are asked for.
const VALUES: [(Tag, [&str; 3]); 6] = [
    (DATE, ["20200101", "20200102", "20200103"]),
    (MODALITY, ["CT", "MR", "US"]),
    (DESCRIPTION, ["Thorax", "Head", "Knee"]),
    (SERIES_NUMBER, ["1", "2", "3"]),
    (SOP_CLASS, [CT, MR, "1.2.840.10008.5.1.4.1.1.6.1"]),
    (INSTANCE_NUMBER, ["1", "2", "3"]),
];

/// Numbers that look random, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn value(&mut self, tag: Tag) -> (Tag, &'static str) {
        let (_, values) = VALUES.iter().find(|(of, _)| *of == tag).unwrap();
        (tag, values[self.below(3)])
    }
}

/// An instance, and how it and what it is of are called.
struct Known {
    sample: Sample,
    values: Vec<(Tag, &'static str)>,
    names: [String; 4],
}

/// The instances of a study of up to three series of up to three.
fn study(number: u32, numbers: &mut Numbers) -> Vec<Known> {
    let of_study = [numbers.value(DATE)];
    let (patient, mut made) = (format!("P{}", number % 5), Vec::new());
    for series in 1..=1 + numbers.below(3) {
        let of_series = [MODALITY, DESCRIPTION, SERIES_NUMBER].map(|tag| numbers.value(tag));
        for instance in 1..=1 + numbers.below(3) {
            let own = [SOP_CLASS, INSTANCE_NUMBER].map(|tag| numbers.value(tag));
            let values = [&of_study[..], &of_series, &own].concat();
            let uid = |text: String| (text.clone(), format!("2.25.{text}"));
            let (series, series_uid) = uid(format!("{number}.{series}"));
            let (instance, instance_uid) = uid(format!("{series}.{instance}"));
            let sample = Sample::new(number, 1, 1).with(SERIES, &series_uid).with(INSTANCE, &instance_uid);
            let sample = values.iter().fold(sample, |sample, (tag, value)| sample.with(*tag, value));
            let names = [patient.clone(), number.to_string(), series, instance];
            made.push(Known { sample: sample.with(PATIENT_ID, &patient), values, names });
        }
    }
    made
}

#[test]
fn rows_are_those_that_a_walk_through_all_instances_finds() {
    let numbers = &mut Numbers(7);
    let known: Vec<Known> = (1..=12).flat_map(|number| study(number, numbers)).collect();
    run(async {
        let home = Home::new();
        for one in &known {
            home.store_new(&one.sample).await;
        }
        let mut some = 0;
        for _ in 0..300 {
            let mut keys: Vec<(Tag, &str)> = Vec::new();
            for (tag, _) in VALUES {
                if numbers.below(3) == 0 {
                    keys.push(numbers.value(tag));
                }
            }
            for (at, level) in [Patient, Study, Series, Image].into_iter().enumerate() {
                let met = known.iter().filter(|one| keys.iter().all(|key| one.values.contains(key)));
                let expected: BTreeSet<&str> = met.map(|one| one.names[at].as_str()).collect();
                let found = found(&home, &relational(level, &keys)).await;
                let rows: Vec<&str> = found.split_whitespace().collect();
                assert_eq!(rows.len(), expected.len(), "{level:?} {keys:?}");
                assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), expected, "{level:?} {keys:?}");
                some += usize::from((1..known.len() / 4).contains(&expected.len()));
            }
        }
        assert!(some > 300, "{some}");
    });
}

/// Plans of what is looked at before a page, and of the page.
fn looks_and_page(home: &Home, query: &Query) -> (Vec<String>, String) {
    let mut plans = plans_of(home, query, None);
    let page = plans.pop().unwrap().join("; ");
    let looks: Vec<String> = plans.concat();
    assert!(!looks.iter().any(|line| is_whole(line)), "{looks:?}");
    (looks, page)
}

#[test]
fn what_is_above_few_is_where_a_query_starts() {
    let home = crowded();
    for (level, tag, value) in [
        (Study, INSTANCE, "2.25.1.1.1"),
        (Study, INSTANCE, "2.25.1.1.1\\2.25.2.1.1"),
        (Study, SERIES, "2.25.1.1"),
        (Study, MODALITY, "CT"),
        (Study, MODALITY, "CT\\MR"),
        (Study, MODALITY, "C*"),
        (Study, MODALITY, "C*\\M*"),
        (Study, OPERATORS, "doe*"),
        (Study, SOP_CLASS, "1.2.3"),
        (Series, INSTANCE, "2.25.1.1.1"),
        (Patient, INSTANCE, "2.25.1.1.1"),
        (Patient, SERIES, "2.25.1.1"),
        (Patient, STUDY, "2.25.1"),
        (Patient, ACCESSION, "A*"),
        (Patient, DATE, "20200101"),
        (Patient, MODALITY, "CT"),
        (Patient, MODALITIES, "MR"),
    ] {
        let query = relational(level, &[(tag, value), (IMAGE_TYPE, "ORIGINAL")]);
        let (_, page) = looks_and_page(&home, &query);
        assert!(page.starts_with("SCAN chosen VIRTUAL TABLE"), "{level:?} {tag} {value}: {page}");
        assert!(page.contains("SEARCH instance USING INDEX instance_by_series (series_pk=?)"), "{page}");
        assert!(!page.split("; ").any(is_whole), "{level:?} {tag} {value}: {page}");
    }
    let items = Query { relational: true, ..query_within(Study, REQUESTS, &[(STEP_ID, "S1")]) };
    assert!(looks_and_page(&home, &items).1.starts_with("SCAN chosen VIRTUAL TABLE"));
    let fuzzy = Query { fuzzy: true, ..relational(Study, &[(OPERATORS, "maier")]) };
    assert!(looks_and_page(&home, &fuzzy).1.starts_with("SCAN chosen VIRTUAL TABLE"));
    // A unique key of the level leaves one row: nothing is looked at.
    let (looks, page) = looks_and_page(&home, &relational(Study, &[(STUDY, "2.25.1"), (MODALITY, "CT")]));
    assert!(
        looks.is_empty() && page.starts_with("SEARCH study USING INDEX study_by_uid"),
        "{looks:?} {page}"
    );
}

#[test]
fn what_many_have_below_them_comes_in_the_order_of_the_answer() {
    let home = crowded();
    home.index().execute_batch(&many_series()).unwrap();
    let range = (DATE, "20200101-20200131");
    for keys in [
        &[(MODALITY, "CT")][..],
        &[(MODALITY, "CT"), range],
        &[(SOP_CLASS, "1.2.840"), range],
        &[(MODALITY, "CT"), (DESCRIPTION, "x*"), (INSTANCE_NUMBER, "1")],
    ] {
        let (_, page) = looks_and_page(&home, &relational(Study, keys));
        assert!(page.starts_with("SEARCH stream USING PRIMARY KEY (kind=? AND value=?"), "{keys:?} {page}");
        assert!(page.contains("series_by_study (study_pk=?)"), "{keys:?} {page}");
        assert!(!page.contains("TEMP B-TREE FOR ORDER BY"), "{keys:?} {page}");
    }
    for (keys, expected) in [
        (&[(MODALITY, "CT")][..], "1"),
        (&[(MODALITY, "CT"), range, (INSTANCE_NUMBER, "1")], "1"),
        (&[(MODALITY, "CT"), range, (INSTANCE_NUMBER, "2")], ""),
        (&[(MODALITY, "CT"), (SOP_CLASS, "1.2.840")], ""),
    ] {
        assert_eq!(run(found(&home, &relational(Study, keys))), expected, "{keys:?}");
    }
    for (level, key, walk) in [
        (Study, (DESCRIPTION, "*x*"), "SCAN study USING INDEX study_by_date"),
        (Study, (IMAGE_TYPE, "X"), "SCAN study USING INDEX study_by_date"),
        (Series, (IMAGE_TYPE, "X"), "SCAN series"),
        (Patient, (STUDY_DESCRIPTION, "X"), "SCAN patient"),
        (Patient, (MODALITY, "CT"), "SCAN patient"),
    ] {
        let (_, page) = looks_and_page(&home, &relational(level, &[key]));
        assert!(page.starts_with(walk), "{level:?} {key:?}: {page}");
        assert_eq!(page.split("; ").filter(|line| is_whole(line)).count(), 1, "{page}");
        assert!(!page.contains("TEMP B-TREE FOR ORDER BY"), "{level:?} {key:?}: {page}");
    }
}

#[test]
fn a_key_that_many_have_does_not_hide_one_that_few_have() {
    let home = crowded();
    home.index().execute_batch(&many_series()).unwrap();
    let list = (1..=3000).map(|n| format!("2.25.9.{n}")).collect::<Vec<_>>().join("\\");
    for keys in [[(SERIES, list.as_str()), (OPERATORS, "doe*")], [(OPERATORS, "doe*"), (SERIES, &list)]] {
        let (_, page) = looks_and_page(&home, &relational(Study, &keys));
        assert!(page.starts_with("SCAN chosen VIRTUAL TABLE"), "{page}");
    }
}

/// More series of the one study than are sorted.
fn many_series() -> String {
    "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
     INSERT INTO series SELECT 1000 + n, study_pk, '2.25.9.' || n, modality, '', '', '', '', '', '', '', '', '', '', '', '',
     '', '', '', '', '', '', '', '', 1 FROM series, n WHERE series_pk = 1"
        .to_owned()
}

#[test]
fn a_list_is_read_once_whatever_the_rows_above() {
    let home = Home::new();
    run(async {
        for study in 1..=40 {
            home.store_new(&Sample::new(study, 1, 1).with(DESCRIPTION, "Head")).await;
        }
    });
    let list = (0..1000).map(|n| format!("V{n}")).collect::<Vec<_>>().join("\\");
    let index = home.index();
    let page = crate::query::statement(&index, &relational(Study, &[(DESCRIPTION, &list)]), None).unwrap();
    let mut statement = index.prepare(&page.sql).unwrap();
    let mut rows = statement.query(rusqlite::params_from_iter(page.values)).unwrap();
    assert!(rows.next().unwrap().is_none());
    drop(rows);
    let steps = statement.get_status(StatementStatus::VmStep);
    assert!(steps < 20 * 1000, "{steps}");
}
