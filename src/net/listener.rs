use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::limits;
use pipeline::Pipeline;
use telemetry::Telemetry;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing::field::Empty;

use crate::acceptor::Acceptor;
use crate::config::Config;
use crate::error::Error;
use crate::lobby::Lobby;

/// The DIMSE door: accepts connections, with and without TLS, and serves each in a task of its own.
pub struct Listener {
    plain: TcpListener,
    address: SocketAddr,
    tls: Option<(TcpListener, SocketAddr)>,
    acceptor: Arc<Acceptor>,
}

/// The port that a connection came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// TCP as it is.
    Plain,
    /// TLS from the first byte on.
    Tls,
}

impl Listener {
    /// Listens. Connections queue up until [`Listener::serve`].
    ///
    /// # Errors
    /// [`Error::Listen`] when an address is taken or not ours, and [`Error::KeyFile`] when a file with certificates or keys cannot be used.
    pub async fn bind(config: Config, pipeline: Pipeline, telemetry: Telemetry) -> Result<Self, Error> {
        let (plain, address) = listen(config.listen).await?;
        let tls = match &config.tls {
            Some(tls) => {
                tls.certificate().map_err(Error::KeyFile)?;
                Some(listen(tls.settings().listen).await?)
            }
            None => None,
        };
        for tokens in config.peers.iter().filter_map(|peer| peer.as_caller.tokens()) {
            tokens.check_keys().map_err(Error::KeyFile)?;
        }
        Ok(Self { plain, address, tls, acceptor: Arc::new(Acceptor::new(config, pipeline, telemetry)) })
    }

    /// The address, with the port that the system chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address for TLS, if there is one.
    pub fn local_tls_addr(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|(_, address)| *address)
    }

    /// Serves until `shutdown`, each connection in a task on `tracker`, and sends the storage commitment reports that are owed beyond
    /// their associations.
    ///
    /// After `shutdown` nobody new is let in; idle associations are aborted at once; where a message is under way it is finished and
    /// answered first. The caller bounds the wait for `tracker`. Whatever a task meets, a panic included, ends its own association
    /// only.
    pub async fn serve(self, shutdown: CancellationToken, tracker: TaskTracker) {
        let reporter = self.acceptor.reporter().run(shutdown.clone());
        tracker.spawn(reporter.instrument(tracing::info_span!("reporter")));
        let lobby = Lobby::new(limits::UNASSOCIATED_CONNECTIONS);
        for number in 1_u64.. {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, from, door)) => {
                    let acceptor = Arc::clone(&self.acceptor);
                    let place = lobby.enter(&shutdown);
                    let span = tracing::info_span!("association", assoc = number, from = %from.ip(), calling = Empty, tls = Empty, user = Empty);
                    let shutdown = shutdown.clone();
                    let serve = async move { acceptor.serve(stream, door, from, place, shutdown).await };
                    tracker.spawn(serve.instrument(span));
                }
                Err(error) => pause_after(&error).await,
            }
        }
    }

    /// Waits for the next connection at either port. Cancel safe.
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, Door)> {
        let tls = async {
            match &self.tls {
                Some((socket, _)) => socket.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            plain = self.plain.accept() => plain.map(|(stream, from)| (stream, from, Door::Plain)),
            tls = tls => tls.map(|(stream, from)| (stream, from, Door::Tls)),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let refused = |source| Error::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(refused)?;
    let address = socket.local_addr().map_err(refused)?;
    Ok((socket, address))
}

/// A connection that vanished before it was accepted is no news. Anything else, such as no file descriptors left, is not mended by
/// asking again at once.
async fn pause_after(error: &io::Error) {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => {
            tracing::warn!(%error, "cannot accept connections");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
