#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::StudyInstanceUid;
use model::multipart::{self, Fields, MediaType};
use pipeline::{Content, Error, Received};
use telemetry::Door;

use super::outcome::Outcome;
use super::parts::{Parts, drain};
use crate::app::App;
use crate::dicomweb::accept::Accept;
use crate::dicomweb::paths;
use crate::dicomweb::target::Target;
use crate::listener::PeerAddress;
use crate::problem::{self, Problem};

/// Storing instances, of any study or of one (PS3.18 §10.5.1).
pub(crate) fn routes() -> Router<App> {
    Router::new().route(paths::STUDIES, post(store)).route(paths::STUDY, post(store))
}

async fn store(
    State(app): State<App>,
    target: Target,
    accept: Result<Accept, Problem>,
    peer: Option<Extension<PeerAddress>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let agreed = accept.and_then(|accept| Ok((accept.json()?, boundary(&head.headers)?)));
    let (media_type, boundary) = match agreed {
        Ok(agreed) => agreed,
        Err(problem) => return Err(refuse(problem, &head.headers, body).await),
    };
    let source = Source { study: target.study, peer: peer.map(|Extension(peer)| peer) };
    let outcome = receive(&app, Parts::new(body, &boundary), source).await?;
    if outcome.is_empty() {
        return Err(Problem::bad_request("the request has no parts"));
    }
    if outcome.is_refused_for_space() {
        return Err(Error::NoSpace.into());
    }
    let (status, warning) = (outcome.status(), outcome.warning());
    let pieces = outcome.into_json();
    let length = pieces.iter().map(Bytes::len).sum::<usize>();
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    let mut response = (status, [(header::CONTENT_TYPE, media_type)], body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if let Some(Ok(warning)) = warning.map(|text| HeaderValue::try_from(format!("299 gantry \"{text}\""))) {
        response.headers_mut().append(header::WARNING, warning);
    }
    Ok(response)
}

/// Where the parts of a request come from and where they belong.
struct Source {
    study: Option<StudyInstanceUid>,
    peer: Option<PeerAddress>,
}

/// Stores one part after the other; one that fails does not keep the next from being stored. Once the answer can name no further
/// part, the rest is read and only counted.
///
/// # Errors
/// When the body stops or is malformed. The parts before are stored nevertheless.
async fn receive(app: &App, mut parts: Parts, source: Source) -> Result<Outcome, Problem> {
    let mut outcome = Outcome::new(app.urls());
    while let Some(fields) = parts.next().await? {
        if outcome.is_full() {
            outcome.add_not_taken();
            continue;
        }
        if !is_dicom(&fields) {
            outcome.add_foreign();
            continue;
        }
        let received = Received {
            door: Door::Web,
            calling_aet: None,
            called_aet: None,
            peer: None,
            is_asked_for: false,
            address: source.peer.map(|PeerAddress(address)| address.ip()),
            content: Content::Part10 { study: source.study.clone() },
        };
        let result = app.pipeline.ingest(received, &mut parts).await;
        if let Err(refused) = &result {
            let sop_instance = refused.sop_instance.as_ref().map(tracing::field::display);
            tracing::warn!(sop_instance, error = %problem::chain(&refused.error), "an instance was not stored");
        }
        outcome.add(result);
    }
    parts.finish().await;
    Ok(outcome)
}

/// The boundary of a body that can be stored.
///
/// # Errors
/// 415 when it is no multipart of DICOM objects, 400 when it has no usable boundary (PS3.18 §10.5.1.2).
fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    let unsupported = || {
        let detail = "instances are stored from multipart/related; type=\"application/dicom\"";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    };
    let text =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(unsupported)?;
    let media = MediaType::parse(text).ok_or_else(|| Problem::bad_request("Content-Type is malformed"))?;
    // RFC 2387 §3.1 wants the parameter; the parts say the same.
    let type_fits = media.parameter("type").is_none_or(|inner| inner.eq_ignore_ascii_case(DICOM));
    let is_encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if media.essence() != "multipart/related" || !type_fits || is_encoded {
        return Err(unsupported());
    }
    multipart::boundary(text).ok_or_else(|| Problem::bad_request("Content-Type has no usable boundary"))
}

/// Whether a part is a DICOM object, as one without Content-Type is taken to be.
fn is_dicom(fields: &Fields) -> bool {
    let Some(content_type) = fields.get("content-type") else { return true };
    MediaType::parse(content_type).is_some_and(|media| media.essence() == DICOM)
}

/// Gives the peer a chance to read why its request is refused.
async fn refuse(problem: Problem, headers: &HeaderMap, body: Body) -> Problem {
    // One that waits for 100 Continue has sent nothing yet and will not.
    if !headers.contains_key(header::EXPECT) {
        drain(body).await;
    }
    problem
}

const DICOM: &str = "application/dicom";

#[cfg(test)]
mod tests {
    use super::*;

    fn status(content_type: &str) -> Result<String, StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        boundary(&headers).map_err(|problem| problem.status())
    }

    #[test]
    fn takes_no_content_codings() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/related; boundary=a"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(boundary(&headers).is_ok());
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(boundary(&headers).unwrap_err().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[test]
    fn takes_multiparts_of_dicom_objects_only() {
        assert_eq!(boundary(&HeaderMap::new()).unwrap_err().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        for (content_type, expected) in [
            ("multipart/related; type=\"application/dicom\"; boundary=abc", Ok("abc")),
            ("Multipart/Related; boundary=\"a b\"; type=application/dicom", Ok("a b")),
            ("multipart/related; boundary=abc", Ok("abc")),
            ("multipart/related; type=\"application/dicom\"", Err(StatusCode::BAD_REQUEST)),
            ("multipart/related; type=\"application/dicom\"; boundary=\"\"", Err(StatusCode::BAD_REQUEST)),
            ("multipart/related; type=\"application/dicom", Err(StatusCode::BAD_REQUEST)),
            (
                "multipart/related; type=\"application/dicom+json\"; boundary=a",
                Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ),
            ("multipart/form-data; boundary=abc", Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            ("application/dicom", Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        ] {
            assert_eq!(status(content_type), expected.map(str::to_owned), "{content_type}");
        }
    }
}
