//! What S3 answers, and what becomes of a delivery.

use std::time::Duration;

use model::{DestinationName, limits};
use pipeline::{Destination, Outcome, Parcel};

use super::parcels::{Alone, Sender, noise};
use super::s3::config;
use super::scripted::{Scripted, http};
use crate::S3;

async fn deliver(url: &str, parcel: &Parcel) -> Outcome {
    let destination = S3::new(DestinationName::new("cloud"), config(url)).unwrap();
    destination.courier().deliver(parcel, &Alone).await
}

/// One row: what PUT is answered with, and class, words and pause of the outcome. HEAD finds nothing.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, u64);

const ROWS: &[Row] = &[
    (
        "403 Forbidden",
        "",
        "AccessDenied",
        "down",
        "answers 403 AccessDenied: look at what access_key_id may do",
        0,
    ),
    ("403 Forbidden", "", "InvalidAccessKeyId", "down", "look at access_key_id", 0),
    ("403 Forbidden", "", "SignatureDoesNotMatch", "down", "look at secret_access_key", 0),
    ("403 Forbidden", "", "RequestTimeTooSkewed", "down", "clock", 0),
    ("401 Unauthorized", "", "", "down", "answers 401 Unauthorized", 0),
    ("400 Bad Request", "", "ExpiredToken", "down", "access_key_id", 0),
    ("404 Not Found", "", "NoSuchBucket", "down", "look at bucket", 0),
    ("404 Not Found", "", "", "down", "look at endpoint, this may be no S3", 0),
    ("405 Method Not Allowed", "", "MethodNotAllowed", "down", "look at endpoint", 0),
    ("400 Bad Request", "", "", "down", "look at endpoint", 0),
    ("418 I'm a teapot", "", "", "down", "look at endpoint", 0),
    ("400 Bad Request", "", "AuthorizationHeaderMalformed", "down", "look at region", 0),
    (
        "301 Moved Permanently",
        "x-amz-bucket-region: eu-west-1\r\n",
        "PermanentRedirect",
        "down",
        "the bucket is in eu-west-1",
        0,
    ),
    (
        "307 Temporary Redirect",
        "location: http://127.0.0.1:1/\r\n",
        "",
        "down",
        "look at region and endpoint",
        0,
    ),
    ("507 Insufficient Storage", "", "XMinioStorageFull", "down", "it is full", 0),
    ("501 Not Implemented", "", "NotImplemented", "down", "it cannot do what is needed", 0),
    ("500 Internal Server Error", "", "InternalError", "retry", "answers 500 InternalError", 0),
    ("502 Bad Gateway", "", "", "retry", "answers 502 Bad Gateway", 0),
    (
        "400 Bad Request",
        "",
        "BadDigest",
        "retry",
        "answers 400 BadDigest: damaged on the way, its checksum is wrong",
        0,
    ),
    ("400 Bad Request", "", "XAmzContentSHA256Mismatch", "retry", "XAmzContentSHA256Mismatch", 0),
    ("400 Bad Request", "", "RequestTimeout", "retry", "RequestTimeout", 0),
    ("408 Request Timeout", "", "", "retry", "408", 0),
    ("503 Slow Down", "", "SlowDown", "retry", "answers 503 SlowDown", 5),
    (
        "503 Service Unavailable",
        "retry-after: 17\r\n",
        "ServiceUnavailable",
        "retry",
        "ServiceUnavailable",
        17,
    ),
    ("429 Too Many Requests", "retry-after: 99999\r\n", "", "retry", "answers 429 Too Many Requests", 900),
    ("400 Bad Request", "", "EntityTooLarge", "refused", "answers 400 EntityTooLarge: too large for it", 0),
    ("400 Bad Request", "", "KeyTooLongError", "refused", "answers 400 KeyTooLongError", 0),
    ("400 Bad Request", "", "InvalidArgument", "retry", "answers 400 InvalidArgument", 0),
    ("413 Content Too Large", "", "", "refused", "too large for it", 0),
    ("451 Unavailable For Legal Reasons", "", "Legal", "refused", "answers 451 Legal", 0),
];

