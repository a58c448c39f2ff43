//! The TLS handshake of a caller: bounded in time, counted, and told in plain words where it fails.

use std::time::Duration;

use telemetry::{Event, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use ul::pdu::{Abort, AbortReason};

use crate::lobby::Place;
use crate::socket;
use crate::stream::Stream;
use crate::tls::{Problem, Server, TlsError};

/// Takes the TLS handshake of a caller within `patience`, which is ARTIM's; `None` where nothing came of it, and then the connection
/// is over.
pub(crate) async fn secure(
    tls: &Server,
    stream: TcpStream,
    patience: Duration,
    place: &Place,
    telemetry: &Telemetry,
) -> Option<Stream> {
    socket::send_at_once(&stream);
    let accepted = tokio::select! {
        biased;
        () = place.leave.cancelled() => return None,
        accepted = timeout(patience, tls.accept(stream)) => accepted,
    };
    let (error, stream) = match accepted {
        Ok(Ok(stream)) => {
            telemetry.record(Event::TlsHandshake { outcome: "ok" });
            return Some(stream.into());
        }
        Ok(Err((error, stream))) => (error, Some(stream)),
        Err(_) => (TlsError::new(Problem::TimedOut, "its TLS handshake takes too long"), None),
    };
    telemetry.record(Event::TlsHandshake { outcome: error.problem.label() });
    match error.problem {
        // So look those who only see whether somebody listens.
        Problem::Closed => tracing::debug!(reason = %error, "no TLS with the caller"),
        Problem::Internal => tracing::error!(reason = %error, "no TLS with the caller"),
        _ => tracing::info!(reason = %error, "no TLS with the caller"),
    }
    if let Some(stream) = stream {
        let last_words = part(stream, error.problem);
        tokio::select! {
            () = place.must_close() => {}
            _ = timeout(patience, last_words) => {}
        }
    }
    None
}

/// Says to a peer that speaks DICOM that this leads nowhere, and waits for it to close: closing with bytes unread would reset the
/// connection, and it might never see why.
async fn part(mut stream: TcpStream, problem: Problem) {
    if problem == Problem::Plain {
        let abort = Abort::provider(AbortReason::NotSpecified).to_pdu();
        drop(stream.write_all(&abort).await);
    }
    drop(stream.shutdown().await);
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await.is_ok_and(|bytes| bytes > 0) {}
}
