//! Whether a bucket could take something: what is put there to see is not left there.

use std::fs;
use std::time::Duration;

use model::DestinationName;

use super::s3::config;
use super::scripted::{Scripted, http};
use super::store::{Habits, Store};
use crate::S3;

fn s3(url: &str) -> S3 {
    S3::new(DestinationName::new("cloud"), config(url)).unwrap()
}

/// What a probe did, and whether that worked.
async fn probe(url: &str) -> Vec<(&'static str, Result<(), String>)> {
    let (_, steps) = s3(url).probe().await;
    steps.into_iter().map(|step| (step.doing, step.outcome)).collect()
}

#[tokio::test]
async fn every_store_that_takes_objects_is_left_as_it_was() {
    for habits in [
        Habits::default(),
        Habits { ignores_if_none_match: true, ..Habits::default() },
        Habits { has_no_conditions: true, ..Habits::default() },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let bucket = folder.path().join("imaging");
        fs::create_dir(&bucket).unwrap();
        let store = Store::start(folder.path(), habits).await;
        let steps = probe(&format!("http://{}", store.address)).await;
        assert_eq!(steps, [("put", Ok(())), ("get", Ok(())), ("delete", Ok(()))], "{habits:?}");
        let left = fs::read_dir(bucket.join("site-7")).into_iter().flatten().count();
        assert_eq!(left, 0, "{habits:?}");
    }
}

/// A store that answers PUT so, has the object all the same, and deletes it when told.
async fn answering(put: &'static str) -> Scripted {
    let found = "content-type: text/plain\r\netag: \"e\"\r\nlast-modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n";
    let script = move |line: &str| match line.split(' ').next() {
        Some("PUT") => http(put, "", "<Error><Code>Said</Code></Error>"),
        Some("DELETE") => http("204 No Content", "", ""),
        _ => http("200 OK", found, "written by gantry doctor; it may be deleted\n"),
    };
    Scripted::start(Duration::ZERO, script).await
}

#[tokio::test]
async fn what_may_have_been_put_is_deleted_whatever_the_answer_was() {
    // The answer to the first request was lost, and this is that to the second.
    let store = answering("412 Precondition Failed").await;
    let steps = probe(&store.url()).await;
    assert_eq!(steps, [("put", Ok(())), ("get", Ok(())), ("delete", Ok(()))]);
    for (answer, is_deleted) in [
        ("409 Conflict", true),
        ("500 Internal Server Error", true),
        ("501 Not Implemented", true),
        ("403 Forbidden", false),
    ] {
        let store = answering(answer).await;
        let steps = probe(&store.url()).await;
        let (doing, put) = steps.first().unwrap();
        assert!(*doing == "put" && put.as_ref().is_err_and(|why| why.contains("Said")), "{steps:?}");
        let others: Vec<_> = steps.iter().skip(1).map(|(doing, _)| *doing).collect();
        assert_eq!(others, if is_deleted { &["delete"][..] } else { &[] }, "{answer}");
        let deletes = store.requests().iter().filter(|line| line.starts_with("DELETE")).count();
        assert_eq!(deletes, usize::from(is_deleted), "{answer}");
    }
}
