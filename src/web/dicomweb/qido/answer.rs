use std::time::Instant;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use model::QueryRetrieveLevel;
use model::query::Query;
use pipeline::{Error, Pipeline, Row};
use telemetry::{Door, Event, Telemetry};

use super::params::Search;
use super::row;
use crate::app::App;
use crate::dicomweb::stream::{self, Pieces, Rest};
use crate::dicomweb::urls::Urls;
use crate::problem::Problem;

/// Answers a search with a JSON array, page by page; no match is an empty array.
///
/// # Errors
/// As the pipeline, when the first page cannot be had.
///
/// PS3.18 §10.6.3.
pub(super) async fn answer(
    app: &App,
    search: Search,
    media_type: &'static str,
    started: Instant,
) -> Result<Response, Problem> {
    let Search { query, warnings } = search;
    let level = query.level;
    let page = app.pipeline.find(&query, None).await?;
    let rows = Rows {
        pipeline: app.pipeline.clone(),
        urls: app.urls(),
        query,
        rest: Rest::Page(page),
        is_first: true,
        tally: Tally { telemetry: app.telemetry.clone(), started, level, rows: 0 },
    };
    let mut response = ([(header::CONTENT_TYPE, media_type)], stream::body(rows)).into_response();
    for warning in warnings {
        // deviation: PS3.18 §8.3.4.2: after 299 a name stands instead of a URL, and the text in quotes, as RFC 7234 §5.5 has it.
        if let Ok(value) = HeaderValue::try_from(format!("299 gantry \"{warning}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// The rows of a search, a page in memory at a time. No read transaction is held while the peer takes its time.
struct Rows {
    pipeline: Pipeline,
    urls: Urls,
    query: Query,
    rest: Rest<Row>,
    is_first: bool,
    tally: Tally,
}

impl Pieces for Rows {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let fetch = |after| self.pipeline.find(&self.query, Some(after));
        let Some(page) = self.rest.take_page(fetch).await? else { return Ok(None) };
        let mut out = Vec::new();
        if std::mem::take(&mut self.is_first) {
            out.push(b'[');
        }
        for row in page.rows {
            if self.tally.rows > 0 {
                out.push(b',');
            }
            self.tally.rows += 1;
            row::write(row, &self.query.include, &self.urls, &mut out);
        }
        if page.is_last {
            out.push(b']');
        }
        Ok(Some(out.into()))
    }
}

/// Becomes an [`Event::Query`] when it is dropped.
struct Tally {
    telemetry: Telemetry,
    started: Instant,
    level: QueryRetrieveLevel,
    rows: u64,
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Self { level, rows, .. } = *self;
        self.telemetry.record(Event::Query { door: Door::Web, level, rows, elapsed: self.started.elapsed() });
    }
}
