//! The DICOM upper layer protocol (PS3.8): PDUs, the association state machine, negotiation, P-DATA framing.
//!
//! Pure: bytes and `now` go in, values come out; sockets and clocks are the caller's. Read [`Association`] and
//! [`Event`] first. Deliberately absent: bulk data (the caller moves it between socket and file; an association
//! only says how many bytes come next), DIMSE messages, and timers other than ARTIM.
//!
//! ```
//! use std::time::Duration;
//!
//! let mut association = ul::Association::acceptor(Duration::from_secs(10));
//! // Something that is not DICOM: the connection is given up, an A-ABORT is waiting to be sent.
//! let mut input = bytes::BytesMut::from(&b"GET / HTTP/1.1\r\n"[..]);
//! let event = association.receive(&mut input, Duration::ZERO);
//! assert!(matches!(event, Some(ul::Event::ProtocolError(_))));
//! assert_eq!(association.output().len(), 10);
//! ```

mod association;
mod error;
pub mod extended;
mod fuzz;
pub mod negotiate;
pub mod pdata;
pub mod pdu;
mod state;
mod table;

pub use association::{Association, Event, Pdv, PresentationContext};
pub use error::{Error, Violation};
pub use fuzz::{fuzz_answer, fuzz_pdu};
pub use state::State;
