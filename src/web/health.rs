use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use model::limits;

use crate::app::App;

/// Which parts of the server are able to serve; clones share it.
///
/// The server is ready when every part that it was made with is, and a write transaction works.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, bool>>>);

impl Readiness {
    /// Starts with none of the parts ready.
    pub fn new(parts: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(Mutex::new(parts.into_iter().map(|part| (part, false)).collect())))
    }

    /// Says whether a part is ready from now on.
    pub fn set(&self, part: &'static str, ready: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(part, ready);
    }

    /// The parts that are not ready, by name.
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter(|(_, ready)| !**ready).map(|(part, _)| *part).collect()
    }
}

/// Why the server is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unready {
    /// These parts do not accept connections.
    Parts(Vec<&'static str>),
    /// A write transaction fails.
    Archive,
    /// A write transaction takes longer than [`limits::PROBE_TIMEOUT`].
    Slow(Duration),
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts(parts) => write!(f, "not accepting: {}", parts.join(", ")),
            Self::Archive => f.write_str("the index cannot be written"),
            Self::Slow(limit) => write!(f, "the index was not written within {} s", limit.as_secs()),
        }
    }
}

/// Answers as long as the process runs.
pub(crate) async fn livez() -> Response {
    plain(StatusCode::OK, "{\"status\":\"alive\"}\n".to_owned())
}

/// Answers 200 when the server can take and serve instances now, else 503 with the reason.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    match check(&app).await {
        Ok(()) => plain(StatusCode::OK, "{\"status\":\"ready\"}\n".to_owned()),
        // The reason is made of our own words, none of which needs escaping.
        Err(reason) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{{\"status\":\"not ready\",\"reason\":\"{reason}\"}}\n"),
        ),
    }
}

/// Whether all parts accept and a write transaction works. Cancel safe.
pub(crate) async fn check(app: &App) -> Result<(), Unready> {
    let missing = app.readiness.missing();
    if !missing.is_empty() {
        return Err(Unready::Parts(missing));
    }
    match tokio::time::timeout(limits::PROBE_TIMEOUT, app.pipeline.probe()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::error!(error = %crate::problem::chain(&error), "write transaction failed");
            Err(Unready::Archive)
        }
        Err(_) => Err(Unready::Slow(limits::PROBE_TIMEOUT)),
    }
}

fn plain(status: StatusCode, json: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, json).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_part_is() {
        let readiness = Readiness::new(["dimse", "web"]);
        assert_eq!(readiness.missing(), ["dimse", "web"]);
        readiness.set("web", true);
        assert_eq!(readiness.missing(), ["dimse"]);
        readiness.set("dimse", true);
        assert!(readiness.missing().is_empty());
        readiness.clone().set("web", false);
        assert_eq!(readiness.missing(), ["web"]);
    }

    #[test]
    fn reasons_stand_in_json_as_they_are() {
        for reason in
            [Unready::Parts(vec!["dimse", "web"]), Unready::Archive, Unready::Slow(limits::PROBE_TIMEOUT)]
        {
            assert!(!reason.to_string().contains(['"', '\\']), "{reason}");
        }
    }
}
