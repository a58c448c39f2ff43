//! Transcoding: an object from one transfer syntax into another, frame by frame.
//!
//! Read [`can`] and [`transcode()`] first, then `codec/mod.rs`: a file there for each way of compressing frames. Whatever cannot be
//! decoded without doubt fails with its reason: a wrong pixel is worse than none. Nothing lossy is ever written, and what was lossy is
//! decompressed at most. Deliberately absent: rendering, windows and palettes; threads, sockets and the archive.
//!
//! Memory: one frame as stored, decoded and encoded again ([`limits::FRAME_SAMPLES`](model::limits::FRAME_SAMPLES)), and the header.
//!
//! ```
//! use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
//!
//! assert!(pixels::can("1.2.840.10008.1.2.4.90", EXPLICIT_VR_LITTLE_ENDIAN).is_ok());
//! assert!(pixels::can(IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.80").is_ok());
//! assert!(pixels::can("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90").is_err());
//! ```

mod ability;
mod attributes;
mod codec;
mod data_set;
mod encapsulate;
mod error;
pub mod fragments;
mod frames;
mod fuzz;
mod image;
mod output;
mod read_at;
mod samples;
mod source;
#[cfg(test)]
mod tests;
mod transcode;
mod words;

pub use ability::{Ability, abilities, can};
pub use error::Error;
pub use frames::FrameReader;
pub use fuzz::{fuzz_codec, fuzz_fragments, fuzz_transcode};

pub use read_at::ReadAt;
pub use transcode::{Object, transcode};
pub use words::pixel_word_bytes;
