//! What a selection takes in, and its pages.

use std::sync::Arc;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::query::Selection;
use model::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, limits};

use super::*;
use crate::Selected;
use crate::selected::{of_series, statement};

/// Lists of UIDs: studies, series, instances.
fn selection(level: QueryRetrieveLevel, patient_id: &str, uids: [&[&str]; 3]) -> Selection {
    let [studies, series, instances] = uids;
    Selection {
        level,
        patient_id: (!patient_id.is_empty()).then(|| patient_id.to_owned()),
        issuer_of_patient_id: None,
        studies: studies.iter().map(|uid| StudyInstanceUid::lenient(uid).unwrap()).collect(),
        series: series.iter().map(|uid| SeriesInstanceUid::lenient(uid).unwrap()).collect(),
        instances: instances.iter().map(|uid| SopInstanceUid::lenient(uid).unwrap()).collect(),
    }
}

async fn rest(home: &Home, selected: &Arc<Selected>, mut next: Option<Cursor>) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = home.archive.selected(selected, next).await.unwrap();
        assert!(page.rows.len() <= limits::PAGE_ROWS as usize);
        found.extend(page.rows.into_iter().map(|instance| instance.ids.sop_instance.as_str().to_owned()));
        next = page.next;
        if next.is_none() {
            return found;
        }
    }
}

/// The instances, less what all of them begin with; their number is told beforehand.
async fn instances(home: &Home, selection: &Selection) -> Vec<String> {
    let selected = home.archive.select(selection).await.unwrap();
    let found = rest(home, &selected, None).await;
    assert_eq!(selected.instances(), found.len() as u64, "{selection:?}");
    found.iter().map(|uid| uid.strip_prefix("2.25.").unwrap().to_owned()).collect()
}

#[test]
fn all_keys_narrow_and_a_list_widens() {
    let home = Home::new();
    run(async {
        for (study, series, instance) in [(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1), (3, 1, 1)] {
            let patient = if study == 3 { "P3" } else { "P1" };
            let issuer = if study == 2 { "B" } else { "A" };
            let sample = Sample::new(study, series, instance).with(PATIENT_ID, patient);
            home.store_new(&sample.with(ISSUER, issuer)).await;
        }
        for (level, patient, uids, expected) in [
            (Patient, "P1", [&[][..], &[], &[]], &["1.1.1", "1.1.2", "1.2.1", "2.1.1"][..]),
            (Patient, "P3", [&[], &[], &[]], &["3.1.1"]),
            (Patient, "P*", [&[], &[], &[]], &[]),
            (Study, "", [&["2.25.1"], &[], &[]], &["1.1.1", "1.1.2", "1.2.1"]),
            (Study, "", [&["2.25.3", "2.25.2", "2.25.4"], &[], &[]], &["2.1.1", "3.1.1"]),
            (Study, "P3", [&["2.25.3", "2.25.2"], &[], &[]], &["3.1.1"]),
            (Series, "", [&[], &["2.25.1.1", "2.25.3.1"], &[]], &["1.1.1", "1.1.2", "3.1.1"]),
            (Series, "", [&["2.25.3"], &["2.25.1.1", "2.25.3.1"], &[]], &["3.1.1"]),
            (Series, "P1", [&["2.25.3"], &["2.25.3.1"], &[]], &[]),
            (Image, "", [&[], &[], &["2.25.3.1.1", "2.25.1.1.2", "2.25.9"]], &["1.1.2", "3.1.1"]),
            (Image, "P1", [&[], &["2.25.1.1"], &["2.25.3.1.1", "2.25.1.1.2"]], &["1.1.2"]),
            (Image, "", [&["2.25.2"], &["2.25.1.1"], &["2.25.1.1.2"]], &[]),
        ] {
            assert_eq!(
                instances(&home, &selection(level, patient, uids)).await,
                expected,
                "{level:?} {uids:?}"
            );
        }
        let of_site = Selection {
            issuer_of_patient_id: Some("B".to_owned()),
            ..selection(Patient, "P1", [&[], &[], &[]])
        };
        assert_eq!(instances(&home, &of_site).await, ["2.1.1"]);
    });
}

