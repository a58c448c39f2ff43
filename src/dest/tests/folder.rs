use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use model::DestinationName;
use pipeline::Outcome;

use super::parcels::Sender;
use super::suite::{self, Site};
use crate::Folder;

fn site(root: &Path) -> Site {
    let parallel = NonZeroUsize::new(4).unwrap();
    let destination = Arc::new(Folder::new(DestinationName::new("copies"), root.to_owned(), parallel));
    Site { destination, root: root.to_owned() }
}

#[tokio::test]
async fn a_folder_keeps_files() {
    let folder = tempfile::tempdir().unwrap();
    suite::run(&site(&folder.path().join("not/there/yet"))).await;
}

#[tokio::test]
async fn what_a_crash_has_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    let sender = Sender::new().await;
    let series = folder.path().join("1.2/1.2.3");
    fs::create_dir_all(&series).unwrap();
    fs::write(series.join(".1.2.3.1.dcm.part"), "half of it, or more than there will be").unwrap();
    let parcel = sender.parcel("1.2.3.1", b"x");
    assert!(matches!(site.deliver(&parcel).await, Outcome::Delivered { .. }));
    assert_eq!(site.files().into_values().collect::<Vec<_>>(), [sender.file(&parcel)]);
}

#[tokio::test]
async fn what_is_no_file_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", b"x");
    let series = folder.path().join("1.2/1.2.3");
    fs::create_dir_all(series.join("1.2.3.1.dcm")).unwrap();
    let Outcome::Delivered { answer, .. } = site.deliver(&parcel).await else { panic!() };
    assert_eq!(answer, "stored beside other content");
    // A link to the very content is none of our files either.
    let parcel = sender.parcel("1.2.3.2", b"y");
    std::os::unix::fs::symlink(&parcel.instance.path, series.join("1.2.3.2.dcm")).unwrap();
    let Outcome::Delivered { answer, .. } = site.deliver(&parcel).await else { panic!() };
    assert_eq!(answer, "stored beside other content");
}

#[tokio::test]
async fn files_at_both_names_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path());
    let sender = Sender::new().await;
    let (first, second) = (sender.parcel("1.2.3.1", b"first"), sender.parcel("1.2.3.1", b"second"));
    site.deliver(&first).await;
    site.deliver(&second).await;
    let names: Vec<_> = site.files().into_keys().collect();
    let beside = names.iter().find(|name| name.contains('~')).unwrap();
    fs::write(folder.path().join(beside), "edited").unwrap();
    let Outcome::Refused { reason } = site.deliver(&second).await else { panic!() };
    assert!(reason.contains(beside.as_str()), "{reason}");
    assert_eq!(site.files().len(), 2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", b"x");
    for root in [&file, &file.join("copies")] {
        match site(root).deliver(&parcel).await {
            Outcome::Down { reason } => assert!(reason.contains("Not a directory"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
