use std::time::Instant;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use model::QueryRetrieveLevel;
use model::query::Query;
use pipeline::{Cursor, Error, Page, Pipeline, Row};
use telemetry::{Door, Event, Telemetry};

use super::params::Search;
use super::row;
use crate::app::App;
use crate::dicomweb::paged::{self, Source};
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
    let rows = Rows {
        pipeline: app.pipeline.clone(),
        urls: app.urls(),
        query,
        tally: Tally { telemetry: app.telemetry.clone(), started, level, rows: 0 },
    };
    let body = paged::body(rows, app.pages.clone()).await?;
    let mut response = ([(header::CONTENT_TYPE, media_type)], body).into_response();
    for warning in warnings {
        // deviation: PS3.18 §8.3.4.2: after 299 a name stands instead of a URL, and the text in quotes, as RFC 7234 §5.5 has it.
        if let Ok(value) = HeaderValue::try_from(format!("299 gantry \"{warning}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// The rows of a search. No read transaction is held while the peer takes its time.
struct Rows {
    pipeline: Pipeline,
    urls: Urls,
    query: Query,
    tally: Tally,
}

impl Source for Rows {
    type Row = Row;

    fn is_of_objects(&self) -> bool {
        self.pipeline.needs_objects(&self.query)
    }

    async fn fetch(&self, after: Option<Cursor>) -> Result<Page<Row>, Error> {
        self.pipeline.find(&self.query, after).await
    }

    fn write(&self, row: Row, out: &mut Vec<u8>) {
        row::write(row, &self.urls, out);
    }

    fn sending(&mut self, rows: usize) {
        self.tally.rows += rows as u64;
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