#[tokio::test]
async fn every_answer_has_its_class() {
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", b"x");
    for (status, headers, code, class, words, pause) in ROWS.iter().copied() {
        let body = match code {
            "" => "<html>nothing of S3</html>".to_owned(),
            code => format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>DOE^JANE</Message></Error>"
            ),
        };
        let server = Scripted::start(Duration::ZERO, move |line| match line {
            line if line.starts_with("HEAD") => http("404 Not Found", "", ""),
            _ => http(status, headers, &body),
        });
        let server = server.await;
        let outcome = deliver(&server.url(), &parcel).await;
        let (given, reason, after) = match outcome {
            Outcome::Down { reason } => ("down", reason, None),
            Outcome::Retry { reason, after } => ("retry", reason, after),
            Outcome::Refused { reason } => ("refused", reason, None),
            other => panic!("{status} {code}: {other:?}"),
        };
        assert_eq!(given, class, "{status} {code}: {reason}");
        assert!(reason.contains(words), "{reason}");
        assert!(reason.starts_with(&format!("{}/imaging answers", server.url())), "{reason}");
        assert!(!reason.contains("DOE") && !reason.contains("1.2.3") && reason.len() < 300, "{reason}");
        assert_eq!(after.unwrap_or_default().as_secs(), pause, "{status} {code}");
        // A store in trouble is not asked again and again.
        assert!(server.requests().len() <= 3, "{:?}", server.requests());
    }
}

#[tokio::test]
async fn what_is_no_answer_has_its_class_too() {
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", b"x");
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    match deliver(&format!("http://{free}"), &parcel).await {
        Outcome::Down { reason } => {
            assert_eq!(
                reason,
                format!("http://{free}/imaging cannot be reached: Connection refused (os error 111)")
            );
        }
        other => panic!("{other:?}"),
    }
    for answer in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] {
        let server = Scripted::start(Duration::ZERO, move |line| match line {
            line if line.starts_with("HEAD") => http("404 Not Found", "", ""),
            _ => answer.as_bytes().to_vec(),
        });
        let server = server.await;
        match deliver(&server.url(), &parcel).await {
            Outcome::Retry { reason, after: None } => {
                assert!(reason.contains("did not answer well"), "{reason}")
            }
            other => panic!("{answer:?}: {other:?}"),
        }
    }
}

/// A server that speaks the protocol of multipart uploads and keeps nothing.
async fn uploads(pause: Duration, part: &'static str) -> Scripted {
    let script = move |line: &str| match line.split(' ').next() {
        Some("HEAD") => http("404 Not Found", "", ""),
        Some("DELETE") => http("204 No Content", "", ""),
        Some("POST") if line.contains("uploads") => {
            let body =
                "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>";
            http("200 OK", "", body)
        }
        Some("POST") => {
            let body = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
            http("200 OK", "", body)
        }
        _ => http(part, "etag: \"e\"\r\n", ""),
    };
    Scripted::start(pause, script).await
}

#[tokio::test]
async fn uploads_share_what_memory_there_is() {
    let server = uploads(Duration::from_millis(30), "200 OK").await;
    let sender = Sender::new().await;
    let content = noise(1, usize::try_from(limits::S3_PART_BYTES).unwrap() * 4);
    let parcels: Vec<_> = (0..6).map(|number| sender.parcel(&format!("1.2.3.{number}"), &content)).collect();
    let destination = S3::new(DestinationName::new("cloud"), config(&server.url())).unwrap();
    let deliver = async |parcel| destination.courier().deliver(parcel, &Alone).await;
    for outcome in futures_util::future::join_all(parcels.iter().map(deliver)).await {
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
    }
    let parts = server.requests().iter().filter(|line| line.contains("partNumber")).count();
    assert_eq!(parts, 6 * 5);
    let most = server.most_held() as u64;
    assert!(most <= limits::S3_MEMORY_BYTES && most > limits::S3_PART_BYTES * 4, "{most}");
}

#[tokio::test]
async fn an_upload_that_fails_is_taken_back() {
    let server = uploads(Duration::ZERO, "500 Internal Server Error").await;
    let content = noise(1, usize::try_from(limits::S3_PART_BYTES).unwrap() + 1);
    let sender = Sender::new().await;
    let parcel = sender.parcel("1.2.3.1", &content);
    assert!(matches!(deliver(&server.url(), &parcel).await, Outcome::Retry { .. }));
    let requests = server.requests();
    assert!(requests.last().unwrap().starts_with("DELETE"), "{requests:?}");
    assert!(
        !requests.iter().any(|line| line.starts_with("POST") && line.contains("uploadId")),
        "{requests:?}"
    );
}
