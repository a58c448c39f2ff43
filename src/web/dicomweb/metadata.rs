use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;
use model::Scope;
use pipeline::{Cursor, Error, Page, Pipeline};

use super::accept::Accept;
use super::elsewhere::Elsewhere;
use super::paged::{self, Source};
use super::paths;
use super::target::Target;
use super::urls::Urls;
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
    let elsewhere = Elsewhere::fetch(&app, &scope).await?;
    let objects = Objects { pipeline: app.pipeline.clone(), urls: app.urls(), scope };
    let body = paged::body(objects, app.pages.clone()).await.map_err(|error| elsewhere.problem(error))?;
    Ok(elsewhere.mark(([(header::CONTENT_TYPE, media_type)], body).into_response()))
}

/// The instances' objects.
struct Objects {
    pipeline: Pipeline,
    urls: Urls,
    scope: Scope,
}

impl Source for Objects {
    type Row = Vec<u8>;

    fn is_of_objects(&self) -> bool {
        true
    }

    async fn fetch(&self, after: Option<Cursor>) -> Result<Page<Vec<u8>>, Error> {
        self.pipeline.metadata(&self.scope, after).await
    }

    fn write(&self, object: Vec<u8>, out: &mut Vec<u8>) {
        self.urls.write_absolute(&object, out);
    }

    fn sending(&mut self, _rows: usize) {}
}
