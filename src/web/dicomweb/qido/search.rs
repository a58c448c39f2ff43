use std::time::Instant;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use model::{QueryRetrieveLevel, Tag};
use pipeline::Support;

use super::{answer, params};
use crate::app::App;
use crate::dicomweb::accept::Accept;
use crate::dicomweb::paths;
use crate::dicomweb::target::Target;
use crate::problem::Problem;

/// The six search resources (PS3.18 Table 10.6.1-1).
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(paths::STUDIES, get(studies))
        .route(paths::STUDY_SERIES, get(series))
        .route(paths::ALL_SERIES, get(series))
        .route(paths::STUDY_INSTANCES, get(instances))
        .route(paths::SERIES_INSTANCES, get(instances))
        .route(paths::ALL_INSTANCES, get(instances))
}

async fn studies(
    app: State<App>,
    target: Target,
    accept: Accept,
    query: RawQuery,
) -> Result<Response, Problem> {
    search(QueryRetrieveLevel::Study, app, target, accept, query).await
}

async fn series(
    app: State<App>,
    target: Target,
    accept: Accept,
    query: RawQuery,
) -> Result<Response, Problem> {
    search(QueryRetrieveLevel::Series, app, target, accept, query).await
}

async fn instances(
    app: State<App>,
    target: Target,
    accept: Accept,
    query: RawQuery,
) -> Result<Response, Problem> {
    search(QueryRetrieveLevel::Image, app, target, accept, query).await
}

async fn search(
    level: QueryRetrieveLevel,
    State(app): State<App>,
    target: Target,
    accept: Accept,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let media_type = accept.json()?;
    let support = |path: &[Tag]| match *path {
        [tag] => app.pipeline.support(level, tag),
        [sequence, tag] => app.pipeline.support_within(level, sequence, tag),
        _ => Support::No,
    };
    let search = params::parse(level, &target, query.as_deref().unwrap_or_default(), support)?;
    answer::answer(&app, search, media_type, started).await
}
