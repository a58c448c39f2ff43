use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::app::App;
use crate::problem;

/// All metrics as text that Prometheus reads. With an index that cannot be read, what waits stays at what it last was.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    if let Err(error) = app.pipeline.measure_queues().await {
        tracing::error!(error = %problem::chain(&error), "queues cannot be measured");
    }
    ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], app.telemetry.render()).into_response()
}
