use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::limits;

/// What a store answered to a request that it did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The code in S3's XML, such as `NoSuchBucket`; empty when the answer does not look like one of S3.
    pub(super) code: String,
    /// Where the bucket is, when the store says that it is not in our region.
    pub(super) region: Option<String>,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Answer {
    /// Whether a body is the XML of an error. S3 may begin an answer with 200, and with spaces, before it knows.
    pub(super) fn is_error(body: &[u8]) -> bool {
        let body = String::from_utf8_lossy(body);
        let body = body.trim_start();
        let body = match body.strip_prefix("<?xml") {
            Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest),
            None => body,
        };
        body.trim_start().starts_with("<Error")
    }

    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let seconds = header(&RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        Self {
            status,
            code: element(&body, "Code").unwrap_or_default(),
            region: header(&BUCKET_REGION).and_then(word).or_else(|| element(&body, "Region")),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(limits::S3_LONGEST_PAUSE)),
        }
    }
}

/// `403 SignatureDoesNotMatch`
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)?;
        match (&*self.code, self.status.canonical_reason()) {
            ("", Some(reason)) => f.write_str(reason),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Answer {}

/// The text of the first element of a name, when it is one word.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    word(rest.split_once("</")?.0)
}

/// A name as S3 has them for codes and regions; nothing else of an answer gets into our words.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let is_word = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    is_word.then(|| text.to_owned())
}

const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Answer {
        Answer::read(StatusCode::FORBIDDEN, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn reads_the_code_and_leaves_the_rest() {
        let body = "<?xml version=\"1.0\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>secret</Message>\
                    <Region>eu-west-1</Region></Error>";
        let answer = read(body);
        assert_eq!(
            (answer.code.as_str(), answer.region.as_deref()),
            ("AuthorizationHeaderMalformed", Some("eu-west-1"))
        );
        assert_eq!(answer.to_string(), "403 AuthorizationHeaderMalformed");
        for body in ["", "<html>", "<Code>", "<Code></Code>", "<Code>two words</Code>", "<Code>\u{fc}</Code>"]
        {
            assert_eq!(read(body).to_string(), "403 Forbidden", "{body}");
        }
        assert_eq!(read(&format!("<Code>{}</Code>", "x".repeat(65))).code, "");
    }

    #[test]
    fn an_error_within_200_is_one() {
        for body in ["<Error><Code>x</Code>", " \n<?xml version=\"1.0\"?>\n <Error>", "<Error/>"] {
            assert!(Answer::is_error(body.as_bytes()), "{body}");
        }
        for body in ["", "<?xml", "<?xml?>", "<CompleteMultipartUploadResult><Error/>", "Error"] {
            assert!(!Answer::is_error(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_pause_is_bounded() {
        let pause = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            Answer::read(StatusCode::SERVICE_UNAVAILABLE, &headers, b"").retry_after
        };
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("99999999"), Some(limits::S3_LONGEST_PAUSE));
        assert_eq!(pause("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
