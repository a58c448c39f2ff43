//! What a start finds after an end without [`Archive::close`].

use std::fs;

use super::*;

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(home.store_new(&sample));
    let home = home.reopen();
    run(async {
        let found = home.archive.instances(&sample.scope(), None).await.unwrap();
        assert_eq!(fs::read(&found.rows[0].path).unwrap(), sample.data_set());
        assert_eq!(home.archive.overview().await.unwrap().damaged_files, 0);
        assert_eq!(home.store(&sample).await, Committed::Duplicate);
    });
}

#[test]
fn files_without_a_row_are_set_aside_and_nothing_else_is() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let kept = home.files();
    let folder = kept[0].parent().unwrap().to_owned();
    let half = home.archive.spool().unwrap();
    let prepared = Sample::new(1, 1, 2).prepared(&home.archive);
    assert_eq!(home.files().len(), 3);
    // A crash runs no destructors.
    std::mem::forget((half, prepared));
    fs::write(folder.join("note.txt"), "of an operator").unwrap();
    let home = home.reopen();
    assert_eq!(home.files(), [kept[0].clone(), folder.join("note.txt")]);
    assert_eq!(set_aside(home.folder.path()), [vec![], Sample::new(1, 1, 2).data_set()]);
}

#[test]
fn what_a_copy_of_the_same_start_does_not_know_is_set_aside() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let index = home.folder.path().join("index.sqlite");
    let copy = home.folder.path().join("copy");
    home.index().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let second = Sample::new(2, 1, 1);
    run(home.store_new(&second));
    let home = home.reopen_after(|data_dir| {
        for log in ["index.sqlite-wal", "index.sqlite-shm"] {
            fs::remove_file(data_dir.join(log)).ok();
        }
        fs::rename(&copy, &index).unwrap();
    });
    assert_eq!((home.files().len(), set_aside(home.folder.path())), (1, vec![second.data_set()]));
}

#[test]
fn a_row_without_its_file_is_reported_until_the_file_is_back() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(home.store_new(&sample));
    let file = home.files()[0].clone();
    let bytes = fs::read(&file).unwrap();
    let damaged = |home: &Home| run(home.archive.overview()).unwrap().damaged_files;

    let home = home.reopen_after(|_| fs::remove_file(&file).unwrap());
    assert_eq!(damaged(&home), 1);
    assert_eq!(run(home.uids(&query(QueryRetrieveLevel::Image))).len(), 1);
    // Also when the hour is looked at no more.
    run(home.archive.close()).unwrap();
    let home = home.reopen();
    assert_eq!(damaged(&home), 1);
    let home = home.reopen_after(|_| fs::write(&file, &bytes[1..]).unwrap());
    assert_eq!(damaged(&home), 1);
    let home = home.reopen_after(|_| fs::write(&file, &bytes).unwrap());
    assert_eq!(damaged(&home), 0);
}

#[test]
fn a_file_cut_short_behind_our_back_is_reported() {
    let home = Home::new();
    let (first, second) = (Sample::new(1, 1, 1), Sample::new(1, 1, 1).with(ACCESSION, "other"));
    run(async {
        home.store_new(&first).await;
        assert_eq!(home.store(&second).await, Committed::Conflict { version: 2 });
    });
    let files = home.files();
    let home = home.reopen_after(|_| {
        for file in &files {
            fs::write(file, "short").unwrap();
        }
    });
    assert_eq!(run(home.archive.overview()).unwrap().damaged_files, 2);
}

#[test]
fn after_a_clean_end_no_folder_is_looked_at() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let file = home.files()[0].clone();
    run(home.archive.close()).unwrap();
    let home = home.reopen_after(|_| {
        fs::remove_file(&file).unwrap();
        fs::write(file.with_file_name("0000000000000001.dcm"), "of another hour").unwrap();
    });
    assert_eq!(run(home.archive.overview()).unwrap().damaged_files, 0);
    assert_eq!(home.files().len(), 1);
}

#[test]
fn an_hour_stays_open_while_a_file_of_it_is_in_flight() {
    let home = Home::new();
    let spool = home.archive.spool().unwrap();
    run(home.archive.close()).unwrap();
    assert_eq!(home.count("SELECT count(*) FROM open_hour"), 1);
    std::mem::forget(spool);
    let home = home.reopen();
    assert!(home.files().is_empty());
    assert_eq!(home.count("SELECT count(*) FROM open_hour"), 0);
}

#[test]
fn a_commit_in_doubt_keeps_its_file_and_its_hour_open() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    let prepared = sample.prepared(&home.archive);
    prepared.file.leave_unsettled();
    run(home.archive.close()).unwrap();
    assert_eq!(home.files().len(), 1);
    assert_eq!(home.count("SELECT count(*) FROM open_hour"), 1);
    let home = home.reopen();
    assert!(home.files().is_empty());
    run(home.store_new(&sample));
}

