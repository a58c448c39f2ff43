//! New, duplicate, conflict; alone and in one transaction.

use std::sync::Arc;

use model::limits;
use tokio::sync::oneshot;

use super::*;
use crate::batch::{Batcher, Job, Work};
use crate::files::Files;
use crate::metadata::Dictionaries;
use crate::wakeups::Wakeups;
use crate::writer::Shared;

/// Commits all in one transaction: the writer is held up until they are queued.
async fn store_together(home: &Home, samples: &[Sample]) -> Vec<Result<Committed, Error>> {
    // The hour is opened by a transaction, too.
    home.store_new(&Sample::new(98, 1, 1)).await;
    let first = [Sample::new(99, 1, 1)];
    let prepared: Vec<_> = first.iter().chain(samples).map(|sample| sample.prepared(&home.archive)).collect();
    let commits =
        prepared.into_iter().map(|prepared| -> Commit<'_, _> { Box::pin(home.archive.commit(prepared)) });
    together(home, commits.collect()).await.split_off(1)
}

fn other(sample: &Sample, comment: &str) -> Sample {
    sample.clone().with(Tag(0x0020, 0x4000), comment)
}

#[test]
fn the_same_content_is_kept_once() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(async {
        home.store_new(&sample).await;
        let files = home.files();
        assert_eq!(home.store(&sample).await, Committed::Duplicate);
        assert_eq!(home.files(), files);
        assert_eq!(home.uids(&query(QueryRetrieveLevel::Image)).await, ["2.25.1.1.1"]);
    });
}

#[test]
fn the_same_bytes_in_another_transfer_syntax_are_other_content() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(async {
        home.store_new(&sample).await;
        let reencoded = sample.clone().in_syntax("1.2.840.10008.1.2.4.50");
        assert_eq!(home.store(&reencoded).await, Committed::Conflict { version: 2 });
    });
}

#[test]
fn other_content_is_kept_as_a_version_that_is_not_served() {
    let home = Home::new();
    let first = Sample::new(1, 1, 1);
    let (second, third) = (other(&first, "second"), other(&first, "third").with(SERIES, "2.25.9"));
    run(async {
        home.store_new(&first).await;
        assert_eq!(home.store(&second).await, Committed::Conflict { version: 2 });
        assert_eq!(home.store(&third).await, Committed::Conflict { version: 3 });
        for known in [&first, &second, &third] {
            assert_eq!(home.store(known).await, Committed::Duplicate);
        }
        assert_eq!(home.files().len(), 3);
        assert_eq!(home.uids(&query(QueryRetrieveLevel::Series)).await, ["2.25.1.1"]);
        let served = home.archive.instances(&first.scope(), None).await.unwrap();
        assert_eq!(std::fs::read(&served.rows[0].path).unwrap(), first.data_set());
        assert_eq!(served.rows.len(), 1);
        assert!(home.archive.instances(&third.scope(), None).await.unwrap().rows.is_empty());

        let overview = home.archive.overview().await.unwrap();
        assert_eq!((overview.instances, overview.conflicts), (1, 2));
        let versions: Vec<u32> = overview.latest_conflicts.iter().map(|conflict| conflict.version).collect();
        assert_eq!(versions, [3, 2]);
        assert_eq!(overview.recent_studies[0].instances, 1);
    });
    assert!(home.telemetry.render().contains("gantry_conflicts_total 2"));
}

#[test]
fn a_version_can_be_unpacked_whatever_it_was_packed_with() {
    let home = Home::new();
    let first = Sample::new(1, 1, 1);
    run(async {
        home.store_new(&first).await;
        home.store(&other(&first, "with the dictionary of its series")).await;
        home.store(&other(&first, "without one").with(SERIES, "2.25.9")).await;
    });
    let index = home.index();
    let mut statement = index.prepare("SELECT dictionary, json FROM conflict ORDER BY version").unwrap();
    let rows: Vec<(Option<i64>, Vec<u8>)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(rows.iter().map(|row| row.0.is_some()).collect::<Vec<_>>(), [true, false]);
    for (series_pk, packed) in rows {
        let mut unpacker = crate::retrieve::unpacker_of(&index, series_pk.unwrap_or(0)).unwrap();
        let json = unpacker.unpack(&packed, series_pk.is_some()).unwrap();
        assert!(String::from_utf8(json).unwrap().contains("2.25.1.1.1"));
    }
}

#[test]
fn one_transaction_may_hold_an_instance_its_duplicate_and_its_conflict() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    let second = other(&sample, "second");
    run(async {
        let together = [sample.clone(), sample.clone(), second.clone(), second, Sample::new(1, 1, 2)];
        let outcomes = store_together(&home, &together).await;
        assert_eq!(
            outcomes.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            [
                Committed::New,
                Committed::Duplicate,
                Committed::Conflict { version: 2 },
                Committed::Duplicate,
                Committed::New
            ]
        );
    });
    assert_eq!(home.files().len(), 5);
    assert_eq!(home.count("SELECT number_of_instances FROM study WHERE study_instance_uid = '2.25.1'"), 2);
    // One for the study that opens the hour, then one or two with the one that is held up.
    let transactions =
        |count| home.telemetry.render().contains(&format!("gantry_commit_batch_instances_count {count}\n"));
    assert!(transactions(2) || transactions(3));
}

