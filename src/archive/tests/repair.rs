//! What a resend does for a file that was lost behind our back.

use std::fs;
use std::path::Path;

use super::*;

/// Stores a sample, damages its file, and sends it again with a preamble before the data set. Gives the file that is
/// served then.
fn resend_after(home: &Home, sample: &Sample, damage: impl FnOnce(&Path)) -> PathBuf {
    run(async {
        home.store_new(sample).await;
        damage(&served(home, sample).await.path);
        assert_eq!(home.archive.commit(with_preamble(home, sample)).await.unwrap(), Committed::Duplicate);
        let now = served(home, sample).await;
        let expected = [PREAMBLE, &sample.data_set()].concat();
        assert_eq!(
            (fs::read(&now.path).unwrap(), now.data_offset),
            (expected.clone(), PREAMBLE.len() as u64)
        );
        assert_eq!(now.length, expected.len() as u64);
        now.path
    })
}

async fn served(home: &Home, sample: &Sample) -> crate::StoredInstance {
    home.archive.instances(&sample.scope(), None).await.unwrap().rows.remove(0)
}

fn with_preamble(home: &Home, sample: &Sample) -> Prepared {
    let mut spool = home.archive.spool().unwrap();
    spool.append(PREAMBLE).unwrap();
    let offset = PREAMBLE.len() as u64;
    sample.prepared_by(spool, |received| {
        let length = received.length + offset;
        home.archive.prepare(NewInstance { data_offset: offset, length, ..received })
    })
}

fn repaired_files(home: &Home) -> u64 {
    run(home.archive.overview()).unwrap().repaired_files
}

fn set_aside(home: &Home) -> Vec<Vec<u8>> {
    let folder = home.folder.path().join("unindexed");
    let files = if folder.exists() { files_below(&folder) } else { Vec::new() };
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn a_removed_file_is_replaced_by_the_same_content() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    let now = resend_after(&home, &sample, |file| fs::remove_file(file).unwrap());
    assert_eq!(home.files(), std::slice::from_ref(&now));
    assert!(set_aside(&home).is_empty());
    let length = fs::metadata(&now).unwrap().len();
    assert_eq!(run(home.archive.overview()).unwrap().bytes, length);
    // It is whole now, and stays so over a restart.
    assert_eq!(run(home.store(&sample)), Committed::Duplicate);
    let home = home.reopen();
    assert_eq!((home.files(), repaired_files(&home)), (vec![now], 1));
    assert_eq!(run(home.archive.overview()).unwrap().damaged_files, 0);
}

#[test]
fn a_file_cut_short_is_replaced_and_set_aside() {
    let home = Home::new();
    let now = resend_after(&home, &Sample::new(1, 1, 1), |file| fs::write(file, "short").unwrap());
    assert_eq!((home.files(), repaired_files(&home)), (vec![now], 1));
    assert_eq!(set_aside(&home), [b"short"]);
}

#[test]
fn a_later_version_is_replaced_as_the_first_is() {
    let home = Home::new();
    let first = Sample::new(1, 1, 1);
    let second = first.clone().with(ACCESSION, "other");
    run(async {
        home.store_new(&first).await;
        let first_file = home.files();
        assert_eq!(home.store(&second).await, Committed::Conflict { version: 2 });
        let second_file = home.files().into_iter().find(|file| !first_file.contains(file)).unwrap();
        fs::remove_file(second_file).unwrap();
        assert_eq!(home.store(&second).await, Committed::Duplicate);
        assert_eq!(home.files().len(), 2);
        assert_eq!(home.store(&second).await, Committed::Duplicate);
    });
    assert_eq!((home.files().len(), repaired_files(&home)), (2, 1));
    let home = home.reopen();
    assert_eq!((home.files().len(), run(home.archive.overview()).unwrap().damaged_files), (2, 0));
}

#[test]
fn what_was_reported_as_damaged_is_no_more_once_replaced() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(home.store_new(&sample));
    let file = home.files()[0].clone();
    let home = home.reopen_after(|_| fs::remove_file(&file).unwrap());
    assert_eq!(run(home.archive.overview()).unwrap().damaged_files, 1);
    assert_eq!(run(home.store(&sample)), Committed::Duplicate);
    assert_eq!(run(home.archive.overview()).unwrap().damaged_files, 0);
}

#[test]
fn a_replacement_that_is_not_committed_changes_nothing() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(home.store_new(&sample));
    fs::remove_file(&home.files()[0]).unwrap();
    home.index()
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE UPDATE OF file ON instance BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let refused = run(home.archive.commit(sample.prepared(&home.archive)));
    assert!(matches!(refused, Err(Error::Index(_))));
    assert!(home.files().is_empty());
    assert_eq!(repaired_files(&home), 0);
}

const PREAMBLE: &[u8] = b"File Meta Information of the second sender";