#[test]
fn an_instance_comes_with_all_that_its_sending_takes() {
    let home = Home::new();
    run(async {
        let sample = Sample::new(1, 1, 1);
        home.store_new(&sample).await;
        for wanted in
            [selection(Study, "", [&["2.25.1"], &[], &[]]), selection(Image, "", [&[], &[], &["2.25.1.1.1"]])]
        {
            let selected = home.archive.select(&wanted).await.unwrap();
            let found = home.archive.selected(&selected, None).await.unwrap().rows.remove(0);
            assert_eq!(found.ids, sample.ids());
            assert_eq!(found.transfer_syntax.as_str(), EXPLICIT_VR_LITTLE_ENDIAN);
            assert_eq!(std::fs::read(found.path).unwrap(), sample.data_set());
        }
    });
}

#[test]
fn pages_are_bounded_and_what_comes_later_does_not_belong() {
    const COUNT: u32 = 2 * limits::PAGE_ROWS + 10;
    let home = Home::new();
    run(async {
        for n in 1..=COUNT {
            home.store_new(&Sample::new(1, 1 + n % 3, n)).await;
        }
        for wanted in [
            selection(Study, "", [&["2.25.1"], &[], &[]]),
            selection(Series, "", [&[], &["2.25.1.1", "2.25.1.2", "2.25.1.3"], &[]]),
        ] {
            let selected = home.archive.select(&wanted).await.unwrap();
            let page = home.archive.selected(&selected, None).await.unwrap();
            let first = page.rows.len();
            assert_eq!(first, limits::PAGE_ROWS as usize);
            let late = home.count("SELECT count(*) FROM instance") as u32 + 1;
            for series in 1..=3 {
                home.store_new(&Sample::new(1, series, late + series)).await;
            }
            let rest = rest(&home, &selected, page.next).await;
            assert_eq!((first + rest.len()) as u64, selected.instances());
            assert_eq!(instances(&home, &wanted).await.len() as u64, selected.instances() + 3);
        }
        let named: Vec<_> = (1..=COUNT).map(|n| format!("2.25.1.{}.{n}", 1 + n % 3)).collect();
        let named: Vec<_> = named.iter().map(String::as_str).collect();
        let found = instances(&home, &selection(Image, "", [&[], &[], &named])).await;
        assert_eq!(found.len(), COUNT as usize);
    });
}

#[test]
fn the_most_narrow_key_is_looked_up() {
    let home = Home::new();
    run(async {
        for n in 1..=30 {
            home.store_new(&Sample::new(n, 1, 1)).await;
        }
    });
    let index = home.index();
    let plan = |sql: &str, values: Vec<rusqlite::types::Value>| {
        let mut explained = index.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = explained
            .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3))
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        lines.join("; ")
    };
    let all: [&[&str]; 3] = [&["2.25.1"], &["2.25.1.1"], &["2.25.1.1.1"]];
    let [study, series, instance] = all;
    for (level, uids, expected) in [
        (Patient, [&[][..], &[], &[]], "study_by_patient_id (patient_id=?)"),
        (Study, [study, &[], &[]], "study_by_uid (study_instance_uid=?)"),
        (Series, [study, series, &[]], "series_by_uid (series_instance_uid=?)"),
        (Image, [study, series, instance], "instance_by_uid (sop_instance_uid=?)"),
    ] {
        let (sql, values) = statement(&selection(level, "P1", uids));
        let plan = plan(&sql, values);
        assert!(plan.split(";").next().unwrap().contains(expected), "{level:?}: {plan}");
        for table in ["study", "series", "instance", "patient"] {
            assert!(!plan.contains(&format!("SCAN {table}")), "{level:?}: {plan}");
        }
    }
    let plan = plan(&of_series(), vec![1.into(), 0.into(), 9.into()]);
    assert!(plan.contains("instance_by_series (series_pk=? AND rowid>? AND rowid<?)"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}
