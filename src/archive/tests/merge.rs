//! Patients, studies and series from what their instances say.

use super::*;

const SEX: Tag = Tag(0x0010, 0x0040);
const DESCRIPTION: Tag = Tag(0x0008, 0x1030);
const BODY_PART: Tag = Tag(0x0018, 0x0015);

/// Patients as (ID, issuer, name, studies, series, instances).
fn patients(home: &Home) -> Vec<(String, String, String, i64, i64, i64)> {
    let index = home.index();
    let mut statement = index
        .prepare(
            "SELECT patient_id, issuer_of_patient_id, patient_name, number_of_studies, number_of_series, number_of_instances
             FROM patient ORDER BY patient_id, issuer_of_patient_id, patient_pk",
        )
        .unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

fn patient(id: &str, issuer: &str, name: &str, counts: [i64; 3]) -> (String, String, String, i64, i64, i64) {
    (id.into(), issuer.into(), name.into(), counts[0], counts[1], counts[2])
}

/// The counters of all tables are what the rows say.
fn check_counters(home: &Home) {
    for wrong in [
        "SELECT count(*) FROM series WHERE number_of_instances <>
            (SELECT count(*) FROM instance WHERE instance.series_pk = series.series_pk)",
        "SELECT count(*) FROM study WHERE number_of_series <>
            (SELECT count(*) FROM series WHERE series.study_pk = study.study_pk)",
        "SELECT count(*) FROM study WHERE number_of_instances <>
            (SELECT sum(number_of_instances) FROM series WHERE series.study_pk = study.study_pk)",
        "SELECT count(*) FROM patient WHERE (number_of_studies, number_of_series, number_of_instances) <>
            (SELECT count(*), sum(number_of_series), sum(number_of_instances) FROM study
             WHERE study.patient_pk = patient.patient_pk)",
        "SELECT count(*) FROM total WHERE (patients, studies, series, instances) <>
            ((SELECT count(*) FROM patient), (SELECT count(*) FROM study), (SELECT count(*) FROM series),
             (SELECT count(*) FROM instance))",
    ] {
        assert_eq!(home.count(wrong), 0, "{wrong}");
    }
}

fn disagreements(home: &Home) -> u64 {
    run(home.archive.overview()).unwrap().disagreements
}

#[test]
fn the_first_value_wins_and_later_ones_fill_in() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1).without(NAME).with(BODY_PART, "HEAD")).await;
        home.store_new(&Sample::new(1, 1, 2).with(SEX, "F").with(DESCRIPTION, "first")).await;
        home.store_new(
            &Sample::new(1, 1, 3).with(SEX, "F").with(DESCRIPTION, "second").with(BODY_PART, "NECK"),
        )
        .await;
        home.store_new(&Sample::new(1, 1, 4).without(NAME).without(SEX).without(BODY_PART)).await;
        let mut study = query_for(QueryRetrieveLevel::Series, &[(NAME, "doe*")]);
        study.include.tags.extend([SEX, DESCRIPTION, BODY_PART]);
        let rows = home.all(&study).await;
        let value = |tag| rows[0].attributes.first(tag);
        assert_eq!(
            [value(NAME), value(SEX), value(DESCRIPTION), value(BODY_PART)].map(Option::unwrap),
            ["Doe^Jane", "F", "first", "HEAD"]
        );
    });
    assert_eq!(disagreements(&home), 1);
    assert_eq!(home.count("SELECT disagreements FROM study"), 1);
    assert!(home.telemetry.render().contains("gantry_attribute_disagreements_total 1"));
    check_counters(&home);
}

#[test]
fn names_that_differ_in_writing_only_agree() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1)).await;
        home.store_new(&Sample::new(1, 1, 2).with(NAME, "DOE^JANE^^")).await;
    });
    assert_eq!(disagreements(&home), 0);
    run(async {
        home.store_new(&Sample::new(1, 1, 3).with(NAME, "Roe^Jane")).await;
    });
    assert_eq!(disagreements(&home), 1);
}

