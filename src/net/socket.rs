//! What DICOM needs of TCP.

use socket2::SockRef;
use tokio::net::TcpStream;

/// Sends what is written at once: a message ends with our turn to wait, and Nagle's algorithm would hold its last segment back
/// until the peer's delayed ACK.
pub(crate) fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
}

/// Acknowledges what has come and what comes next at once.
///
/// Peers that write a message in pieces with Nagle's algorithm on (all of DCMTK does) send the second piece only when the first
/// is acknowledged, which Linux puts off for 40 ms. The kernel falls back by itself, so this is called before every wait.
pub(crate) fn acknowledge_at_once(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream).set_tcp_quickack(true) {
        tracing::debug!(%error, "TCP_QUICKACK");
    }
    #[cfg(not(target_os = "linux"))]
    let _: SockRef<'_> = SockRef::from(stream);
}
