use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::Origin;
use crate::app::App;

/// Lets scripts of configured origins use a resource, and answers their preflight requests (Fetch §3.3).
pub(crate) async fn cors(State(app): State<App>, request: Request, next: Next) -> Response {
    let allowed = request
        .headers()
        .get(header::ORIGIN)
        .and_then(|origin| allow_origin(&app.config.cors_origins, origin));
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        preflight(allowed.is_some(), asked)
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if depends_on_origin(&app.config.cors_origins) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    response
}

/// The value of Access-Control-Allow-Origin for a request from `origin`; `None` when it is not configured.
fn allow_origin(configured: &[Origin], origin: &HeaderValue) -> Option<HeaderValue> {
    let found = configured.iter().find(|known| known.is_any() || known.as_header() == origin)?;
    Some(found.as_header().clone())
}

/// Whether answers differ by origin, which caches must know.
fn depends_on_origin(configured: &[Origin]) -> bool {
    !configured.is_empty() && !configured.iter().any(Origin::is_any)
}

fn preflight(allowed: bool, asked: Option<HeaderValue>) -> Response {
    let mut headers = HeaderMap::new();
    if allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
        headers.insert(header::VARY, HeaderValue::from_static("access-control-request-headers"));
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}

const METHODS: &str = "GET, HEAD, POST, OPTIONS";
const MAX_AGE_SECONDS: &str = "600";
/// Headers of our answers that scripts may read, besides those that they may read anyway.
const EXPOSED: &str = "Content-Location, ETag, Retry-After, Warning";

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(texts: &[&str]) -> Vec<Origin> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn allows_what_is_configured() {
        let viewer = HeaderValue::from_static("https://viewer.example.org");
        let other = HeaderValue::from_static("https://viewer.example.org.evil.example");
        let named = origins(&["http://localhost:3000", "https://viewer.example.org"]);
        assert_eq!(allow_origin(&named, &viewer), Some(viewer.clone()));
        assert_eq!(allow_origin(&named, &other), None);
        assert_eq!(allow_origin(&[], &viewer), None);
        assert_eq!(allow_origin(&origins(&["*"]), &other), Some(HeaderValue::from_static("*")));
    }

    #[test]
    fn caches_must_tell_origins_apart_unless_any_may_come() {
        assert!(depends_on_origin(&origins(&["http://localhost:3000"])));
        assert!(!depends_on_origin(&origins(&["http://localhost:3000", "*"])));
        assert!(!depends_on_origin(&[]));
    }
}
