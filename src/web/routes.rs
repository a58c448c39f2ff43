use axum::Router;
use axum::middleware;
use axum::routing::get;
use http::StatusCode;

use crate::app::App;
use crate::measure::measure;
use crate::problem::Problem;
use crate::{dicomweb, health, metrics, page};

/// Every resource of the HTTP door.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page::status))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .merge(dicomweb::router(&app))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), measure))
        .with_state(app)
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this resource does not take that method")
}

/// Whether the resource at a path is answered soon and shortly whatever the peer does: supervisors must reach it when others are slow.
pub(crate) fn is_prompt(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// The metric label of a matched path.
pub(crate) fn label(path: &str) -> &'static str {
    let own = ["/", "/livez", "/readyz", "/metrics"];
    let dicomweb = dicomweb::paths::ALL.iter().copied();
    own.into_iter().chain(dicomweb).find(|known| *known == path).unwrap_or(OTHER)
}

/// The metric label of whatever no resource answers.
pub(crate) const OTHER: &str = "other";