#[test]
fn every_disagreeing_instance_counts_also_when_the_last_one_said_the_same() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1)).await;
        home.store_new(&Sample::new(1, 1, 2).with(NAME, "Roe")).await;
        home.store_new(&Sample::new(1, 1, 3).with(NAME, "Roe")).await;
        home.store_new(&Sample::new(1, 1, 4)).await;
    });
    assert_eq!(disagreements(&home), 2);
}

#[test]
fn a_patient_is_an_id_and_its_issuer() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1)).await;
        home.store_new(&Sample::new(2, 1, 1).with(SEX, "F")).await;
        home.store_new(&Sample::new(3, 1, 1).with(ISSUER, "X")).await;
        home.store_new(&Sample::new(4, 1, 1).with(PATIENT_ID, "P2").with(NAME, "Roe")).await;
    });
    assert_eq!(
        patients(&home),
        [
            patient("P1", "", "Doe^Jane", [2, 2, 2]),
            patient("P1", "X", "Doe^Jane", [1, 1, 1]),
            patient("P2", "", "Roe", [1, 1, 1])
        ]
    );
    check_counters(&home);
}

#[test]
fn without_an_id_each_study_has_its_own_patient() {
    let home = Home::new();
    run(async {
        for study in [1, 2] {
            home.store_new(&Sample::new(study, 1, 1).without(PATIENT_ID)).await;
            home.store_new(&Sample::new(study, 2, 1).without(PATIENT_ID).with(ISSUER, "of nobody")).await;
        }
    });
    let nobody = patient("", "", "Doe^Jane", [1, 2, 2]);
    assert_eq!(patients(&home), [nobody.clone(), nobody]);
    check_counters(&home);
}

#[test]
fn a_study_moves_to_its_patient_once_that_is_known() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1)).await;
        home.store_new(&Sample::new(2, 1, 1).without(PATIENT_ID)).await;
        home.store_new(&Sample::new(2, 2, 1).without(PATIENT_ID).without(NAME)).await;
        assert_eq!(patients(&home).len(), 2);
        home.store_new(&Sample::new(2, 1, 2)).await;
        assert_eq!(patients(&home), [patient("P1", "", "Doe^Jane", [2, 3, 4])]);
        home.store_new(&Sample::new(2, 2, 2).without(PATIENT_ID).without(NAME)).await;
        assert_eq!(patients(&home), [patient("P1", "", "Doe^Jane", [2, 3, 5])]);
        let by_name = query_for(QueryRetrieveLevel::Patient, &[(NAME, "doe^jane")]);
        assert_eq!(home.all(&by_name).await.len(), 1);
    });
    assert_eq!(disagreements(&home), 0);
    check_counters(&home);
}

#[test]
fn a_study_brings_along_what_it_has_of_its_patient() {
    let home = Home::new();
    const OTHER_NAMES: Tag = Tag(0x0010, 0x1001);
    const OTHER_IDS: Tag = Tag(0x0010, 0x1002);
    run(async {
        home.store_new(&Sample::new(1, 1, 1).without(NAME)).await;
        let nobody = Sample::new(2, 1, 1).without(PATIENT_ID).with(SEX, "F").with(OTHER_NAMES, "Roe^Jane");
        home.store_new(&nobody.with_item(OTHER_IDS, &[(PATIENT_ID, "X")])).await;
        // Says who it is, and nothing else.
        home.store_new(&Sample::new(2, 1, 2).without(NAME)).await;
        assert_eq!(patients(&home), [patient("P1", "", "Doe^Jane", [2, 2, 3])]);
        assert_eq!(home.count("SELECT count(*) FROM patient WHERE patient_sex = 'F'"), 1);
        for key in [(NAME, "doe*"), (OTHER_NAMES, "roe*"), (SEX, "F")] {
            assert_eq!(home.all(&query_for(QueryRetrieveLevel::Patient, &[key])).await.len(), 1, "{key:?}");
        }
        let item = query_within(QueryRetrieveLevel::Patient, OTHER_IDS, &[(PATIENT_ID, "X")]);
        assert_eq!(home.all(&item).await.len(), 1);
    });
    check_counters(&home);
}

