use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use model::header::AttributePath;

use super::accept::Accept;
use super::paths;
use super::rendition::{Kind, instance, respond};
use super::target::Target;
use crate::app::App;
use crate::problem::Problem;

/// The values that metadata refers to by BulkDataURI (PS3.18 §10.4.1.1.5).
pub(super) fn routes() -> Router<App> {
    Router::new().route(paths::BULKDATA, get(bulkdata))
}

async fn bulkdata(State(app): State<App>, target: Target, accept: Accept) -> Result<Response, Problem> {
    // Only our own metadata makes these paths: what does not parse is nothing that we ever named.
    let path = target.rest.parse::<AttributePath>().map_err(|_| Problem::not_found())?;
    let instance = instance(&app, target).await?;
    let rendition = app.pipeline.bulkdata(&instance, &path).await?;
    let location = format!("{}/bulkdata/{path}", app.urls().of(&instance.ids));
    let locations = rendition.parts.iter().map(|_| location.clone()).collect();
    respond(&app, Kind::BulkData, instance, rendition, locations, &accept).await
}
