use std::time::Instant;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use model::query::Query;
use model::{AeTitle, QueryRetrieveLevel, UpstreamName};
use pipeline::{Behalf, Cursor, Error, Gathered, Page, Pipeline, Row, UpstreamRow};
use telemetry::{Door, Event, Telemetry};

use super::params::Search;
use super::row;
use crate::app::App;
use crate::dicomweb::elsewhere;
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
    let Search { query, tells_ae_titles, warnings } = search;
    let level = query.level;
    let ae_title = tells_ae_titles.then(|| app.config.product.ae_title.clone());
    let way = Way { urls: app.urls(), ae_title };
    let Behind { rows: behind, incomplete, unsure } = Behind::gather(&app.pipeline, &query, &way).await?;
    let rows = Rows {
        pipeline: app.pipeline.clone(),
        way,
        query,
        behind,
        tally: Tally { telemetry: app.telemetry.clone(), started, level, rows: 0 },
    };
    let body = paged::body(rows, app.pages.clone()).await?;
    let mut response = ([(header::CONTENT_TYPE, media_type)], body).into_response();
    incomplete.iter().for_each(|name| elsewhere::warn_of_rest(&mut response, name.as_str()));
    unsure.iter().for_each(|name| elsewhere::warn_of_keys(&mut response, name.as_str()));
    warnings.iter().for_each(|warning| elsewhere::warn(&mut response, warning));
    Ok(response)
}

/// The rows of a search. No read transaction is held while the peer takes its time.
struct Rows {
    pipeline: Pipeline,
    way: Way,
    query: Query,
    /// What comes behind ours.
    behind: Vec<Bytes>,
    tally: Tally,
}

/// How rows are retrieved.
struct Way {
    urls: Urls,
    /// Ours, where rows tell it.
    ae_title: Option<AeTitle>,
}

impl Way {
    /// Writes a row, which another archive may have.
    fn write(&self, row: Row, elsewhere: Option<&AeTitle>, out: &mut Vec<u8>) {
        let titles = self.ae_title.iter().flat_map(|ours| [ours].into_iter().chain(elsewhere));
        row::write(row, &self.urls, titles.map(AeTitle::to_string).collect(), out);
    }
}

/// A row, or one that is written already.
enum OneRow {
    Ours(Box<Row>),
    Behind(Bytes),
}

impl Source for Rows {
    type Row = OneRow;

    fn is_of_objects(&self) -> bool {
        self.pipeline.needs_objects(&self.query) || !self.behind.is_empty()
    }

    async fn fetch(&self, after: Option<Cursor>) -> Result<Page<OneRow>, Error> {
        let Page { rows, next } = self.pipeline.find(&self.query, after).await?;
        let behind = if next.is_none() { self.behind.as_slice() } else { &[] };
        let ours = rows.into_iter().map(|row| OneRow::Ours(Box::new(row)));
        Ok(Page { rows: ours.chain(behind.iter().cloned().map(OneRow::Behind)).collect(), next })
    }

    fn write(&self, row: OneRow, out: &mut Vec<u8>) {
        match row {
            OneRow::Ours(row) => self.way.write(*row, None, out),
            OneRow::Behind(row) => out.extend_from_slice(&row),
        }
    }

    fn sending(&mut self, rows: usize) {
        self.tally.rows += rows as u64;
    }
}

/// The rows of upstream archives that belong to an answer.
#[derive(Default)]
struct Behind {
    /// Written already: that takes less memory while the client reads.
    rows: Vec<Bytes>,
    /// Whose rows may be missing.
    incomplete: Vec<UpstreamName>,
    /// Who did not match, or return, all that was asked for.
    unsure: Vec<UpstreamName>,
}

impl Behind {
    /// Asks the upstream archives, unless our own rows fill the page. They stand behind ours, so that `offset` counts ours first.
    ///
    /// # Errors
    /// As the pipeline, when our own archive fails.
    async fn gather(pipeline: &Pipeline, query: &Query, way: &Way) -> Result<Self, Error> {
        let Some(upstreams) = pipeline.ask_upstreams(query, &Behalf::default()) else {
            return Ok(Self::default());
        };
        // Of ours, those before the page and on it.
        let end = query.offset.saturating_add(query.limit.unwrap_or(0));
        let ours = if end == 0 { 0 } else { pipeline.count_rows(query, end).await? };
        if query.limit.is_some() && ours == end {
            return Ok(Self::default());
        }
        let before = query.offset.saturating_sub(ours);
        let room = query.limit.map(|limit| limit - ours.saturating_sub(query.offset).min(limit));
        let Gathered { rows, incomplete, unsure } = upstreams.gather().await?;
        let write = |found: UpstreamRow| {
            let mut out = Vec::new();
            way.write(found.row, Some(&found.ae_title), &mut out);
            Bytes::from(out)
        };
        let rows = rows.into_iter().skip(before as usize).take(room.map_or(usize::MAX, |room| room as usize));
        Ok(Self { rows: rows.map(write).collect(), incomplete, unsure })
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