#[test]
fn an_instance_that_cannot_be_stored_does_not_keep_others_from_it() {
    let home = Home::new();
    // Stands for whatever SQLite may refuse in one row.
    home.index()
        .execute_batch("CREATE TRIGGER refuse BEFORE INSERT ON instance WHEN NEW.sop_instance_uid = '2.25.1.1.2' BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    run(async {
        let samples: Vec<_> = (1..=4).map(|n| Sample::new(1, 1, n)).collect();
        let outcomes = store_together(&home, &samples).await;
        assert!(matches!(outcomes.as_slice(), [Ok(Committed::New), Err(Error::Index(_)), Ok(_), Ok(_)]));
        let kept = home.uids(&query_for(QueryRetrieveLevel::Image, &[(STUDY, "2.25.1")])).await;
        assert_eq!(kept, ["2.25.1.1.1", "2.25.1.1.3", "2.25.1.1.4"]);
    });
    assert_eq!(home.files().len(), 5);
    assert_eq!(
        home.count("SELECT number_of_instances FROM series WHERE series_instance_uid = '2.25.1.1'"),
        3
    );
}

#[test]
fn a_refused_first_instance_leaves_nothing_of_its_series() {
    let home = Home::new();
    home.index()
        .execute_batch("CREATE TRIGGER refuse BEFORE INSERT ON metadata BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    run(async {
        let refused = home.archive.commit(Sample::new(1, 1, 1).prepared(&home.archive)).await;
        assert!(matches!(refused, Err(Error::Index(_))));
        home.index().execute_batch("DROP TRIGGER refuse").unwrap();
        assert!(home.uids(&query(QueryRetrieveLevel::Study)).await.is_empty());
        home.store_new(&Sample::new(1, 1, 1)).await;
        assert_eq!(home.uids(&query(QueryRetrieveLevel::Study)).await, ["2.25.1"]);
    });
    assert_eq!(home.count("SELECT number_of_series FROM study"), 1);
}

#[test]
fn a_commit_in_doubt_is_acknowledged_to_nobody_and_keeps_its_file() {
    let home = Home::new();
    // A foreign key that is checked at COMMIT makes that statement fail, as the disk might.
    home.index()
        .execute_batch(
            "CREATE TABLE doubt (it INTEGER REFERENCES instance (instance_pk) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER doubt AFTER INSERT ON instance BEGIN INSERT INTO doubt VALUES (-1); END",
        )
        .unwrap();
    let sample = Sample::new(1, 1, 1);
    run(async {
        let outcome = home.archive.commit(sample.prepared(&home.archive)).await;
        assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))));
        assert_eq!(home.files().len(), 1);
        assert!(home.uids(&query(QueryRetrieveLevel::Image)).await.is_empty());
        home.index().execute_batch("DROP TRIGGER doubt").unwrap();
        home.store_new(&sample).await;
        home.archive.close().await.unwrap();
    });
    assert_eq!(home.files().len(), 2);
    let home = home.reopen();
    assert_eq!(home.files().len(), 1);
    assert_eq!(run(home.archive.instances(&sample.scope(), None)).unwrap().rows[0].path, home.files()[0]);
}

#[test]
fn a_folder_that_cannot_be_synced_refuses_its_instances_only() {
    let home = Home::new();
    let prepared = Sample::new(1, 1, 1).prepared(&home.archive);
    let folder = home.files()[0].parent().unwrap().to_owned();
    std::fs::rename(&folder, folder.with_file_name("elsewhere")).unwrap();
    run(async {
        assert!(matches!(home.archive.commit(prepared).await, Err(Error::Io { .. })));
        std::fs::rename(folder.with_file_name("elsewhere"), &folder).unwrap();
        assert!(home.uids(&query(QueryRetrieveLevel::Image)).await.is_empty());
        home.store_new(&Sample::new(1, 1, 2)).await;
    });
}

