//! DIMSE over TCP: the listener with its SCPs, and the SCUs.
//!
//! Read [`Listener`] and [`scu::send_all`] first. One association is one task, which owns socket, state machine and buffers; bulk goes
//! from the socket straight into the pipeline's buffer. Deliberately absent: protocol logic ([`ul`], [`dimse`]) and any knowledge of
//! where instances are kept ([`pipeline`]).
//!
//! ```
//! use std::time::Duration;
//!
//! use model::AeTitle;
//! use net::scu::{Settings, Target, echo};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let title = |text| AeTitle::parse(text).unwrap();
//! let target = Target::plain(title("PACS"), "127.0.0.1:1".to_owned());
//! let settings = Settings {
//!     calling: title("GANTRY"),
//!     max_pdu_bytes: 131_072,
//!     connect_timeout: Duration::from_secs(10),
//!     message_timeout: Duration::from_secs(60),
//!     artim_timeout: Duration::from_secs(10),
//! };
//! // Nobody listens there.
//! assert!(matches!(echo(&target, &settings).await, Err(net::Error::Connect { .. })));
//! # }
//! ```

mod acceptor;
mod access;
mod agreed;
mod capability;
mod config;
mod data_set;
mod drive;
mod end;
mod error;
mod hops;
pub mod identity;
mod listener;
mod lobby;
mod places;
mod reporter;
mod scp;
pub mod scu;
mod secure;
mod socket;
mod status;
mod stream;
mod tally;
#[cfg(test)]
mod tests;
mod timer;
pub mod tls;
mod upstream;

pub use capability::{Capability, capabilities, query_mechanisms, rejections, statuses};
pub use config::{Accept, CallerTerms, Config, Peer, PeerFileError, SopClasses};
pub use end::{End, Wait};
pub use error::Error;
pub use listener::Listener;
pub use ul::pdu::{APPLICATION_CONTEXT, AssociateRj};
pub use upstream::{RetrieveBy, Upstream, UpstreamConfig, fuzz_upstream};

/// An error with its causes, for a log line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
