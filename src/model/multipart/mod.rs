//! Framing of `multipart/related` bodies (RFC 2046 §5.1, RFC 2387), media types and `Accept` (RFC 9110 §12.5.1).
//!
//! Read [`Parser`] first: a push parser that holds back no more than a boundary, so that parts of any size stream through it.

mod media;
mod parser;
mod writer;

pub use media::{Accepted, MediaType, accept, boundary, fuzz_media_type};
pub use parser::{Error, Event, Fields, Parser, fuzz_multipart};
pub use writer::{close, part_head};
