use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header;
use memchr::memmem;
use model::Scope;
use pipeline::{Error, Pipeline};

use super::accept::Accept;
use super::paths;
use super::stream::{self, Pieces, Rest};
use super::target::Target;
use crate::app::App;
use crate::problem::Problem;

/// The data sets of a study, a series or an instance without bulk values, as DICOM JSON (PS3.18 §10.4.1.1.2).
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(paths::STUDY_METADATA, get(metadata))
        .route(paths::SERIES_METADATA, get(metadata))
        .route(paths::INSTANCE_METADATA, get(metadata))
}

async fn metadata(State(app): State<App>, target: Target, accept: Accept) -> Result<Response, Problem> {
    let media_type = accept.json()?;
    let scope = target.scope()?;
    let page = app.pipeline.metadata(&scope, None).await?;
    let objects = Objects {
        pipeline: app.pipeline.clone(),
        base: app.urls().base().to_owned(),
        scope,
        rest: Rest::Page(page),
        is_first: true,
    };
    Ok(([(header::CONTENT_TYPE, media_type)], stream::body(objects)).into_response())
}

/// A JSON array of the instances' objects, a page at a time.
struct Objects {
    pipeline: Pipeline,
    /// What is put before relative URLs.
    base: String,
    scope: Scope,
    rest: Rest<Vec<u8>>,
    is_first: bool,
}

impl Pieces for Objects {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let fetch = |after| self.pipeline.metadata(&self.scope, Some(after));
        let Some(page) = self.rest.take_page(fetch).await? else { return Ok(None) };
        let mut out = Vec::with_capacity(page.rows.iter().map(|row| row.len() + 1).sum::<usize>() + 2);
        for object in page.rows {
            out.push(if self.is_first { b'[' } else { b',' });
            self.is_first = false;
            with_absolute_urls(&object, &self.base, &mut out);
        }
        if page.is_last {
            out.push(b']');
        }
        Ok(Some(out.into()))
    }
}

/// Copies a stored object, with `base` before each BulkDataURI, which is stored relative to the server.
///
/// Inside a string of the object the searched bytes cannot stand: their quotes would be escaped.
fn with_absolute_urls(object: &[u8], base: &str, out: &mut Vec<u8>) {
    if base.is_empty() {
        out.extend_from_slice(object);
        return;
    }
    let mut rest = object;
    while let Some(place) = memmem::find(rest, BULK_DATA_URI) {
        let (before, after) = rest.split_at(place + BULK_DATA_URI.len());
        out.extend_from_slice(before);
        out.extend_from_slice(base.as_bytes());
        rest = after;
    }
    out.extend_from_slice(rest);
}

const BULK_DATA_URI: &[u8] = br#""BulkDataURI":""#;

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(object: &str, base: &str) -> String {
        let mut out = Vec::new();
        with_absolute_urls(object.as_bytes(), base, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn puts_the_public_url_before_bulk_data_only() {
        let object = r#"{"00081190":{"vr":"UR","Value":["/x"]},"7FE00010":{"vr":"OW","BulkDataURI":"/dicom-web/a"},"00084000":{"vr":"LT","Value":["\"BulkDataURI\":\"/no"]}}"#;
        assert_eq!(absolute(object, ""), object);
        assert_eq!(
            absolute(object, "https://pacs"),
            object.replace(r#":"/dicom-web/a"#, r#":"https://pacs/dicom-web/a"#)
        );
    }
}
