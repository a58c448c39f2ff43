use std::error;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::Method;
use model::limits;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;

/// Makes the HTTP client that speaks with a store.
#[derive(Debug)]
pub(super) struct Connector {
    /// Whether certificates are needed. Loading those of the system takes time, and fails where there are none.
    pub(super) has_tls: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        use_ring();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // Below what servers allow an idle connection, so that they do not close it under a request.
            .pool_idle_timeout(Duration::from_secs(4))
            .tcp_user_timeout(limits::S3_ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        let builder = if self.has_tls { builder } else { builder.tls_certs_only([]) };
        match builder.build() {
            Ok(client) => Ok(HttpClient::new(Service { client: HttpClient::new(client) })),
            Err(error) => Err(object_store::Error::Generic { store: "HTTP client", source: error.into() }),
        }
    }
}

/// Bounds every request in time and what is read of its answer, and turns a refusal into an [`Answer`] that can be told from others.
#[derive(Debug)]
struct Service {
    client: HttpClient,
}

impl Service {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_get = *request.method() == Method::GET;
        let sent = u64::try_from(request.body().content_length()).unwrap_or(u64::MAX);
        let patience = limits::S3_ANSWER_TIMEOUT + Duration::from_secs(sent / limits::S3_BYTES_PER_SECOND);
        let deadline = Instant::now() + patience;
        let silent = |_| HttpError::new(HttpErrorKind::Timeout, Silent(patience));
        let response = timeout_at(deadline, self.client.execute(request)).await.map_err(silent)??;
        let is_success = response.status().is_success();
        if is_success && is_get {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = timeout_at(deadline, collect(body)).await.map_err(silent)?;
        // S3 may find out that it fails after it has begun to answer with 200.
        if is_success && !body.as_ref().is_ok_and(|body| Answer::is_error(body)) {
            return Ok(HttpResponse::from_parts(parts, body?.into()));
        }
        let answer = Answer::read(parts.status, &parts.headers, &body.unwrap_or_default());
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}

impl HttpService for Service {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.execute(request))
    }
}

/// The body of an answer, cut where it is longer than any that S3 gives.
async fn collect(body: HttpResponseBody) -> Result<Bytes, HttpError> {
    let mut all = BytesMut::new();
    let mut chunks = body.bytes_stream();
    while all.len() < limits::S3_ANSWER_BYTES
        && let Some(chunk) = chunks.next().await
    {
        all.extend_from_slice(&chunk?);
    }
    all.truncate(limits::S3_ANSWER_BYTES);
    Ok(all.freeze())
}

/// Nothing came for so long.
#[derive(Debug)]
struct Silent(Duration);

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer for {} s", self.0.as_secs())
    }
}

impl error::Error for Silent {}

/// Has TLS made with ring. Where the process has chosen already, this changes nothing.
fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost only to another thread that does the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// A peer on the far side of the world answers within a second; a packet may be lost twice.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
