use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use model::limits;
use pipeline::Pipeline;
use telemetry::{Event, Telemetry};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::app::App;
use crate::connections::{Connection, Connections};
use crate::measure::UntilSent;
use crate::problem::Problem;
use crate::stall::Stall;
use crate::{Config, Readiness, routes};

/// The HTTP door, bound to its address.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    router: Router,
    telemetry: Telemetry,
    pub(crate) connections: Arc<Connections>,
}

/// The HTTP door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The address of the peer that sent a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddress(pub(crate) SocketAddr);

impl Listener {
    /// Listens on the configured address; connections wait until [`Listener::serve`] runs. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Bind`] when the address is taken or not ours.
    pub async fn bind(
        mut config: Config,
        pipeline: Pipeline,
        telemetry: Telemetry,
        readiness: Readiness,
    ) -> Result<Self, Error> {
        let address = config.listen;
        let failed = |source| Error::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        config.listen = address;
        let router = routes::router(App::new(config, pipeline, telemetry.clone(), readiness));
        let connections = Connections::new(limits::HTTP_CONNECTIONS, limits::HTTP_REQUESTS);
        Ok(Self { socket, address, router, telemetry, connections })
    }

    /// The address that is listened on, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and serves connections until `shutdown`, each as a task on `tracker`.
    ///
    /// At most [`limits::HTTP_CONNECTIONS`] are open; one more closes the longest idle one. At most [`limits::HTTP_REQUESTS`] requests
    /// are in progress, besides those for health and metrics; one more waits, and is told to come again after
    /// [`limits::HTTP_TURN_TIMEOUT`]. After `shutdown` idle connections are
    /// closed at once and requests in progress are answered; the caller bounds the wait for them.
    pub async fn serve(self, shutdown: CancellationToken, tracker: TaskTracker) {
        loop {
            let (connection, accepted) = tokio::select! {
                accepted = async { (self.connections.admit().await, self.socket.accept().await) } => accepted,
                () = shutdown.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors, most likely: without a pause this loop would spin.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let span = tracing::debug_span!("http", %peer);
            let telemetry = self.telemetry.clone();
            let conversation = converse(stream, peer, connection, self.router.clone(), shutdown.clone());
            let task = async move {
                if AssertUnwindSafe(conversation).catch_unwind().await.is_err() {
                    telemetry.record(Event::Panicked);
                    tracing::error!("a request panicked; its connection was closed");
                }
            };
            tracker.spawn(task.instrument(span));
        }
    }
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    connection: Arc<Connection>,
    router: Router,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddress(peer));
        let (router, connection) = (router.clone(), connection.clone());
        async move {
            let busy = match routes::is_prompt(request.uri().path()) {
                true => connection.begin_at_once(),
                false => match connection.begin_in_turn().await {
                    Some(busy) => busy,
                    None => return Ok(Problem::overloaded().into_response()),
                },
            };
            router
                .call(request)
                .await
                .map(|response| response.map(|body| Body::new(UntilSent::new(body, busy))))
        }
    });
    let io = TokioIo::new(Stall::new(stream));
    let mut http = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HTTP_HEAD_TIMEOUT)
            .max_buf_size(limits::HTTP_HEAD_BYTES)
            .serve_connection(io, service)
    );
    let asked_to_end = async {
        tokio::select! {
            () = connection.asked_to_close() => {}
            () = shutdown.cancelled() => {}
        }
    };
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = asked_to_end => {
            if !connection.is_busy() {
                return;
            }
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
