use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::Fault;
use pipeline::{BodyError, Error};

/// An answer that says what went wrong, as `application/problem+json` (RFC 9457).
///
/// The detail names parameters and limits, never values: those may be patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing of this name")
    }

    pub(crate) fn not_acceptable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, detail)
    }

    /// Too many requests are in progress.
    pub(crate) fn overloaded() -> Self {
        Self::unavailable("too many requests at once", BUSY_RETRY)
    }

    fn unavailable(detail: &'static str, retry_after: Duration) -> Self {
        let retry_after = Some(retry_after);
        Self { status: StatusCode::SERVICE_UNAVAILABLE, detail: detail.into(), retry_after }
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

/// The status of a request that failed as a whole (PS3.18 §8.5).
///
/// Logs what an operator must act on; nobody else sees the cause.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.fault() {
            Fault::Local | Fault::Bug => tracing::error!(error = %chain(&error), "request failed"),
            Fault::Transient { .. } => tracing::warn!(error = %chain(&error), "request failed"),
            Fault::Peer | Fault::Policy => tracing::debug!(error = %chain(&error), "request refused"),
        }
        match error {
            // PS3.18 §8.5: the request may succeed later.
            Error::NoSpace => Self::unavailable("not enough disk space", NO_SPACE_RETRY),
            Error::Busy => Self::unavailable("too many large headers at once", BUSY_RETRY),
            Error::NoTurn(reason) => Self::unavailable(reason, NO_TURN_RETRY),
            // PS3.18 Table 10.5.3-1: nothing of the request could be stored.
            Error::Part10(_)
            | Error::NotPart10
            | Error::MissingUid(_)
            | Error::Disagreement(_)
            | Error::OtherStudy => Self::new(StatusCode::CONFLICT, error.to_string()),
            Error::Body(BodyError::Ended) => Self::bad_request("the body ended early"),
            Error::Body(BodyError::Stalled) => Self::new(StatusCode::REQUEST_TIMEOUT, "the body stalled"),
            // PS3.18 Table 10.6.3-1: a narrower query should be made.
            Error::TooManySelected | Error::TooManySought | Error::TooLong => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            // PS3.18 Table 10.4.3-1
            Error::NotFound => Self::not_found(),
            Error::NotAvailable(reason) => Self::not_acceptable(reason),
            // An object that could be walked when it came cannot be walked now: the file is damaged.
            Error::Unreadable(_) | Error::File(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "a stored object cannot be read")
            }
            Error::Archive(error) => match error.fault() {
                Fault::Transient { retry_after } => {
                    Self::unavailable("the archive is busy", retry_after.unwrap_or(BUSY_RETRY))
                }
                Fault::Peer | Fault::Policy | Fault::Local | Fault::Bug => {
                    Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the archive failed")
                }
            },
        }
    }
}

/// Failure Reason (0008,1197) of one instance that was not stored (PS3.18 Table I.2-2, PS3.7 §C.5).
pub(crate) fn failure_reason(error: &Error) -> u16 {
    match error {
        // Refused: out of resources.
        Error::NoSpace | Error::Busy | Error::NoTurn(_) => 0xA700,
        Error::Archive(error) if matches!(error.fault(), Fault::Transient { .. }) => 0xA700,
        // Error: the data set is not what the request says it is.
        Error::Disagreement(_) | Error::OtherStudy => 0xA900,
        // Error: cannot understand.
        Error::Part10(_) | Error::NotPart10 | Error::Unreadable(_) | Error::MissingUid(_) => 0xC000,
        // Processing failure.
        Error::Body(_)
        | Error::NotFound
        | Error::NotAvailable(_)
        | Error::TooManySelected
        | Error::TooManySought
        | Error::TooLong
        | Error::File(_)
        | Error::Archive(_) => 0x0110,
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let json =
            serde_json::json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, content_type, format!("{json}\n")).into_response();
        if let Some(delay) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        response
    }
}

const NO_SPACE_RETRY: Duration = Duration::from_secs(60);
const NO_TURN_RETRY: Duration = Duration::from_secs(60);
const BUSY_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io;

    use http_body_util::BodyExt;
    use model::part10::Part10Error;
    use model::scan::ScanError;

    use super::*;

    #[test]
    fn every_error_has_its_status_and_failure_reason() {
        for (error, status, reason) in [
            (Error::NoSpace, 503, 0xA700),
            (Error::Busy, 503, 0xA700),
            (Error::NoTurn("no turn"), 503, 0xA700),
            (Error::NotPart10, 409, 0xC000),
            (Error::Part10(Part10Error::Cut), 409, 0xC000),
            (Error::Unreadable(ScanError::Deflate), 500, 0xC000),
            (Error::MissingUid("SOP Class UID"), 409, 0xC000),
            (Error::Disagreement("SOP Class UID"), 409, 0xA900),
            (Error::OtherStudy, 409, 0xA900),
            (Error::Body(BodyError::Ended), 400, 0x0110),
            (Error::Body(BodyError::Stalled), 408, 0x0110),
            (Error::NotFound, 404, 0x0110),
            (Error::NotAvailable("no frames"), 406, 0x0110),
            (Error::TooManySelected, 413, 0x0110),
            (Error::TooManySought, 413, 0x0110),
            (archive::Error::TooLong.into(), 413, 0x0110),
            (Error::File(io::ErrorKind::NotFound.into()), 500, 0x0110),
            (Error::Archive(archive::Error::NoSpace), 503, 0xA700),
            (Error::Archive(archive::Error::Closed), 503, 0xA700),
            (Error::Archive(archive::Error::Damaged), 500, 0x0110),
        ] {
            assert_eq!(failure_reason(&error), reason, "{error}");
            let text = error.to_string();
            assert_eq!(Problem::from(error).status(), status, "{text}");
        }
    }

    #[tokio::test]
    async fn is_sent_as_json_with_the_time_to_come_back() {
        let response = Problem::from(Error::NoSpace).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::RETRY_AFTER], "60");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "title": "Service Unavailable", "status": 503, "detail": "not enough disk space"
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn an_internal_cause_stays_inside() {
        let error = Error::File(io::Error::other("/data/instances/x.dcm"));
        assert!(chain(&error).ends_with("/data/instances/x.dcm"));
        assert!(!format!("{:?}", Problem::from(error)).contains("/data"));
    }
}