#[test]
fn an_issuer_that_comes_late_parts_patients() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1)).await;
        home.store_new(&Sample::new(1, 1, 2).with(ISSUER, "X")).await;
        assert_eq!(patients(&home), [patient("P1", "X", "Doe^Jane", [1, 1, 2])]);
        home.store_new(&Sample::new(2, 1, 1)).await;
        home.store_new(&Sample::new(3, 1, 1)).await;
        home.store_new(&Sample::new(3, 1, 2).with(ISSUER, "Y")).await;
    });
    assert_eq!(
        patients(&home),
        [
            patient("P1", "", "Doe^Jane", [1, 1, 1]),
            patient("P1", "X", "Doe^Jane", [1, 1, 2]),
            patient("P1", "Y", "Doe^Jane", [1, 1, 2])
        ]
    );
    check_counters(&home);
}

#[test]
fn what_an_instance_says_of_another_patient_is_not_taken() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1)).await;
        home.store_new(
            &Sample::new(1, 1, 2).with(PATIENT_ID, "P2").with(SEX, "M").with(DESCRIPTION, "taken"),
        )
        .await;
    });
    assert_eq!(patients(&home), [patient("P1", "", "Doe^Jane", [1, 1, 2])]);
    assert_eq!(
        home.count("SELECT count(*) FROM study WHERE patient_sex = '' AND study_description = 'taken'"),
        1
    );
    assert_eq!(disagreements(&home), 1);
}

#[test]
fn a_series_uid_in_two_studies_is_two_series() {
    let home = Home::new();
    run(async {
        home.store_new(&Sample::new(1, 1, 1).with(SERIES, "2.25.7")).await;
        home.store_new(&Sample::new(2, 1, 1).with(SERIES, "2.25.7")).await;
        assert_eq!(home.uids(&query_for(QueryRetrieveLevel::Series, &[(SERIES, "2.25.7")])).await.len(), 2);
        let one = query_for(QueryRetrieveLevel::Image, &[(STUDY, "2.25.2"), (SERIES, "2.25.7")]);
        assert_eq!(home.uids(&one).await, ["2.25.2.1.1"]);
    });
    check_counters(&home);
}

#[test]
fn values_are_kept_at_a_bounded_length() {
    let home = Home::new();
    let long = "é".repeat(20_000);
    run(async {
        home.store_new(&Sample::new(1, 1, 1).with(PATIENT_ID, &long).with(NAME, &long)).await;
        home.store_new(&Sample::new(1, 1, 2).with(PATIENT_ID, &long).with(NAME, &long)).await;
    });
    assert_eq!(home.count("SELECT length(patient_id) FROM study"), 1024);
    assert_eq!(home.count("SELECT max(length(value)) FROM term"), 256);
    assert_eq!(disagreements(&home), 0);
}

#[test]
fn every_attribute_has_its_column() {
    let home = Home::new();
    for attribute in crate::attribute::ATTRIBUTES {
        use crate::attribute::Kind;
        let tables: &[&str] = match attribute.level {
            QueryRetrieveLevel::Patient if attribute.is_from_header() => &["patient", "study"],
            QueryRetrieveLevel::Patient => &["patient"],
            QueryRetrieveLevel::Study => &["study"],
            QueryRetrieveLevel::Series => &["series"],
            QueryRetrieveLevel::Image => &["instance"],
        };
        if !matches!(attribute.kind, Kind::Terms(_) | Kind::Constant(_)) {
            for table in tables {
                home.index().prepare(&format!("SELECT {} FROM {table}", attribute.column)).unwrap();
            }
        }
        assert_eq!(vr::of_tag(attribute.tag, false), attribute.vr, "{}", attribute.column);
        let same = crate::attribute::ATTRIBUTES.iter().filter(|other| other.tag == attribute.tag).count();
        assert_eq!(same, 1, "{}", attribute.column);
    }
}
