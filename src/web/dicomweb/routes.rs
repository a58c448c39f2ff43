use axum::routing::any;
use axum::{Router, middleware};

use super::urls::Urls;
use super::{bulkdata, frames, metadata, paths, qido, stow, wado};
use crate::app::App;
use crate::cors::cors;
use crate::problem::Problem;
use crate::routes::method_not_allowed;

/// Every DICOMweb resource, with CORS.
pub(crate) fn router(app: &App) -> Router<App> {
    Router::new()
        .merge(qido::routes())
        .merge(wado::routes())
        .merge(metadata::routes())
        .merge(bulkdata::routes())
        .merge(frames::routes())
        .merge(stow::routes())
        .merge(no_resource())
        // Before the layer, so that preflight requests, whose method no resource has, come by it.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), cors))
}

/// Answers for what is not there, with CORS too: scripts must be able to read that.
fn no_resource() -> Router<App> {
    let not_found = || any(async || Problem::not_found());
    paths::NO_RESOURCE.iter().fold(Router::new(), |router, path| router.route(path, not_found()))
}

impl App {
    /// The URLs of the resources, as answers give them.
    pub(super) fn urls(&self) -> Urls {
        Urls::new(self.config.public_url.as_ref())
    }
}