#[test]
fn a_lost_index_is_not_replaced_by_an_empty_one() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    run(home.archive.close()).unwrap();
    let Home { folder, archive, telemetry: _ } = home;
    drop(archive);
    fs::rename(folder.path().join("index.sqlite"), folder.path().join("elsewhere")).unwrap();
    let error = Archive::open(config(folder.path()), Telemetry::new()).err().unwrap();
    assert!(matches!(error, Error::IndexMissing));
    fs::rename(folder.path().join("elsewhere"), folder.path().join("index.sqlite")).unwrap();
    Archive::open(config(folder.path()), Telemetry::new()).unwrap();
}

#[test]
fn what_an_old_copy_of_the_index_does_not_know_is_set_aside() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let spool = home.archive.spool().unwrap();
    run(home.archive.close()).unwrap();
    std::mem::forget(spool);
    let index = home.folder.path().join("index.sqlite");
    let copy = fs::read(&index).unwrap();
    let home = home.reopen();
    let second = Sample::new(2, 1, 1);
    run(home.store_new(&second));
    run(home.archive.close()).unwrap();
    let home = home.reopen_after(|_| fs::write(&index, copy).unwrap());
    assert_eq!(home.files().len(), 1);
    assert_eq!(set_aside(home.folder.path()), [vec![], second.data_set()]);
}

/// An archive with one instance whose index is the copy of a time before another instance came, and that other one.
fn with_old_copy(change: impl FnOnce(&Path)) -> (Result<Archive, Error>, TempDir, Sample) {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    run(home.archive.close()).unwrap();
    let index = home.folder.path().join("index.sqlite");
    let copy = fs::read(&index).unwrap();
    let home = home.reopen();
    let second = Sample::new(2, 1, 1);
    run(home.store_new(&second));
    run(home.archive.close()).unwrap();
    let Home { folder, archive, telemetry } = home;
    drop(archive);
    fs::write(&index, copy).unwrap();
    change(folder.path());
    (Archive::open(config(folder.path()), telemetry), folder, second)
}

fn set_aside(folder: &Path) -> Vec<Vec<u8>> {
    files_below(&folder.join("unindexed")).iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn what_an_old_copy_does_not_know_outlives_the_starts_after_it() {
    let (archive, folder, second) = with_old_copy(|_| ());
    let home = Home { archive: archive.unwrap(), folder, telemetry: Telemetry::new() };
    assert_eq!(home.files().len(), 1);
    // Opens the hour again, which the copy took for settled.
    let third = Sample::new(3, 1, 1);
    run(home.store_new(&third));
    let home = home.reopen();
    assert_eq!(home.files().len(), 2);
    assert_eq!(set_aside(home.folder.path()), [second.data_set()]);
}

#[test]
fn an_old_copy_is_known_as_one_until_a_start_has_set_things_aside() {
    let (refused, folder, second) =
        with_old_copy(|data_dir| fs::write(data_dir.join("unindexed"), "").unwrap());
    assert!(matches!(refused, Err(Error::Io { .. })));
    fs::remove_file(folder.path().join("unindexed")).unwrap();
    let archive = Archive::open(config(folder.path()), Telemetry::new()).unwrap();
    assert_eq!(set_aside(folder.path()), [second.data_set()]);
    drop(archive);
}

#[test]
fn files_of_hours_that_the_index_does_not_know_are_set_aside() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    let kept = home.files();
    std::mem::forget(Sample::new(1, 1, 2).prepared(&home.archive));
    let number = 0x3900_0000_0000_0000;
    let files = crate::files::Files::open(home.folder.path()).unwrap();
    let later = files.path(number);
    fs::create_dir_all(later.parent().unwrap()).unwrap();
    fs::write(&later, "of a row that the copy has not").unwrap();
    let home = home.reopen();
    assert_eq!(home.files(), kept);
    assert_eq!(
        set_aside(home.folder.path()),
        [Sample::new(1, 1, 2).data_set(), b"of a row that the copy has not".to_vec()]
    );
    assert_eq!(run(home.uids(&query(QueryRetrieveLevel::Image))), ["2.25.1.1.1"]);
}

#[test]
fn an_emptied_index_is_a_lost_one() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    run(home.archive.close()).unwrap();
    let Home { folder, archive, telemetry } = home;
    drop(archive);
    fs::write(folder.path().join("index.sqlite"), "").unwrap();
    let error = Archive::open(config(folder.path()), telemetry).err().unwrap();
    assert!(matches!(error, Error::IndexMissing));
}

#[test]
fn an_index_without_a_schema_is_a_lost_one() {
    let home = Home::new();
    run(home.store_new(&Sample::new(1, 1, 1)));
    run(home.archive.close()).unwrap();
    let Home { folder, archive, telemetry } = home;
    drop(archive);
    let path = folder.path().join("index.sqlite");
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(!before.is_empty());
    let error = Archive::open(config(folder.path()), telemetry).err().unwrap();
    assert!(matches!(error, Error::IndexMissing));
    assert_eq!(fs::read(&path).unwrap(), before);
}
