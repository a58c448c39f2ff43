//! Tests of the upper layer through its public interface.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

mod codec;
mod extended;
mod limits;
mod negotiate;
mod pair;
mod support;
mod table;
mod user;
