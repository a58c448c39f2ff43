//! Instances and metadata of a scope.

use super::*;

fn scope(study: &str, series: Option<&str>, instance: Option<&str>) -> Scope {
    Scope {
        study: StudyInstanceUid::lenient(study).unwrap(),
        series: series.map(|uid| SeriesInstanceUid::lenient(uid).unwrap()),
        instance: instance.map(|uid| SopInstanceUid::lenient(uid).unwrap()),
    }
}

async fn instances(home: &Home, scope: &Scope) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = home.archive.instances(scope, next).await.unwrap();
        found.extend(page.rows.into_iter().map(|instance| instance.ids.sop_instance.as_str().to_owned()));
        next = page.next;
        if next.is_none() {
            return found;
        }
    }
}

async fn metadata(home: &Home, scope: &Scope) -> Vec<serde_json::Value> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = home.archive.metadata(scope, next).await.unwrap();
        found.extend(page.rows.into_iter().map(|json| serde_json::from_slice(&json).unwrap()));
        next = page.next;
        if next.is_none() {
            return found;
        }
    }
}

#[test]
fn a_scope_takes_in_what_is_below_it() {
    let home = Home::new();
    run(async {
        for (study, series, instance) in [(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1)] {
            home.store_new(&Sample::new(study, series, instance)).await;
        }
        let study = scope("2.25.1", None, None);
        assert_eq!(instances(&home, &study).await, ["2.25.1.1.1", "2.25.1.1.2", "2.25.1.2.1"]);
        assert_eq!(metadata(&home, &study).await.len(), 3);
        let series = scope("2.25.1", Some("2.25.1.1"), None);
        assert_eq!(instances(&home, &series).await, ["2.25.1.1.1", "2.25.1.1.2"]);
        let instance = scope("2.25.1", Some("2.25.1.2"), Some("2.25.1.2.1"));
        assert_eq!(instances(&home, &instance).await, ["2.25.1.2.1"]);
        let instance = scope("2.25.1", None, Some("2.25.1.2.1"));
        assert_eq!(metadata(&home, &instance).await[0]["00080018"]["Value"][0], "2.25.1.2.1");
        for unknown in [
            scope("2.25.3", None, None),
            scope("2.25.2", Some("2.25.1.1"), None),
            scope("2.25.1", Some("2.25.1.1"), Some("2.25.1.2.1")),
        ] {
            assert!(instances(&home, &unknown).await.is_empty());
            assert!(metadata(&home, &unknown).await.is_empty());
        }
    });
}

#[test]
fn an_instance_comes_back_with_all_that_was_said_of_it() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1).with(Tag(0x0028, 0x0008), "3");
    run(async {
        home.store_new(&sample).await;
        let found = home.archive.instances(&sample.scope(), None).await.unwrap().rows.remove(0);
        let data_set = sample.data_set();
        assert_eq!(found.ids, sample.ids());
        assert_eq!(found.transfer_syntax.as_str(), EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!((found.data_offset, found.length), (0, u64::try_from(data_set.len()).unwrap()));
        assert_eq!(found.sha256, <[u8; 32]>::from(Sha256::digest(&data_set)));
        assert_eq!(found.crc64, Some(crc64_of(&data_set)));
        assert_eq!(found.number_of_frames, Some(3));
        assert_eq!(std::fs::read(found.path).unwrap(), data_set);
    });
}

#[test]
fn metadata_comes_back_with_and_without_the_series_dictionary() {
    let home = Home::new();
    let check = async |home: &Home, instances: usize| {
        let found = metadata(home, &scope("2.25.1", None, None)).await;
        let numbers: Vec<_> =
            found.iter().map(|json| json["00200013"]["Value"][0].as_i64().unwrap()).collect();
        assert_eq!(numbers, (1..=i64::try_from(instances).unwrap()).collect::<Vec<_>>());
    };
    run(async {
        for n in 1..=3 {
            home.store_new(&Sample::new(1, 1, n)).await;
        }
        check(&home, 3).await;
    });
    // The first after a start is packed without dictionary, the next one with that of the index.
    let home = home.reopen();
    run(async {
        for n in 4..=5 {
            home.store_new(&Sample::new(1, 1, n)).await;
        }
        check(&home, 5).await;
    });
    let index = home.index();
    let mut statement = index.prepare("SELECT dictionary FROM metadata ORDER BY instance_pk").unwrap();
    let dictionaries: Vec<i64> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(dictionaries, [0, 1, 1, 0, 1]);
}

#[test]
fn pages_are_bounded_in_rows_and_in_bytes() {
    let home = Home::new();
    let rows = usize::try_from(model::limits::PAGE_ROWS).unwrap();
    run(async {
        for n in 1..=u32::try_from(rows).unwrap() + 1 {
            home.store_new(&Sample::new(1, 1 + n % 2, n)).await;
        }
        let study = scope("2.25.1", None, None);
        let page = home.archive.instances(&study, None).await.unwrap();
        assert_eq!(page.rows.len(), rows);
        assert_eq!(home.archive.instances(&study, page.next).await.unwrap().rows.len(), 1);
        assert_eq!(metadata(&home, &study).await.len(), rows + 1);

        let long = "x".repeat(60_000);
        for n in 1..=100 {
            home.store_new(&Sample::new(2, 1, n).with(Tag(0x0010, 0x4000), &long)).await;
        }
        let page = home.archive.metadata(&scope("2.25.2", None, None), None).await.unwrap();
        assert!(page.rows.len() < 100 && page.next.is_some());
        assert_eq!(metadata(&home, &scope("2.25.2", None, None)).await.len(), 100);
    });
}

#[test]
fn odd_uids_are_found_as_they_are_and_by_their_path_component() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1).with(STUDY, "study/../1").with(SERIES, "séries").with(INSTANCE, "x");
    let ids = sample.ids();
    run(async {
        home.store_new(&sample).await;
        assert_eq!(instances(&home, &sample.scope()).await, ["x"]);
        let component = scope(
            &ids.study.path_component(),
            Some(&ids.series.path_component()),
            Some(&ids.sop_instance.path_component()),
        );
        assert_eq!(instances(&home, &component).await, ["x"]);
        let found = home.archive.instances(&component, None).await.unwrap().rows.remove(0);
        assert_eq!(found.ids, ids);
        assert_eq!(metadata(&home, &component).await.len(), 1);
        let by_component = query_for(QueryRetrieveLevel::Series, &[(STUDY, &ids.study.path_component())]);
        assert_eq!(home.uids(&by_component).await, ["séries"]);
    });
}

#[test]
fn bulk_data_is_referred_to_by_the_paths_of_the_web_service() {
    let home = Home::new();
    let sample =
        Sample::new(1, 1, 1).with(INSTANCE, "odd uid").with(Tag(0x0010, 0x4000), &"x".repeat(70_000));
    run(async {
        home.store_new(&sample).await;
        let json = metadata(&home, &sample.scope()).await;
        let component = sample.ids().sop_instance.path_component().into_owned();
        assert_eq!(
            json[0]["00104000"]["BulkDataURI"],
            format!("/dicom-web/studies/2.25.1/series/2.25.1.1/instances/{component}/bulkdata/00104000")
        );
    });
}