#[test]
fn the_transfer_syntaxes_of_each_class_are_known_after_a_restart_too() {
    const JPEG: &str = "1.2.840.10008.1.2.4.50";
    let home = Home::new();
    let of = |home: &Home, class: &str| {
        let found = home.archive.transfer_syntaxes_of(&SopClassUid::lenient(class).unwrap());
        let mut found: Vec<_> =
            found.iter().map(|(syntax, instances)| (syntax.to_string(), *instances)).collect();
        found.sort();
        found
    };
    run(async {
        let sample = Sample::new(1, 1, 1);
        let class = sample.prepared(&home.archive).ids.sop_class.to_string();
        assert_eq!(of(&home, &class), []);
        home.store_new(&sample).await;
        home.store_new(&Sample::new(1, 1, 2)).await;
        assert_eq!(of(&home, &class), [(EXPLICIT_VR_LITTLE_ENDIAN.to_owned(), 2)]);
        home.store_new(&Sample::new(1, 1, 3).in_syntax(JPEG)).await;
        let all = [(EXPLICIT_VR_LITTLE_ENDIAN.to_owned(), 2), (JPEG.to_owned(), 1)];
        assert_eq!(of(&home, &class), all);
        let home = home.reopen();
        assert_eq!(of(&home, &class), all);
        assert_eq!(home.store(&Sample::new(1, 1, 2)).await, Committed::Duplicate);
        assert_eq!(of(&home, &class), all, "there are no more of them");
        assert_eq!(of(&home, "1.2.3"), []);
    });
}

#[test]
fn a_full_index_refuses_all_and_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let connection = crate::schema::open_writer(&folder.path().join("index.sqlite"), true).unwrap();
    let files = Arc::new(Files::open(folder.path()).unwrap());
    let dictionaries = Arc::new(Dictionaries::new());
    let shared = Shared {
        files: files.clone(),
        dictionaries: dictionaries.clone(),
        kinds: Arc::default(),
        telemetry: Telemetry::new(),
        wakeups: Arc::new(Wakeups::default()),
    };
    let mut batcher = Batcher::new(&connection, &shared);
    let mut commit = |instances: std::ops::Range<u32>| -> Vec<Result<Committed, Error>> {
        let prepare = |n| {
            let sample = Sample::new(1, 1, n).with(Tag(0x0010, 0x4000), &"x".repeat(4000));
            sample.prepared_by(files.spool(|_| Ok(())).unwrap(), |received| {
                Prepared::new(received, &dictionaries)
            })
        };
        let (jobs, answers): (Vec<_>, Vec<_>) = instances
            .map(|n| {
                let (reply, answer) = oneshot::channel();
                (Work::Instance(Job { instance: prepare(n), reply }), answer)
            })
            .unzip();
        batcher.commit(jobs);
        answers.into_iter().map(|answer| answer.blocking_recv().unwrap().outcome).collect()
    };
    assert!(commit(1..2).iter().all(|outcome| matches!(outcome, Ok(Committed::New))));
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages).unwrap();
    assert!(commit(2..100).iter().all(|outcome| matches!(outcome, Err(Error::NoSpace))));
    assert_eq!(files_below(&folder.path().join("instances")).len(), 1);
    connection.pragma_update(None, "max_page_count", pages * 100).unwrap();
    assert!(commit(2..100).iter().all(|outcome| matches!(outcome, Ok(Committed::New))));
    assert_eq!(files_below(&folder.path().join("instances")).len(), 99);
}

#[test]
fn attributes_that_the_json_has_no_room_for_are_counted() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    assert_eq!(sample.prepared(&home.archive).omitted(), 0);
    // Each character takes six in JSON.
    let mut long = sample.data_set();
    for number in 0..100 {
        let value = [1; limits::INLINE_TEXT_BYTES as usize];
        put(&mut long, Encoding::ExplicitLittle, Tag(0x7001, 0x1000 + number), Vr::UT, &value);
    }
    let header = scan(form(EXPLICIT_VR_LITTLE_ENDIAN), &long).unwrap();
    assert_eq!(header.omitted(), 0);
    let header = std::cell::Cell::new(Some(header));
    let prepared = sample.prepared_by(home.archive.spool().unwrap(), |received| {
        home.archive.prepare(NewInstance { header: header.take().unwrap(), ..received })
    });
    let fitting = limits::JSON_BYTES.div_ceil(6 * limits::INLINE_TEXT_BYTES as usize);
    assert_eq!(usize::try_from(prepared.omitted()).unwrap(), 100 - fitting);
}

#[test]
fn files_that_are_not_committed_go_away() {
    let home = Home::new();
    let mut spool = home.archive.spool().unwrap();
    spool.append(b"half").unwrap();
    assert_eq!(home.files().len(), 1);
    drop(spool);
    assert!(home.files().is_empty());
    drop(Sample::new(1, 1, 1).prepared(&home.archive));
    assert!(home.files().is_empty());
}

#[test]
fn files_lie_in_the_folder_of_their_hour_under_names_of_their_own() {
    let home = Home::new();
    run(async {
        for n in 1..=3 {
            home.store_new(&Sample::new(1, 1, n)).await;
        }
    });
    let files = home.files();
    assert_eq!(files.len(), 3);
    for file in files {
        let relative = file.strip_prefix(home.folder.path().join("instances")).unwrap();
        let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [4, 2, 2, 2, 20]);
        assert!(parts[4].ends_with(".dcm"));
    }
}
