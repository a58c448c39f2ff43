use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::app::App;

/// All metrics as text that Prometheus reads.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], app.telemetry.render()).into_response()
}
