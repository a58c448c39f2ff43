use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use model::DestinationName;
use pipeline::Outcome;

use super::parcels::Sender;
use super::store::{ACCESS_KEY_ID, Habits, SECRET_ACCESS_KEY, Store};
use super::suite::{self, Site};
use crate::{Error, S3, S3Config, Secret};

pub(super) fn config(endpoint: &str) -> S3Config {
    S3Config {
        endpoint: Some(endpoint.to_owned()),
        bucket: "imaging".to_owned(),
        prefix: "site-7/".to_owned(),
        region: "us-east-1".to_owned(),
        access_key_id: Some(Secret::new(ACCESS_KEY_ID)),
        secret_access_key: Some(Secret::new(SECRET_ACCESS_KEY)),
        parallel: NonZeroUsize::new(8).unwrap(),
    }
}

/// The destination, seen through the folder that the store keeps objects in.
fn site(root: &Path, config: S3Config) -> Site {
    let destination = Arc::new(S3::new(DestinationName::new("cloud"), config).unwrap());
    // SHA-256 of "1.2" begins with 77.
    Site { destination, root: root.join("imaging/site-7/v1/77") }
}

async fn keeps_objects(habits: Habits) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("imaging")).unwrap();
    let store = Store::start(folder.path(), habits).await;
    suite::run(&site(folder.path(), config(&format!("http://{}/", store.address)))).await;
}

#[tokio::test]
async fn a_bucket_keeps_objects() {
    keeps_objects(Habits::default()).await;
}

#[tokio::test]
async fn a_store_that_ignores_if_none_match_keeps_objects() {
    keeps_objects(Habits { ignores_if_none_match: true, ..Habits::default() }).await;
}

#[tokio::test]
async fn a_store_that_forgets_metadata_keeps_objects() {
    keeps_objects(Habits { forgets_metadata: true, ..Habits::default() }).await;
}

#[tokio::test]
async fn a_store_behind_a_proxy_without_head_keeps_objects() {
    keeps_objects(Habits { has_no_head: true, ..Habits::default() }).await;
    keeps_objects(Habits {
        has_no_head: true,
        ignores_if_none_match: true,
        forgets_metadata: true,
        ..Habits::default()
    })
    .await;
}

#[tokio::test]
async fn a_store_without_conditional_writes_keeps_objects() {
    keeps_objects(Habits { has_no_conditions: true, ..Habits::default() }).await;
}

/// What stands there was not written by this process, and the store would let it be overwritten.
#[tokio::test]
async fn the_first_object_of_a_process_overwrites_nothing_either() {
    let folder = tempfile::tempdir().unwrap();
    let series = folder.path().join("imaging/site-7/v1/77/1.2/1.2.3");
    fs::create_dir_all(&series).unwrap();
    fs::write(series.join("1.2.3.1.dcm"), "somebody's").unwrap();
    let habits = Habits { ignores_if_none_match: true, ..Habits::default() };
    let store = Store::start(folder.path(), habits).await;
    let site = site(folder.path(), config(&format!("http://{}", store.address)));
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", b"ours");
    let Outcome::Delivered { answer, .. } = site.deliver(&parcel).await else { panic!() };
    assert_eq!(answer, "stored beside other content");
    assert_eq!(site.files()["1.2/1.2.3/1.2.3.1.dcm"], b"somebody's");
}

#[tokio::test]
async fn what_is_wrong_with_access_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("imaging")).unwrap();
    let store = Store::start(folder.path(), Habits::default()).await;
    let right = config(&format!("http://{}", store.address));
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", b"x");
    let wrong_secret = S3Config { secret_access_key: Some(Secret::new("wrong")), ..right.clone() };
    let wrong_id = S3Config { access_key_id: Some(Secret::new("AKIAWRONG")), ..right };
    for (config, words) in [
        (wrong_secret, "answers 403 SignatureDoesNotMatch: look at secret_access_key"),
        (wrong_id, "answers 403 "),
    ] {
        match site(folder.path(), config).deliver(&parcel).await {
            Outcome::Down { reason } => {
                assert!(reason.contains(words) && !reason.contains("AKIA"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_configuration_that_names_no_bucket_is_refused() {
    let right = config("https://s3.example.org");
    let new = |config: S3Config| S3::new(DestinationName::new("cloud"), config).err();
    for endpoint in [
        "",
        "s3.example.org",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x?y",
        "http://x/#y",
        "http://x y",
    ] {
        let given = new(S3Config { endpoint: Some(endpoint.to_owned()), ..right.clone() });
        assert!(matches!(given, Some(Error::Endpoint(_))), "{endpoint:?}: {given:?}");
    }
    for bucket in ["", "a/b", "a b", "..", "ü"] {
        assert!(
            matches!(new(S3Config { bucket: bucket.to_owned(), ..right.clone() }), Some(Error::Bucket(_))),
            "{bucket}"
        );
    }
    for prefix in ["/", "a//b", "../", "a\nb"] {
        assert!(
            matches!(new(S3Config { prefix: prefix.to_owned(), ..right.clone() }), Some(Error::Prefix(_))),
            "{prefix}"
        );
    }
    assert!(matches!(new(S3Config { region: "a/b".to_owned(), ..right.clone() }), Some(Error::Region(_))));
    assert!(matches!(new(S3Config { access_key_id: None, ..right.clone() }), Some(Error::AccessKey)));
    assert!(matches!(
        new(S3Config { secret_access_key: Some(Secret::new("a b")), ..right.clone() }),
        Some(Error::AccessKey)
    ));
    let plain = S3Config { endpoint: Some("http://127.0.0.1:1".to_owned()), prefix: String::new(), ..right };
    assert!(new(plain).is_none());
    assert_eq!(format!("{:?}", Secret::new("hidden")), "Secret(…)");
}
