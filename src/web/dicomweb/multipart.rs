use std::future::Future;
use std::hash::{BuildHasher, RandomState};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use model::{TransferSyntaxUid, multipart};
use pipeline::{Error, PartReader};

use super::stream::{self, Pieces};

/// Where the parts of a multipart/related answer come from, one at a time.
pub(super) trait Parts: Send + 'static {
    /// The next part; `None` after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Part>, Error>> + Send;
}

/// One part, to be read when its turn comes.
pub(super) struct Part {
    pub(super) media_type: &'static str,
    pub(super) transfer_syntax: TransferSyntaxUid,
    /// URL of what the part holds.
    pub(super) location: String,
    pub(super) reader: PartReader,
}

/// Answers with parts of one media type (RFC 2387, PS3.18 §8.6.1.2). Memory: one chunk, whatever the number and size of parts.
pub(super) fn response(media_type: &'static str, parts: impl Parts) -> Response {
    let boundary = boundary();
    let content_type = format!("multipart/related; type=\"{media_type}\"; boundary={boundary}");
    let pieces = Framed { parts, boundary, current: None, is_closed: false };
    ([(header::CONTENT_TYPE, content_type)], stream::body(pieces)).into_response()
}

/// Answers with one part as the whole body.
pub(super) fn single(part: Part) -> Response {
    let length = part.reader.length();
    let content_type = content_type(&part);
    let mut response = stream::body(part.reader).into_response();
    let headers = response.headers_mut();
    // An odd transfer syntax UID may have characters that no header takes.
    let content_type =
        HeaderValue::from_str(&content_type).unwrap_or_else(|_| HeaderValue::from_static(part.media_type));
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Ok(location) = HeaderValue::from_str(&part.location) {
        headers.insert(header::CONTENT_LOCATION, location);
    }
    response
}

impl Pieces for PartReader {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(self.chunk().await?.map(Bytes::from))
    }
}

/// Parts with delimiters and heads.
struct Framed<P> {
    parts: P,
    boundary: String,
    current: Option<PartReader>,
    is_closed: bool,
}

impl<P: Parts> Pieces for Framed<P> {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(reader) = &mut self.current {
            if let Some(chunk) = reader.chunk().await? {
                return Ok(Some(chunk.into()));
            }
            self.current = None;
        }
        if self.is_closed {
            return Ok(None);
        }
        Ok(Some(Bytes::from(match self.parts.next().await? {
            Some(part) => {
                let (content_type, length) = (content_type(&part), part.reader.length().to_string());
                let fields = [
                    ("Content-Type", content_type.as_str()),
                    ("Content-Length", &length),
                    ("Content-Location", &part.location),
                ];
                self.current = Some(part.reader);
                multipart::part_head(&self.boundary, &fields)
            }
            None => {
                self.is_closed = true;
                multipart::close(&self.boundary)
            }
        })))
    }
}

/// PS3.18 §8.7.9: the transfer syntax is a parameter of the media type.
fn content_type(part: &Part) -> String {
    match part.transfer_syntax.is_valid() {
        true => format!("{}; transfer-syntax={}", part.media_type, part.transfer_syntax),
        false => part.media_type.to_owned(),
    }
}

/// A delimiter that no stored object can have foreseen.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("gantry-{:016x}{:016x}", random(), random())
}
