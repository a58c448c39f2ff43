//! What upstream archives have and we lack, on the way to a client.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use model::Scope;
use pipeline::{Behalf, Completion, Error};

use crate::app::App;
use crate::problem::Problem;

/// What became of fetching what a request is about.
pub(super) struct Elsewhere(Completion);

impl Elsewhere {
    /// Fetches what upstream archives have of a scope and we lack.
    ///
    /// # Errors
    /// As the pipeline, when our own archive fails.
    pub(super) async fn fetch(app: &App, scope: &Scope) -> Result<Self, Problem> {
        Ok(Self(app.pipeline.complete_scope(scope, &Behalf::default()).await?))
    }

    /// The answer to a request that we cannot serve. That there is nothing is said only where nobody else may have it.
    pub(super) fn problem(&self, error: Error) -> Problem {
        match (error, self.archives().next()) {
            (Error::NotFound, Some(name)) => Problem::new(
                StatusCode::BAD_GATEWAY,
                format!("upstream archive {name}, which may have it, does not give it"),
            ),
            (error, _) => error.into(),
        }
    }

    /// Says of an answer that it may not be all there is: 206 where something is known to be missing (PS3.18 §10.4.3.1).
    pub(super) fn mark(&self, mut response: Response) -> Response {
        if !self.0.shortfalls.is_empty() && response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let names: Vec<String> = self.archives().collect();
        names.into_iter().for_each(|name| warn_of_rest(&mut response, &name));
        response
    }

    /// Those that have not given all that they have, or may have.
    fn archives(&self) -> impl Iterator<Item = String> {
        let short = self.0.shortfalls.iter().map(|shortfall| &shortfall.upstream);
        short.chain(&self.0.silent).map(ToString::to_string)
    }
}

/// Adds a warning that an upstream archive has not given all.
pub(super) fn warn_of_rest(response: &mut Response, name: &str) {
    warn(response, &format!("upstream archive {name} did not give all that it may have"));
}

/// Adds a warning that an upstream archive does not know some of the keys.
pub(super) fn warn_of_keys(response: &mut Response, name: &str) {
    warn(
        response,
        &format!("upstream archive {name} did not match or return all attributes that were asked for"),
    );
}

/// Adds a warning in these words (PS3.18 §8.3.4.2).
// deviation: PS3.18 §8.3.4.2: after 299 a name stands instead of a URL, and the text in quotes, as RFC 7234 §5.5 has it.
pub(super) fn warn(response: &mut Response, words: &str) {
    let warning = format!("299 gantry \"{words}\"");
    if let Ok(warning) = HeaderValue::try_from(warning) {
        response.headers_mut().append(header::WARNING, warning);
    }
}
