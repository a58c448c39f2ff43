//! What a destination that keeps files promises, whatever its kind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use model::limits;
use pipeline::{Destination, Outcome, Parcel};
use sha2::{Digest, Sha256};

use super::parcels::{Alone, Sender, noise};

/// A destination, and the folder in which what it has got can be seen.
pub(super) struct Site {
    pub(super) destination: Arc<dyn Destination>,
    pub(super) root: PathBuf,
}

impl Site {
    pub(super) async fn deliver(&self, parcel: &Parcel) -> Outcome {
        let mut courier = self.destination.courier();
        let outcome = courier.deliver(parcel, &Alone).await;
        courier.rest().await;
        outcome
    }

    /// All files, by path below the root.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            // What a destination has not made yet holds nothing.
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(below(&self.root, &path), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    async fn delivered(&self, parcel: &Parcel, file: &[u8]) -> String {
        match self.deliver(parcel).await {
            Outcome::Delivered { answer, sent } => {
                assert_eq!(sent, *Sha256::digest(file));
                answer
            }
            failed => panic!("{failed:?}"),
        }
    }
}

pub(super) async fn run(site: &Site) {
    let sender = Sender::new().await;
    an_instance_is_there_bit_for_bit_and_once(site, &sender).await;
    other_content_stands_beside(site, &sender).await;
    versions_at_once_do_not_meet(site, &sender).await;
    large_instances_are_no_different(site, &sender).await;
    what_cannot_be_sent_leaves_nothing(site, &sender).await;
}

async fn an_instance_is_there_bit_for_bit_and_once(site: &Site, sender: &Sender) {
    let mut parcel = sender.parcel("1.2.3.1", &noise(1, 300_001));
    let file = sender.file(&parcel);
    assert_eq!(site.delivered(&parcel, &file).await, "stored");
    assert_eq!(site.files(), BTreeMap::from([("1.2/1.2.3/1.2.3.1.dcm".to_owned(), file.clone())]));
    assert_eq!(site.delivered(&parcel, &file).await, "there already");
    parcel.attempts = 1;
    assert_eq!(site.delivered(&parcel, &file).await, "there already");
    assert_eq!(site.files().len(), 1);
}

async fn other_content_stands_beside(site: &Site, sender: &Sender) {
    for (seed, length) in [(2, 300_001), (3, 17)] {
        let parcel = sender.parcel("1.2.3.1", &noise(seed, length));
        let file = sender.file(&parcel);
        assert_eq!(site.delivered(&parcel, &file).await, "stored beside other content");
        assert_eq!(site.delivered(&parcel, &file).await, "there already");
        let name = format!("1.2/1.2.3/1.2.3.1~{}.dcm", &hex::encode(Sha256::digest(&file))[..12]);
        assert_eq!(site.files().get(&name), Some(&file));
    }
    assert_eq!(site.files().len(), 3);
    assert_eq!(
        site.files()["1.2/1.2.3/1.2.3.1.dcm"].len(),
        sender.file(&sender.parcel("1.2.3.1", &noise(1, 300_001))).len()
    );
}

async fn versions_at_once_do_not_meet(site: &Site, sender: &Sender) {
    let versions: Vec<_> = (10..18).map(|seed| sender.parcel("1.2.3.2", &noise(seed, 100_000))).collect();
    let before = site.files().len();
    let outcomes = join_all(versions.iter().map(|parcel| site.deliver(parcel))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Delivered { .. })), "{outcomes:?}");
    let files = site.files();
    assert_eq!(files.len(), before + versions.len());
    for parcel in &versions {
        let file = sender.file(parcel);
        assert!(files.values().any(|found| *found == file));
    }
}

async fn large_instances_are_no_different(site: &Site, sender: &Sender) {
    let length = usize::try_from(limits::S3_PART_BYTES).unwrap() * 2 + 12_345;
    let parcel = sender.parcel("1.2.3.4", &noise(4, length));
    let other = sender.parcel("1.2.3.4", &noise(5, length));
    for (parcel, answer) in [
        (&parcel, "stored"),
        (&other, "stored beside other content"),
        (&other, "there already"),
        (&parcel, "there already"),
    ] {
        assert_eq!(site.delivered(parcel, &sender.file(parcel)).await, answer);
    }
    let files = site.files();
    assert!(files["1.2/1.2.3/1.2.3.4.dcm"] == sender.file(&parcel));
    assert_eq!(files.values().filter(|found| **found == sender.file(&other)).count(), 1);
}

async fn what_cannot_be_sent_leaves_nothing(site: &Site, sender: &Sender) {
    let before = site.files().len();
    let large = usize::try_from(limits::S3_PART_BYTES).unwrap() + 1;
    for length in [1000, large] {
        let parcel = sender.parcel("1.2.3.5", &noise(6, length));
        let file = sender.file(&parcel);
        let mut flipped = file.clone();
        flipped[500] ^= 1;
        for (change, reason) in [
            (Some(&file[..file.len() - 1]), "changed on disk"),
            (Some(&[&file[..], b"\0"].concat()), "changed on disk"),
            (Some(&flipped), "changed on disk"),
            (None, "No such file"),
        ] {
            match change {
                Some(content) => fs::write(&parcel.instance.path, content).unwrap(),
                None => fs::remove_file(&parcel.instance.path).unwrap(),
            }
            match site.deliver(&parcel).await {
                Outcome::Poison { reason: given } => assert!(given.contains(reason), "{given}"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(site.files().len(), before);
}

fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}
