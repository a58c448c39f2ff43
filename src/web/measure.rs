use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http_body::{Body as HttpBody, Frame, SizeHint};
use telemetry::{Event, Telemetry};

use crate::app::App;
use crate::routes;

/// Counts and times a request, from its head to the end of its answer, by the pattern of its path.
pub(crate) async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route =
        request.extensions().get::<MatchedPath>().map_or(routes::OTHER, |path| routes::label(path.as_str()));
    let method = request.method().clone();
    let response = next.run(request).await;
    let tally = Tally {
        telemetry: app.telemetry.clone(),
        started,
        method,
        route,
        status: response.status().as_u16(),
        bytes: 0,
    };
    response.map(|body| Body::new(UntilSent::new(body, tally)))
}

/// Becomes an [`Event::HttpRequest`] when it is dropped.
struct Tally {
    telemetry: Telemetry,
    started: Instant,
    method: Method,
    route: &'static str,
    status: u16,
    bytes: u64,
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Self { method, route, status, bytes, .. } = self;
        let elapsed = self.started.elapsed();
        tracing::debug!(%method, route, status, bytes, ?elapsed, "request answered");
        let (route, status, bytes) = (self.route, self.status, self.bytes);
        self.telemetry.record(Event::HttpRequest { route, status, elapsed, bytes });
    }
}

/// Something that wants to know what of a body was sent.
pub(crate) trait Watch {
    /// Bytes were handed on.
    fn sent(&mut self, _bytes: usize) {}
}

impl Watch for Tally {
    fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Watch for crate::connections::Busy {}

/// A body that keeps a value until it was sent or given up.
pub(crate) struct UntilSent<W> {
    body: Body,
    watch: W,
}

impl<W> UntilSent<W> {
    pub(crate) fn new(body: Body, watch: W) -> Self {
        Self { body, watch }
    }
}

impl<W: Watch + Unpin> HttpBody for UntilSent<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
            let bytes = data.len();
            self.watch.sent(bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
